// A CA for tests. It remembers every certificate that it makes, so that a test file can have all of
// them judged by the linter and by OpenSSL at its end.

import { execFileSync } from 'node:child_process'
import { type KeyObject, createHash, createPublicKey, generateKeyPairSync } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buildCertificate, buildSelfSigned, validity } from '../../../shared/pki/certificate.ts'
import { certificateFacts } from '../../../shared/pki/facts.ts'
import { lintCertificate } from '../../../shared/pki/lint.ts'
import type { CertificateProfile } from '../../../shared/pki/profile.ts'
import { type RandomBytes, serialNumber } from '../../../shared/pki/random.ts'

export const NOW_MS = Date.UTC(2026, 5, 15, 12, 0, 0)
export const DAY_MS = 86_400_000

export const OPENSSL = '/usr/bin/openssl'

export function seededRandom(seed: string): RandomBytes {
  let counter = 0
  return size => {
    const blocks: Buffer[] = []
    for (let bytes = 0; bytes < size; bytes += 32)
      blocks.push(createHash('sha256').update(`${seed} ${counter++}`).digest())
    return Buffer.concat(blocks).subarray(0, size)
  }
}

export interface Holder {
  readonly pem: string
  readonly key: KeyObject
  readonly keyPem: string
}

interface Issued {
  readonly pem: string
  readonly issuerPem: string
  readonly profile: CertificateProfile
  readonly issuedAtMs: number
  readonly lifetimeMs: number
}

export interface Wish {
  readonly profile: CertificateProfile
  readonly issuer?: Holder
  readonly key?: KeyObject
  readonly name?: string
  readonly nowMs?: number
  readonly lifetimeMs?: number
}

export function ecKey(): KeyObject {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
}

export function keyPemOf(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }).toString()
}

export function createTestCa(seed: string) {
  const random = seededRandom(seed)
  const issued: Issued[] = []

  /** A certificate with a new key; self-signed without an issuer. */
  const make = (wish: Wish): Holder => {
    const { profile, issuer, name, nowMs = NOW_MS, lifetimeMs = 90 * DAY_MS, key = ecKey() } = wish
    const issuerNotAfterMs =
      issuer === undefined ? Number.POSITIVE_INFINITY : certificateFacts(issuer.pem).notAfterMs
    const request = {
      subject: name === undefined ? {} : { commonName: name },
      serial: serialNumber(random),
      ...validity({ nowMs, lifetimeMs, issuerNotAfterMs }),
      profile,
    }
    const pem =
      issuer === undefined
        ? buildSelfSigned({ ...request, key })
        : buildCertificate({
            ...request,
            subjectPublicKey: createPublicKey(key),
            issuer: { certificatePem: issuer.pem, key: issuer.key },
          })
    issued.push({ pem, issuerPem: issuer?.pem ?? pem, profile, issuedAtMs: nowMs, lifetimeMs })
    return { pem, key, keyPem: keyPemOf(key) }
  }

  const root = make({ profile: { kind: 'root' }, name: `${seed} root`, lifetimeMs: 3650 * DAY_MS })
  const intermediate = make({
    profile: { kind: 'intermediate' },
    name: `${seed} intermediate`,
    issuer: root,
    lifetimeMs: 1000 * DAY_MS,
  })
  const server = (dns: readonly string[], ip: readonly string[] = [], wish: Partial<Wish> = {}) =>
    make({
      profile: { kind: 'server', names: { dns, ip }, clientAuth: false },
      issuer: intermediate,
      ...wish,
    })

  /** Findings of the linter over everything that was made. */
  const lintAll = () =>
    issued.flatMap(one => lintCertificate(one.pem, { ...one, lifetimeMaxMs: one.lifetimeMs }))

  return { random, root, intermediate, make, server, lintAll, issued }
}

/** A directory of files for the openssl command, removed by `remove`. */
export function createOpenssl() {
  const directory = mkdtempSync(join(tmpdir(), 'tlsfleet-pki-'))
  let files = 0
  const file = (contents: string) => {
    const path = join(directory, `${files++}.pem`)
    writeFileSync(path, contents, { mode: 0o600 })
    return path
  }
  const run = (args: readonly string[]): string => {
    try {
      return execFileSync(OPENSSL, args, { encoding: 'utf8', stdio: 'pipe', env: { LC_ALL: 'C' } })
    } catch (error) {
      if (!(error instanceof Error) || !('stderr' in error)) throw error
      return `FAILED ${String(error.stderr)}`
    }
  }
  /** `OK` or what OpenSSL says is wrong. */
  const verify = (options: {
    readonly leaf: string
    readonly intermediates?: string
    readonly roots: string
    readonly nowMs?: number
    readonly more?: readonly string[]
  }): string => {
    const { leaf, intermediates, roots, nowMs = NOW_MS, more = [] } = options
    const output = run([
      'verify',
      '-x509_strict',
      '-attime',
      String(Math.floor(nowMs / 1000)),
      '-CAfile',
      file(roots),
      ...(intermediates === undefined ? [] : ['-untrusted', file(intermediates)]),
      ...more,
      file(leaf),
    ])
    return output.endsWith(': OK\n') ? 'OK' : output
  }
  const text = (pem: string) => run(['x509', '-in', file(pem), '-noout', '-text'])
  const remove = () => rmSync(directory, { recursive: true })
  return { file, run, verify, text, remove }
}
