// A whole fleet in a lab: a controller on its own host, agents as services of real nodes, and an
// operator with the command line. Everything runs from the sources.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type { ChildProcess } from 'node:child_process'
import type { Outcome } from '../lab/command.ts'
import { type Lab, PROJECT_IN_NODE, until } from '../lab/lab.ts'

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
  /** The same, with its JSON; throws when it fails. */
  cliJson(argv: readonly string[]): Promise<Readonly<Record<string, unknown>>>
  /** `tlsfleet apply` of this spec, to the end of its rollout. */
  apply(spec: string): Promise<Outcome>
  specFile(spec: string): string
  /** Registers a node and gives its token. */
  addNode(node: string): Promise<string>
  enroll(node: string, token: string): Promise<Outcome>
  startAgent(node: string): Promise<void>
  nodes(): Promise<readonly NodeStatus[]>
  untilState(node: string, state: string): Promise<void>
  startController(): Promise<void>
  /** SIGKILL, nothing is said to anybody. */
  killController(): Promise<void>
  /** Fingerprint of what a client gets that trusts the fleet's service CA; throws when it must not. */
  handshake(node: string, port: number): Promise<string>
  invocation(node: string, unit: string): Promise<string>
  /** Every managed file with its times, and the identity of the processes. */
  state(node: string): Promise<string>
  end(): void
}

export const PORTS = { prometheus: 9090, influxdb: 8086 } as const

/** Controller up, operator logged in, nodes booted and not yet enrolled. */
export async function createLabFleet(lab: Lab): Promise<LabFleet> {
  const directory = mkdtempSync(join(tmpdir(), 'fleet-'))
  const data = join(directory, 'data')
  const trustFile = join(directory, 'trust.pem')
  const env = { ...process.env, TLSFLEET_CONFIG: join(directory, 'cli.json') }
  let controller: ChildProcess | undefined

  const program = (argv: readonly string[]) =>
    lab.exec('ctl', [process.execPath, ...argv], { env, timeoutMs: 240_000 })
  const cli: LabFleet['cli'] = argv => program([CLI, ...argv])
  const must = async (argv: readonly string[]) => {
    const outcome = await cli(argv)
    if (outcome.code !== 0)
      throw new Error(`tlsfleet ${argv.join(' ')}: ${outcome.code}: ${outcome.stderr}`)
    return outcome.stdout
  }
  const cliJson: LabFleet['cliJson'] = async argv => JSON.parse(await must(['--json', ...argv]))
  const specFile = (spec: string) => {
    const file = join(directory, 'fleet.yaml')
    writeFileSync(file, spec)
    return file
  }
  const nodes = async (): Promise<readonly NodeStatus[]> => {
    const status: { nodes: readonly NodeStatus[] } = JSON.parse(await must(['--json', 'status']))
    return status.nodes
  }
  const startController = async () => {
    const serve = ['serve', '--data-dir', data, '--log-level', 'warn']
    controller = lab.spawn('ctl', [process.execPath, CONTROLLER, ...serve])
    controller.stdout?.resume()
    controller.stderr?.resume()
    await until(async () => (await cli(['--json', 'status'])).code === 0, {
      what: 'the controller answers',
      everyMs: 200,
      timeoutMs: 60_000,
    })
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
  await startController()
  writeFileSync(trustFile, await must(['trust']))
  await Promise.all(lab.nodes.map(node => prepare(lab, node)))

  return {
    cli,
    cliJson,
    specFile,
    apply: spec => cli(['apply', '-f', specFile(spec), '--yes', '--quiet', '--no-color']),
    async addNode(node) {
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
      const text = await must(['--json', 'node', 'add', node, '--label', 'role=all', ...names])
      const added: { enrollment: { token: string } } = JSON.parse(text)
      return added.enrollment.token
    },
    enroll: (node, token) =>
      lab.exec(node, ['tlsfleet-agent', 'enroll', '--token-file', '-'], { input: token }),
    startAgent: async node =>
      void (await lab.output(node, ['systemctl', 'enable', '--now', 'tlsfleet-agent'])),
    nodes,
    async untilState(node, state) {
      let last = ''
      const look = async () => {
        const found = (await nodes()).find(one => one.name === node)
        last = JSON.stringify(found)
        return found?.state === state
      }
      await until(look, { what: `${node} is ${state}`, everyMs: 300, timeoutMs: 90_000 }).catch(
        error => {
          throw new Error(`${String(error)}: ${last}`)
        },
      )
    },
    startController,
    async killController() {
      const child = controller
      if (child === undefined || child.exitCode !== null) return
      const ended = new Promise(resolve => child.once('exit', resolve))
      // The kernel takes the controller along, see lab.sh.
      child.kill('SIGKILL')
      await ended
      await until(async () => (await cli(['--json', 'status'])).code !== 0, {
        what: 'the controller is gone',
      })
    },
    async handshake(node, port) {
      const outcome = await program([HANDSHAKE, node, String(port), trustFile])
      if (outcome.code !== 0) throw new Error(`${node}:${port}: ${outcome.stderr}`)
      return outcome.stdout.trim()
    },
    invocation: (node, unit) =>
      lab.output(node, ['systemctl', 'show', unit, '--property=InvocationID', '--value']),
    state(node) {
      const files =
        'find /etc/prometheus /etc/influxdb /etc/default -printf "%p %i %T@ %C@ %m %U %G\\n" | sort'
      const units = 'systemctl show prometheus influxdb --property=InvocationID,NRestarts'
      return lab.output(node, ['sh', '-c', `${files}; ${units}`])
    },
    end() {
      controller?.kill('SIGKILL')
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

async function prepare(lab: Lab, node: string): Promise<void> {
  const wrapper = `#!/bin/sh\nexec /usr/bin/node ${PROJECT_IN_NODE}/agent/main.ts "$@"\n`
  await lab.writeFile(node, '/usr/bin/tlsfleet-agent', wrapper)
  const unit = `${PROJECT_IN_NODE}/systemd/tlsfleet-agent.service`
  const install = `chmod 755 /usr/bin/tlsfleet-agent; cp ${unit} /etc/systemd/system/; systemctl daemon-reload`
  await lab.output(node, ['sh', '-c', install])
  for (const [port, path] of [
    [PORTS.prometheus, '/-/ready'],
    [PORTS.influxdb, '/ping'],
  ] as const) {
    const isUp = async () =>
      [200, 204].includes((await lab.http(node, `http://127.0.0.1:${port}${path}`)).status)
    await until(isUp, { what: `${node} answers on ${port}`, timeoutMs: 60_000 })
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
