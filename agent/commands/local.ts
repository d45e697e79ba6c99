// `plan`, `apply` and `verify`: with --desired in this process, without it by asking the daemon.

import type { ServiceReport } from '../../shared/contract/report.ts'
import { SERVER_SERVICES } from '../../shared/contract/service.ts'
import { OperationalError } from '../../shared/errors.ts'
import type { Logger } from '../../shared/log.ts'
import type { Host } from '../host.ts'
import { presentPlan, presentResult } from '../present.ts'
import { applyOnce, planOnce } from '../standalone.ts'
import { askAgent, isAgentRunning } from './control.ts'
import { EXIT, type Options } from './options.ts'
import { readInput } from './read-input.ts'

export interface LocalContext {
  readonly options: Options
  readonly host: Host
  readonly stateDirectory: string
  /** Path of the daemon's socket as this process sees it. */
  readonly socketPath: string
  readonly log: Logger
  readonly signal: AbortSignal
  readonly write: (text: string) => void
}

export async function planCommand(context: LocalContext): Promise<number> {
  const services =
    context.options.desired === undefined
      ? await ask(context, 'plan')
      : await planOnce(await standalone(context))
  const isBlocked = services.some(
    service => service.outcome === 'unsupported' || service.outcome === 'failed',
  )
  const changes = services.reduce((sum, service) => sum + service.changes.length, 0)
  print(context, services, () => presentPlan(services, context.options), !isBlocked)
  if (isBlocked) return EXIT.failed
  return changes === 0 ? EXIT.ok : EXIT.changes
}

export async function applyCommand(context: LocalContext): Promise<number> {
  const services =
    context.options.desired === undefined ? await ask(context, 'apply') : await applyHere(context)
  const ok = services.every(service => GOOD_OUTCOMES.includes(service.outcome))
  print(context, services, () => presentResult(services), ok)
  return ok ? EXIT.ok : EXIT.failed
}

const GOOD_OUTCOMES: readonly string[] = ['in-sync', 'changed', 'staged', 'waiting']

export async function renewCommand(context: LocalContext): Promise<number> {
  const { subject } = context.options
  const service = SERVER_SERVICES.find(name => name === subject)
  if (service === undefined) {
    throw new OperationalError('usage', `renew needs a service: ${SERVER_SERVICES.join(' or ')}`)
  }
  const services = (await askAgent(context.socketPath, `renew/${service}`)).services.filter(
    one => one.service === service,
  )
  const ok = services.length > 0 && services.every(one => GOOD_OUTCOMES.includes(one.outcome))
  print(context, services, () => presentResult(services), ok)
  return ok ? EXIT.ok : EXIT.failed
}

export async function verifyCommand(context: LocalContext): Promise<number> {
  const services =
    context.options.desired === undefined
      ? await ask(context, 'plan')
      : await planOnce(await standalone(context))
  const ok = services.every(service =>
    // Where nothing runs, the files are all there is to judge.
    context.host.isOffline ? service.outcome === 'in-sync' : isServedAsWanted(service),
  )
  print(context, services, () => presentResult(services), ok)
  return ok ? EXIT.ok : EXIT.failed
}

function isServedAsWanted({ served, changes }: ServiceReport): boolean {
  return served.length > 0 && served.every(one => one.ok) && changes.length === 0
}

async function applyHere(context: LocalContext): Promise<readonly ServiceReport[]> {
  if (await isAgentRunning(context.socketPath)) {
    throw new OperationalError(
      'agent-running',
      'could not apply a file while the agent is running on this node',
      {
        hint: 'stop it first, or give another --state-dir and --root',
      },
    )
  }
  return applyOnce(await standalone(context))
}

async function standalone(context: LocalContext) {
  const name = context.options.desired ?? ''
  let text: string
  try {
    text = await readInput(name)
  } catch (cause) {
    throw new OperationalError('desired-file-unreadable', `could not read ${name}`, { cause })
  }
  return { ...context, desired: { text, name } }
}

async function ask(
  context: LocalContext,
  what: 'plan' | 'apply',
): Promise<readonly ServiceReport[]> {
  return (await askAgent(context.socketPath, what)).services
}

function print(
  context: LocalContext,
  services: readonly ServiceReport[],
  text: () => string,
  ok: boolean,
): void {
  if (!context.options.json) {
    context.write(text())
    return
  }
  const changed = services.filter(service => service.outcome === 'changed').length
  const changes = services.reduce((sum, service) => sum + service.changes.length, 0)
  context.write(`${JSON.stringify({ ok, changed, changes, services })}\n`)
}
