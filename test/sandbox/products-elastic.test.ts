// Elasticsearch, Kibana and Metricbeat on one sandbox node: from their stock files to TLS and back.

import { chmodSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import type { TlsSwitch } from '../../shared/contract/service.ts'
import { until } from '../lab/until.ts'
import type { Probe } from '../simulators/probe.ts'
import {
  type Ask,
  client,
  createProductNode,
  served,
  told,
  untilAnswers,
  upstream,
  type Wish,
} from '../support/product-node.ts'
import { ELASTIC_PASSWORD, KIBANA_PASSWORD, WRITER_PASSWORD } from './elastic.ts'
import { freePort } from './sandbox.ts'

t.setTimeout(900_000)
// Its Kibana takes a new pair at SIGHUP.
const VERSION = '8.15.0'
const YML = ['etc/elasticsearch/elasticsearch.yml', 'etc/kibana/kibana.yml']
const UNITS = ['elasticsearch', 'kibana', 'metricbeat']
const [es, transport, kbn] = [await freePort(), await freePort(), await freePort()]
const estate = await createProductNode(t, [
  { service: 'elasticsearch', version: VERSION, port: es, transportPort: transport },
  { service: 'kibana', version: VERSION, port: kbn, elasticsearch: [`http://localhost:${es}`] },
  {
    service: 'metricbeat',
    version: VERSION,
    elasticsearch: [`localhost:${es}`],
    kibana: `http://localhost:${kbn}`,
  },
])
const { ca } = estate

const AS_ELASTIC = {
  authorization: `Basic ${Buffer.from(`elastic:${ELASTIC_PASSWORD}`).toString('base64')}`,
  'content-type': 'application/json',
}

function wishes(tls: TlsSwitch): readonly Wish[] {
  const upstreams = [upstream('elasticsearch', es, tls), upstream('kibana', kbn, tls)]
  const more = { tls, upstreams, upstreamTrust: [ca.certPem] }
  return [served('elasticsearch', { tls }), served('kibana', more), client('metricbeat', more)]
}

function untilKibanaIsAvailable(ask: Ask): Promise<Probe> {
  return untilAnswers('kibana reaches elasticsearch', () => ask(kbn, { path: '/api/status' }))
}

async function events(ask: Ask): Promise<number> {
  const { body } = await ask(es, { path: '/metricbeat-*/_count', headers: AS_ELASTIC })
  return Number(/"count":(\d+)/.exec(body)?.[1] ?? 0)
}

async function untilMoreEvents(ask: Ask): Promise<void> {
  const before = await events(ask)
  await until(async () => (await events(ask)) > before, { what: 'events of metricbeat arrive' })
}

async function clientsAreServed(t: Test, ask: Ask): Promise<void> {
  t.match(await untilKibanaIsAvailable(ask), { body: /"level":"available"/ })
  await untilMoreEvents(ask)
}

function invocations(): Promise<readonly string[]> {
  return Promise.all(UNITS.map(unit => estate.invocation(unit)))
}

await t.test('the products work in plaintext', async t => {
  await untilAnswers('elasticsearch', () => estate.http(es, { headers: AS_ELASTIC }))
  const put = async (path: string, body: unknown) => {
    const options = { path: `/_security/${path}`, method: 'PUT', headers: AS_ELASTIC }
    t.match(await estate.http(es, { ...options, body: JSON.stringify(body) }), { status: 200 })
  }
  await put('user/kibana_system/_password', { password: KIBANA_PASSWORD })
  await put('role/metricbeat_writer', {
    cluster: ['monitor', 'read_ilm'],
    indices: [{ names: ['metricbeat-*'], privileges: ['create_doc', 'auto_configure'] }],
  })
  await put('user/metricbeat_writer', { password: WRITER_PASSWORD, roles: ['metricbeat_writer'] })
  await clientsAreServed(t, estate.http)

  const before = estate.times()
  t.same(
    told(await estate.apply(wishes('off'))),
    UNITS.map(unit => `${unit}: in-sync none`),
  )
  t.match(estate.times(), before, 'off is what they are')
})

await t.test('what cannot be brought to TLS is left as it was', async t => {
  const [esYml = '', kibanaYml = ''] = YML.map(path => estate.path(path))
  const tool = estate.path('usr/share/elasticsearch/bin/elasticsearch-keystore')
  renameSync(tool, `${tool}.good`)
  writeFileSync(tool, '#!/bin/sh\necho "no space left" >&2\nexit 74\n')
  chmodSync(tool, 0o755)
  // Only with TLS does Kibana listen on this one as well, which it cannot twice.
  const stock = readFileSync(kibanaYml, 'utf8')
  writeFileSync(kibanaYml, `${stock}server.ssl.redirectHttpFromPort: ${kbn}\n`)
  const texts = [readFileSync(esYml, 'utf8'), readFileSync(kibanaYml, 'utf8')]
  const [running] = await invocations()

  const [elasticsearch, kibana] = await estate.apply([
    served('elasticsearch'),
    served('kibana', { upstreams: [upstream('elasticsearch', es, 'off')] }),
  ])

  t.match(elasticsearch, { outcome: 'restored', reason: { message: /no space left/ } })
  t.match(kibana, { outcome: 'restored' })
  t.same([readFileSync(esYml, 'utf8'), readFileSync(kibanaYml, 'utf8')], texts)
  t.equal((await invocations())[0], running, 'elasticsearch was not even restarted')
  await clientsAreServed(t, estate.http)

  renameSync(`${tool}.good`, tool)
  writeFileSync(kibanaYml, stock)
})

await t.test('one pass brings all of them to TLS, and the clients verify it', async t => {
  t.same(
    told(await estate.apply(wishes('on'))),
    UNITS.map(unit => `${unit}: changed restart`),
  )

  t.match(await estate.https(es, { headers: AS_ELASTIC }), { status: 200 })
  await clientsAreServed(t, estate.https)
  const kibanaYml = readFileSync(estate.path('etc/kibana/kibana.yml'), 'utf8')
  t.match(kibanaYml, `publicBaseUrl: "https://localhost:${kbn}"`)
})

await t.test('a second pass changes nothing', async t => {
  const [before, running] = [estate.times(), await invocations()]

  t.same(
    told(await estate.apply(wishes('on'))),
    UNITS.map(unit => `${unit}: in-sync none`),
  )

  t.same(estate.times(), before)
  t.same(await invocations(), running)
})

await t.test('a renewal is taken without a restart', async t => {
  const ports = [es, kbn]
  const prints = () => Promise.all(ports.map(async port => (await estate.https(port)).fingerprint))
  const [before, running] = [await prints(), await invocations()]

  t.same(told(await estate.renew(wishes('on'), ['elasticsearch', 'kibana'])), [
    'elasticsearch: changed none',
    'kibana: changed reload',
    'metricbeat: in-sync none',
  ])

  const after = await prints()
  t.notOk(
    after.some(print => before.includes(print)),
    'both serve another leaf',
  )
  t.same(await invocations(), running)
  await clientsAreServed(t, estate.https)
})

await t.test('off brings them back to plaintext', async t => {
  t.same(
    told(await estate.apply(wishes('off'))),
    UNITS.map(unit => `${unit}: changed restart`),
  )

  await clientsAreServed(t, estate.http)
  const before = estate.times()
  t.same(
    told(await estate.apply(wishes('off'))),
    UNITS.map(unit => `${unit}: in-sync none`),
  )
  t.same(estate.times(), before)
})

await t.test('with credentials the proof is that the node has found its cluster', async t => {
  t.match(told(await estate.apply(wishes('on'))), ['elasticsearch: changed restart'])
  const asked = async (password: string) => {
    writeFileSync(estate.path('root/elastic-password'), `${password}\n`, { mode: 0o600 })
    const [report] = await estate.apply(wishes('on'), {
      elasticsearch: { user: 'elastic', passwordFile: '/root/elastic-password' },
    })
    return [report?.outcome, report?.served[0]?.health, report?.notices.map(({ code }) => code)]
  }
  t.match(await asked(ELASTIC_PASSWORD), ['in-sync', /^GET \/_cluster\/health\S* 200$/, []])
  t.match(await asked('another'), ['in-sync', / 401$/, ['credentials-refused']])
})

await t.test('what the first installation has made is replaced, its password kept', async t => {
  const [port, transportPort] = [await freePort(), await freePort()]
  const estate = await createProductNode(t, [
    { service: 'elasticsearch', version: VERSION, port, transportPort, isAutoconfigured: true },
  ])
  const own = readFileSync(estate.path('etc/elasticsearch/certs/http_ca.crt'), 'utf8')
  await untilAnswers('elasticsearch', () => estate.https(port, { ca: own }), 401)
  const keystore = readFileSync(estate.path('etc/elasticsearch/elasticsearch.keystore'))

  t.same(told(await estate.apply([served('elasticsearch')])), ['elasticsearch: changed restart'])

  t.match(await estate.https(port), { status: 401 })
  t.same(readFileSync(estate.path('etc/elasticsearch/elasticsearch.keystore')), keystore)
  t.same(told(await estate.apply([served('elasticsearch')])), ['elasticsearch: in-sync none'])

  const off = [served('elasticsearch', { tls: 'off' })]
  t.same(told(await estate.apply(off)), ['elasticsearch: changed restart'])
  t.match(await estate.http(port), { status: 401 })
  t.same(told(await estate.apply(off)), ['elasticsearch: in-sync none'])
})
