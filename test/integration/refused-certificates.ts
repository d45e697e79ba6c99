// Certificates that nobody may accept. Most of them cannot be made here, so the openssl command makes
// them, with the keys of our CAs: as a thief would.

import { createPublicKey } from 'node:crypto'
import { buildCertificate, validity } from '../../shared/pki/certificate.ts'
import { buildCsr } from '../../shared/pki/csr.ts'
import { type KeyPair, generateKey, parsePrivateKey } from '../../shared/pki/keys.ts'
import type { CertificateProfile } from '../../shared/pki/profile.ts'
import { serialNumber } from '../../shared/pki/random.ts'
import { type CaCredential, createAuthority } from '../../controller/ca/authority.ts'
import type { ClientQuestion, OracleName, ServerQuestion } from '../support/certificate-oracles.ts'
import { DAY_MS, createOpenssl } from '../shared/pki/support.ts'
import { ec, identity, issuing, nowMs, roots, service, zoned } from './issued-certificates.ts'

interface Refused<T> {
  readonly question: T
  /**
   * Those whose versions of today accept it all the same (Debian 12: OpenSSL 3.0, OpenJDK 17; Node
   * 24); our own verdict and that of Go never. That is why nobody may issue such a certificate.
   */
  readonly lax: readonly OracleName[]
}

const HOST = 'es-1.prod.example'
const names = { dns: [HOST], ip: [] }
const server: CertificateProfile = { kind: 'server', names, clientAuth: false }
const keyPem = ec.privateKeyPem.reveal()
const openssl = createOpenssl()

function question(
  title: string,
  leafPem: string,
  issuers: readonly string[],
  host = HOST,
): ServerQuestion {
  return { title, chainPem: leafPem + issuers.join(''), keyPem, trust: roots, host }
}

/** Signed by our intermediate, but not by our rules. */
function sign(profile: CertificateProfile, issuer: CaCredential, atMs = nowMs): string {
  return buildCertificate({
    subject: {},
    serial: serialNumber(issuing.random),
    ...validity({ nowMs: atMs, lifetimeMs: DAY_MS, issuerNotAfterMs: atMs + DAY_MS }),
    profile,
    subjectPublicKey: createPublicKey(ec.publicKeyPem),
    issuer: { certificatePem: issuer.certificatePem, key: parsePrivateKey(issuer.keyPem) },
  })
}

/** Signed by the openssl command, with these extensions. */
function signWithOpenssl(
  issuer: { readonly certificatePem: string; readonly keyPem: { reveal(): string } },
  subject: string,
  extensions: readonly string[],
  { keys = ec, hash = 'sha256' }: { readonly keys?: KeyPair; readonly hash?: string } = {},
): string {
  const csr = buildCsr({
    key: parsePrivateKey(keys.privateKeyPem),
    names,
    subject: { commonName: subject },
  })
  return openssl.run([
    'x509',
    '-req',
    `-${hash}`,
    '-in',
    openssl.file(csr),
    '-CA',
    openssl.file(issuer.certificatePem),
    '-CAkey',
    openssl.file(issuer.keyPem.reveal()),
    '-set_serial',
    `0x${Buffer.from(serialNumber(issuing.random)).toString('hex')}`,
    '-days',
    '1',
    '-extfile',
    openssl.file(extensions.join('\n')),
  ])
}

const LEAF = ['basicConstraints=critical,CA:FALSE', 'keyUsage=critical,digitalSignature']
const KEY_IDS = ['subjectKeyIdentifier=hash', 'authorityKeyIdentifier=keyid']
const intermediate = service.intermediate.certificatePem

const lowerKeys = await generateKey('ec-p256')
const lower = {
  certificatePem: signWithOpenssl(
    service.intermediate,
    'one too many',
    ['basicConstraints=critical,CA:TRUE', 'keyUsage=critical,keyCertSign', ...KEY_IDS],
    { keys: lowerKeys },
  ),
  keyPem: lowerKeys.privateKeyPem,
}
const aLeaf = {
  certificatePem: signWithOpenssl(service.intermediate, 'a leaf', [
    ...LEAF,
    ...KEY_IDS,
    `subjectAltName=DNS:${HOST}`,
  ]),
  keyPem: ec.privateKeyPem,
}
// Of the same fleet and with the same names but for their marks.
const renewed = await createAuthority({ ...issuing, kind: 'service', fleet: 'prod' })
const stranger = await createAuthority({ ...issuing, kind: 'service', fleet: 'other' })
const asLeaf = [...LEAF, ...KEY_IDS, 'extendedKeyUsage=serverAuth']
const withName = [...asLeaf, `subjectAltName=DNS:${HOST}`]

