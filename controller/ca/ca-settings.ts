// What was decided about the CAs when the fleet was made, and holds for every later one.

import * as z from 'zod/mini'
import { Digest, parser, TimeMs } from '../../shared/contract/schema.ts'
import type { PermittedNames } from '../../shared/pki/profile.ts'
import type { AuthorityKind, Transaction } from '../store/store.ts'

const Zones = z.strictObject({
  dnsZones: z.array(z.string()),
  ipRanges: z.array(z.string()),
})
const parseZones = parser('zones of the service CA', Zones, 'store-corrupt')

const ZONES = 'ca-zones'
const ROOT_KEYS = 'ca-root-keys'

/** Of the service CA; undefined: it signs for all names. */
export async function readZones(tx: Transaction): Promise<PermittedNames | undefined> {
  const text = await tx.settings.get(ZONES)
  return text === undefined ? undefined : parseZones(JSON.parse(text))
}

export async function storeZones(tx: Transaction, zones: PermittedNames): Promise<void> {
  const { dnsZones, ipRanges } = zones
  await tx.settings.set(ZONES, JSON.stringify({ dnsZones, ipRanges }))
}

/** Of a CA of this kind: identities have no names that a zone could hold. */
export function constraintsFor(kind: AuthorityKind, zones: PermittedNames | undefined) {
  return kind === 'service' && zones !== undefined ? { nameConstraints: zones } : {}
}

/** Root keys are kept apart from the controller, which cannot make a CA by itself then. */
export async function areRootsOffline(tx: Transaction): Promise<boolean> {
  return (await tx.settings.get(ROOT_KEYS)) === 'offline'
}

export async function keepRootsOffline(tx: Transaction): Promise<void> {
  await tx.settings.set(ROOT_KEYS, 'offline')
}

/** A request for an intermediate that waits for its answer. */
const Pending = z.strictObject({
  publicKeyDigest: Digest,
  keySealed: z.string(),
  requestedAtMs: TimeMs,
})
export type PendingRequest = Readonly<z.infer<typeof Pending>>
const parsePending = parser('pending request of a CA', Pending, 'store-corrupt')

/** The last one of a kind counts: asking again makes the one before void. */
export async function readPending(
  tx: Transaction,
  kind: AuthorityKind,
): Promise<PendingRequest | undefined> {
  const text = await tx.settings.get(pendingName(kind))
  return text === undefined || text === '' ? undefined : parsePending(JSON.parse(text))
}

export async function storePending(
  tx: Transaction,
  kind: AuthorityKind,
  pending: PendingRequest | undefined,
): Promise<void> {
  await tx.settings.set(pendingName(kind), pending === undefined ? '' : JSON.stringify(pending))
}

/** The keys of all requests that wait, changed as `SealedKeys.replaceAll` changes others. How many. */
export async function resealPending(
  tx: Transaction,
  change: (envelope: string) => string,
): Promise<number> {
  let count = 0
  for (const kind of ['identity', 'service'] as const) {
    const pending = await readPending(tx, kind)
    if (pending === undefined) continue
    count++
    await storePending(tx, kind, { ...pending, keySealed: change(pending.keySealed) })
  }
  return count
}

function pendingName(kind: AuthorityKind): string {
  return `ca-request-${kind}`
}
