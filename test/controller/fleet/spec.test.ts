import t from 'tap'
import { assert } from '../../../shared/assert.ts'
import { editDistance, nearest } from '../../../controller/fleet/nearest.ts'
import { matches } from '../../../controller/fleet/selector.ts'
import { parseFleetSpec } from '../../../controller/fleet/spec.ts'

const GOOD = `
version: 1
fleet: demo
defaults: { lifetime: 30d, renewBefore: 10d, verify: { stableFor: 5s } }
services:
  - service: prometheus
    nodes: { labels: { role: [monitoring, web] }, names: [n1] }
    names: { dns: [Prometheus.Example.ORG.] }
    minVersion: 1.3
    options: { externalUrl: leave }
  - service: influxdb
    nodes: all
    lifetime: 90d
`

function problemsOf(text: string): readonly string[] {
  const parsed = parseFleetSpec(text)
  if (parsed.kind === 'ok') return []
  return parsed.problems.map(
    ({ line, column, path, message }) => `${line}:${column} ${path}: ${message}`,
  )
}

await t.test('a spec is parsed with defaults filled in', async t => {
  const parsed = parseFleetSpec(GOOD)

  assert(parsed.kind === 'ok', 'the spec is valid')
  const [first, second] = parsed.spec.services
  t.match(first, {
    service: 'prometheus',
    nodes: { labels: { role: ['monitoring', 'web'] }, names: ['n1'] },
    tls: 'on',
    server: {
      names: { dns: ['prometheus.example.org'], ip: [] },
      issuer: 'internal',
      key: 'ec-p256',
      lifetimeMs: 30 * 86_400_000,
      renewBeforeMs: 10 * 86_400_000,
      minVersion: '1.3',
      clientAuth: 'none',
    },
    verify: { stableForMs: 5_000, deadlineMs: 300_000 },
    options: { externalUrl: 'leave' },
  })
  t.match(second, {
    service: 'influxdb',
    nodes: 'all',
    server: { lifetimeMs: 90 * 86_400_000, minVersion: '1.2' },
  })
})

await t.test(
  'off is a word, and a product that is only a client has no certificate to speak of',
  async t => {
    const head = 'version: 1\nfleet: demo\ndefaults: { tls: off }\nservices:\n'
    const parsed = parseFleetSpec(
      `${head}  - { service: telegraf, nodes: all }\n  - { service: kibana, nodes: all, tls: on, port: 443 }\n`,
    )
    assert(parsed.kind === 'ok', JSON.stringify(parsed))
    const [telegraf, kibana] = parsed.spec.services
    t.match(telegraf, { tls: 'off', server: undefined })
    t.match(kibana, { tls: 'on', server: { port: 443 } })
    t.strictSame(problemsOf(`${head}  - { service: telegraf, nodes: all, issuer: files }\n`), [
      '5:38 services[0].issuer: unknown key `issuer`; known here: service, nodes, tls, verify, options',
    ])
  },
)

await t.test('the digest is of the meaning, not of the text', async t => {
  const same = GOOD.replace('defaults: {', '# a comment\ndefaults: { key: ec-p256,').replace(
    '30d',
    '720h',
  )
  const other = GOOD.replace('nodes: all', 'nodes: { names: [n1] }')
  const digests = [GOOD, same, other].map(text => {
    const parsed = parseFleetSpec(text)
    return parsed.kind === 'ok' ? parsed.digest : parsed.problems
  })

  t.equal(digests[0], digests[1])
  t.not(digests[0], digests[2])
})

