import fc from 'fast-check'
import t from 'tap'
import { assert } from '../../../shared/assert.ts'
import { DesiredContent } from '../../../shared/contract/desired-state.ts'
import { compileFleet, compileNode } from '../../../controller/fleet/compile.ts'
import { parseFleetSpec } from '../../../controller/fleet/spec.ts'

const CA = {
  trust: ['-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n'],
  issuedBy: 'ab'.repeat(32),
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

    const compiled = compileNode(spec, node('n1', { role: 'db' }), CA)

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
    t.notOk(influxdb?.certificate.issuedBy, 'no CA is expected of a self-signed certificate')
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

  const fits = compileNode(spec, node('n1', {}, ['n1.example.org', 'web.example.org']), CA)
  const foreign = compileNode(spec, node('n1', {}, ['wep.example.org']), CA)

  assert(fits.kind === 'content', 'compiles')
  t.strictSame(fits.content.services[0]?.certificate.names, { dns: ['web.example.org'], ip: [] })
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
