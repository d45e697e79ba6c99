// Who connects to a listener and whether it trusts what is served there.

import t from 'tap'
import { certificateFacts } from '../../../shared/pki/facts.ts'
import { clientsOf, groupClients, holdersOf } from '../../../controller/certificates/clients.ts'
import { compiled, service } from './scene.ts'

const NODES = ['app-1', 'app-2', 'db-1', 'db-2', 'meta-1', 'es-1', 'kb-1']
const root = certificateFacts(service.root.certificatePem)
const signer = certificateFacts(service.intermediate.certificatePem)
const OURS = { fingerprint: 'a'.repeat(64), issuer: signer.subject, chain: [signer] }
const FOREIGN = { fingerprint: 'b'.repeat(64), issuer: 'CN=somebody', chain: [] }

/** Clients of a service of a node by a fleet spec, as lines. */
function clients(spec: string, node: string, name: string, served = OURS) {
  const fleet = compiled(`services:\n${spec}`, NODES)
  const groups = groupClients([...fleet].map(([one, summary]) => ({ node: one, summary })))
  const place = fleet.get(node)?.servers.find(one => one.service === name)?.place ?? 'none'
  return clientsOf(groups, place, served).map(
    ({ service: client, trust, nodes }) => `${client} ${trust} ${nodes.join(' ')}`,
  )
}

const on = (name: string, role: string, more = '') =>
  `  - { service: ${name}, nodes: { labels: { role: ${role} } }${more} }\n`

await t.test('every product that connects is found, with what it would say of the chain', t => {
  const elastic = on('elasticsearch', 'es') + on('kibana', 'kb') + on('metricbeat', '[app, es]', '')

  t.strictSame(clients(elastic, 'es-1', 'elasticsearch'), [
    'kibana trusts kb-1',
    'metricbeat trusts app-1 app-2 es-1',
  ])
  t.strictSame(clients(elastic, 'kb-1', 'kibana'), ['metricbeat trusts app-1 app-2 es-1'])
  t.strictSame(clients(elastic, 'es-1', 'elasticsearch', FOREIGN), [
    'kibana lacks-issuer kb-1',
    'metricbeat lacks-issuer app-1 app-2 es-1',
  ])
  t.end()
})

await t.test('who does not verify, or is left alone, is told apart', t => {
  const insecure = ', options: { verification: insecure }'
  const influx =
    on('influxdb', 'db', ', options: { meta: tls-insecure, cluster: tls }') +
    on('influxdb-meta', 'meta') +
    on('telegraf', 'app', insecure)

  t.strictSame(clients(influx, 'db-1', 'influxdb'), [
    'influxdb trusts db-1 db-2',
    'influxdb-meta unmanaged meta-1',
    'telegraf insecure app-1 app-2',
  ])
  t.strictSame(clients(influx, 'meta-1', 'influxdb-meta'), [
    'influxdb insecure db-1 db-2',
    'influxdb-meta trusts meta-1',
  ])
  t.end()
})

await t.test(
  'certificates of others are trusted by the roots of the platform, or a CA by name',
  t => {
    const files = on('influxdb', 'db', ', issuer: files') + on('telegraf', 'app')
    const own = on(
      'influxdb',
      'db',
      `, issuer: files, trust: [${JSON.stringify(service.root.certificatePem)}]`,
    )

    t.strictSame(clients(files, 'db-1', 'influxdb', FOREIGN), [
      'influxdb unmanaged db-1 db-2',
      'telegraf platform app-1 app-2',
    ])
    const served = { ...FOREIGN, issuer: root.subject }
    t.strictSame(clients(own + on('telegraf', 'app'), 'db-1', 'influxdb', served), [
      'influxdb unmanaged db-1 db-2',
      'telegraf trusts app-1 app-2',
    ])
    t.end()
  },
)

await t.test('plaintext has no clients to trust it', t => {
  const off = on('influxdb', 'db', ', tls: off') + on('telegraf', 'app')

  t.strictSame(clients(off, 'db-1', 'influxdb'), [])
  t.end()
})

await t.test('a crowd is counted and named in part', t => {
  const names = Array.from({ length: 90 }, (_, index) => `app-${index + 10}`)
  const fleet = compiled(`services:\n${on('influxdb', 'db')}${on('telegraf', 'app')}`, [
    'db-1',
    ...names,
  ])
  const groups = groupClients([...fleet].map(([node, summary]) => ({ node, summary })))

  const [first] = holdersOf(groups, root.fingerprint).filter(one => one.service === 'telegraf')

  t.match(first, { trust: 'trusts', count: 90 })
  t.strictSame(first?.nodes, names.slice(0, 20))
  t.ok(groups.length < 5, 'clients that are alike are one group')
  t.end()
})
