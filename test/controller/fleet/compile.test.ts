import fc from 'fast-check'
import t from 'tap'
import { assert } from '../../../shared/assert.ts'
import { isServer, type ServiceTls } from '../../../shared/contract/service.ts'
import { DesiredContent } from '../../../shared/contract/desired-state.ts'
import { compileFleet, compileNode } from '../../../controller/fleet/compile.ts'
import { rankOfNode } from '../../../controller/fleet/edges.ts'
import { NO_LISTENERS } from '../../../controller/fleet/listeners.ts'
import type { KnownCertificate } from '../../../controller/fleet/self-signed.ts'
import { parseFleetSpec } from '../../../controller/fleet/spec.ts'

const CA = {
  trust: ['-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n'],
  issuedBy: 'ab'.repeat(32),
}

const PEM_A = '-----BEGIN CERTIFICATE----- a'
const PEM_B = '-----BEGIN CERTIFICATE----- b'
const PEM_C = '-----BEGIN CERTIFICATE----- c'
const ALONE = { ca: CA, listeners: NO_LISTENERS }

function certificateOf(tls: ServiceTls | undefined) {
  assert(tls !== undefined && isServer(tls), 'a product with a certificate')
  return tls.certificate
}

function node(
  name: string,
  labels: Record<string, string> = {},
  dns: string[] = [`${name}.example.org`],
) {
  return { name, labels, names: { dns, ip: ['10.0.0.1'] } }
}

function specOf(services: string) {
  const parsed = parseFleetSpec(`version: 1\nfleet: demo\nservices:\n${services}`)
  assert(parsed.kind === 'ok', JSON.stringify(parsed))
  return parsed.spec
}

await t.test(
  'a node gets what the entries that select it say, complete and in one order',
  async t => {
    const spec = specOf(`
  - { service: prometheus, nodes: all, minVersion: "1.3" }
  - { service: influxdb, nodes: { labels: { role: db } }, issuer: self-signed, lifetime: 9d }
`)

    const compiled = compileNode(spec, node('n1', { role: 'db' }), ALONE)

    assert(compiled.kind === 'content', 'compiles')
    t.strictSame(
      DesiredContent.parse(compiled.content),
      compiled.content,
      'nothing is left to default',
    )
    t.strictSame(
      compiled.content.services.map(one => one.service),
      ['influxdb', 'prometheus'],
    )
    const [influxdb, prometheus] = compiled.content.services
    t.match(influxdb, {
      trust: [],
      certificate: { issuer: 'self-signed', renewBeforeMs: 3 * 86_400_000 },
    })
    t.notOk(certificateOf(influxdb).issuedBy, 'no CA is expected of a self-signed certificate')
    t.match(prometheus, {
      trust: CA.trust,
      minVersion: '1.3',
      options: { externalUrl: 'manage' },
      certificate: {
        issuedBy: CA.issuedBy,
        names: { dns: ['n1.example.org'], ip: ['10.0.0.1'] },
        lifetimeMs: 30 * 86_400_000,
      },
    })
  },
)

await t.test('names come from the node record, an entry only picks among them', async t => {
  const spec = specOf('  - { service: prometheus, nodes: all, names: { dns: [WEB.example.org] } }')

  const fits = compileNode(spec, node('n1', {}, ['n1.example.org', 'web.example.org']), ALONE)
  const foreign = compileNode(spec, node('n1', {}, ['wep.example.org']), ALONE)

  assert(fits.kind === 'content', 'compiles')
  t.strictSame(certificateOf(fits.content.services[0]).names, { dns: ['web.example.org'], ip: [] })
  t.strictSame(foreign, {
    kind: 'problems',
    problems: [
      {
        path: ['services', 0, 'names'],
        message: '`web.example.org` is not recorded for node n1; did you mean `wep.example.org`?',
      },
    ],
  })
})

await t.test('what cannot be compiled is a problem that names the node and the entry', async t => {
  const twice = specOf(`
  - { service: prometheus, nodes: all }
  - { service: prometheus, nodes: { names: [n1] } }
`)
  const nameless = { name: 'n2', labels: {}, names: { dns: [], ip: [] } }

  const compiled = compileFleet(twice, [node('n1'), nameless], CA)
  const unknown = compileFleet(
    specOf('  - { service: prometheus, nodes: { names: [n11] } }'),
    [node('n1')],
    CA,
  )

  t.strictSame(compiled.problems, [
    {
      path: ['services', 1, 'nodes'],
      message: 'node n1 gets prometheus from services[0] already; an entry may select it once',
    },
    {
      path: ['services', 0, 'nodes'],
      message: 'node n2 has no names recorded, so no certificate can be made for it',
    },
  ])
  t.match(unknown, {
    nodes: [],
    unselected: ['n1'],
    problems: [{ message: 'no node is named `n11`; did you mean `n1`?' }],
  })
})

