// PKCS#12 between our code and Java's KeyStore, which is the code that Elasticsearch loads it with.

import { readFileSync, writeFileSync } from 'node:fs'
import { createPrivateKey } from 'node:crypto'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { type KeyType, KeyType as KeyTypes } from '../../../shared/contract/service.ts'
import { parseCertificate, splitPemCertificates } from '../../../shared/pki/pem.ts'
import { type Pkcs12Contents, writePkcs12 } from '../../../shared/pki/pkcs12.ts'
import { pkcs12Problem, readPkcs12 } from '../../../shared/pki/pkcs12-reader.ts'
import { Secret } from '../../../shared/secret.ts'
import { type Oracle, withOracle } from '../../support/java/oracle.ts'
import {
  type Material,
  PASSWORD,
  createMaterial,
  fingerprints,
  servedChain,
} from './pkcs12-material.ts'

const types: readonly KeyType[] = KeyTypes.options
const { ca, leaf, ofType } = createMaterial('java')
const password = PASSWORD.reveal()
let files = 0

await withOracle(t, async oracle => {
  const materials = Promise.all(types.map(async type => [type, await ofType(type)] as const))
  await t.test('Java opens and serves what was written, with every kind of key', async t => {
    for (const [type, material] of await materials) await opensAndServes(t, oracle, type, material)
  })

  await t.test('Java sees other keys and trusted certificates beside the key', async t => {
    const [http, other, foreign] = [leaf(), selfSigned(ca.root), createMaterial('foreign').ca.root]
    const keys = [http, { ...other, alias: 'http_ca' }]
    const own = fingerprints(http.chainPem)

    const file = written(oracle, { keys, trusted: [foreign.pem, ca.root.pem], password: PASSWORD })
    const entries = await oracle.ask('entries', file, password)

    t.equal(entries[0], 'entries')
    t.match(entries[1], new RegExp(`^key http EC ${own.join(',')}$`))
    t.match(entries[2], new RegExp(`^key http_ca EC ${own[2]}$`))
    t.same(
      new Set(entries.slice(3).map(entry => entry.split(' ')[2])),
      new Set(fingerprints(foreign.pem + ca.root.pem)),
      'each trusted certificate is an entry',
    )
    t.same(entries.length, 5)
  })

  await t.test(
    'Java takes the certificates of a trust store for anchors, and no others',
    async t => {
      const foreign = createMaterial('foreign').ca.root
      const trusted = [ca.root.pem + foreign.pem]
      const store = written(oracle, { keys: [], trusted, password: PASSWORD })
      const own = leaf()
      const keyStore = written(oracle, { keys: [own], password: PASSWORD })
      const anchors = async (file: string) => new Set(await oracle.ask('anchors', file, password))

      t.same(await anchors(store), new Set(['anchors', ...fingerprints(trusted.join(''))]))
      const leafOnly = fingerprints(own.chainPem).slice(0, 1)
      t.same(await anchors(keyStore), new Set(['anchors', ...leafOnly]), 'no CA without the mark')
    },
  )

  await t.test('a self-signed certificate can be trusted and serve its key at once', async t => {
    const profile = {
      kind: 'server',
      names: { dns: ['a.example'], ip: [] },
      clientAuth: false,
    } as const
    // Java refuses a certificate whose issuer has no name.
    const own = selfSigned(ca.make({ profile, name: 'a.example' }))
    const contents = { keys: [own], trusted: [own.chainPem], password: PASSWORD }
    const file = written(oracle, contents)
    const [fingerprint] = fingerprints(own.chainPem)

    const [, ...entries] = await oracle.ask('entries', file, password)

    t.match(entries[0], new RegExp(`^key http EC ${fingerprint}$`))
    t.match(entries[1], new RegExp(`^trusted ca-\\w+ ${fingerprint}$`))
    t.equal(pkcs12Problem(readFileSync(file), contents), undefined)
  })

  await t.test('what Java writes is read', async t => {
    for (const [type, material] of await materials) {
      const file = await storedByJava(oracle, [['http', material]], [ca.root.pem])
      // As elasticsearch-certutil does it: key and trusted CA side by side.
      const wanted = { keys: [material], trusted: [ca.root.pem], password: PASSWORD }
      t.equal(pkcs12Problem(readFileSync(file), wanted), undefined, type)
    }

    // As the first start of Elasticsearch 8 does it: the key of the CA stays beside that of the node.
    const http = leaf()
    const file = await storedByJava(oracle, [
      ['http_ca', selfSigned(ca.root)],
      ['http', http],
    ])
    const reading = readPkcs12(readFileSync(file), PASSWORD)
    const keys = reading.kind === 'opened' ? reading.keys : []
    const found = new Map(keys.map(key => [key.alias, key]))
    t.same([...found.keys()].toSorted(), ['http', 'http_ca'])
    t.same(fingerprints(found.get('http')?.chainPem ?? ''), fingerprints(http.chainPem))
    t.equal(found.get('http_ca')?.keyPem.reveal(), ca.root.keyPem)
    t.equal(found.get('http_ca')?.chainPem, ca.root.pem)
  })

  await t.test('a key with a password of its own is told from a wrong password', async t => {
    const file = await storedByJava(oracle, [['http', leaf()]], [], 'another password')
    const codeOf = (secret: Secret) => {
      const reading = readPkcs12(readFileSync(file), secret)
      return reading.kind === 'refused' ? reading.reason.code : reading.kind
    }
    t.equal(codeOf(PASSWORD), 'pkcs12-several-passwords')
    t.equal(codeOf(new Secret('wrong')), 'pkcs12-wrong-password')
  })
})

