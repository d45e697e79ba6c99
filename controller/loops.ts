// What goes on without a request: rollouts move, the store learns who was seen, certificates of our
// own are renewed.

import type { ApiContext } from './api/context.ts'
import { RENEW_AFTER_MS } from './server-certificate.ts'

export interface LoopOptions {
  readonly context: Pick<
    ApiContext,
    'clock' | 'log' | 'store' | 'presence' | 'closing' | 'rolloutWakes' | 'refreshDenied'
  >
  readonly tick: () => Promise<number>
  readonly renewCertificates: () => Promise<void>
}

export interface Loops {
  readonly wakeRunner: () => void
  /** Resolves when every loop has ended; the context must be closing. */
  stop(): Promise<void>
}

// Silence and deadlines are noticed this late at most.
const TICK_MS = 1_000
const SEEN_MS = 5_000
const HOUSEKEEPING_MS = 3_600_000

export function startLoops(options: LoopOptions): Loops {
  let waker = new AbortController()
  const wakeRunner = () => waker.abort()
  const nextWake = () => {
    waker = new AbortController()
    return waker.signal
  }
  const loops = [
    rolloutLoop(options, nextWake),
    repeat(options, { name: 'seen', everyMs: SEEN_MS }, () => saveSeen(options.context)),
    repeat(options, { name: 'housekeeping', everyMs: HOUSEKEEPING_MS }, housekeeping(options)),
  ]
  return {
    wakeRunner,
    async stop() {
      await Promise.all(loops)
      // Best effort: the times are also learned again from the agents themselves.
      await saveSeen(options.context).catch((error: unknown) => {
        options.context.log.warn({ err: error }, 'could not store who was seen')
      })
    },
  }
}

async function rolloutLoop(options: LoopOptions, nextWake: () => AbortSignal): Promise<void> {
  const { clock, closing, log, rolloutWakes } = options.context
  while (!closing.aborted) {
    // Taken before the work: whatever happens during it wakes the next round.
    const woken = nextWake()
    try {
      const events = await options.tick()
      if (events > 0) rolloutWakes.wakeAll()
    } catch (error) {
      log.error({ err: error }, 'rollouts could not be looked at')
    }
    await clock.sleep(TICK_MS, AbortSignal.any([woken, closing]))
    // Claims and aborts have moved rollouts before they woke us.
    if (woken.aborted) rolloutWakes.wakeAll()
  }
}

async function repeat(
  { context }: LoopOptions,
  { name, everyMs }: { readonly name: string; readonly everyMs: number },
  work: () => Promise<void>,
): Promise<void> {
  const { clock, closing, log } = context
  for (;;) {
    await clock.sleep(everyMs, closing)
    if (closing.aborted) return
    try {
      await work()
    } catch (error) {
      log.error({ err: error, loop: name }, 'background work failed')
    }
  }
}

async function saveSeen({ store, clock, presence }: LoopOptions['context']): Promise<void> {
  const nodes = presence.takeHeard()
  if (nodes.length > 0) await store.transaction(tx => tx.nodes.setSeen(nodes, clock.now()))
}

function housekeeping({ context, renewCertificates }: LoopOptions): () => Promise<void> {
  let renewedMs = context.clock.now()
  return async () => {
    await context.refreshDenied()
    const nowMs = context.clock.now()
    // A wall clock that was set back must not put the renewal off for years.
    if (Math.abs(nowMs - renewedMs) < RENEW_AFTER_MS) return
    await renewCertificates()
    renewedMs = nowMs
    context.log.info('server certificate renewed')
  }
}
