// When the loop looks again although nothing has woken it.

import { backoffMs, jittered } from '../shared/backoff.ts'
import type { ServiceReport } from '../shared/contract/report.ts'
import { PENDING, UNREACHABLE } from './apply.ts'
import type { AgentOptions } from './agent.ts'
import type { Asking } from './asking.ts'
import type { Claims } from './claim.ts'
import { NO_ROOM } from './room.ts'
import type { WakeReason } from './wake.ts'

// A failed pass is tried again sooner than the next full look, but never in a hurry.
const RETRY = { baseMs: 5_000, maxMs: 300_000 }

export function nextLookInMs(
  { intervalMs, random, host }: Pick<AgentOptions, 'intervalMs' | 'random' | 'host'>,
  services: readonly ServiceReport[],
  known: {
    readonly failures: number
    /** Of the agent's own identity. */
    readonly dueAtMs: number
    readonly asking: Pick<Asking, 'dueAtMs'>
    readonly claims: Pick<Claims, 'dueAtMs'>
  },
): number {
  const { failures, dueAtMs, asking, claims } = known
  const regular = jittered(intervalMs, random)
  const retry = failures === 0 ? regular : backoffMs({ attempt: failures - 1, ...RETRY, random })
  const nowMs = host.clock.now()
  const due = services.flatMap(({ renewAtMs }) =>
    renewAtMs === undefined || renewAtMs <= nowMs ? [] : [renewAtMs - nowMs],
  )
  const questions = [
    claims.dueAtMs(),
    ...services.filter(isPending).map(({ service }) => asking.dueAtMs(service)),
  ]
  const ask = questions.flatMap(atMs =>
    atMs === undefined ? [] : [Math.max(ASK_MS_MIN, atMs - host.clock.monotonic())],
  )
  return Math.min(regular, retry, Math.max(0, dueAtMs - nowMs), ...due, ...ask)
}

// Whatever the reason is for which nobody asked when it was time.
const ASK_MS_MIN = 1_000

/** Sleeps in pieces, so that the heartbeat comes from the loop itself and stops when it hangs. */
export async function waitForWork(
  options: Pick<AgentOptions, 'host' | 'wake' | 'heartbeat' | 'heartbeatMs'>,
  delayMs: number,
  signal: AbortSignal,
): Promise<WakeReason> {
  const { clock } = options.host
  const endMs = clock.monotonic() + delayMs
  for (;;) {
    const left = endMs - clock.monotonic()
    const why = await options.wake.wait(Math.max(0, Math.min(left, options.heartbeatMs)), signal)
    if (signal.aborted || why !== 'timer' || endMs - clock.monotonic() <= 0) return why
    options.heartbeat()
  }
}

/** What waits for a lease or a certificate is asked for at a pace of its own. */
export function isWorthRetrying(service: ServiceReport): boolean {
  return service.outcome === 'failed' || waitsUnasked(service)
}

// Nobody tells that the controller is back, or that there is room again.
function waitsUnasked({ outcome, reason }: ServiceReport): boolean {
  return outcome === 'waiting' && (reason.code === UNREACHABLE || reason.code === NO_ROOM)
}

function isPending({ outcome, reason }: ServiceReport): boolean {
  return outcome === 'waiting' && reason.code === PENDING
}

/** It waits for the right to go on, for room or for its controller, not for its operator or for a certificate. */
export function isHeldBack({ outcome, reason }: ServiceReport): boolean {
  return outcome === 'waiting' && reason.code !== 'inactive' && reason.code !== PENDING
}
