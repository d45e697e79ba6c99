// G4: others judge a batch. A webhook is told of it and answers a verdict; Prometheus is asked a query.
// Read-only, outside of transactions, at a bounded rate. Every error is inconclusive.

import type { Clock } from '../../shared/clock.ts'
import type { Reason } from '../../shared/contract/schema.ts'
import { OperationalError } from '../../shared/errors.ts'
import type { Secret } from '../../shared/secret.ts'
import type { ExternalGate, GateVerdict, Rollout } from '../rollout/rollout.ts'
import { countSteps, phaseOf } from '../rollout/steps.ts'
import type { Store } from '../store/store.ts'
import { judgeQuery, judgeWebhook, type Judgement } from './answers.ts'
import { exchangeJson } from './exchange.ts'

/** Whom the controller may ask: written down by whoever runs it, not by the fleet spec. */
export interface GateServer {
  /** Scheme, host and port. */
  readonly origin: string
  /** Signs what webhooks are told. */
  readonly secret: Secret | undefined
  /** Bearer token for Prometheus. */
  readonly token: Secret | undefined
  /** PEM; undefined: public CAs. */
  readonly ca: string | undefined
}

export interface ExternalGates {
  /** Of the current batch, as of the last answers. */
  verdictsOf(rollout: Rollout): readonly GateVerdict[]
  look(): Promise<void>
}

export interface ExternalGatesOptions {
  readonly store: Pick<Store, 'transaction'>
  readonly clock: Clock
  readonly signal: AbortSignal
  readonly onLook: () => void
  readonly gateServers: readonly GateServer[]
}

// As often as a scrape: a batch soaks for a minute or more.
const EVERY_MS = 10_000
const AT_ONCE_MAX = 16

interface Asked {
  readonly verdict: GateVerdict
  readonly atMs: number
}

export function createExternalGates(options: ExternalGatesOptions): ExternalGates {
  const { store, clock, signal, onLook } = options
  const answers = new Map<string, Asked>()
  const asking = new Set<string>()

  async function ask(key: string, gate: ExternalGate, rollout: Rollout): Promise<void> {
    const judged = await judge(options, gate, rollout)
    asking.delete(key)
    answers.set(key, { verdict: { gate: gate.name, ...judged }, atMs: clock.monotonic() })
    onLook()
  }

  return {
    verdictsOf: rollout =>
      gatesOf(rollout).flatMap(({ name }) => answers.get(keyOf(rollout, name))?.verdict ?? []),
    async look() {
      const active = await store.transaction(tx => tx.rollouts.active())
      const settled = active.filter(
        ({ status, settledTimeMs }) => status === 'running' && settledTimeMs !== undefined,
      )
      const wanted = settled.flatMap(rollout =>
        gatesOf(rollout).map(gate => ({ key: keyOf(rollout, gate.name), gate, rollout })),
      )
      const keys = new Set(wanted.map(({ key }) => key))
      for (const key of answers.keys()) if (!keys.has(key)) answers.delete(key)
      for (const { key, gate, rollout } of wanted) {
        const known = answers.get(key)
        const isDue = known === undefined || clock.monotonic() - known.atMs >= EVERY_MS
        // What has failed has failed.
        const isOpen = known?.verdict.verdict !== 'fail' && !asking.has(key)
        if (!isDue || !isOpen || asking.size >= AT_ONCE_MAX || signal.aborted) continue
        asking.add(key)
        void ask(key, gate, rollout)
      }
    },
  }
}

function gatesOf({ plan }: Rollout): readonly ExternalGate[] {
  return plan.settings.external ?? []
}

function keyOf({ id, phaseIndex, batchIndex }: Rollout, gate: string): string {
  return `${id} ${phaseIndex} ${batchIndex} ${gate}`
}

/** Never rejects. */
async function judge(
  { clock, signal, gateServers }: ExternalGatesOptions,
  gate: ExternalGate,
  rollout: Rollout,
): Promise<Judgement> {
  try {
    const url = new URL(gate.kind === 'webhook' ? gate.url : gate.server)
    const server = gateServers.find(({ origin }) => origin === url.origin)
    if (server === undefined)
      return inconclusive(
        'gate-unlisted',
        `[[gates]] of controller.toml does not list ${url.origin}`,
      )
    if (gate.kind === 'webhook') {
      const answer = await exchangeJson(server, url, {
        body: JSON.stringify(tellOf(rollout)),
        nowMs: clock.now(),
        signal,
      })
      return judgeWebhook(answer)
    }
    const path = `${url.pathname.replace(/\/$/, '')}/api/v1/query`
    const query = new URL(`${path}?${new URLSearchParams({ query: gate.query }).toString()}`, url)
    const answer = await exchangeJson(server, query, { nowMs: clock.now(), signal })
    return judgeQuery(answer, gate.expect)
  } catch (error) {
    const message = error instanceof OperationalError ? error.message : 'could not be asked'
    return inconclusive('gate-unanswered', message)
  }
}

function inconclusive(code: string, message: string): Judgement {
  const reason: Reason = { code, message }
  return { verdict: 'inconclusive', reason }
}

/** What a webhook is told: which batch, and how its nodes ended. */
function tellOf(rollout: Rollout) {
  const { id, plan, phaseIndex, batchIndex } = rollout
  const phase = phaseOf(rollout)
  return {
    rollout: id,
    revision: plan.revision,
    kind: plan.kind,
    phase: phase.name,
    batch: batchIndex + 1,
    batches: phase.batches.length,
    phaseNumber: phaseIndex + 1,
    states: countSteps(rollout, batchIndex),
  }
}