const head = 'version: 1\nfleet: demo\nservices:\n  - service: prometheus\n    nodes: all\n'
const PROBLEMS: Readonly<Record<string, readonly [text: string, ...problems: string[]]>> = {
  'an unknown key is shown with the nearest known one': [
    'version: 1\nfleet: demo\nsevrices: []\n',
    '1:1 services: missing key `services`',
    '3:1 sevrices: unknown key `sevrices`; did you mean `services`?',
  ],
  'a key of an entry, deep in the document': [
    `${head}    lifetme: 3d\n    verify: { dedline: 5m }\n`,
    '6:5 services[0].lifetme: unknown key `lifetme`; did you mean `lifetime`?',
    '7:15 services[0].verify.dedline: unknown key `dedline`; did you mean `deadline`?',
  ],
  'the shape of a node document is explained': [
    `${head}    certificate: { issuer: internal }\n`,
    '6:5 services[0].certificate: unknown key `certificate`; write issuer, key, lifetime and renewBefore directly in the entry',
  ],
  'a product with a typing error': [
    'version: 1\nfleet: demo\nservices:\n  - service: prometheuss\n    nodes: all\n',
    '4:14 services[0].service: must be `alertmanager`, `elasticsearch`, `influxdb`, `influxdb-meta`, `kibana`, `metricbeat`, `node-exporter`, `prometheus` or `telegraf`, not `prometheuss`; did you mean `prometheus`?',
  ],
  'no product and no nodes': [
    'version: 1\nfleet: demo\nservices:\n  - { nodes: all }\n  - { service: influxdb }\n',
    '4:5 services[0].service: missing key `service`',
    '5:5 services[1].nodes: missing key `nodes`',
  ],
  'wrong types': [
    'version: "1"\nfleet: [demo]\ndefaults: none\nservices: {}\n',
    '1:10 version: must be the number `1`, without quotes',
    '2:8 fleet: must be text, not a list',
    '3:11 defaults: must be a mapping, not `none`',
    '4:11 services: must be a list, not a mapping',
  ],
  'a selector that is a word': [
    head.replace('all', 'monitoring'),
    '5:12 services[0].nodes: must be `all` or a mapping, not `monitoring`',
  ],
  'a selector that selects by nothing': [
    head.replace('all', '{}'),
    '5:12 services[0].nodes: give `labels`, `names` or both; `nodes: all` selects every node',
  ],
  'labels that YAML does not read as text': [
    head.replace('all', '{ labels: { rack: 7 } }'),
    '5:30 services[0].nodes.labels.rack: must be text or a list, not `7`; put it in quotes',
  ],
  durations: [
    `${head}    lifetime: 30\n    renewBefore: 10 days\n`,
    '6:15 services[0].lifetime: must be a duration such as 90s, 5m, 12h or 30d',
    '7:18 services[0].renewBefore: `10 days` is not a duration such as 90s, 5m, 12h or 30d',
  ],
  'a key given twice, and another problem': [
    'version: 1\nfleet: demo\nfleet: other\nservcies: []\nservices: []\n',
    '3:1 : key `fleet` is given twice',
    '4:1 servcies: unknown key `servcies`; did you mean `services`?',
  ],
  'broken syntax': [
    'version: 1\nfleet: [demo\nservices: []\n',
    '3:1 : flow sequence in block collection must be sufficiently indented and end with a ]',
  ],
  'two documents': [
    'version: 1\n---\nversion: 1\n',
    '2:1 : a second document starts here (`---`); a fleet spec is one document',
  ],
  'an empty text': ['', '1:1 : the document is empty'],
  'an alias of nothing': [
    'version: 1\nfleet: *x\nservices: []\n',
    '1:1 : unresolved alias (the anchor must be set before the alias): x',
  ],
  'a CA on the node': [
    `${head}    issuer: local-ca\n`,
    '6:13 services[0].issuer: issuer `local-ca` works on a node without a controller only; use `internal`',
  ],
  'a renewal before the beginning, in the defaults': [
    `${head}defaults:\n  lifetime: 5d\n  renewBefore: 5d\n`,
    '7:13 defaults.lifetime: renewBefore (5d) must be shorter than lifetime (5d)',
  ],
  'a certificate that lives too long': [
    `${head}    lifetime: 500d\n`,
    '6:15 services[0].lifetime: a certificate of issuer `internal` lives at most 398d',
  ],
  'options of another product': [
    `${head}    options: { meta: tls }\n`,
    '6:16 services[0].options.meta: unknown key `meta`; known here: externalUrl',
  ],
  'trust that would not be used': [
    `${head}    trust: ["-----BEGIN CERTIFICATE-----"]\n`,
    '6:12 services[0].trust: trust is for the issuers files, provided, csr, acme; the other issuers bring their own',
    '6:13 services[0].trust[0]: is not a certificate in PEM form',
  ],
  'a name that is none': [
    `${head}    names: { dns: ["a b"] }\n`,
    '6:12 services[0].names: name "a b" has characters that no name may have',
  ],
  'prototype keys': [
    `${head}    __proto__: { x: 1 }\n    constructor: 1\n`,
    '6:5 services[0].__proto__: unknown key `__proto__`; known here: service, nodes, names, port, tls, verify, issuer, provided, directory, key, lifetime, lifetimeProfile, renewBefore, minVersion, clientAuth, trust, options',
    '7:5 services[0].constructor: unknown key `constructor`; known here: service, nodes, names, port, tls, verify, issuer, provided, directory, key, lifetime, lifetimeProfile, renewBefore, minVersion, clientAuth, trust, options',
  ],
}

await t.test('problems are told with line, column, path and what to do', async t => {
  for (const [name, [text, ...problems]] of Object.entries(PROBLEMS))
    t.strictSame(problemsOf(text), problems, name)
})

await t.test('a problem behind an alias is shown', async t => {
  const text =
    'version: 1\nfleet: demo\nservices:\n  - { service: prometheus, nodes: &n { lables: {} } }\n  - { service: influxdb, nodes: *n }\n'

  t.strictSame(problemsOf(text), [
    '4:40 services[0].nodes.lables: unknown key `lables`; did you mean `labels`?',
  ])
})

await t.test('hostile texts end in problems, not in exceptions', async t => {
  const laughs = `a: &a [x,x,x,x,x,x,x,x,x]\n${'bcdefghi'
    .split('')
    .map((name, index) => `${name}: &${name} [${`*${'abcdefgh'[index]},`.repeat(9)}]`)
    .join('\n')}`

  for (const text of [
    '['.repeat(50_000),
    '{a: '.repeat(20_000),
    laughs,
    '\0',
    '%YAML 9.9\n---\n',
    '? [a]\n: b',
  ])
    t.equal(parseFleetSpec(text).kind, 'invalid')
})

await t.test('the nearest word is near', async t => {
  t.equal(editDistance('sevrices', 'services'), 1)
  t.equal(editDistance('', 'abc'), 3)
  t.equal(nearest('lifetmie', ['lifetime', 'labels']), 'lifetime')
  t.equal(nearest('zzzzzz', ['lifetime', 'labels']), undefined)
})

await t.test('a selector matches when all of its conditions hold', async t => {
  const node = { name: 'n1', labels: { role: 'web', rack: 'a' } }

  t.equal(matches(node, 'all'), true)
  t.equal(matches(node, { labels: { role: ['db', 'web'] } }), true)
  t.equal(matches(node, { labels: { role: ['web'], rack: ['b'] } }), false)
  t.equal(matches(node, { labels: { role: ['web'] }, names: ['n2'] }), false)
  t.equal(matches(node, { names: ['n1', 'n2'] }), true)
  t.equal(matches(node, { labels: { constructor: ['x'] } }), false)
})
