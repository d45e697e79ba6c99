// The daemon of an agent as one process on a node in memory. The waits of a pass cost no time; the
// long ones, of the loop, the poll and the reporter, last until a test lets time pass.

import type { Clock } from '../../shared/clock.ts'
import type { ServiceName } from '../../shared/contract/service.ts'
import { type Logger, silentLog } from '../../shared/log.ts'
import { type AgentControl, type AgentOptions, runAgent } from '../../agent/agent.ts'
import type { Identity, Remote } from '../../agent/remote.ts'
import { prepareState } from '../../agent/standalone.ts'
import { createWake } from '../../agent/wake.ts'
import { createIdentity, type FakeController } from './fake-controller.ts'
import { STATE } from './memory-fleet.ts'
import type { MemoryNode } from './memory-node.ts'

// Looks of a verification and the like are shorter; the shortest wait of a loop is not.
const SHORT_MS = 450
const FOREVER: Promise<never> = new Promise(() => {})

export interface RunningAgent {
  readonly control: AgentControl
  readonly wake: AgentOptions['wake']
  /** Passes that have ended. */
  readonly passes: () => number
  readonly heartbeats: () => number
  /** Paths that the watchers were given last. */
  readonly watched: () => readonly string[]
  /** Does something, and waits until a pass that began after it has ended. */
  afterPass(work: () => void): Promise<void>
  advance(ms: number): void
  /** A clean stop. Rejects with what the loop died of. */
  stop(): Promise<void>
  /** Aborts as stop does, without waiting. */
  signalStop(): void
  /** SIGKILL: nothing of it happens any more. */
  kill(): void
  /** Settles when the process has ended by itself. */
  readonly ended: Promise<void>
}

export interface AgentParts {
  readonly identity?: Identity
  readonly services?: readonly ServiceName[]
  readonly activations?: readonly ('none' | 'reload' | 'restart')[]
  /** Where it may write. */
  readonly paths?: readonly string[]
  readonly issuers?: AgentOptions['issuers']
  readonly intervalMs?: number
  readonly host?: Partial<AgentOptions['host']>
  readonly log?: Logger
  readonly onStep?: (step: string) => void
  readonly metricsFile?: AgentOptions['metricsFile']
  readonly offline?: AgentOptions['offline']
  readonly snapshots?: AgentOptions['snapshots']
  readonly onReady?: AgentOptions['onReady']
}

/** Resolves when the first pass has ended, or the process. */
export async function startAgent(
  node: MemoryNode,
  controller: FakeController,
  parts: AgentParts = {},
): Promise<RunningAgent> {
  await prepareState(node.host, STATE)
  const clock = createLoopClock(node)
  const life = new AbortController()
  const stop = new AbortController()
  const host = { ...node.host, clock, ...parts.host }
  const wake = createWake(clock)
  let passes = 0
  let heartbeats = 0
  let watched: readonly string[] = []
  let control: AgentControl | undefined
  const waiting = new Set<() => void>()
  const ended = runAgent(
    {
      host,
      stateDirectory: STATE,
      issuers: parts.issuers ?? { files: {}, localCa: undefined },
      allow: {
        services: parts.services ?? ['prometheus', 'influxdb'],
        activations: parts.activations ?? ['none', 'reload', 'restart'],
        paths: parts.paths,
      },
      intervalMs: parts.intervalMs ?? 300_000,
      identity: parts.identity ?? createIdentity(node.nowMs()),
      connect: identity => {
        controller.connected.push(identity.certificateChain)
        return mortal(controller.remote, life.signal)
      },
      wake,
      heartbeat: () => {
        heartbeats += 1
      },
      heartbeatMs: 20_000,
      onReady: parts.onReady ?? (() => undefined),
      watch: paths => {
        watched = paths
      },
      onIdle: () => {
        passes += 1
        for (const resolve of waiting) resolve()
      },
      facts: { hostname: 'n1' },
      agentVersion: '0.0.0-test',
      log: parts.log ?? silentLog,
      random: () => 0.5,
      metricsFile: parts.metricsFile,
      ...(parts.offline === undefined ? {} : { offline: parts.offline }),
      ...(parts.snapshots === undefined ? {} : { snapshots: parts.snapshots }),
      ...(parts.onStep === undefined ? {} : { onStep: parts.onStep }),
    },
    stop.signal,
    given => {
      control = given
    },
  )
  // Whoever is interested asks `ended`; a test that is not must not die of it.
  let isOver = false
  const over = ended.catch(() => undefined).then(() => (isOver = true))
  const passed = async (count: number) => {
    while (passes < count && !isOver) {
      const next = new Promise<void>(resolve => waiting.add(resolve))
      await Promise.race([next, over])
      waiting.clear()
    }
  }
  await passed(1)
  return {
    get control() {
      if (control === undefined) throw new Error('the agent has not given its control')
      return control
    },
    wake,
    passes: () => passes,
    heartbeats: () => heartbeats,
    watched: () => watched,
    async afterPass(work) {
      const target = passes + 1
      work()
      await passed(target)
    },
    advance: ms => clock.advance(ms),
    async stop() {
      stop.abort()
      await ended
    },
    signalStop: () => stop.abort(),
    kill() {
      life.abort()
      clock.kill()
    },
    ended,
  }
}