export const refusedServers: readonly Refused<ServerQuestion>[] = [
  {
    question: question('common name only', signWithOpenssl(service.intermediate, HOST, asLeaf), [
      intermediate,
    ]),
    lax: ['openssl', 'node', 'java'],
  },
  {
    question: question(
      'out of the zone',
      sign({ ...server, names: { dns: ['es-1.test.example'], ip: [] } }, zoned),
      [zoned.certificatePem],
      'es-1.test.example',
    ),
    lax: [],
  },
  {
    question: question(
      'address out of the zone',
      sign({ ...server, names: { dns: [HOST], ip: ['192.0.2.1'] } }, zoned),
      [zoned.certificatePem],
    ),
    lax: [],
  },
  {
    question: question(
      'IPv6 address out of the zone',
      sign({ ...server, names: { dns: [HOST], ip: ['2001:db8::1'] } }, zoned),
      [zoned.certificatePem],
    ),
    lax: [],
  },
  {
    question: question('expired', sign(server, service.intermediate, nowMs - 3 * DAY_MS), [
      intermediate,
    ]),
    lax: [],
  },
  {
    question: question('not yet valid', sign(server, service.intermediate, nowMs + 3 * DAY_MS), [
      intermediate,
    ]),
    lax: [],
  },
  {
    question: question(
      'purpose of a client',
      signWithOpenssl(service.intermediate, HOST, [
        ...LEAF,
        ...KEY_IDS,
        'extendedKeyUsage=clientAuth',
        `subjectAltName=DNS:${HOST}`,
      ]),
      [intermediate],
    ),
    lax: [],
  },
  {
    question: question('path too long', signWithOpenssl(lower, HOST, withName), [
      lower.certificatePem,
      intermediate,
    ]),
    lax: [],
  },
  {
    question: question('issued by a leaf', signWithOpenssl(aLeaf, HOST, withName), [
      aLeaf.certificatePem,
      intermediate,
    ]),
    lax: [],
  },
  {
    question: question(
      'other name',
      sign(server, service.intermediate),
      [intermediate],
      'es-2.prod.example',
    ),
    lax: [],
  },
  {
    question: question(
      'address where there are only names',
      sign(server, service.intermediate),
      [intermediate],
      '10.0.0.1',
    ),
    lax: [],
  },
  {
    question: question(
      'wildcard over two labels',
      sign({ ...server, names: { dns: ['*.prod.example'], ip: [] } }, service.intermediate),
      [intermediate],
      'a.b.prod.example',
    ),
    lax: [],
  },
  {
    question: question(
      'common name that fits and an alternative name that does not',
      signWithOpenssl(service.intermediate, HOST, [
        ...asLeaf,
        'subjectAltName=DNS:es-2.prod.example',
      ]),
      [intermediate],
    ),
    lax: [],
  },
  {
    question: question(
      'signed with SHA-1',
      signWithOpenssl(service.intermediate, HOST, withName, { hash: 'sha1' }),
      [intermediate],
    ),
    lax: ['openssl', 'java'],
  },
  {
    question: question(
      'rotation: new CA, trust of the old one only',
      sign(server, renewed.intermediate),
      [renewed.intermediate.certificatePem],
    ),
    lax: [],
  },
  { question: question('no intermediate', sign(server, service.intermediate), []), lax: [] },
  {
    question: question('CA of another fleet', sign(server, stranger.intermediate), [
      stranger.intermediate.certificatePem,
    ]),
    lax: [],
  },
  {
    question: question(
      'unknown critical extension',
      signWithOpenssl(service.intermediate, HOST, [...withName, '1.2.3.4.5=critical,DER:0500']),
      [intermediate],
    ),
    lax: [],
  },
]

const identityTrust = [identity.root.certificatePem]
const clientOf = (
  title: string,
  leafPem: string,
  issuer: CaCredential,
): Refused<ClientQuestion> => ({
  question: { title, chainPem: leafPem + issuer.certificatePem, keyPem, trust: identityTrust },
  lax: [],
})
const uris = ['spiffe://prod/node/es-1']

export const refusedClients: readonly Refused<ClientQuestion>[] = [
  clientOf(
    'client: purpose of a server',
    sign({ ...server, uris }, identity.intermediate),
    identity.intermediate,
  ),
  clientOf(
    'client: expired',
    sign({ kind: 'client', uris }, identity.intermediate, nowMs - 3 * DAY_MS),
    identity.intermediate,
  ),
  clientOf(
    'client: of the CA of services',
    sign({ kind: 'client', uris }, service.intermediate),
    service.intermediate,
  ),
]

openssl.remove()
