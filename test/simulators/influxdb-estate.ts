// Meta and data nodes of a cluster for the tests of their simulators: names that are resolved by
// SIM_HOSTS, roots by SSL_CERT_FILE, times that are short.

import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import { type Outcome, runCommand } from '../lab/command.ts'
import { until } from '../lab/until.ts'
import { freePort } from '../support/free-port.ts'
import { createCa, issue, type TestCertificate } from './certificates.ts'
import { type Daemon, startDaemon, untilPrinted } from './daemon.ts'
import { parseAs, ShowCluster, Status } from './influxdb-meta/wire.ts'
import { probe, type ProbeOptions } from './probe.ts'

export const META = join(import.meta.dirname, 'influxdb-meta/influxd-meta-sim.ts')
export const CTL = join(import.meta.dirname, 'influxdb-meta/influxd-ctl-sim.ts')
const INFLUXD = join(import.meta.dirname, 'influxdb/influxd-sim.ts')

export interface EstateNode {
  readonly name: string
  readonly httpPort: number
  /** Raft of a meta node, RPC of a data node. */
  readonly peerPort: number
  /** Lines of [meta]; of a data node whole tables may follow. */
  configure(lines: string): void
  start(env?: Readonly<Record<string, string>>): Promise<Daemon>
  get(path: string, more?: Partial<ProbeOptions>): ReturnType<typeof probe>
}

export interface Estate {
  readonly directory: string
  readonly env: Readonly<Record<string, string>>
  readonly ca: ReturnType<typeof createCa>
  /** Key mode 0600; the name is the only SAN. */
  issue(name: string, names?: string): TestCertificate
  meta(name: string): Promise<EstateNode>
  data(name: string): Promise<EstateNode>
  ctl(...argv: readonly string[]): Promise<Outcome>
}

/** `patience`: for so long a meta node may be busy before the others look for another leader. */
const times = (patience: string) => `gossip-frequency = "100ms"
announcement-expiration = "700ms"
heartbeat-timeout = "${patience}"
election-timeout = "400ms"
leader-lease-timeout = "${patience}"
`

export function createEstate(t: Test, version: string, patience = '400ms'): Estate {
  const directory = t.testdir()
  const ca = createCa(directory)
  const hosts = ['m1', 'm2', 'm3', 'd1', 'd2'].map(name => `${name}=127.0.0.1`).join(',')
  const env = {
    SIM_VERSION: version,
    SIM_HOSTS: hosts,
    SSL_CERT_FILE: ca.certFile,
    SSL_CERT_DIR: '/nonexistent',
  }
  const createNode = async (
    name: string,
    program: readonly string[],
    text: (ports: readonly [number, number], lines: string) => string,
  ): Promise<EstateNode> => {
    const ports = [await freePort(), await freePort()] as const
    const file = join(directory, `${name}.conf`)
    const configure = (lines: string) => writeFileSync(file, text(ports, lines))
    configure('')
    return {
      name,
      httpPort: ports[0],
      peerPort: ports[1],
      configure,
      start: async (more = {}) => {
        const argv = [process.execPath, ...program, '-config', file]
        const daemon = startDaemon({ argv, env: { ...env, SIM_BUILD: 'Enterprise', ...more } })
        t.teardown(() => daemon.stop())
        await untilPrinted(daemon, 'Listening for signals')
        return daemon
      },
      get: (path, more = {}) => probe({ port: ports[0], path, ...more }),
    }
  }
  const place = (name: string) => JSON.stringify(join(directory, name))
  return {
    directory,
    env,
    ca,
    issue: (name, names = `DNS:${name}`) => {
      const made = issue(ca, `${name}-${serial++}`, { names })
      chmodSync(made.keyFile, 0o600)
      return made
    },
    meta: name =>
      createNode(
        name,
        [META],
        ([http, raft], lines) =>
          `hostname = "${name}"\n[meta]\ndir = ${place(name)}\nbind-address = "127.0.0.1:${raft}"\n` +
          `http-bind-address = "127.0.0.1:${http}"\n${times(patience)}${lines}`,
      ),
    data: name =>
      createNode(
        name,
        [INFLUXD],
        ([http, rpc], lines) =>
          `hostname = "${name}"\nbind-address = "127.0.0.1:${rpc}"\ngossip-frequency = "100ms"\n` +
          `[data]\ndir = ${place(`${name}/data`)}\n[http]\nbind-address = "127.0.0.1:${http}"\n` +
          `[hinted-handoff]\ndir = ${place(`${name}/hh`)}\nretry-interval = "100ms"\nretry-max-interval = "200ms"\n` +
          `[meta]\ndir = ${place(`${name}/meta`)}\n${lines}`,
      ),
    ctl: (...argv) => runCommand(process.execPath, [CTL, ...argv], { env }),
  }
}

let serial = 1
/** Lines of [meta] that turn HTTPS on. */
export function secured({ certFile, keyFile }: TestCertificate): string {
  return `https-enabled = true\nhttps-certificate = ${JSON.stringify(certFile)}\nhttps-private-key = ${JSON.stringify(keyFile)}\n`
}

export async function statusOf(node: EstateNode, ca?: string) {
  const answer = await node.get('/status', tls(node, ca))
  const status = parseAs(Status, answer.body)
  if (status === undefined) throw new Error(`${answer.status} ${answer.body}`)
  return status
}

export async function shownBy(node: EstateNode, ca?: string) {
  const shown = parseAs(ShowCluster, (await node.get('/show-cluster', tls(node, ca))).body)
  if (shown === undefined) throw new Error('no cluster is shown')
  return shown
}

/** The probe dials 127.0.0.1; the name is what the certificate must have. */
export function tls(node: EstateNode, ca: string | undefined): Partial<ProbeOptions> {
  return ca === undefined ? {} : { ca, servername: node.name }
}

export async function untilLed(
  node: EstateNode,
  peers: readonly EstateNode[],
  ca?: string,
): Promise<string> {
  const addresses = peers.map(peer => `${peer.name}:${peer.peerPort}`)
  return await until(
    async () => {
      const { leader, peers: found } = await statusOf(node, ca)
      return addresses.includes(leader) && found !== null && leader
    },
    { what: `${node.name} has a leader among ${addresses.join(', ')}`, everyMs: 50 },
  )
}

export async function untilUnled(node: EstateNode, ca?: string): Promise<void> {
  await until(
    async () => {
      const status = await statusOf(node, ca)
      return status.leader === '' && status.peers === null
    },
    { what: `${node.name} has no leader`, everyMs: 20 },
  )
}

/** `command` of a meta node's API; the status of the answer, redirects are not followed. */
export async function createDatabase(node: EstateNode, name: string, ca?: string) {
  const body = JSON.stringify({ createDatabase: name })
  return await node.get('/execute', { method: 'POST', body, ...tls(node, ca) })
}
