// What the agent remembers between passes: the newest accepted generation, what each process has
// loaded, what content is held back after a failure. Written only when it changes.

import * as z from 'zod/mini'
import { Digest, Epoch, Generation, Reason, parser } from '../shared/contract/schema.ts'
import { ServiceName } from '../shared/contract/service.ts'
import type { Files } from './host.ts'
import { ServedBefore } from './journal.ts'
import { type StateFile, stateFile } from './state-file.ts'

const LoadedRecord = z.strictObject({
  /** The process that loaded these. */
  invocationId: z.string(),
  /** Digest of the value by name of the input. */
  inputs: z.record(z.string(), Digest),
})

const Held = z.strictObject({
  contentDigest: Digest,
  reason: Reason,
  broken: z.boolean(),
  /** Of a broken one whose files are all back: what its listeners served when they worked. */
  servedBefore: z.optional(z.array(ServedBefore)),
})
export type Held = Readonly<z.infer<typeof Held>>

const ServiceEntry = z.strictObject({
  loaded: z.optional(LoadedRecord),
  /** Processes known to be older than the active files: their inputs are not loaded, whatever the clock says. */
  staleInvocations: z.array(z.string()),
  /** Content that failed after the switch: not tried again before a new generation or an operator asks. */
  held: z.optional(Held),
  /** Content that this node had converged to: a difference from it is drift. */
  convergedTo: z.optional(Digest),
})
export type ServiceEntry = Readonly<z.infer<typeof ServiceEntry>>

const Ledger = z.strictObject({
  version: z.literal(1),
  /** The newest accepted document; its epoch is absent as it is there. */
  epoch: z.optional(Epoch),
  generation: z.optional(Generation),
  digest: z.optional(Digest),
  services: z.partialRecord(ServiceName, ServiceEntry),
  reportSequence: z.int().check(z.nonnegative()),
  /** Latest wall clock ever seen: a floor against clocks that go back. */
  lastSeenMs: z.int().check(z.nonnegative()),
})
export type Ledger = Readonly<z.infer<typeof Ledger>>

export const EMPTY_LEDGER: Ledger = { version: 1, services: {}, reportSequence: 0, lastSeenMs: 0 }
export const EMPTY_ENTRY: ServiceEntry = { staleInvocations: [] }

export function ledgerFile(files: Files, stateDirectory: string): StateFile<Ledger> {
  return stateFile(files, `${stateDirectory}/ledger.json`, parser('ledger', Ledger))
}

export function entryOf(ledger: Ledger, service: ServiceName): ServiceEntry {
  return ledger.services[service] ?? EMPTY_ENTRY
}

export function withEntry(ledger: Ledger, service: ServiceName, entry: ServiceEntry): Ledger {
  return { ...ledger, services: { ...ledger.services, [service]: entry } }
}

/** Everything may be tried again: a new generation came, or an operator asked. */
export function withoutHeld(ledger: Ledger): Ledger {
  const services = Object.fromEntries(
    Object.entries(ledger.services).map(([name, { held: _held, ...entry }]) => [name, entry]),
  )
  return { ...ledger, services }
}
