// A whole fleet in a lab: a controller on its own host, agents as services of real nodes, and an
// operator with the command line. Everything runs from the sources.

import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type { ChildProcess } from 'node:child_process'
import { databasePath } from '../../controller/init.ts'
import type { Outcome } from '../lab/command.ts'
import { ended } from '../lab/ended.ts'
import { COMPILED_IN_NODE, type Lab, PROJECT_IN_NODE, until } from '../lab/lab.ts'
import { createOperator } from '../lab/operator.ts'

const PROJECT = dirname(dirname(import.meta.dirname))
const CLI = join(PROJECT, 'controller/cli/main.ts')
const CONTROLLER = join(PROJECT, 'controller/main.ts')
const HANDSHAKE = join(PROJECT, 'test/demo/handshake.ts')
export const CONF = '/etc/influxdb/influxdb.conf'
export const STATE_DIRECTORY = '/var/lib/tlsfleet/agent'

export interface NodeStatus {
  readonly name: string
  readonly state: string
  readonly online: boolean
  readonly reason: { readonly code: string; readonly message: string }
}

export interface LabFleet {
  /** `tlsfleet ARGUMENTS` as the operator. */
  cli(argv: readonly string[]): Promise<Outcome>
  /**
   * What it answers with --json, asked of a process that stays: to look again and again costs next to
   * nothing. Throws when it fails.
   */
  look(argv: readonly string[]): Promise<Readonly<Record<string, unknown>>>
  /** As `cli`, with its JSON; throws when it fails. */
  cliJson(argv: readonly string[]): Promise<Readonly<Record<string, unknown>>>
  /** `tlsfleet apply` of this spec, to the end of its rollout. */
  apply(spec: string): Promise<Outcome>
  specFile(spec: string): string
  /** Registers a node and gives its token. */
  addNode(node: string, as?: AddedNode): Promise<string>
  enroll(node: string, token: string): Promise<Outcome>
  startAgent(node: string): Promise<void>
  nodes(): Promise<readonly NodeStatus[]>
  /** The controller answers operators. */
  answers(): Promise<boolean>
  untilState(node: string, state: string): Promise<void>
  /** All nodes of the fleet. */
  untilAll(state: string): Promise<void>
  startController(): Promise<void>
  /** SIGKILL, nothing is said to anybody. */
  killController(): Promise<void>
  /** SIGKILL, and another one on the same data at once; nobody waits until it answers. */
  crashController(): Promise<void>
  /** Fingerprint of what a client gets that trusts the fleet's service CA; throws when it must not. */
  handshake(node: string, port: number): Promise<string>
  invocation(node: string, unit: string): Promise<string>
  /** Every managed file with its times, and the identity of the processes. */
  state(node: string, of?: Watched): Promise<string>
  /** The CA certificates that clients of the fleet trust, where `ctl` sees them. */
  readonly trustFile: string
  /** The controller's database, for what its API does not tell. */
  readonly database: string
  end(): Promise<void>
}

export interface AddedNode {
  /** In the fleet; that of its host if absent. */
  readonly name?: string
  /** `role=all` if absent. */
  readonly labels?: readonly string[]
}

export interface Watched {
  readonly directories: readonly string[]
  readonly units: readonly string[]
}

export interface LabFleetOptions {
  /** Resolves when the products of a node answer; those of the image if absent. */
  readonly ready?: (lab: Lab, node: string) => Promise<void>
  /** Where a test waits for a node to be offline, and is not about how long that takes: a duration. */
  readonly offlineAfter?: string
}

const WATCHED: Watched = {
  directories: ['/etc/prometheus', '/etc/influxdb', '/etc/default'],
  units: ['prometheus', 'influxdb'],
}

export const PORTS = { prometheus: 9090, influxdb: 8086 } as const

