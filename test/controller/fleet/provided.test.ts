// Issuer `provided` from the text of a spec to the contents of nodes.

import t from 'tap'
import { assert } from '../../../shared/assert.ts'
import { DesiredContent } from '../../../shared/contract/desired-state.ts'
import { isServer } from '../../../shared/contract/service.ts'
import { sha256 } from '../../../shared/digest.ts'
import { compileFleet } from '../../../controller/fleet/compile.ts'
import type { ProvidedPair } from '../../../controller/fleet/provided.ts'
import { parseFleetSpec } from '../../../controller/fleet/spec.ts'
import { createTestCa } from '../../shared/pki/support.ts'

const CA = {
  trust: ['-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n'],
  issuedBy: 'ab'.repeat(32),
}
const own = createTestCa('own')
const other = createTestCa('other')

function pair(name: string, dns: string[], change: Partial<ProvidedPair> = {}): ProvidedPair {
  const { pem } = own.server(dns)
  return {
    name,
    fingerprint: sha256(pem),
    certificateChain: `${pem}${own.intermediate.pem}`,
    names: { dns, ip: [] },
    clientUse: true,
    problem: undefined,
    ...change,
  }
}

const wildcard = pair('wildcard', ['*.example.org'])
const PAIRS = [wildcard, pair('deep', ['*.a.example.org'])]

function node(name: string, dns = [`${name}.example.org`], ip: string[] = []) {
  return { name, labels: {}, names: { dns, ip } }
}

function compiled(services: string, nodes = [node('n1')], pairs: readonly ProvidedPair[] = PAIRS) {
  const parsed = parseFleetSpec(`version: 1\nfleet: demo\n${services}`)
  assert(parsed.kind === 'ok', JSON.stringify(parsed))
  const fleet = compileFleet(parsed.spec, nodes, CA, new Map(pairs.map(one => [one.name, one])))
  return { fleet, problems: fleet.problems.map(parsed.locate) }
}

const ENTRY =
  'services:\n  - service: kibana\n    nodes: all\n    issuer: provided\n    provided: wildcard\n'

await t.test('a node is told the name and the current leaf, of defaults too', async t => {
  const { fleet, problems } = compiled(ENTRY, [node('n1'), node('n2')])
  const byDefault = compiled(
    'defaults: { issuer: provided, provided: wildcard }\nservices: [{ service: kibana, nodes: all }]\n',
  )

  t.strictSame(problems, [])
  for (const { content } of [...fleet.nodes, ...byDefault.fleet.nodes]) {
    t.strictSame(DesiredContent.parse(content), content)
    const [tls] = content.services
    assert(tls !== undefined && isServer(tls), 'a server')
    t.match(tls.certificate, {
      issuer: 'provided',
      provided: { name: 'wildcard', fingerprint: wildcard.fingerprint },
    })
    t.strictSame(tls.trust, [], 'the roots of the platform')
    t.notOk(tls.certificate.issuedBy)
  }
})

await t.test('another version is another content, and the same spec', async t => {
  const before = compiled(ENTRY).fleet.nodes[0]?.digest
  const next = [pair('wildcard', ['*.example.org'])]
  t.not(compiled(ENTRY, [node('n1')], next).fleet.nodes[0]?.digest, before)
  t.equal(compiled(ENTRY).fleet.nodes[0]?.digest, before)
})

