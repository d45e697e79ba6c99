// What can be parsed need not make sense: extensions that are empty, of another type or cut short. A
// reader of such certificates may refuse them and must not fall over. (A server once did, over an
// extended key usage without a usage; another let a request without any name pass its check of names.)

import { X509Certificate } from 'node:crypto'
import fc from 'fast-check'
import t from 'tap'
import { OperationalError } from '../../shared/errors.ts'
import { certificateDetails } from '../../shared/pki/extensions.ts'
import { certificateFacts } from '../../shared/pki/facts.ts'
import { identityOf } from '../../shared/pki/identity.ts'
import { checkPair } from '../../shared/pki/pair.ts'
import { pathReasons } from '../../shared/pki/path.ts'
import { parseCertificate } from '../../shared/pki/pem.ts'
import { buildCsr } from '../../shared/pki/csr.ts'
import { NOW_MS, createOpenssl, createTestCa } from '../shared/pki/support.ts'

const openssl = createOpenssl()
t.teardown(() => openssl.remove())
const ca = createTestCa('parsed')
const { root, intermediate } = ca
const node = ca.make({
  profile: { kind: 'client', uris: ['spiffe://demo/node/n1'] },
  issuer: intermediate,
})

/** Everything that asks something of a certificate from elsewhere. */
const READERS: readonly ((certificate: X509Certificate, pem: string) => unknown)[] = [
  certificate => certificateDetails(certificate),
  certificate => certificateFacts(certificate),
  certificate => identityOf(certificate),
  (_, pem) =>
    checkPair({
      certificatePem: pem,
      keyPem: node.keyPem,
      trust: [root.pem],
      names: { dns: ['n1.example'], ip: ['10.0.0.1'] },
      purposes: ['server', 'client'],
      nowMs: NOW_MS,
    }),
  leaf =>
    pathReasons({
      leaf,
      intermediates: [parseCertificate(intermediate.pem)],
      trust: [parseCertificate(root.pem)],
      purposes: ['client'],
      nowMs: NOW_MS,
    }),
]

/** Answers, or the codes of refusals; anything else that is thrown is thrown on. */
function readAll(pem: string): readonly unknown[] {
  const certificate = new X509Certificate(pem)
  return READERS.map(read => {
    try {
      return read(certificate, pem)
    } catch (error) {
      if (error instanceof OperationalError) return error.code
      throw error
    }
  })
}

const RUNS = 600
const EMPTY = '3000'
const EXTENSIONS = {
  'extended key usage without a usage': [`extendedKeyUsage=DER:${EMPTY}`],
  'extended key usage that is a number': ['extendedKeyUsage=DER:020101'],
  'extended key usage of an empty name': ['extendedKeyUsage=DER:30020600'],
  'alternative names without a name': [`subjectAltName=DER:${EMPTY}`],
  'alternative names that are a text': ['subjectAltName=DER:0c0161'],
  'address of no bytes': ['subjectAltName=DER:30028700'],
  'URI of no bytes': ['subjectAltName=DER:30028600'],
  'key usage without a bit': ['keyUsage=critical,DER:030100'],
  'constraints without a member': [`basicConstraints=critical,DER:${EMPTY}`],
  'path length that is negative': ['basicConstraints=critical,DER:30060101ff0201ff'],
  'name constraints without a member': [`nameConstraints=critical,DER:${EMPTY}`],
  'name constraints with an empty subtree': ['nameConstraints=critical,DER:3004a0023000'],
  'key identifier without a member': [`authorityKeyIdentifier=DER:${EMPTY}`],
  'extension of no bytes': ['1.2.3.4=DER:'],
} as const

await t.test('extensions without sense are refused or mean nothing', async t => {
  const csr = openssl.file(buildCsr({ key: node.key, names: { dns: ['x'], ip: [] } }))
  const issuer = [openssl.file(intermediate.pem), openssl.file(intermediate.keyPem)]
  for (const [name, lines] of Object.entries(EXTENSIONS)) {
    const pem = openssl.run([
      'x509',
      '-req',
      '-in',
      csr,
      '-CA',
      issuer[0] ?? '',
      '-CAkey',
      issuer[1] ?? '',
      '-set_serial',
      '0x1234567890abcdef',
      '-days',
      '1',
      '-extfile',
      openssl.file(lines.join('\n')),
    ])
    if (pem.startsWith('FAILED')) {
      t.match(pem, /extension|parameter|value/, `${name}: not even openssl makes it`)
      continue
    }
    const [, , identity] = readAll(pem)
    t.ok(identity === undefined || identity === 'certificate-unparsable', `${name}: it is nobody`)
  }
})

await t.test('whatever a certificate says, readers answer or refuse', async t => {
  const der = parseCertificate(node.pem).raw
  let parsed = 0
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(der.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 }),
      changes => {
        const changed = Buffer.from(der)
        for (const [at, byte] of changes) changed[at] = byte
        let certificate: X509Certificate
        try {
          certificate = new X509Certificate(changed)
        } catch {
          return
        }
        parsed++
        readAll(certificate.toString())
      },
    ),
    { numRuns: RUNS },
  )
  t.comment(`${parsed} of ${RUNS} were certificates to OpenSSL`)
  t.ok(parsed > 0)
})