/** Controller up, operator logged in, nodes booted and not yet enrolled. */
export async function createLabFleet(
  lab: Lab,
  { ready = stockProducts, offlineAfter }: LabFleetOptions = {},
): Promise<LabFleet> {
  const directory = mkdtempSync(join(tmpdir(), 'fleet-'))
  const data = join(directory, 'data')
  const trustFile = join(directory, 'trust.pem')
  const env = {
    ...process.env,
    TLSFLEET_CONFIG: join(directory, 'cli.json'),
    // The command line is started many times, and compiled once.
    NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'] ?? join(directory, 'compiled'),
  }
  let controller: ChildProcess | undefined

  const program = (argv: readonly string[]) =>
    lab.exec('ctl', [process.execPath, ...argv], { env, timeoutMs: 600_000 })
  const cli: LabFleet['cli'] = argv => program([CLI, ...argv])
  const operator = createOperator(lab, env)
  const good = (argv: readonly string[], outcome: Outcome) => {
    if (outcome.code !== 0)
      throw new Error(`tlsfleet ${argv.join(' ')}: ${outcome.code}: ${outcome.stderr}`)
    return outcome.stdout
  }
  const must = async (argv: readonly string[]) => good(argv, await cli(argv))
  const look: LabFleet['look'] = async argv =>
    JSON.parse(good(argv, await operator.ask(['--json', ...argv])))
  const answers = async () => (await operator.ask(['--json', 'status'])).code === 0
  const cliJson: LabFleet['cliJson'] = async argv => JSON.parse(await must(['--json', ...argv]))
  const specFile = (spec: string) => {
    const file = join(directory, 'fleet.yaml')
    writeFileSync(file, spec)
    return file
  }
  const nodes = async (): Promise<readonly NodeStatus[]> => {
    const { nodes: found }: { nodes?: readonly NodeStatus[] } = await look(['status'])
    if (found === undefined) throw new Error('tlsfleet status names no nodes')
    return found
  }
  const launch = () => {
    const serve = ['serve', '--data-dir', data, '--log-level', 'warn']
    controller = lab.spawn('ctl', [process.execPath, CONTROLLER, ...serve])
    controller.stdout?.resume()
    controller.stderr?.resume()
  }
  const startController = async () => {
    launch()
    await until(answers, { what: 'the controller answers' })
  }

  await must([
    'init',
    '--dir',
    data,
    '--fleet',
    'lab',
    '--host',
    lab.address('ctl'),
    '--host',
    'ctl',
  ])
  if (offlineAfter !== undefined)
    appendFileSync(join(data, 'controller.toml'), `[agents]\nofflineAfter = "${offlineAfter}"\n`)
  await startController()
  writeFileSync(trustFile, await must(['trust']))
  await Promise.all(lab.nodes.map(node => installAgent(lab, node)))
  await Promise.all(lab.nodes.map(node => ready(lab, node)))

  return {
    cli,
    look,
    cliJson,
    specFile,
    apply: spec => cli(['apply', '-f', specFile(spec), '--yes', '--quiet', '--no-color']),
    async addNode(node, { name = node, labels = ['role=all'] } = {}) {
      const names = [
        '--dns',
        node,
        '--dns',
        'localhost',
        '--ip',
        lab.address(node),
        '--ip',
        '127.0.0.1',
      ]
      const more = labels.flatMap(label => ['--label', label])
      const text = await must(['--json', 'node', 'add', name, ...more, ...names])
      const added: { enrollment: { token: string } } = JSON.parse(text)
      return added.enrollment.token
    },
    enroll: (node, token) =>
      lab.exec(node, ['tlsfleet-agent', 'enroll', '--token-file', '-'], { input: token }),
    startAgent: async node =>
      void (await lab.output(node, ['systemctl', 'enable', '--now', 'tlsfleet-agent'])),
    nodes,
    answers,
    async untilState(node, state) {
      let last = ''
      const look = async () => {
        const found = (await nodes()).find(one => one.name === node)
        last = JSON.stringify(found)
        return found?.state === state
      }
      await until(look, { what: `${node} is ${state}`, everyMs: 300, timeoutMs: 180_000 }).catch(
        error => {
          throw new Error(`${String(error)}: ${last}`)
        },
      )
    },
    async untilAll(state) {
      let others: readonly NodeStatus[] = []
      const look = async () => {
        others = (await nodes()).filter(node => node.state !== state)
        return others.length === 0
      }
      await until(look, { what: `all are ${state}`, everyMs: 500, timeoutMs: 240_000 }).catch(
        error => {
          throw new Error(`${String(error)}: ${JSON.stringify(others)}`)
        },
      )
    },
    startController,
    async crashController() {
      const child = controller
      if (child === undefined || child.exitCode !== null)
        throw new Error('there is no controller to be killed')
      await ended(child)
      launch()
    },
    async killController() {
      const child = controller
      if (child === undefined || child.exitCode !== null) return
      await ended(child)
      await until(async () => !(await answers()), { what: 'the controller is gone' })
    },
    async handshake(node, port) {
      const outcome = await program([HANDSHAKE, node, String(port), trustFile])
      if (outcome.code !== 0) throw new Error(`${node}:${port}: ${outcome.stderr}`)
      return outcome.stdout.trim()
    },
    invocation: (node, unit) =>
      lab.output(node, ['systemctl', 'show', unit, '--property=InvocationID', '--value']),
    state(node, { directories, units } = WATCHED) {
      const files = `find ${directories.join(' ')} -printf "%p %i %T@ %C@ %m %U %G\\n" | sort`
      const processes = `systemctl show ${units.join(' ')} --property=InvocationID,NRestarts`
      return lab.output(node, ['sh', '-c', `${files}; ${processes}`])
    },
    trustFile,
    database: databasePath(data),
    async end() {
      await operator.end()
      if (controller !== undefined) await ended(controller)
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

async function installAgent(lab: Lab, node: string): Promise<void> {
  // The service reads it only: what enrolling has compiled is there when it starts.
  const cache = `NODE_COMPILE_CACHE=${COMPILED_IN_NODE}`
  const wrapper = `#!/bin/sh\n${cache} exec /usr/bin/node ${PROJECT_IN_NODE}/agent/main.ts "$@"\n`
  await lab.writeFile(node, '/usr/bin/tlsfleet-agent', wrapper)
  const unit = `${PROJECT_IN_NODE}/systemd/tlsfleet-agent.service`
  const install = `chmod 755 /usr/bin/tlsfleet-agent; cp ${unit} /etc/systemd/system/; systemctl daemon-reload`
  await lab.output(node, ['sh', '-c', install])
}

async function stockProducts(lab: Lab, node: string): Promise<void> {
  for (const [port, path] of [
    [PORTS.prometheus, '/-/ready'],
    [PORTS.influxdb, '/ping'],
  ] as const) {
    const isUp = async () =>
      [200, 204].includes((await lab.http(node, `http://127.0.0.1:${port}${path}`)).status)
    await until(isUp, { what: `${node} answers on ${port}` })
  }
}

/** A spec for all nodes of the fleet; `more` are settings of prometheus. */
export function labSpec(more = '', defaults = ''): string {
  return `version: 1
fleet: lab
defaults:
  lifetime: 30d
  verify: { stableFor: 1s, deadline: 60s }
${defaults}services:
  - service: prometheus
    nodes: all
${more}  - service: influxdb
    nodes: all
`
}