await t.test(
  'the same fleet compiles to the same digests, whatever the order of anything',
  async t => {
    const entries = [
      '  - { service: prometheus, nodes: { labels: { role: [web, db] } } }\n',
      '  - { service: influxdb, nodes: { labels: { role: db } } }\n',
    ]
    const nodes = ['a', 'b', 'c'].map((name, index) =>
      node(name, { role: index === 0 ? 'web' : 'db' }, [
        `${name}.example.org`,
        `x.${name}.example.org`,
      ]),
    )
    const reference = compileFleet(specOf(entries.join('')), nodes, CA)
    t.equal(reference.nodes.length, 3)

    fc.assert(
      fc.property(
        fc.shuffledSubarray(entries, { minLength: 2 }),
        fc.shuffledSubarray(nodes, { minLength: 3 }),
        fc.boolean(),
        (someEntries, someNodes, reverse) => {
          const shuffled = someNodes.map(one => ({
            ...one,
            names: { ...one.names, dns: reverse ? one.names.dns.toReversed() : one.names.dns },
          }))
          const compiled = compileFleet(specOf(someEntries.join('')), shuffled, CA)
          return JSON.stringify(compiled) === JSON.stringify(reference)
        },
      ),
      { numRuns: 30 },
    )

    const changed = compileFleet(specOf(entries.join('')), nodes, {
      ...CA,
      issuedBy: 'cd'.repeat(32),
    })
    t.not(changed.nodes[0]?.digest, reference.nodes[0]?.digest, 'another CA is another content')
  },
)

await t.test(
  'clients learn where the listeners of the fleet are, and who vouches for them',
  async t => {
    const spec = specOf(`
  - { service: telegraf, nodes: { names: [app] } }
  - { service: influxdb, nodes: { labels: { role: db } }, port: 8186 }
  - { service: kibana, nodes: { names: [app] }, tls: off }
  - { service: elasticsearch, nodes: { names: [es1] }, tls: off }
  - { service: elasticsearch, nodes: { names: [es2] } }
`)
    const nodes = [node('app'), node('es1'), node('es2'), node('db1', { role: 'db' })]

    const compiled = compileFleet(spec, nodes, CA)
    const seen = (name: string, service: string) =>
      compiled.nodes
        .find(one => one.node === name)
        ?.content.services.find(s => s.service === service)

    t.strictSame(compiled.problems, [])
    t.match(seen('app', 'telegraf'), {
      upstreams: [
        { service: 'influxdb', names: { dns: ['db1.example.org'] }, port: 8186, tls: 'on' },
      ],
      upstreamTrust: CA.trust,
    })
    t.strictSame(
      seen('app', 'kibana')?.upstreams.map(({ names, port, tls }) => [names.dns, port, tls]),
      [
        [['es1.example.org'], 9200, 'off'],
        [['es2.example.org'], 9200, 'on'],
      ],
    )
    t.notOk('certificate' in (seen('app', 'telegraf') ?? {}), 'a client gets no certificate')
  },
)

await t.test('clients are given self-signed certificates as they become known', async t => {
  const spec = specOf(`
  - { service: influxdb, nodes: all, issuer: self-signed }
  - { service: telegraf, nodes: all }
  - { service: prometheus, nodes: all, issuer: self-signed }
  - { service: node-exporter, nodes: all }
`)
  const known = new Map<string, KnownCertificate>()
  const nodes = [node('n1'), node('n2')]
  const seen = (service: string, name = 'n1') =>
    compileFleet(spec, nodes, CA, undefined, undefined, (one, of) => known.get(`${of} ${one}`))
      .nodes.find(one => one.node === name)
      ?.content.services.find(one => one.service === service)
  const sides = () => seen('telegraf')?.upstreams.map(one => one.tls)

  t.strictSame(sides(), ['off', 'off'], 'nobody has shown one')
  t.strictSame(seen('telegraf')?.upstreamTrust, [])
  t.match(seen('influxdb'), { trust: [] })

  known.set('influxdb n1', { current: undefined, next: PEM_C, isNextGiven: false })
  t.strictSame(sides(), ['off', 'off'], 'one that is staged is not served yet')
  known.set('influxdb n1', { current: PEM_A, next: undefined, isNextGiven: false })
  t.strictSame(sides(), ['on', 'off'])
  t.match(seen('influxdb'), { trust: [PEM_A] })
  known.set('influxdb n2', { current: PEM_B, next: undefined, isNextGiven: false })
  known.set('influxdb n1', { current: PEM_A, next: PEM_C, isNextGiven: false })
  t.strictSame(sides(), ['on', 'on'])
  t.strictSame(seen('telegraf')?.upstreamTrust, [PEM_A, PEM_C, PEM_B])
  t.match(seen('influxdb'), { trust: [PEM_A] }, 'not before all clients have the next one')
  known.set('influxdb n1', { current: PEM_A, next: PEM_C, isNextGiven: true })
  t.match(seen('influxdb'), { trust: [PEM_A, PEM_C] })

  known.set('prometheus n1', { current: PEM_B, next: undefined, isNextGiven: false })
  t.match(seen('prometheus'), { trust: [] }, 'nobody is given it')
})

