// The real prometheus, alertmanager and node_exporter do what their drivers mean: a node of the three
// with what was compiled for it, to TLS and back. They need no lab, only to be here.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import t, { type Test } from 'tap'
import { splitWords, readVariable } from '../../agent/formats/env-file.ts'
import type { DriverContext } from '../../agent/services/service.ts'
import type { ServiceTlsOf, TlsSwitch, Upstream } from '../../shared/contract/service.ts'
import { normalizeBundle } from '../../shared/pki/trust.ts'
import {
  applied,
  compiledOn,
  RELEASE,
  serverTls,
  type FakeNode,
} from '../agent/services/fake-node.ts'
import {
  debianNode,
  environmentOf,
  PRODUCTS,
  SCRAPE,
  WEB_SERVICES,
  type WebService,
} from '../agent/services/web-nodes.ts'
import { findProgram, freePort } from '../sandbox/sandbox.ts'
import { createCa, issue } from '../simulators/certificates.ts'
import { startDaemon, type Daemon } from '../simulators/daemon.ts'
import { probe } from '../simulators/probe.ts'
import { LAB_UNAVAILABLE } from './availability.ts'
import { until } from './until.ts'

const PROGRAMS = {
  alertmanager: findProgram('prometheus-alertmanager'),
  'node-exporter': findProgram('prometheus-node-exporter'),
  prometheus: findProgram('prometheus'),
}

type Ports = Record<WebService, number>
type Nodes = Record<WebService, FakeNode>

interface Estate {
  readonly root: string
  readonly ports: Ports
  readonly ca: string
  readonly context: DriverContext
}

const missing = WEB_SERVICES.filter(service => PROGRAMS[service] === undefined)
if (missing.length > 0) {
  const skip = `${LAB_UNAVAILABLE}: ${missing.join(', ')} not installed (apt-get install prometheus prometheus-alertmanager prometheus-node-exporter)`
  await t.test('three real programs', { skip }, async () => {})
} else {
  await t.test('three real programs scrape and alert over TLS, and without again', theStory)
}

async function theStory(t: Test): Promise<void> {
  const root = mkdtempSync(join(tmpdir(), 'tlsfleet-web-config-'))
  t.teardown(() => rmSync(root, { recursive: true }))
  const ca = createCa(root)
  const ports = {
    alertmanager: await freePort(),
    'node-exporter': await freePort(),
    prometheus: await freePort(),
  }
  const context = { servicePath: (path: string) => `${root}${path}` }
  const estate = { root, ports, ca: normalizeBundle([ca.certPem]), context }
  const pair = issue(ca, 'leaf', { names: 'DNS:m1.example.com,DNS:localhost,IP:127.0.0.1' })
  for (const service of WEB_SERVICES) {
    const { directory } = PRODUCTS[service]
    put(estate, `${directory}/releases/${RELEASE}/chain.pem`, pair.certPem)
    put(estate, `${directory}/releases/${RELEASE}/key.pem`, pair.keyPem)
    put(estate, `${directory}/ca.pem`, ca.certPem)
  }
  put(estate, '/alertmanager.yml', 'route: {receiver: a}\nreceivers: [{name: a}]\n')

  const stock = stockNodes(estate)
  const secure = switched(stock, 'on', estate)
  const plain = switched(secure, 'off', estate)

  await t.test('with TLS', t => isHealthy(t, secure, 'on', estate))
  await t.test('without TLS', t => isHealthy(t, plain, 'off', estate))
}

