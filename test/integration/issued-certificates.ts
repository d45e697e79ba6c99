// One certificate of every kind that this product issues, with the clients that must accept it.

import { issueLeaf as issueLocally } from '../../agent/issue-leaf.ts'
import { NO_LOCAL_ISSUERS } from '../../agent/issuers.ts'
import {
  type CaCredential,
  type LeafRequest,
  createAuthority,
  createIntermediate,
  crossCertify,
  issueLeaf,
} from '../../controller/ca/authority.ts'
import { type KeyPair, generateKey } from '../../shared/pki/keys.ts'
import { type LintFinding, lintCertificate } from '../../shared/pki/lint.ts'
import { normalizeNames } from '../../shared/pki/names.ts'
import { splitPemCertificates } from '../../shared/pki/pem.ts'
import type { CertificateProfile } from '../../shared/pki/profile.ts'
import type { ClientQuestion, ServerQuestion } from '../support/certificate-oracles.ts'
import { newNode } from '../support/memory-fleet.ts'
import { DAY_MS, seededRandom } from '../shared/pki/support.ts'

export const nowMs = Date.now()
export const issuing = { nowMs, random: seededRandom(`oracles ${nowMs}`) }
const FLEET = 'prod'
const LIFETIME_MS = 30 * DAY_MS

const keys = {
  'ec-p256': await generateKey('ec-p256'),
  'rsa-2048': await generateKey('rsa-2048'),
  'rsa-3072': await generateKey('rsa-3072'),
  'rsa-4096': await generateKey('rsa-4096'),
}
export const ec = keys['ec-p256']

export const service = await createAuthority({ ...issuing, kind: 'service', fleet: FLEET })
export const identity = await createAuthority({ ...issuing, kind: 'identity', fleet: FLEET })
const next = {
  service: await createAuthority({ ...issuing, kind: 'service', fleet: FLEET }),
  identity: await createAuthority({ ...issuing, kind: 'identity', fleet: FLEET }),
}
export const zoned = await createIntermediate(service.root, {
  ...issuing,
  nameConstraints: { dnsZones: ['prod.example'], ipRanges: ['10.0.0.0/8', 'fd00::/8'] },
})
export const roots = [service.root.certificatePem]
const bothRoots = [...roots, next.service.root.certificatePem]

const servers: ServerQuestion[] = []
const clients: ClientQuestion[] = []
/** What our own linter says of each. */
const lint: (readonly [title: string, findings: readonly LintFinding[]])[] = []

function lintOf(title: string, pem: string, issuerPem: string, profile: CertificateProfile): void {
  const expected = { issuerPem, profile, issuedAtMs: nowMs, lifetimeMaxMs: LIFETIME_MS }
  lint.push([title, lintCertificate(pem, expected)])
}

/** A server's certificate as the controller issues it. */
function serve(
  title: string,
  wish: {
    readonly names: { readonly dns: readonly string[]; readonly ip: readonly string[] }
    readonly host?: string
    readonly key?: KeyPair
    readonly issuer?: CaCredential
    readonly trust?: readonly string[]
    readonly profile?: 'server' | 'server-client' | 'controller'
    readonly allowWildcard?: boolean
  },
): void {
  const { names, key = ec, issuer = service.intermediate, trust = roots } = wish
  const { profile = 'server', allowWildcard = false } = wish
  const host = wish.host ?? names.dns[0] ?? names.ip[0] ?? ''
  const common = { publicKeyPem: key.publicKeyPem, lifetimeMs: LIFETIME_MS, names }
  const request: LeafRequest =
    profile === 'controller' ? { ...common, profile } : { ...common, profile, allowWildcard }
  const { certificatePem, chainPem } = issueLeaf(issuer, request, issuing)
  const uris = profile === 'controller' ? { uris: [`spiffe://${FLEET}/controller`] } : {}
  const clientAuth = profile === 'server-client'
  lintOf(title, certificatePem, issuer.certificatePem, {
    kind: 'server',
    names: normalizeNames(names, { wildcard: true }),
    clientAuth,
    ...uris,
  })
  const keyPem = key.privateKeyPem.reveal()
  servers.push({ title, chainPem, keyPem, trust, host })
  if (clientAuth) clients.push({ title: `${title}, as a client`, chainPem, keyPem, trust })
}

const plain = { dns: ['es-1.prod.example'], ip: ['10.0.0.1'] }
for (const [type, key] of Object.entries(keys)) serve(`server with ${type}`, { names: plain, key })
serve('server by its IPv4 address', { names: plain, host: '10.0.0.1' })
serve('server with an address only', { names: { dns: [], ip: ['10.0.0.1'] } })
serve('server with an IPv6 address only', { names: { dns: [], ip: ['2001:db8::1'] } })
serve('server in capitals', {
  names: { dns: ['ES-1.Prod.Example'], ip: [] },
  host: 'es-1.prod.example',
})
serve('server with a short name', { names: { dns: ['localhost'], ip: [] } })
serve('server with 64 names', {
  names: { dns: Array.from({ length: 64 }, (_, index) => `n${index}.prod.example`), ip: [] },
  host: 'n63.prod.example',
})
const long = `${'a'.repeat(63)}.${'b'.repeat(63)}.prod.example`
serve('server with a name too long for a subject', { names: { dns: [long], ip: [] } })
serve('server with an international name', {
  names: { dns: ['müller.example'], ip: [] },
  host: 'xn--mller-kva.example',
})
serve('server with a wildcard', {
  names: { dns: ['*.prod.example'], ip: [] },
  host: 'es-9.prod.example',
  allowWildcard: true,
})
for (const type of ['ec-p256', 'rsa-2048'] as const)
  serve(`server and client with ${type}`, {
    names: plain,
    key: keys[type],
    profile: 'server-client',
  })
