// What goes on without a request: rollouts move, the store learns who was seen, certificates of our
// own are renewed.

import type { ApiContext } from './api/context.ts'
import { createPublishedUses, forgetOldPairs } from './api/provided-pairs.ts'
import type { AcmeIssuer } from './issuers/acme/issuer.ts'
import { prunableBeforeMs } from './ca/succession.ts'
import { forgetOldPreviews } from './rollout/old-previews.ts'
import type { RotationLoop } from './rotation/loop.ts'
import { RENEW_AFTER_MS } from './server-certificate.ts'
import type { Notifier } from './webhooks/notifier.ts'

export interface LoopOptions {
  readonly context: Pick<
    ApiContext,
    | 'clock'
    | 'log'
    | 'store'
    | 'presence'
    | 'trust'
    | 'closing'
    | 'rolloutWakes'
    | 'changes'
    | 'refreshDenied'
    | 'identityPolicy'
  >
  readonly acme: Pick<AcmeIssuer, 'tick' | 'idle'>
  readonly rotations: RotationLoop
  readonly notifier: Pick<Notifier, 'look' | 'deliver'>
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
const ACME_MS = 2_000
const TRUST_MS = 2_000
// Nobody gets up sooner; a look reads the whole fleet.
const NOTICES_MS = 60_000
const WEBHOOKS_MS = 2_000
const HOUSEKEEPING_MS = 3_600_000
// Certificate requests that are settled: whoever uploads an answer twice is told so for this long.
const REQUESTS_KEPT_MS = 100 * 86_400_000

export function startLoops(options: LoopOptions): Loops {
  let waker = new AbortController()
  const wakeRunner = () => waker.abort()
  const nextWake = () => {
    waker = new AbortController()
    return waker.signal
  }
  const loops = [
    rolloutLoop(options, nextWake),
    options.rotations.run(options.context.closing),
    repeat(options, { name: 'seen', everyMs: SEEN_MS }, () => saveSeen(options.context)),
    repeat(options, { name: 'silence', everyMs: SEEN_MS }, () => tellSilence(options.context)),
    repeat(options, { name: 'acme', everyMs: ACME_MS }, () => options.acme.tick()),
    repeat(options, { name: 'trust', everyMs: TRUST_MS }, () => options.context.trust.look()),
    repeat(options, { name: 'notices', everyMs: NOTICES_MS }, () => options.notifier.look()),
    repeat(options, { name: 'webhooks', everyMs: WEBHOOKS_MS }, () => options.notifier.deliver()),
    repeat(options, { name: 'housekeeping', everyMs: HOUSEKEEPING_MS }, housekeeping(options)),
    repeat(options, { name: 'previews', everyMs: HOUSEKEEPING_MS }, () =>
      forgetPreviews(options.context),
    ),
  ]
  return {
    wakeRunner,
    async stop() {
      await Promise.all(loops)
      await options.acme.idle()
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

// For those who watch alone: nothing happens when an agent goes silent.
async function tellSilence({ presence, changes }: LoopOptions['context']): Promise<void> {
  if (changes.watchers() === 0) return
  const silent = presence.fallenSilent()
  const nodes = silent === 'all' ? [undefined] : silent
  changes.publish(nodes.map(id => ({ resource: 'nodes', id })))
}

async function forgetPreviews({ store, clock, log }: LoopOptions['context']): Promise<void> {
  const count = await forgetOldPreviews(store, clock.now())
  if (count > 0) log.info({ count }, 'previews of old rollouts forgotten')
}

function housekeeping({ context, renewCertificates }: LoopOptions): () => Promise<void> {
  let renewedMs = context.clock.now()
  const published = createPublishedUses()
  return async () => {
    const nowMs = context.clock.now()
    const endedBeforeMs = prunableBeforeMs(context.identityPolicy, nowMs)
    await context.store.transaction(async tx => {
      await tx.identities.prune(endedBeforeMs)
      await tx.requests.prune(nowMs - REQUESTS_KEPT_MS)
      await forgetOldPairs(tx, published, nowMs)
    })
    await context.refreshDenied()
    // A wall clock that was set back must not put the renewal off for years.
    if (Math.abs(nowMs - renewedMs) < RENEW_AFTER_MS) return
    await renewCertificates()
    renewedMs = nowMs
    context.log.info('server certificate renewed')
  }
}
