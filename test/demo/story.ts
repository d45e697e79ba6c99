// The main job, step by step, each with its proof. A step that does not hold throws.

import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { until } from '../lab/until.ts'
import type { Stage, StageNode } from './stage.ts'

const PROJECT = dirname(dirname(import.meta.dirname))
// What ships, as npm run build makes it.
const CLI = join(PROJECT, 'dist', 'tlsfleet.mjs')
const CONTROLLER = join(PROJECT, 'dist', 'tlsfleet-controller.mjs')
const HANDSHAKE = join(PROJECT, 'test', 'demo', 'handshake.ts')

export interface Step {
  readonly name: string
  /** What was seen that proves it. */
  readonly proof: string
  readonly ms: number
}

export interface Recap {
  readonly node: string
  readonly service: string
  readonly version: string
  readonly outcome: string
  readonly fingerprint: string
  readonly restarts: number
}

export interface Telling {
  /** A step begins. */
  begin(name: string): void
  /** Text of a command as an operator would see it. */
  show(text: string): void
  end(step: Step): void
}

export const FLEET_SPEC = `# What this fleet should be. The certificates come from the controller's own CA.
version: 1
fleet: demo
defaults:
  lifetime: 30d
  renewBefore: 10d
  verify: { stableFor: 1s, deadline: 60s }
services:
  - service: prometheus
    nodes: { labels: { role: monitoring } }
  - service: influxdb
    nodes: { labels: { role: monitoring } }
`

/** Returns the recap; throws at the first step that does not hold. */
export async function tell(
  stage: Stage,
  telling: Telling,
): Promise<{
  readonly steps: readonly Step[]
  readonly recap: readonly Recap[]
  readonly directory: string
}> {
  const steps: Step[] = []
  const directory = mkdtempSync(join(tmpdir(), 'tlsfleet-controller-'))
  const specFile = join(directory, 'fleet.yaml')
  const trustFile = join(directory, 'trust.pem')
  process.env['TLSFLEET_CONFIG'] = join(directory, 'cli.json')
  writeFileSync(specFile, FLEET_SPEC)

  const step = async (name: string, work: () => Promise<string>) => {
    telling.begin(name)
    const startMs = performance.now()
    const proof = await work()
    const done = { name, proof, ms: Math.round(performance.now() - startMs) }
    steps.push(done)
    telling.end(done)
  }
  const cli = async (argv: readonly string[], codes: readonly number[] = [0]) => {
    const outcome = await stage.run([CLI, ...argv], { timeoutMs: 180_000 })
    if (!codes.includes(outcome.code))
      throw new Error(
        `tlsfleet ${argv.join(' ')} ended with ${outcome.code}: ${outcome.stderr}${outcome.stdout.slice(-2000)}`,
      )
    return outcome
  }
  const cliJson = async (argv: readonly string[]) =>
    JSON.parse((await cli(['--json', ...argv])).stdout)

  await step('controller up on its embedded store', async () => {
    const data = join(directory, 'data')
    await initialise(stage, data, cli)
    const status = await until(async () => (await cli(['--json', 'status'])).stdout, {
      what: 'the controller answers',
      everyMs: 100,
    })
    writeFileSync(trustFile, (await cli(['trust'])).stdout)
    return `an empty fleet over TLS 1.3 (${status.length} bytes of status)`
  })

  await step('nodes enrolled with one-time tokens', async () => {
    await Promise.all(
      stage.nodes.map(async node => {
        const names = [
          ...node.dns.flatMap(name => ['--dns', name]),
          ...node.ip.flatMap(address => ['--ip', address]),
        ]
        const added = await cliJson([
          'node',
          'add',
          node.name,
          '--label',
          'role=monitoring',
          ...names,
        ])
        const enrolled = await node.agent(['enroll', '--token-file', '-'], {
          input: added.enrollment.token,
        })
        if (enrolled.code !== 0)
          throw new Error(`${node.name} could not enroll: ${enrolled.stderr}`)
        const again = await node.agent(['enroll', '--token-file', '-'], {
          input: added.enrollment.token,
        })
        if (again.code === 0) throw new Error(`the token of ${node.name} worked twice`)
        await node.startAgent()
      }),
    )
    await until(
      async () =>
        (await cliJson(['status'])).nodes.every((node: { online: boolean }) => node.online),
      { what: 'every agent is online' },
    )
    return `${stage.nodes.length} agents online, a second use of each token refused`
  })

  await step('tlsfleet plan: the fleet-wide diff', async () => {
    const outcome = await cli(['plan', '-f', specFile, '--no-color'], [2])
    telling.show(outcome.stdout)
    return outcome.stdout.trimEnd().split('\n').at(-1) ?? ''
  })

  await step('tlsfleet apply: one node at a time, each proven before the next', async () => {
    const outcome = await cli(['apply', '-f', specFile, '--yes', '--quiet', '--no-color'])
    telling.show(outcome.stdout)
    return outcome.stdout.trimEnd().split('\n').at(-1) ?? ''
  })

  const served = new Map<string, string>()
  await step('every listener proven by a handshake against the trust bundle', async () => {
    for (const node of stage.nodes)
      for (const one of node.listeners)
        served.set(`${node.name} ${one.service}`, await handshake(stage, one, trustFile))
    return `${served.size} handshakes, chain and name verified by a client that trusts the service CA only`
  })

  await step('second apply changes nothing', async () => {
    const before = await Promise.all(stage.nodes.map(node => node.state()))
    const outcome = await cli(['apply', '-f', specFile, '--yes', '--no-color'])
    const after = await Promise.all(stage.nodes.map(node => node.state()))
    for (const [index, node] of stage.nodes.entries())
      if (before[index] !== after[index])
        throw new Error(`${node.name} was touched:\n${before[index]}\n${after[index]}`)
    telling.show(outcome.stdout)
    return 'no file, no inode, no time, no process is another one'
  })

  await step('a file edited by hand is healed', async () => {
    const node = firstOf(stage.nodes.slice(1))
    const path = '/etc/influxdb/influxdb.conf'
    const good = await node.readFile(path)
    const invocation = await node.invocation('influxdb')
    await node.writeFile(path, good.replace('https-enabled = true', 'https-enabled = false'))
    const startMs = performance.now()
    await until(async () => (await node.readFile(path)) === good, {
      what: `${path} of ${node.name} is as before`,
      everyMs: 20,
    })
    const ms = Math.round(performance.now() - startMs)
    if ((await node.invocation('influxdb')) !== invocation)
      throw new Error('influxdb was restarted, which nothing asked for')
    return `${node.name}:${path} byte for byte as before after ${ms} ms, no restart`
  })

  await step('a renewal without a restart where the product needs none', async () => {
    const node = firstOf(stage.nodes)
    const listener = firstOf(node.listeners.filter(one => one.service === 'prometheus'))
    const invocation = await node.invocation('prometheus')
    const before = served.get(`${node.name} prometheus`)
    const outcome = await node.agent(['renew', 'prometheus', '--json'], { timeoutMs: 120_000 })
    if (outcome.code !== 0)
      throw new Error(`renew ended with ${outcome.code}: ${outcome.stderr}${outcome.stdout}`)
    const after = await handshake(stage, listener, trustFile)
    if (after === before) throw new Error('the old certificate is still served')
    if ((await node.invocation('prometheus')) !== invocation)
      throw new Error('prometheus was restarted')
    served.set(`${node.name} prometheus`, after)
    return `${node.name} serves ${after.slice(0, 16)} in place of ${before?.slice(0, 16)}, same process`
  })

  const status = await until(
    async () => {
      const view = await cliJson(['status'])
      return view.nodes.every((node: { state: string }) => node.state === 'converged')
        ? view
        : undefined
    },
    { what: 'every node is reported as converged' },
  )
  return { steps, recap: recapOf(status, served), directory }
}

