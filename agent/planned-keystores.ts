// The entries of products' stores of secrets that a plan sets and removes. Values are compared here
// and never shown. Pure.

import type { ChangeSummary } from '../shared/contract/report.ts'
import type { Reason } from '../shared/contract/schema.ts'
import type { Secret } from '../shared/secret.ts'
import { unreachable } from '../shared/assert.ts'
import type { Ownership } from './host.ts'
import type { NodeFacts } from './observation.ts'
import { ownershipOf } from './planned-ownership.ts'
import type { MaterialDecision } from './resources/material.ts'
import type { Compiled, KeystoreFormat, KeystoreIntent, SeenKeystore } from './services/service.ts'

export interface PlannedKeystore {
  readonly intent: KeystoreIntent
  /** Undefined: there is no store yet. */
  readonly before: { readonly sha256: string; readonly ownership: Ownership } | undefined
  readonly ownership: Ownership
  readonly set: readonly PlannedEntry[]
  readonly remove: readonly string[]
  readonly summary: ChangeSummary
}

export interface PlannedEntry {
  readonly name: string
  /** Undefined: the password of the PKCS#12 file, which is still to be made. */
  readonly value: Secret | undefined
}

interface KeystoresInput {
  readonly compiled: Compiled
  readonly facts: NodeFacts
  readonly owner: { readonly uid: number; readonly gid: number }
  readonly self: { readonly uid: number; readonly gid: number }
  readonly material: Exclude<MaterialDecision, { kind: 'blocked' }>
}

export function plannedKeystores(
  input: KeystoresInput,
):
  | { readonly kind: 'planned'; readonly list: readonly PlannedKeystore[] }
  | { readonly kind: 'refused'; readonly reason: Reason } {
  const list: PlannedKeystore[] = []
  for (const intent of input.compiled.keystores) {
    const found = input.facts.keystores[intent.path]
    const seen = found?.seen ?? { kind: 'missing' }
    if (seen.kind === 'unreadable') return { kind: 'refused', reason: seen.reason }
    const { set, remove } = differences(intent, seen, input)
    if (set.length === 0 && remove.length === 0) continue
    if (input.facts.isOffline) return { kind: 'refused', reason: offline(intent) }
    const stat = found?.stat
    const before =
      stat === undefined || found?.sha256 === undefined
        ? undefined
        : { sha256: found.sha256, ownership: ownershipOf(stat) }
    list.push({
      intent,
      before,
      ownership: before?.ownership ?? newOwnership(intent.format, input),
      set,
      remove,
      summary: summaryOf(intent, set, remove, before === undefined ? 'create' : 'update'),
    })
  }
  return { kind: 'planned', list }
}

function differences(
  intent: KeystoreIntent,
  seen: Exclude<SeenKeystore, { kind: 'unreadable' }>,
  { facts, material }: KeystoresInput,
): { readonly set: readonly PlannedEntry[]; readonly remove: readonly string[] } {
  const entries: ReadonlyMap<string, Secret> = seen.kind === 'opened' ? seen.entries : new Map()
  const set: PlannedEntry[] = []
  const remove: string[] = []
  const want = (name: string, value: Secret | undefined) => {
    const found = entries.get(name)
    if (value === undefined || found?.reveal() !== value.reveal()) set.push({ name, value })
  }
  for (const entry of intent.entries) {
    switch (entry.kind) {
      case 'store-password': {
        const password = facts.storePassword?.password
        // Without a password and without a new release there is no file that it would open.
        if (password !== undefined || material.kind === 'new') want(entry.name, password)
        break
      }
      case 'value':
        want(entry.name, entry.value)
        break
      case 'absent':
        if (entries.has(entry.name)) remove.push(entry.name)
        break
      default:
        return unreachable(entry)
    }
  }
  return { set, remove }
}

// A store that the tool makes as root would be root's; the products need to read theirs.
function newOwnership(format: KeystoreFormat, { owner, self }: KeystoresInput): Ownership {
  switch (format) {
    case 'elasticsearch':
    case 'kibana':
      return { mode: 0o660, uid: self.uid, gid: owner.gid }
    case 'beats':
      return { mode: 0o600, ...owner }
    default:
      return unreachable(format)
  }
}

function summaryOf(
  intent: KeystoreIntent,
  set: readonly PlannedEntry[],
  remove: readonly string[],
  action: 'create' | 'update',
): ChangeSummary {
  const parts = [
    ...(set.length === 0 ? [] : [`set ${set.map(({ name }) => name).join(', ')}`]),
    ...(remove.length === 0 ? [] : [`remove ${remove.join(', ')}`]),
  ]
  return {
    resource: intent.path,
    kind: 'keystore',
    action,
    summary: `${parts.join(' and ')} in ${intent.path}`.slice(0, SUMMARY_CHARACTERS_MAX),
    reason: intent.reason,
  }
}

// As many as a report takes.
const SUMMARY_CHARACTERS_MAX = 1024

function offline({ path }: KeystoreIntent): Reason {
  return {
    code: 'keystore-offline',
    message: `${path} can be changed only by the product's own tool, which is not run in an image`,
  }
}