interface LoopClock extends Clock {
  advance(ms: number): void
  kill(): void
}

function createLoopClock(node: MemoryNode): LoopClock {
  const { clock } = node.host
  const sleepers = new Set<{ readonly dueMs: number; readonly wake: () => void }>()
  let isDead = false
  return {
    now: () => clock.now(),
    monotonic: () => clock.monotonic(),
    async sleep(delayMs, signal) {
      if (isDead) return FOREVER
      if (delayMs < SHORT_MS) return clock.sleep(delayMs)
      if (signal?.aborted === true) return
      await new Promise<void>(resolve => {
        const sleeper = {
          dueMs: node.nowMs() + delayMs,
          wake: () => {
            sleepers.delete(sleeper)
            if (!isDead) resolve()
          },
        }
        sleepers.add(sleeper)
        signal?.addEventListener('abort', sleeper.wake, { once: true })
      })
    },
    advance(ms) {
      node.advance(ms)
      for (const sleeper of sleepers) if (sleeper.dueMs <= node.nowMs()) sleeper.wake()
    },
    kill() {
      isDead = true
    },
  }
}

/** The connections of a process: when it is gone, nothing comes back any more. */
function mortal(remote: Remote, death: AbortSignal): Remote {
  const alive = async <T>(answer: () => Promise<T>): Promise<T> => {
    if (death.aborted) return FOREVER
    try {
      const result = await answer()
      return death.aborted ? await FOREVER : result
    } catch (error) {
      if (death.aborted) return FOREVER
      throw error
    }
  }
  return {
    // The other side sees the connection break, and must not answer to nobody.
    desired: (question, signal) =>
      alive(() => remote.desired(question, AbortSignal.any([signal, death]))),
    report: (report, signal) => alive(() => remote.report(report, signal)),
    preview: (answer, signal) => alive(() => remote.preview(answer, signal)),
    probe: (answer, signal) => alive(() => remote.probe(answer, signal)),
    debts: (news, signal) => alive(() => remote.debts(news, signal)),
    sign: (request, signal) => alive(() => remote.sign(request, signal)),
    provided: (request, signal) => alive(() => remote.provided(request, signal)),
    lease: (request, signal) => alive(() => remote.lease(request, signal)),
    renew: (key, proof, signal) => alive(() => remote.renew(key, proof, signal)),
    renewExpired: (key, proof, signal) => alive(() => remote.renewExpired(key, proof, signal)),
    whoami: signal => alive(() => remote.whoami(signal)),
    close: () => remote.close(),
  }
}
