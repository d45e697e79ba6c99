// The same job by other tools, side by side: a no-op pass over two services of one host. What they
// are told is in peers/; ours looks at running services as well, and they do not.

import { execFileSync } from 'node:child_process'
import {
  copyFileSync,
  existsSync,
  globSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { describeError } from '../../shared/errors.ts'
import { convergeStandalone, productsHere, type Standalone } from './bench-node.ts'
import { median, printMetric, say } from './metric.ts'
import { type Cost, measureInTurns, type WholeProcess } from './one-shot.ts'
import { measurePasses } from './passes.ts'
import { buildPrograms } from './programs.ts'

const HERE = join(import.meta.dirname, 'peers')
const TURNS = 9
const PASSES = 200

interface Peer {
  readonly name: string
  readonly program: string
  /** Of Debian. */
  readonly package: string
  readonly argv: readonly string[]
  readonly env: (root: string) => NodeJS.ProcessEnv
  readonly turns: number
}

const PEERS: readonly Peer[] = [
  {
    name: 'cf-agent',
    program: 'cf-agent',
    package: 'cfengine3',
    argv: ['-K', '-f', join(HERE, 'cfengine.cf')],
    env: root => ({ PEER_ROOT: root }),
    turns: TURNS,
  },
  {
    name: 'puppet',
    program: 'puppet',
    package: 'puppet-agent',
    argv: ['apply', join(HERE, 'puppet.pp')],
    env: root => ({ FACTER_root: root }),
    // Three seconds a turn, and eight of Ansible.
    turns: 3,
  },
  {
    name: 'ansible',
    program: 'ansible-playbook',
    package: 'ansible',
    argv: ['-i', 'localhost,', '-c', 'local', join(HERE, 'ansible.yml')],
    // It refuses any locale that is not UTF-8.
    env: root => ({ LC_ALL: 'C.UTF-8', ANSIBLE_NOCOLOR: '1', PEER_ROOT: root }),
    turns: 3,
  },
]

export async function comparePeers(): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), 'tlsfleet-peers-'))
  const standalone = await convergeStandalone(dir, await buildPrograms(dir))
  try {
    say(productsHere())
    const root = join(dir, 'peers')
    prepareRoot(root)
    const ours = await measureOurs(standalone)
    for (const peer of PEERS) {
      const program = find(peer.program)
      if (program === undefined)
        say(`${peer.name} is not installed: apt-get install ${peer.package}`)
      else await comparePeer(peer, program, root, ours)
    }
  } finally {
    await standalone.node.stop()
    rmSync(dir, { recursive: true, force: true })
  }
}

/** One that lacks something (Ansible a collection) is told, and the others are measured. */
async function comparePeer(peer: Peer, program: string, root: string, ours: Ours): Promise<void> {
  let costs: readonly Cost[]
  try {
    costs = await measurePeer(peer, program, root)
  } catch (error) {
    say(`${peer.name} cannot do the job (apt-get install ${peer.package}): ${describeError(error)}`)
    return
  }
  printPeer(peer.name, costs, ours)
}

interface Ours {
  readonly applyCpuMs: number
  readonly passCpuMs: number
}

/** The whole process, as the others are; and a pass of the daemon, which they have no match for. */
async function measureOurs(standalone: Standalone): Promise<Ours> {
  const { argv, env } = standalone
  const apply = { name: 'apply', file: process.execPath, argv: argv('apply'), env }
  const costs = (await measureInTurns([apply], TURNS)).get('apply') ?? []
  const applyCpuMs = median(costs.map(cost => cost.cpuMs))
  const { cpuMs } = await measurePasses(standalone, PASSES)
  const passCpuMs = median(cpuMs)
  printMetric('peers.tlsfleet.apply.cpu_ms', applyCpuMs, 'ms', costs.length)
  printMetric('peers.tlsfleet.pass.cpu_ms', passCpuMs, 'ms', cpuMs.length)
  return { applyCpuMs, passCpuMs }
}

