// examples/*: each fleet.yaml with the nodes that the lines of its README make.

import { globSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t from 'tap'
import { compileFleet } from '../../../controller/fleet/compile.ts'
import { rankOfNode } from '../../../controller/fleet/edges.ts'
import type { FleetSpec } from '../../../controller/fleet/intent.ts'
import { parseFleetSpec } from '../../../controller/fleet/spec.ts'
import { assert } from '../../../shared/assert.ts'
import { isServer, type ServiceName } from '../../../shared/contract/service.ts'

const ROOT = join(dirname(dirname(dirname(import.meta.dirname))), 'examples')
const CA = {
  trust: ['-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n'],
  issuedBy: 'ab'.repeat(32),
}

interface Example {
  readonly spec: FleetSpec
  readonly readme: string
  readonly nodes: readonly Node[]
}

interface Node {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly names: { readonly dns: string[]; readonly ip: string[] }
}

/** Services of each node, in the order in which the nodes are switched. */
const EXPECTED: Readonly<Record<string, Readonly<Record<string, readonly ServiceName[]>>>> = {
  elastic: {
    'beat-1': ['metricbeat'],
    'es-1': ['elasticsearch'],
    'es-2': ['elasticsearch'],
    'es-3': ['elasticsearch'],
    'kibana-1': ['kibana'],
  },
  'influxdb-enterprise': {
    'app-1': ['telegraf'],
    'meta-1': ['influxdb-meta'],
    'meta-2': ['influxdb-meta'],
    'meta-3': ['influxdb-meta'],
    'data-1': ['influxdb'],
    'data-2': ['influxdb'],
  },
  prometheus: {
    'app-1': ['node-exporter'],
    'app-2': ['node-exporter'],
    'mon-1': ['node-exporter', 'alertmanager', 'prometheus'],
  },
}

await t.test('there is a fleet for every guide, and no other', async t => {
  const names = globSync('*/fleet.yaml', { cwd: ROOT }).map(dirname)
  t.strictSame(names.toSorted(), Object.keys(EXPECTED))
})

for (const [name, expected] of Object.entries(EXPECTED)) {
  await t.test(`${name}: the nodes of its README get what they should, in order`, async t => {
    const example = readExample(name)

    const compiled = compileFleet(example.spec, example.nodes, CA)

    t.strictSame(compiled.problems, [])
    t.strictSame(compiled.unselected, [])
    const order = inOrder(compiled.nodes)
    t.strictSame(order.map(servicesOf), Object.entries(expected))
    t.match(example.readme, `\nOrder: ${order.map(({ node }) => node).join(', ')}\n`)
  })

  await t.test(`${name}: clients are told every server that they have`, async t => {
    const example = readExample(name)

    const { nodes } = compileFleet(example.spec, example.nodes, CA)

    const services = nodes.flatMap(({ content }) => content.services)
    for (const { service, tls, upstreams, upstreamTrust } of services) {
      t.equal(tls, 'on')
      if (upstreams.length > 0) t.strictSame(upstreamTrust, CA.trust, `trust of ${service}`)
      t.notOk(
        upstreams.find(one => one.tls === 'off'),
        service,
      )
    }
    const clients = services.filter(one => !isServer(one) || one.service === 'kibana')
    for (const { service, upstreams } of clients) t.ok(upstreams.length > 0, service)
  })

  await t.test(`${name}: back to plaintext in the order that the README says`, async t => {
    const example = readExample(name)
    const services = example.spec.services.map(intent => ({ ...intent, tls: 'off' as const }))

    const compiled = compileFleet({ ...example.spec, services }, example.nodes, CA)

    t.strictSame(compiled.problems, [])
    const order = inOrder(compiled.nodes).map(({ node }) => node)
    t.match(example.readme, `\nOrder back: ${order.join(', ')}\n`)
  })
}

await t.test('issuers/acme: its node gets certificates of the directory in its README', async t => {
  const { spec, nodes } = readExample('issuers/acme')

  const { problems } = compileFleet(spec, nodes, CA)
  t.match(problems, [{ message: /has no ACME directory `corp`/ }])
  const directories = new Map([['corp', { ipAddresses: false }]])
  const compiled = compileFleet(spec, nodes, CA, undefined, directories)

  t.strictSame(compiled.problems, [])
  t.match(compiled.nodes, [
    { content: { services: [{ certificate: { issuer: 'acme', directory: 'corp' } }] } },
  ])
})

function readExample(name: string): Example {
  const readme = readFileSync(join(ROOT, name, 'README.md'), 'utf8')
  const parsed = parseFleetSpec(readFileSync(join(ROOT, name, 'fleet.yaml'), 'utf8'))
  assert(parsed.kind === 'ok', JSON.stringify(parsed))
  const lines = readme.split('\n').filter(line => line.startsWith('tlsfleet node add '))
  return { spec: parsed.spec, readme, nodes: lines.map(nodeOf) }
}

// As the command line reads it: an option takes the words up to the next one.
function nodeOf(line: string): Node {
  const [name = '', ...words] = line.replace('tlsfleet node add ', '').split(' ')
  const options = new Map<string, string[]>([
    ['--label', []],
    ['--dns', []],
    ['--ip', []],
  ])
  let current: string[] | undefined
  for (const word of words) {
    if (word.startsWith('--')) {
      current = options.get(word)
      assert(current !== undefined, `${word} is no option of \`tlsfleet node add\`: ${line}`)
    } else current?.push(word)
  }
  const labels = (options.get('--label') ?? []).map(text => text.split('='))
  return {
    name,
    labels: Object.fromEntries(labels.map(([key = '', value = '']) => [key, value])),
    names: { dns: options.get('--dns') ?? [], ip: options.get('--ip') ?? [] },
  }
}

type Compiled = ReturnType<typeof compileFleet>['nodes']

function inOrder(nodes: Compiled): Compiled {
  return nodes.toSorted((a, b) => rankOfNode(a.content.services) - rankOfNode(b.content.services))
}

function servicesOf({ node, content }: Compiled[number]) {
  return [node, content.services.map(({ service }) => service)] as const
}
