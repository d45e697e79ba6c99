// Issuer `acme` in a fleet spec.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { compileFleet } from '../../../controller/fleet/compile.ts'
import { parseFleetSpec } from '../../../controller/fleet/spec.ts'

const CA = { trust: [], issuedBy: 'a'.repeat(64) }
const NODES = [
  { name: 'n1', labels: {}, names: { dns: ['n1.example.org'], ip: [] } },
  { name: 'n2', labels: {}, names: { dns: ['n2.example.org'], ip: ['10.0.0.2'] } },
]
const DIRECTORIES = new Map([
  ['corp', { ipAddresses: false }],
  ['lab', { ipAddresses: true }],
])

function compile(entry: string, defaults = '') {
  const parsed = parseFleetSpec(`version: 1
fleet: demo
${defaults}
services:
  - { service: prometheus, nodes: all, ${entry} }
`)
  if (parsed.kind === 'invalid') return parsed.problems.map(one => one.message)
  const { nodes, problems } = compileFleet(parsed.spec, NODES, CA, undefined, DIRECTORIES)
  if (problems.length > 0) return problems.map(one => `${parsed.locate(one).line}: ${one.message}`)
  return nodes.map(({ content }) => content.services[0])
}

await t.test(
  'the document names the directory; trust may be absent for the roots of the platform',
  async t => {
    t.match(compile('issuer: acme, directory: lab'), [
      { trust: [], certificate: { issuer: 'acme', directory: 'lab', names: { ip: [] } } },
      { trust: [], certificate: { issuer: 'acme', directory: 'lab', names: { ip: ['10.0.0.2'] } } },
    ])
    const defaults = 'defaults: { issuer: acme, directory: corp }'
    t.match(compile('names: dns', defaults), [
      { certificate: { directory: 'corp', names: { dns: ['n1.example.org'], ip: [] } } },
      { certificate: { directory: 'corp', names: { dns: ['n2.example.org'], ip: [] } } },
    ])
    // The directory among the defaults means nothing to another issuer.
    t.match(compile('issuer: internal', defaults), [
      { certificate: { issuer: 'internal', directory: undefined } },
      {},
    ])
  },
)

await t.test('what could never be ordered is a problem of the spec', async t => {
  t.strictSame(compile('issuer: acme'), [
    'issuer `acme` needs the name of a directory: `directory: NAME`',
  ])
  t.strictSame(compile('directory: corp'), ['directory is for issuer `acme`, not for `internal`'])
  t.match(compile('issuer: acme, directory: korp, names: dns'), [
    "5: the controller's configuration has no ACME directory `korp`; did you mean `corp`?",
  ])
  t.match(compile('issuer: acme, directory: elsewhere, names: dns'), [
    /no ACME directory `elsewhere`; add \[acme\.elsewhere\] to it/,
  ])
  t.match(compile('issuer: acme, directory: corp'), [
    /`corp` issues for no IP addresses, and node n2 has 10\.0\.0\.2; use `names: dns`/,
  ])
})

await t.test('the worked example is a spec', async t => {
  const path = join(import.meta.dirname, '../../../examples/issuers/acme/fleet.yaml')
  t.match(parseFleetSpec(readFileSync(path, 'utf8')), {
    kind: 'ok',
    spec: { services: [{ service: 'prometheus', server: { issuer: 'acme', directory: 'corp' } }] },
  })
})
