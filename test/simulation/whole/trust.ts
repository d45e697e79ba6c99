// The CAs of all simulated fleets, and the identities of their nodes: made once in a process, because
// no run depends on which keys they have.

import { X509Certificate, randomBytes } from 'node:crypto'
import { sha256 } from '../../../shared/digest.ts'
import { generateKey, publicKeyDigest } from '../../../shared/pki/keys.ts'
import { Secret } from '../../../shared/secret.ts'
import {
  type CurrentAuthorities,
  makeAuthority,
  openAuthorities,
} from '../../../controller/authorities.ts'
import { issueLeaf } from '../../../controller/ca/authority.ts'
import { createSealing, type Sealing } from '../../../controller/ca/sealed-key.ts'
import { openSqliteStore } from '../../../controller/store/sqlite.ts'
import type { AuthorityRecord, Store, Transaction } from '../../../controller/store/store.ts'
import type { Identity } from '../../../agent/remote.ts'
import { createMemoryCa } from '../../support/fake-controller.ts'
import { requireKeysNow } from './keys-now.ts'

export const FLEET = 'demo'
/** When every world begins: the time of a node in memory. */
export const T0 = Date.UTC(2026, 10, 22, 12)
const YEAR_MS = 365 * 86_400_000

export interface Trust {
  readonly records: readonly AuthorityRecord[]
  readonly authorities: CurrentAuthorities
  /** Service CAs that may follow, in this order. */
  readonly successors: readonly AuthorityRecord[]
  readonly sealing: Sealing
  /** Of listeners on which nobody ever connects. */
  readonly server: { readonly chainPem: string; readonly keyPem: string }
  identityOf(node: string): NodeIdentity
}

export interface NodeIdentity {
  readonly identity: Identity
  readonly fingerprint: string
  readonly publicKeyDigest: string
}

let made: Promise<Trust> | undefined

export function trustOnce(): Promise<Trust> {
  made ??= makeTrust()
  return made
}

/** Names of nodes of any fleet. */
export const NODES = ['n1', 'n2', 'n3', 'n4', 'n5', 'n6'] as const

async function makeTrust(): Promise<Trust> {
  await requireKeysNow(() => generateKey('ec-p256'))
  const sealing = createSealing(new Secret('correct horse battery staple'))
  const common = { fleet: FLEET, nowMs: T0, random: randomBytes }
  const records: AuthorityRecord[] = []
  for (const kind of ['identity', 'service'] as const)
    records.push({
      ...(await makeAuthority({ ...common, id: `${kind}-1`, kind }, sealing)),
      state: 'active',
    })
  const successors = []
  for (const id of ['service-2', 'service-3', 'service-4'])
    successors.push(await makeAuthority({ ...common, id, kind: 'service' }, sealing))
  const store = await openSqliteStore({ path: ':memory:', busyTimeoutMs: 0, nowMs: T0 })
  const authorities = await store.transaction(async tx => {
    for (const record of records) await tx.authorities.insert(record)
    return openAuthorities(tx, FLEET, sealing)
  })
  await store.close()
  const ca = createMemoryCa(T0)
  const identities = new Map<string, NodeIdentity>()
  for (const node of NODES) identities.set(node, await makeIdentity(authorities, node))
  return {
    records,
    authorities,
    successors,
    sealing,
    server: { chainPem: ca.certificatePem, keyPem: ca.keyPem },
    identityOf(node) {
      const identity = identities.get(node)
      if (identity === undefined) throw new Error(`no identity of ${node}`)
      return identity
    },
  }
}

async function makeIdentity(authorities: CurrentAuthorities, node: string): Promise<NodeIdentity> {
  const { privateKeyPem, publicKeyPem } = await generateKey('ec-p256')
  const { chainPem } = issueLeaf(
    authorities.identity.issuer,
    { profile: 'identity', nodeId: node, publicKeyPem, lifetimeMs: YEAR_MS },
    { nowMs: T0, random: randomBytes },
  )
  return {
    identity: {
      fleet: FLEET,
      node,
      agentUrl: 'https://controller.test:8444',
      certificateChain: chainPem,
      privateKey: privateKeyPem,
      identityTrust: [...authorities.identity.roots],
    },
    fingerprint: sha256(new X509Certificate(chainPem).raw),
    publicKeyDigest: publicKeyDigest(publicKeyPem),
  }
}

/** What setting up the controller and enrolling these nodes has left in the store. */
export async function enrol(store: Store, trust: Trust, nodes: readonly string[]): Promise<void> {
  await store.transaction(async tx => {
    await tx.settings.set('fleet', FLEET)
    for (const record of trust.records) await tx.authorities.insert(record)
    for (const name of nodes) {
      const names = { dns: ['localhost', name], ip: ['127.0.0.1'] }
      const times = { createdAtMs: T0, enrolledAtMs: T0, seenAtMs: undefined }
      await tx.nodes.insert({ name, labels: {}, names, ...times })
      await tx.nodes.setEnrolled(name, T0)
      await insertIdentity(tx, trust.identityOf(name))
    }
  })
}

async function insertIdentity(
  tx: Transaction,
  { identity, fingerprint, publicKeyDigest: digest }: NodeIdentity,
): Promise<void> {
  await tx.identities.insert({
    fingerprint,
    node: identity.node,
    publicKeyDigest: digest,
    certificateChain: identity.certificateChain,
    notAfterMs: T0 + YEAR_MS,
    issuedAtMs: T0,
    confirmedAtMs: T0,
    deniedAtMs: undefined,
    deniedFor: undefined,
  })
}