async function opensAndServes(t: Test, oracle: Oracle, type: KeyType, material: Material) {
  const file = written(oracle, { keys: [material], password: PASSWORD })
  const own = fingerprints(material.chainPem)
  const algorithm = type === 'ec-p256' ? 'EC' : 'RSA'

  const entries = await oracle.ask('entries', file, password)
  const [answer, port] = await oracle.ask('serve', file, password)

  t.same(entries, ['entries', `key http ${algorithm} ${own.join(',')}`], type)
  t.equal(answer, 'port')
  t.same(await servedChain(Number(port)), own, `${type}: leaf, intermediate and root are served`)
  t.match(await oracle.ask('entries', file, 'wrong'), ['error', 'IOException'])
}

function written(oracle: Oracle, contents: Pkcs12Contents): string {
  const file = join(oracle.directory, `${files++}.p12`)
  writeFileSync(file, writePkcs12(contents))
  return file
}

async function storedByJava(
  oracle: Oracle,
  keys: readonly (readonly [alias: string, material: Material])[],
  trusted: readonly string[] = [],
  keyPassword = password,
): Promise<string> {
  const file = join(oracle.directory, `${files++}.p12`)
  const words = keys.flatMap(([alias, { keyPem, chainPem }]) => {
    const key = createPrivateKey(keyPem.reveal())
    const algorithm = key.asymmetricKeyType === 'ec' ? 'EC' : 'RSA'
    const pkcs8 = key.export({ type: 'pkcs8', format: 'der' }).toString('base64')
    return ['key', alias, algorithm, pkcs8, splitPemCertificates(chainPem).map(base64Of).join(',')]
  })
  const anchors = trusted.flatMap((pem, index) => ['trusted', `ca${index}`, base64Of(pem)])
  const answer = await oracle.ask('store', file, password, keyPassword, ...words, ...anchors)
  if (answer[0] !== 'written') throw new Error(answer.join(' '))
  return file
}

function base64Of(pem: string): string {
  return parseCertificate(pem).raw.toString('base64')
}

function selfSigned(holder: { readonly keyPem: string; readonly pem: string }): Material {
  return { keyPem: new Secret(holder.keyPem), chainPem: holder.pem }
}
