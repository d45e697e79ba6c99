// The same story without root: a root directory and a stand-in systemctl per node, supervising real
// processes: the real products where they are installed, simulators else.

import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { globSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { AGENT_FLAGS } from '../../systemd/flags.ts'
import { runCommand } from '../lab/command.ts'
import { until } from '../lab/until.ts'
import { type SandboxNode, createSandboxNode, findProgram, freePort } from '../sandbox/sandbox.ts'
import type { Stage, StageNode } from './stage.ts'

const PROJECT = dirname(dirname(import.meta.dirname))
const NODES = ['n1', 'n2', 'n3']

export async function createSandboxStage(why: string, say: (line: string) => void): Promise<Stage> {
  const directory = mkdtempSync(join(tmpdir(), 'tlsfleet-demo-'))
  const children: ChildProcess[] = []
  const sandboxes: SandboxNode[] = []
  const nodes: StageNode[] = []
  for (const name of NODES) {
    const [prometheus, influxdb] = [await freePort(), await freePort()]
    const sandbox = await createSandboxNode({
      dir: directory,
      name,
      services: [
        { service: 'prometheus', port: prometheus },
        { service: 'influxdb', port: influxdb },
      ],
    })
    sandboxes.push(sandbox)
    nodes.push(stageNode(sandbox, { prometheus, influxdb }, children))
  }
  say(`${NODES.length} sandbox nodes started`)
  const ports = { operator: await freePort(), agent: await freePort(), enroll: await freePort() }
  const real = ['prometheus', 'influxd'].map(
    program => `${program} ${findProgram(program) === undefined ? 'simulated' : 'real'}`,
  )
  return {
    kind: 'sandbox',
    description: `${NODES.length} sandbox nodes, ${real.join(', ')}; no lab: ${why}`,
    nodes,
    controllerHosts: ['127.0.0.1', 'localhost'],
    listenArguments: Object.entries(ports).flatMap(([name, port]) => [
      `--listen-${name}`,
      `127.0.0.1:${port}`,
    ]),
    run: (argv, options) => runCommand(process.execPath, argv, { ...options, env: process.env }),
    startController(argv) {
      children.push(spawn(process.execPath, argv, { stdio: 'ignore' }))
    },
    howToLook: () => {
      const [first] = sandboxes
      return first === undefined
        ? []
        : [
            `${first.systemctl} show prometheus     # the stand-in for systemctl of ${first.name}`,
            `node dist/tlsfleet-agent.mjs status --root ${first.root} --systemctl ${first.systemctl}`,
            `ls -R ${first.root}/etc`,
          ]
    },
    async down() {
      await Promise.all(children.map(endOf))
      for (const sandbox of sandboxes) await sandbox.stop()
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

async function endOf(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return
  const ended = new Promise(resolve => child.once('exit', resolve))
  child.kill('SIGTERM')
  await ended
}

function stageNode(
  sandbox: SandboxNode,
  ports: { readonly prometheus: number; readonly influxdb: number },
  children: ChildProcess[],
): StageNode {
  const { root, systemctl, name } = sandbox
  const place = ['--root', root, '--systemctl', systemctl]
  const main = join(PROJECT, 'dist', 'tlsfleet-agent.mjs')
  const physical = (path: string) => join(root, path)
  return {
    name,
    dns: ['localhost'],
    ip: ['127.0.0.1'],
    listeners: [
      { service: 'prometheus', host: '127.0.0.1', port: ports.prometheus },
      { service: 'influxdb', host: '127.0.0.1', port: ports.influxdb },
    ],
    agent: (argv, options) => runCommand(process.execPath, [main, ...argv, ...place], options),
    async startAgent() {
      const child = spawn(process.execPath, [...AGENT_FLAGS, main, 'run', ...place], {
        stdio: ['ignore', 'ignore', 'pipe'],
      })
      children.push(child)
      let said = ''
      child.stderr.setEncoding('utf8').on('data', (text: string) => {
        said = (said + text).slice(-4096)
      })
      await until(() => said.includes('agent ready'), { what: `the agent of ${name} is ready` })
    },
    readFile: async path => readFileSync(physical(path), 'utf8'),
    writeFile: async (path, contents) => writeFileSync(physical(path), contents),
    async state() {
      const files = globSync('etc/{prometheus,influxdb,default}/**', { cwd: root }).sort()
      const stats = files.map(file => {
        const { ino, mtimeMs, ctimeMs, mode } =
          statSync(join(root, file), { throwIfNoEntry: false }) ?? {}
        return `${file} ${ino} ${mtimeMs} ${ctimeMs} ${mode}`
      })
      return [
        ...stats,
        await invocation(sandbox, 'prometheus'),
        await invocation(sandbox, 'influxdb'),
      ].join('\n')
    },
    invocation: service => invocation(sandbox, service),
  }
}

async function invocation(sandbox: SandboxNode, service: string): Promise<string> {
  return (await sandbox.run('show', service, '--property=InvocationID')).stdout.trim()
}
