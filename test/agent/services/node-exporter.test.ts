// What node_exporter has besides the shared web configuration (web-config.test.ts).

import t from 'tap'
import { compiledOn, serverTls, textOf, applied, verdict } from './fake-node.ts'
import { debianNode, environmentOf, PRODUCTS } from './web-nodes.ts'

const tls = serverTls('node-exporter')

await t.test('it is restarted or left alone, because a hang-up ends it', async t => {
  for (const version of ['1.0.1', '1.5.0', '1.12.1'])
    for (const state of ['on', 'off'] as const) {
      const { loads } = compiledOn({ ...tls, tls: state }, debianNode('node-exporter', { version }))
      t.ok(loads.every(({ activation }) => ['none', 'restart'].includes(activation)))
    }
})

await t.test('it answers at its first page, also where that has passwords', async t => {
  const web = 'basic_auth_users: {scraper: $2b$12$x}\n'
  const path = PRODUCTS['node-exporter'].web
  const node = debianNode('node-exporter', {
    args: `--web.config.file=${path}`,
    files: { [path]: web },
  })
  t.match(compiledOn(tls, debianNode('node-exporter')).listeners, [
    { healthPath: '/', healthyStatuses: [200], port: 9100 },
  ])
  const compiled = compiledOn(tls, node)
  t.match(compiled.listeners, [{ healthPath: '/', healthyStatuses: [200, 401] }])
  t.match(textOf(applied(node, compiled), path), web)
})

await t.test('it has no address of its own for links', async t => {
  const node = debianNode('node-exporter')
  const environment = textOf(applied(node, compiledOn(tls, node)), environmentOf('node-exporter'))
  t.notMatch(environment, 'external-url')
})

await t.test('sockets that systemd passes tell no address', async t => {
  const socket = debianNode('node-exporter', { args: '--web.systemd-socket' })
  t.equal(verdict(tls, socket), 'listen-address-unclear')
})