await t.test(
  'whoever does not verify needs no certificate, and too many are a problem',
  async t => {
    const servers = '  - { service: influxdb, nodes: all, issuer: self-signed }\n'
    const insecure = specOf(
      `${servers}  - { service: telegraf, nodes: all, options: { verification: insecure } }`,
    )
    const [only] = compileFleet(insecure, [node('n1')], CA).nodes
    const client = only?.content.services.find(one => one.service === 'telegraf')
    t.match(client?.upstreams, [{ tls: 'on' }])

    const many = Array.from({ length: 201 }, (_, index) => node(`n${index}`))
    const verifying = specOf(`${servers}  - { service: telegraf, nodes: { names: [n1] } }`)
    t.match(compileFleet(verifying, many, CA).problems, [
      { path: ['services', 1, 'service'], message: /201 self-signed certificates, and 200 is/ },
    ])
  },
)

await t.test('members of a cluster that could not verify each other are a problem', async t => {
  const meta = '  - { service: influxdb-meta, nodes: all, issuer: self-signed'
  const problems = (services: string) =>
    compileFleet(specOf(services), [node('n1')], CA).problems.map(
      ({ message }) => message.split(',')[0],
    )
  t.strictSame(problems(`${meta} }\n`), ['influxdb-meta verifies influxdb-meta'])
  t.strictSame(problems(`${meta}, options: { peers: insecure } }\n`), [])
  const data = (more: string) =>
    `  - { service: influxdb, nodes: all, options: { meta: ${more} } }\n`
  t.strictSame(problems(`${meta}, options: { peers: insecure } }\n${data('tls')}`), [
    'influxdb verifies influxdb-meta',
  ])
  const demanding = '  - { service: influxdb-meta, nodes: all, clientAuth: required }\n'
  t.match(problems(`${demanding}${data('tls')}`), [/demands client certificates/])
})

await t.test(
  'a listener on the same node is the local one, with the names of its certificate',
  async t => {
    const spec = specOf(`
  - { service: elasticsearch, nodes: all, names: { dns: [es.example.org] } }
  - { service: kibana, nodes: all, options: { server: leave } }
  - { service: metricbeat, nodes: all }
`)
    const nodes = [
      node('n1', {}, ['n1.example.org', 'es.example.org']),
      node('n2', {}, ['es.example.org']),
    ]
    const compiled = compileFleet(spec, nodes, CA)
    const [n1] = compiled.nodes
    const beat = n1?.content.services.find(one => one.service === 'metricbeat')
    t.strictSame(beat?.upstreams, [
      {
        service: 'elasticsearch',
        names: { dns: ['es.example.org'], ip: [] },
        port: 9200,
        tls: 'on',
        isLocal: true,
      },
      {
        service: 'elasticsearch',
        names: { dns: ['es.example.org'], ip: [] },
        port: 9200,
        tls: 'on',
      },
    ])
  },
)

await t.test(
  'what buffers moves before its server in both directions, what queries after it',
  async t => {
    const one = (service: ServiceTls['service'], tls: 'on' | 'off' = 'on') => [{ service, tls }]
    const order = (tls: 'on' | 'off') =>
      (['kibana', 'influxdb', 'telegraf', 'elasticsearch', 'influxdb-meta', 'prometheus'] as const)
        .toSorted((a, b) => rankOfNode(one(a, tls)) - rankOfNode(one(b, tls)))
        .join(' ')
    t.equal(order('on'), 'telegraf influxdb-meta influxdb elasticsearch kibana prometheus')
    t.equal(order('off'), 'prometheus kibana elasticsearch telegraf influxdb influxdb-meta')
    t.equal(
      rankOfNode([...one('telegraf'), ...one('influxdb')]),
      rankOfNode(one('influxdb')),
      'a client on the node of its server does not hurry the node',
    )

    const both = specOf(`
  - { service: influxdb, nodes: all }
  - { service: telegraf, nodes: all }
`)
    const [only] = compileFleet(both, [node('n1')], CA).nodes
    t.strictSame(
      only?.content.services.map(tls => tls.service),
      ['telegraf', 'influxdb'],
      'on one node the agent takes them in this order',
    )
  },
)