serve('server inside the zone', { names: plain, issuer: zoned })
serve('server inside the zone by its address', { names: plain, issuer: zoned, host: '10.0.0.1' })
serve('server inside the zone by its IPv6 address', {
  names: { dns: [], ip: ['fd00::1'] },
  issuer: zoned,
})
serve('server and client inside the zone', {
  names: plain,
  issuer: zoned,
  profile: 'server-client',
})
serve('rotation: old CA, trust of both', { names: plain, trust: bothRoots })
serve('rotation: new CA, trust of both', {
  names: plain,
  issuer: next.service.intermediate,
  trust: bothRoots,
})
serve('rotation: new CA, trust of both, new one first', {
  names: plain,
  issuer: next.service.intermediate,
  trust: bothRoots.toReversed(),
})
const controllerNames = { dns: ['controller.example'], ip: ['10.0.0.9'] }
const controller = {
  names: controllerNames,
  issuer: identity.intermediate,
  trust: [identity.root.certificatePem],
  profile: 'controller',
} as const
serve('controller', controller)
serve('controller by its address', { ...controller, host: '10.0.0.9' })

/** As LiveAuthorities has it during a rotation: the new root, vouched for by the old one. */
function bridged(title: string, trust: readonly string[]): void {
  const lifetimeMs = LIFETIME_MS
  const crossed = crossCertify(next.identity.root.certificatePem, identity.root, {
    ...issuing,
    lifetimeMs,
  })
  const request = {
    publicKeyPem: ec.publicKeyPem,
    lifetimeMs,
    profile: 'controller',
    names: controllerNames,
  } as const
  const { chainPem } = issueLeaf(next.identity.intermediate, request, issuing)
  const chain = [
    chainPem,
    crossed ?? '',
    next.identity.root.certificatePem,
    identity.root.certificatePem,
  ]
  servers.push({
    title,
    chainPem: chain.join(''),
    keyPem: ec.privateKeyPem.reveal(),
    trust,
    host: 'controller.example',
  })
}
bridged('rotation: controller, to an agent that knows the old root', [identity.root.certificatePem])
bridged('rotation: controller, to an agent that knows the new root', [
  next.identity.root.certificatePem,
])

const node = newNode()
const LOCAL_CA = { certificate: '/etc/local/ca.pem', privateKey: '/etc/local/ca.key' }

/** A server's certificate as the agent itself makes it. */
async function serveLocally(
  title: string,
  issuer: 'self-signed' | 'local-ca',
  key: KeyPair,
): Promise<void> {
  const localCa = issuer === 'local-ca' ? LOCAL_CA : undefined
  const names = { dns: ['es-1.prod.example', 'localhost'], ip: ['127.0.0.1'] }
  const spec = {
    issuer,
    names,
    lifetimeMs: LIFETIME_MS,
    renewBeforeMs: DAY_MS,
    key: 'ec-p256',
  } as const
  const chainPem = await issueLocally(node.host, { ...NO_LOCAL_ISSUERS, localCa }, undefined, {
    service: 'prometheus',
    spec,
    clientUse: false,
    keys: key,
    nowMs,
  })
  const [leaf = ''] = splitPemCertificates(chainPem)
  const issuerPem = issuer === 'local-ca' ? service.root.certificatePem : leaf
  lintOf(title, leaf, issuerPem, { kind: 'server', names, clientAuth: false })
  const trust = [issuerPem]
  servers.push({
    title,
    chainPem,
    keyPem: key.privateKeyPem.reveal(),
    trust,
    host: names.dns[0] ?? '',
  })
}
node.files.put(LOCAL_CA.certificate, service.root.certificatePem)
node.files.put(LOCAL_CA.privateKey, service.root.keyPem.reveal())
await serveLocally('self-signed', 'self-signed', ec)
await serveLocally('self-signed with rsa-2048', 'self-signed', keys['rsa-2048'])
await serveLocally('local CA', 'local-ca', ec)

const agent = issueLeaf(
  identity.intermediate,
  { profile: 'identity', nodeId: 'es-1', publicKeyPem: ec.publicKeyPem, lifetimeMs: LIFETIME_MS },
  issuing,
)
lintOf('identity', agent.certificatePem, identity.intermediate.certificatePem, {
  kind: 'client',
  uris: [`spiffe://${FLEET}/node/es-1`],
})
const identityTrust = [identity.root.certificatePem]
clients.push({
  title: 'identity',
  chainPem: agent.chainPem,
  keyPem: ec.privateKeyPem.reveal(),
  trust: identityTrust,
})

export const issued = { servers, clients, lint } as const