await t.test(
  'what an entry cannot have is said with its place, once, and with what would do',
  async t => {
    const said = (given: ReturnType<typeof compiled>) =>
      given.problems.map(({ line, column, message }) => `${line}:${column} ${message}`)

    t.strictSame(said(compiled(ENTRY.replace('wildcard', 'wildcart'), [node('n1'), node('n2')])), [
      '7:15 no pair named `wildcart` was uploaded; did you mean `wildcard`?',
    ])
    t.strictSame(said(compiled(ENTRY, [node('n1')], [])), [
      '7:15 no pair named `wildcard` was uploaded; upload it: tlsfleet provided put wildcard --chain FILE --key FILE',
    ])
    t.strictSame(said(compiled(ENTRY, [])), [], 'of no node')
    t.strictSame(said(compiled(ENTRY, [], [])).length, 1, 'and yet a name that does not exist')
    t.strictSame(said(compiled(ENTRY, [node('n1', ['n1.a.example.org'])])), [
      '7:15 pair `wildcard` does not cover `n1.a.example.org` of node n1; `deep` does',
    ])
    t.strictSame(said(compiled(ENTRY, [node('n1', ['n1.b.example.org'])])), [
      '7:15 pair `wildcard` does not cover `n1.b.example.org` of node n1; a wildcard stands for one label',
    ])
    t.strictSame(said(compiled(ENTRY, [node('n1', ['n1.example.org', 'kibana.intern'])])), [
      '7:15 pair `wildcard` does not cover `kibana.intern` of node n1; choose the names that it covers with `names`',
    ])
    t.strictSame(said(compiled(ENTRY, [node('n1', ['n1.example.org'], ['192.0.2.1'])])), [
      '7:15 pair `wildcard` does not cover `192.0.2.1` of node n1; where clients use DNS names only, say so with `names: dns`',
    ])
    const ended = { ...wildcard, problem: { code: 'expired', message: 'it was valid until then' } }
    t.strictSame(said(compiled(ENTRY, [node('n1')], [ended])), [
      '7:15 pair `wildcard` cannot be used: it was valid until then',
    ])
    const serverOnly = { ...wildcard, clientUse: false }
    t.strictSame(said(compiled(`${ENTRY}    clientAuth: required\n`, [node('n1')], [serverOnly])), [
      '7:15 kibana shows its certificate as a client too, which pair `wildcard` may not be used for: it lacks the purpose clientAuth',
    ])
    t.strictSame(said(compiled(ENTRY, [node('n1')], [serverOnly])), [])
  },
)

await t.test('`names: dns` leaves addresses out, for the certificate and for clients', async t => {
  const spec = `${ENTRY}    names: dns\n  - { service: prometheus, nodes: all }\n`
  const { fleet, problems } = compiled(spec, [node('n1', ['n1.example.org'], ['192.0.2.1'])])
  t.strictSame(problems, [])
  const [kibana] = fleet.nodes[0]?.content.services ?? []
  t.match(kibana, { certificate: { names: { dns: ['n1.example.org'], ip: [] } } })
  t.match(
    compiled(spec, [node('n1', [], ['192.0.2.1'])]).problems.map(({ message }) => message),
    ['node n1 has no DNS name recorded'],
  )
})

await t.test('trust of the entry must accept the pair, and is what clients get', async t => {
  const trusting = (pem: string) =>
    `${ENTRY}    trust:\n      - |\n${pem.replaceAll(/^(?=.)/gm, '        ')}`
  const { fleet, problems } = compiled(trusting(own.root.pem))
  t.strictSame(problems, [])
  t.match(fleet.nodes[0]?.content.services, [{ trust: [own.root.pem] }])
  t.match(compiled(trusting(other.root.pem)).problems, [
    {
      message: /^pair `wildcard` is not accepted by the CA certificates under `trust`: /,
      path: 'services[0].trust',
    },
  ])
})

await t.test('name and issuer go together', async t => {
  const problems = (services: string) => {
    const parsed = parseFleetSpec(`version: 1\nfleet: demo\n${services}`)
    return parsed.kind === 'ok' ? [] : parsed.problems.map(({ message }) => message)
  }
  t.strictSame(problems('services: [{ service: kibana, nodes: all, issuer: provided }]\n'), [
    'issuer `provided` needs the name of an uploaded pair: `provided: NAME`',
  ])
  t.strictSame(problems('services: [{ service: kibana, nodes: all, provided: wildcard }]\n'), [
    'provided is for issuer `provided`, not for `internal`',
  ])
  const mixed = 'defaults: { provided: wildcard }\nservices: [{ service: kibana, nodes: all }]\n'
  t.strictSame(problems(mixed), [], 'a default for the entries that have use for it')
})