async function initialise(
  stage: Stage,
  data: string,
  cli: (argv: readonly string[]) => Promise<unknown>,
): Promise<void> {
  const hosts = stage.controllerHosts.flatMap(host => ['--host', host])
  if (stage.listenArguments.length === 0) {
    await cli(['init', '--dir', data, '--fleet', 'demo', ...hosts])
    stage.startController([CONTROLLER, 'serve', '--data-dir', data, '--log-level', 'warn'])
    return
  }
  // Other ports than the usual ones are a matter of the controller's own init.
  const names = stage.controllerHosts.flatMap(host => ['--public-name', host])
  const made = await stage.run([
    CONTROLLER,
    'init',
    '--json',
    '--data-dir',
    data,
    '--fleet',
    'demo',
    ...names,
    ...stage.listenArguments,
  ])
  if (made.code !== 0)
    throw new Error(`tlsfleet-controller init ended with ${made.code}: ${made.stderr}`)
  const { pin, adminToken }: { pin: string; adminToken: string } = JSON.parse(made.stdout)
  stage.startController([CONTROLLER, 'serve', '--data-dir', data, '--log-level', 'warn'])
  const port = stage.listenArguments[1]?.split(':').at(-1)
  const url = `https://${stage.controllerHosts[0]}:${port}`
  await until(
    async () => {
      const login = await stage.run([CLI, 'login', '--url', url, '--ca-pin', pin, '--token', '-'], {
        input: adminToken,
      })
      return login.code === 0
    },
    { what: 'login at the controller', everyMs: 200 },
  )
}

/** Fingerprint of what is served to a client that verifies chain and name. */
async function handshake(
  stage: Stage,
  listener: StageNode['listeners'][number],
  trustFile: string,
): Promise<string> {
  const outcome = await stage.run([HANDSHAKE, listener.host, String(listener.port), trustFile])
  if (outcome.code !== 0) throw new Error(`${listener.host}:${listener.port}: ${outcome.stderr}`)
  return outcome.stdout.trim()
}

function firstOf<T>(list: readonly T[]): T {
  const [first] = list
  if (first === undefined) throw new Error('nothing to choose from')
  return first
}

interface StatusView {
  readonly nodes: readonly {
    readonly name: string
    readonly services: readonly {
      readonly service: string
      readonly version?: string
      readonly outcome: string
      readonly activations: number
    }[]
  }[]
}

function recapOf(status: StatusView, served: ReadonlyMap<string, string>): readonly Recap[] {
  return status.nodes.flatMap(node =>
    node.services.map(service => ({
      node: node.name,
      service: service.service,
      version: service.version ?? '',
      outcome: service.outcome,
      fingerprint: served.get(`${node.name} ${service.service}`)?.slice(0, 16) ?? '',
      restarts: service.activations,
    })),
  )
}