async function measurePeer(peer: Peer, program: string, root: string): Promise<readonly Cost[]> {
  const extra = peer.name === 'ansible' ? ['-e', `root=${root}`] : []
  const whole: WholeProcess = {
    name: peer.name,
    file: program,
    argv: [...peer.argv, ...extra],
    env: { HOME: root, ...peer.env(root) },
  }
  // What is left for it to converge is not measured.
  await measureInTurns([whole], 0)
  const before = look(root)
  const costs = (await measureInTurns([whole], peer.turns)).get(peer.name) ?? []
  if (look(root) !== before) throw new Error(`a no-op pass of ${peer.name} changed something`)
  return costs
}

function printPeer(name: string, costs: readonly Cost[], ours: Ours): void {
  const cpuMs = median(costs.map(cost => cost.cpuMs))
  printMetric(`peers.${name}.cpu_ms`, cpuMs, 'ms', costs.length)
  printMetric(`peers.${name}.wall_ms`, median(costs.map(cost => cost.wallMs)), 'ms', costs.length)
  printMetric(`peers.${name}.cpu_ratio`, cpuMs / ours.passCpuMs, 'ratio', costs.length)
  printMetric(`peers.${name}.apply_cpu_ratio`, cpuMs / ours.applyCpuMs, 'ratio', costs.length)
}

/** A host that Ansible has converged, also where there is no Ansible. */
function prepareRoot(root: string): void {
  execFileSync(join(HERE, 'prepare.sh'), [root], { stdio: 'pipe' })
  const at = (path: string) => join(root, path)
  for (const service of ['influxdb', 'prometheus']) {
    const tls = at(`etc/${service}/tls`)
    mkdirSync(tls, { mode: 0o750 })
    issue(root, tls)
    copyFileSync(at('ca/ca.crt'), join(tls, 'ca.crt'))
  }
  const pair = (service: string, name: string) => at(`etc/${service}/tls/tls.${name}`)
  const conf = readFileSync(at('etc/influxdb/influxdb.conf'), 'utf8')
  const keys = `https-enabled = true\nhttps-certificate = "${pair('influxdb', 'crt')}"\nhttps-private-key = "${pair('influxdb', 'key')}"\n`
  writeFileSync(at('etc/influxdb/influxdb.conf'), conf.replace(/^\[http\]\n/m, `[http]\n${keys}`))
  writeFileSync(
    at('etc/prometheus/web-config.yml'),
    `tls_server_config:\n  cert_file: ${pair('prometheus', 'crt')}\n  key_file: ${pair('prometheus', 'key')}\n`,
    { mode: 0o640 },
  )
  writeFileSync(
    at('etc/default/prometheus'),
    `ARGS="--web.config.file=${at('etc/prometheus/web-config.yml')}"\n`,
  )
}

function issue(root: string, tls: string): void {
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']
  const signer = ['-CA', join(root, 'ca/ca.crt'), '-CAkey', join(root, 'ca/ca.key')]
  const names = ['-addext', 'subjectAltName=DNS:node-1.example.com,IP:127.0.0.1']
  const files = ['-keyout', join(tls, 'tls.key'), '-out', join(tls, 'tls.crt')]
  // cf-agent and Puppet look whether it ends within a month.
  const argv = ['req', '-x509', '-days', '90', '-subj', '/CN=node-1.example.com']
  execFileSync('openssl', [...argv, ...key, ...signer, ...names, ...files], { stdio: 'pipe' })
}

/** Every file with its times. The tools' own caches and logs, in hidden directories, do not count. */
function look(root: string): string {
  return globSync('{ca,etc}/**', { cwd: root })
    .toSorted()
    .map(path => {
      const { mode, ino, mtimeNs, ctimeNs } = lstatSync(join(root, path), { bigint: true })
      return `${path} ${mode} ${ino} ${mtimeNs} ${ctimeNs}`
    })
    .join('\n')
}

function find(program: string): string | undefined {
  const directories = [...(process.env['PATH'] ?? '').split(delimiter), '/opt/puppetlabs/bin']
  return directories.map(directory => join(directory, program)).find(path => existsSync(path))
}
