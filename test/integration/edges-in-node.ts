// Runs in a node of the lab: questions to the real edges, each argument one as a JSON list, answered
// as one JSON list. All in one process, because starting it takes most of the time.

import { createHost } from '../../agent/edges/host.ts'
import { createNotifier } from '../../agent/edges/notify.ts'
import { createOfflineServices } from '../../agent/edges/offline-services.ts'
import type { ActivationVerb } from '../../agent/host.ts'
import { OperationalError } from '../../shared/errors.ts'

const VERBS: readonly ActivationVerb[] = ['restart', 'reload', 'start', 'stop', 'hangup']
const host = createHost()
// For what ends by itself, on however busy a machine.
const LONG_MS = 60_000

async function answer([question = '', unit = '', ...rest]: readonly string[]): Promise<unknown> {
  const verb = VERBS.find(one => one === question)
  if (verb !== undefined) return host.services.activate(unit, verb)
  switch (question) {
    case 'show':
      return {
        state: await host.services.show(unit),
        peek: await host.services.peekInvocation(unit),
      }
    case 'differs-offline':
      return differences(unit)
    case 'reset-failed':
      return host.services.resetFailed(unit)
    case 'restart-often':
      for (let i = 0; i < 8; i++) await host.services.activate(unit, 'restart')
      return undefined
    case 'run':
      return host.commands.run(rest, { timeoutMs: LONG_MS, ...(await serviceOption(unit)) })
    case 'run-briefly':
      return host.commands.run(rest, { timeoutMs: 500, ...(await serviceOption(unit)) })
    case 'run-as-unit':
      return host.commands.run(rest, { timeoutMs: LONG_MS, unit, environment: { WHO: 'n 1' } })
    case 'run-as-unit-briefly':
      return host.commands.run(rest, { timeoutMs: 500, unit })
    case 'accounts':
      return { user: await host.accounts.user(unit), group: await host.accounts.group(unit) }
    case 'handshake':
      return host.network.handshake(JSON.parse(unit))
    case 'daemon':
      return runDaemon()
    default:
      throw new Error(`unknown question: ${question}`)
  }
}

/** What the files of a unit alone tell otherwise than systemd does, of what they can tell. */
async function differences(unit: string): Promise<readonly unknown[]> {
  const live = await host.services.show(unit)
  const offline = await createOfflineServices({ files: host.files }).show(unit)
  if (live === undefined || offline === undefined) return live === offline ? [] : [live, offline]
  return TOLD_BY_FILES.map(name => [live[name], offline[name]]).filter(
    ([one, other]) => merged(one) !== merged(other),
  )
}

const TOLD_BY_FILES = [
  'unit',
  'loaded',
  'user',
  'type',
  'canReload',
  'execStart',
  'environment',
  'environmentFiles',
  'fragmentPath',
  'dropInPaths',
] as const

// /lib is /usr/lib, and systemd says either.
function merged(value: unknown): string {
  return String(JSON.stringify(value, sortedKeys)).replaceAll('"/usr/lib/', '"/lib/')
}

// An environment has no order.
function sortedKeys(_: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
  return Object.fromEntries(Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1)))
}

/** `-` stands for no unit. */
async function serviceOption(unit: string) {
  const state = unit === '-' ? undefined : await host.services.show(unit)
  return state === undefined ? {} : { asServiceOf: state }
}

/** The agent's part in Type=notify with a watchdog; ends by SIGTERM. */
async function runDaemon(): Promise<undefined> {
  const notifier = createNotifier({ environment: process.env })
  const stopped = new Promise(resolve => process.once('SIGTERM', resolve))
  await notifier.ready(`interval ${notifier.watchdogIntervalMs}`)
  const timer = setInterval(() => void notifier.watchdog(), notifier.watchdogIntervalMs)
  await stopped
  clearInterval(timer)
  await notifier.stopping('bye')
  return undefined
}

async function outcome(question: readonly string[]): Promise<unknown> {
  try {
    return { value: (await answer(question)) ?? null }
  } catch (error) {
    if (!(error instanceof OperationalError)) throw error
    const { code, retryable, details } = error
    return { error: { code, retryable, details } }
  }
}

const outcomes: unknown[] = []
for (const question of process.argv.slice(2)) outcomes.push(await outcome(JSON.parse(question)))
process.stdout.write(JSON.stringify(outcomes))
