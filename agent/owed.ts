// What a running process still has to be told. The question is never what this pass wrote, only
// what the process has loaded: first by what it serves, then by what the ledger knows of this very
// process, then by whether it was started after the newest change of its inputs.

import { sha256 } from '../shared/digest.ts'
import type { Activation } from '../shared/contract/report.ts'
import type { Reason } from '../shared/contract/schema.ts'
import type { UnitState } from './host.ts'
import type { ServiceEntry } from './ledger.ts'
import type { Secret } from '../shared/secret.ts'
import { type LoadIntent, RELEASE_TOKEN, STORE_PASSWORD_TOKEN } from './services/service.ts'

export type Verb = 'none' | 'reload' | 'hangup' | 'restart' | 'start'

export interface Owed {
  readonly verb: Verb
  readonly reason: Reason
}

/** What the handshakes of an observation say, in one word. */
export type ServedSummary =
  /** Every listener serves the active leaf, or without TLS where none is wanted. */
  | 'current'
  /** TLS, but another leaf. */
  | 'stale'
  | 'plaintext'
  /** TLS, where none is wanted. */
  | 'tls'
  /** Nobody answers, or no TLS comes about. */
  | 'unreachable'
  /** Not looked at: nothing to compare with. */
  | 'unknown'

export interface OwedInput {
  readonly loads: readonly LoadIntent[]
  /** Release that will be active when this is asked for. */
  readonly release: string
  readonly storePassword?: Secret | undefined
  readonly entry: ServiceEntry
  readonly unit: UnitState
  readonly served: ServedSummary
  /** Newest change of the files that these inputs stand in; undefined when they are about to change. */
  readonly inputsChangedAtMs: number | undefined
}

export const NOTHING_OWED: Owed = {
  verb: 'none',
  reason: { code: 'inputs-loaded', message: 'the service has loaded all of it' },
}

export const LOADED_AT_START: Owed = {
  verb: 'none',
  reason: { code: 'offline', message: 'nothing runs here; the service loads it when it starts' },
}

/** What an activation is called outside of the agent: a hang-up is a reload, a start a restart. */
export function activationOf(owed: Owed): Activation {
  switch (owed.verb) {
    case 'none':
      return 'none'
    case 'reload':
    case 'hangup':
      return 'reload'
    case 'restart':
    case 'start':
      return 'restart'
  }
}

/** Digest by name of what a process has loaded once it runs with these inputs. */
export function inputDigests(
  loads: readonly LoadIntent[],
  known: LoadedWith,
): Readonly<Record<string, string>> {
  return Object.fromEntries(loads.map(load => [load.name, inputDigest(load, known)]))
}

/** What tokens in the values of loads stand for. */
export interface LoadedWith {
  readonly release: string
  /** Undefined: there is none yet, and nothing can have loaded it. */
  readonly storePassword: Secret | undefined
}

function inputDigest({ value }: LoadIntent, { release, storePassword }: LoadedWith): string {
  return sha256(
    value
      .replaceAll(RELEASE_TOKEN, release)
      .replaceAll(STORE_PASSWORD_TOKEN, () => storePassword?.reveal() ?? STORE_PASSWORD_TOKEN),
  )
}

/** The least disruptive act that makes the process use its inputs. Pure. */
export function owedActivation(input: OwedInput): Owed {
  let owed = NOTHING_OWED
  for (const load of input.loads) {
    if (isLoaded(load, input)) continue
    if (RANK[load.activation] > RANK[owed.verb]) {
      owed = { verb: load.activation, reason: load.reason }
    } else if (owed === NOTHING_OWED) {
      owed = { verb: 'none', reason: load.reason }
    }
  }
  return escalated(owed, input)
}

const RANK: Readonly<Record<Verb, number>> = { none: 0, reload: 1, hangup: 2, restart: 3, start: 4 }

/** The stronger of two acts. */
export function strongerOf(a: Owed, b: Owed): Owed {
  return RANK[b.verb] > RANK[a.verb] ? b : a
}

function isLoaded(load: LoadIntent, input: OwedInput): boolean {
  if (load.provenBy === 'handshake' && input.served !== 'unknown') {
    // TLS at all proves that it is switched on; only the leaf itself proves which release is used.
    if (input.served === 'current') return true
    // On a busy machine a handshake may take too long: what this very process was seen to serve, it has
    // loaded. That it does not answer is told, and no restart of ours cures it.
    if (input.served === 'unreachable') return isRecorded(load, input) === true
    return input.served === 'stale' && !load.value.includes(RELEASE_TOKEN)
  }
  return isLoadedByRecord(load, input)
}

/** What the ledger says of this very process; undefined: nothing. */
function isRecorded(
  load: LoadIntent,
  { entry, unit: { invocationId }, release, storePassword }: OwedInput,
): boolean | undefined {
  if (storePassword === undefined && load.value.includes(STORE_PASSWORD_TOKEN)) return false
  if (invocationId === undefined || entry.loaded?.invocationId !== invocationId) return undefined
  return entry.loaded.inputs[load.name] === inputDigest(load, { release, storePassword })
}

function isLoadedByRecord(load: LoadIntent, input: OwedInput): boolean {
  const recorded = isRecorded(load, input)
  if (recorded !== undefined) return recorded
  const { entry, unit, inputsChangedAtMs } = input
  const { invocationId } = unit
  if (invocationId === undefined) return false
  // Known to be older than the files: the clock is not asked.
  if (entry.staleInvocations.includes(invocationId)) return false
  return (
    inputsChangedAtMs !== undefined &&
    unit.startedAtMs !== undefined &&
    unit.startedAtMs >= inputsChangedAtMs
  )
}

// Files that a product re-reads by itself need no act. Where it serves something else although they
// are all in place, the process was started with other inputs than the files show: only a new start
// brings the two together.
function escalated(owed: Owed, input: OwedInput): Owed {
  const isStuck =
    input.inputsChangedAtMs !== undefined &&
    (input.served === 'stale' || input.served === 'plaintext' || input.served === 'tls')
  if (!isStuck || owed.verb !== 'none') return owed
  return {
    verb: 'restart',
    reason: {
      code: 'served-differs',
      message: 'the files are in place, but the service serves something else',
    },
  }
}
