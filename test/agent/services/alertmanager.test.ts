// What alertmanager has besides the shared web configuration (web-config.test.ts).

import t from 'tap'
import { codes, compiledOn, look, serverTls, verdict } from './fake-node.ts'
import { debianNode } from './web-nodes.ts'

const tls = serverTls('alertmanager')

await t.test('health is asked below the prefix, on every address', async t => {
  const listeners = (args: string, version = '0.25.0') =>
    compiledOn(tls, debianNode('alertmanager', { args, version })).listeners.map(
      ({ name, healthPath }) => `${name}${healthPath}`,
    )
  t.same(listeners(''), ['https 0.0.0.0:9093/-/ready'])
  t.same(listeners('--web.external-url=http://proxy.example.com/am/'), [
    'https 0.0.0.0:9093/am/-/ready',
  ])
  t.same(listeners('--web.route-prefix=/x --web.listen-address=[::1]:9444'), [
    'https ::1:9444/x/-/ready',
  ])
  const two = '--web.listen-address=:9093 --web.listen-address=:9094'
  t.equal(listeners(two).length, 2)
  const old = debianNode('alertmanager', { args: two, version: '0.24.0' })
  t.equal(verdict(tls, old), 'flag-repeated')
})

await t.test('gossip keeps its own TLS, and that is said', async t => {
  const noticesFor = (args: string) =>
    codes(compiledOn(tls, debianNode('alertmanager', { args })).notices)
  t.same(noticesFor('--cluster.tls-config=/etc/alertmanager/gossip.yml'), ['gossip-tls-left'])
  t.same(noticesFor('--cluster.peer=am2:9094'), [])
})

await t.test('the configuration of alerts is neither read nor edited', async t => {
  const { inputs } = look(tls, debianNode('alertmanager'))
  const paths = inputs.map(input => (input.kind === 'command' ? input.argv.join(' ') : input.path))
  t.notOk(paths.some(path => path.includes('alertmanager.yml')))
  t.same(
    compiledOn(tls, debianNode('alertmanager')).validators,
    [],
    'amtool knows nothing of web configurations',
  )
})

await t.test('a unit that starts something else is left alone', async t => {
  const unit = { execStart: ['/usr/local/bin/run-monitoring', 'alertmanager'] }
  t.equal(verdict(tls, debianNode('alertmanager', { unit })), 'program-unknown')
})