function stockNodes(estate: Estate): Nodes {
  const { ports } = estate
  const jobs = `global: {scrape_interval: 1s, scrape_timeout: 1s}
alerting:
  alertmanagers:
  - static_configs:
    - targets: ['localhost:${ports.alertmanager}']
scrape_configs:
- job_name: self
  static_configs:
  - targets: ['127.0.0.1:${ports.prometheus}']
- job_name: others
  static_configs:
  - targets: ['localhost:${ports['node-exporter']}', '127.0.0.1:${ports.alertmanager}']
`
  const args = (service: WebService, more = '') =>
    `--web.listen-address=127.0.0.1:${ports[service]} ${more}`.trim()
  const at = estate.context.servicePath
  return {
    alertmanager: debianNode('alertmanager', {
      args: args(
        'alertmanager',
        `--config.file=${at('/alertmanager.yml')} --storage.path=${at('/am')} --cluster.listen-address=`,
      ),
    }),
    'node-exporter': debianNode('node-exporter', { args: args('node-exporter') }),
    prometheus: debianNode('prometheus', {
      args: args('prometheus', `--config.file=${at(SCRAPE)} --storage.tsdb.path=${at('/tsdb')}`),
      files: { [SCRAPE]: jobs },
    }),
  }
}

function switched(nodes: Nodes, tls: TlsSwitch, estate: Estate): Nodes {
  const upstreams: Upstream[] = WEB_SERVICES.map(service => ({
    service,
    port: estate.ports[service],
    tls,
    names: { dns: ['m1.example.com'], ip: [] },
  }))
  const common = { tls, trust: [estate.ca], upstreams, upstreamTrust: [estate.ca] }
  const intent = (service: WebService): ServiceTlsOf<WebService> => ({
    ...serverTls(service),
    ...common,
  })
  const of = (service: WebService) => {
    const node = nodes[service]
    return applied(node, compiledOn(intent(service), node, estate.context))
  }
  return {
    alertmanager: of('alertmanager'),
    'node-exporter': of('node-exporter'),
    prometheus: of('prometheus'),
  }
}

async function isHealthy(t: Test, nodes: Nodes, tls: TlsSwitch, estate: Estate): Promise<void> {
  const { ports, ca } = estate
  const daemons = WEB_SERVICES.map(service => start(service, nodes[service], estate))
  t.teardown(() => Promise.all(daemons.map(daemon => daemon.stop())))
  const ask = (service: WebService, path: string) =>
    probe({ port: ports[service], path, ...(tls === 'on' ? { ca } : {}) })
  const printed = () => daemons.map(daemon => daemon.output()).join('\n')

  for (const service of WEB_SERVICES) {
    const path = service === 'node-exporter' ? '/' : '/-/ready'
    const status = await until(
      async () => {
        const answer = await ask(service, path)
        return answer.status === 200 ? answer.status : undefined
      },
      { what: `${service} is ready`, everyMs: 100 },
    ).catch((error: unknown) => `${String(error)}: ${printed()}`)
    t.equal(status, 200, `${service} is ready`)
  }
  const scheme = tls === 'on' ? 'https' : 'http'
  const up = await until(
    async () => {
      const { body } = await ask('prometheus', '/api/v1/targets?state=active')
      const urls = [...body.matchAll(/"scrapeUrl":"(\w+):[^}]*?"health":"up"/g)]
      return urls.length === 3 ? urls.map(([, found]) => found) : undefined
    },
    { what: 'all targets are up' },
  )
  t.same(up, [scheme, scheme, scheme], 'every target is up')
  const active = `"activeAlertmanagers":[{"url":"${scheme}://localhost:${ports.alertmanager}/`
  await until(
    async () => (await ask('prometheus', '/api/v1/alertmanagers')).body.includes(active),
    { what: `alerts go to ${scheme}` },
  )
}

function start(service: WebService, node: FakeNode, estate: Estate): Daemon {
  for (const [path, file] of Object.entries(node.files))
    if (typeof file === 'string') put(estate, path, file)
  const environment = node.files[environmentOf(service)]
  const words = splitWords(
    readVariable(typeof environment === 'string' ? environment : '', 'ARGS') ?? '',
  )
  return startDaemon({ argv: [PROGRAMS[service] ?? '', ...words] })
}

function put({ root }: Estate, path: string, text: string): void {
  mkdirSync(dirname(join(root, path)), { recursive: true })
  writeFileSync(join(root, path), text)
}
