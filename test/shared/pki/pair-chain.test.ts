// What the CAs of a chain may do and how it is signed. Chains that our own builder refuses to make are made
// by hand.

import { createPublicKey, sign } from 'node:crypto'
import t from 'tap'
import * as der from '../../../shared/pki/der.ts'
import { checkPair } from '../../../shared/pki/pair.ts'
import { parseCertificate, pemOf } from '../../../shared/pki/pem.ts'
import { extension } from '../../../shared/pki/profile.ts'
import {
  createOpenssl,
  DAY_MS,
  ecKey,
  type Holder,
  keyPemOf,
  NOW_MS,
  seededRandom,
} from './support.ts'

const random = seededRandom('pair-chain')
const openssl = createOpenssl()
t.teardown(() => openssl.remove())

await t.test(
  'rights of CAs count: flag, key usage, path length, names, critical extensions',
  async t => {
    // OpenSSL must agree each time.
    const root = crafted({
      subject: 'crafted root',
      extensions: [caExtension(undefined), usage([5, 6])],
    })
    const zeroRoot = crafted({ subject: 'zero root', extensions: [caExtension(0), usage([5, 6])] })
    const oldRoot = crafted({ subject: 'old root', extensions: [] })
    const caOf = (issuer: Holder, extensions: readonly der.Der[]) =>
      crafted({ subject: 'middle', issuer, issuerName: nameOfHolder(issuer), extensions })
    const sane = [caExtension(undefined), usage([5])]
    const cases: readonly (readonly [string, Holder, Holder, readonly string[]])[] = [
      ['a sane chain', root, caOf(root, sane), []],
      ['a root of version 1', oldRoot, caOf(oldRoot, sane), []],
      ['an intermediate without the CA flag', root, caOf(root, []), ['not-a-ca']],
      [
        'an intermediate that may not sign',
        root,
        caOf(root, [caExtension(undefined), usage([0])]),
        ['not-a-ca'],
      ],
      ['a root that allows no intermediate', zeroRoot, caOf(zeroRoot, sane), ['path-too-long']],
      [
        'an intermediate for clients only',
        root,
        caOf(root, [...sane, extension('2.5.29.37', false, der.seq(der.oid('1.3.6.1.5.5.7.3.2')))]),
        ['wrong-purpose'],
      ],
      [
        'an intermediate for another zone',
        root,
        caOf(root, [...sane, zone('other.example')]),
        ['name-constraints'],
      ],
      ['an intermediate for this zone', root, caOf(root, [...sane, zone('example')]), []],
      [
        'an intermediate with an unknown demand',
        root,
        caOf(root, [...sane, extension('1.3.6.1.4.1.99999.1', true, der.nul())]),
        ['critical-extension'],
      ],
    ]
    for (const [what, anchor, middle, expected] of cases) {
      const end = crafted({
        subject: 'end',
        issuer: middle,
        issuerName: 'middle',
        extensions: [
          extension('2.5.29.17', false, der.seq(der.context(2, Buffer.from('a.example')))),
        ],
      })
      const reasons = checkPair({
        certificatePem: end.pem + middle.pem,
        keyPem: end.keyPem,
        trust: [anchor.pem],
        nowMs: NOW_MS,
      })
      t.same(
        reasons.map(reason => reason.code),
        expected,
        what,
      )
      const verdict = openssl.run([
        'verify',
        '-purpose',
        'sslserver',
        '-attime',
        String(NOW_MS / 1000),
        '-CAfile',
        openssl.file(anchor.pem),
        '-untrusted',
        openssl.file(middle.pem),
        openssl.file(end.pem),
      ])
      t.equal(!verdict.startsWith('FAILED'), expected.length === 0, `OpenSSL agrees: ${what}`)
    }
  },
)

await t.test(
  'a signature over SHA-1 is refused, but nobody verifies that of an anchor',
  async t => {
    const names = extension('2.5.29.17', false, der.seq(der.context(2, Buffer.from('a.example'))))
    const anchor = crafted({
      subject: 'old',
      extensions: [caExtension(undefined), usage([5])],
      hash: 'sha1',
    })
    const codes = (hash: 'sha1' | 'sha256') => {
      const end = crafted({
        subject: 'end',
        issuer: anchor,
        issuerName: 'old',
        extensions: [names],
        hash,
      })
      const question = { certificatePem: end.pem, keyPem: end.keyPem, trust: [anchor.pem] }
      return checkPair({ ...question, nowMs: NOW_MS }).map(reason => reason.code)
    }
    t.same(codes('sha1'), ['weak-signature'])
    t.same(codes('sha256'), [])
  },
)

interface Craft {
  readonly subject: string
  readonly issuer?: Holder
  readonly issuerName?: string
  readonly extensions: readonly der.Der[]
  readonly hash?: 'sha1' | 'sha256'
}

function crafted(craft: Craft): Holder {
  const { subject, issuer, issuerName = subject, extensions, hash = 'sha256' } = craft
  const key = ecKey()
  const name = (text: string) => der.seq(der.set(der.seq(der.oid('2.5.4.3'), der.utf8(text))))
  const algorithm = der.seq(der.oid(hash === 'sha1' ? '1.2.840.10045.4.1' : '1.2.840.10045.4.3.2'))
  const spki = createPublicKey(key).export({ type: 'spki', format: 'der' })
  const tbs = der.seq(
    ...(extensions.length === 0 && issuer === undefined ? [] : [der.contextSeq(0, der.int(2))]),
    der.int(random(15)),
    algorithm,
    name(issuerName),
    der.seq(der.time(NOW_MS - DAY_MS), der.time(NOW_MS + DAY_MS)),
    name(subject),
    der.raw(spki),
    ...(extensions.length === 0 ? [] : [der.contextSeq(3, der.seq(...extensions))]),
  )
  const signature = sign(hash, der.encode(tbs), issuer?.key ?? key)
  const pem = pemOf(der.encode(der.seq(tbs, algorithm, der.bit(signature))))
  return { pem, key, keyPem: keyPemOf(key) }
}

function nameOfHolder(holder: Holder): string {
  return parseCertificate(holder.pem).subject.replace('CN=', '')
}

function caExtension(pathLength: number | undefined): der.Der {
  const length = pathLength === undefined ? [] : [der.int(pathLength)]
  return extension('2.5.29.19', true, der.seq(der.bool(true), ...length))
}

function usage(bits: readonly number[]): der.Der {
  return extension('2.5.29.15', true, der.namedBits(bits))
}

function zone(name: string): der.Der {
  const subtree = der.seq(der.context(2, Buffer.from(name)))
  return extension('2.5.29.30', true, der.seq(der.contextSeq(0, subtree)))
}
