// A meta node and a data node of InfluxDB Enterprise with Telegraf on one sandbox node: from their stock
// files to TLS and back.

import { existsSync, readFileSync, renameSync } from 'node:fs'
import t from 'tap'
import * as z from 'zod/mini'
import type { TlsSwitch } from '../../shared/contract/service.ts'
import { runCommand } from '../lab/command.ts'
import { until } from '../lab/until.ts'
import { TelegrafStatus } from '../simulators/telegraf/status.ts'
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
import { TELEGRAF_STATUS } from './influx.ts'
import { writeProgram } from './layout.ts'
import { freePort } from './sandbox.ts'

t.setTimeout(900_000)
// It is restarted for another certificate.
const ENTERPRISE = '1.11.8-c1.11.8'
const UNITS = ['influxdb-meta', 'influxdb', 'telegraf']
const [meta, raft, http, rpc] = [
  await freePort(),
  await freePort(),
  await freePort(),
  await freePort(),
]
const estate = await createProductNode(t, [
  { service: 'influxdb-meta', version: ENTERPRISE, port: meta, raftPort: raft },
  { service: 'influxdb', version: ENTERPRISE, build: 'Enterprise', port: http, rpcPort: rpc },
  { service: 'telegraf', version: '1.34.0', urls: [`http://localhost:${http}`] },
])
const { ca } = estate
const CONFIGURATION = estate.path('etc/influxdb/influxdb.conf')

/** The meta node learns the CA from the CA store of the node, the data node from its environment. */
function wishes(tls: TlsSwitch): readonly Wish[] {
  const links = tls === 'on' ? 'tls' : 'off'
  const upstreamTrust = [ca.certPem]
  return [
    served('influxdb-meta', { tls, upstreamTrust, options: { data: links } }),
    served('influxdb', {
      tls,
      upstreamTrust,
      options: { meta: links, cluster: links, trustStore: 'unit' },
    }),
    client('telegraf', { tls, upstreamTrust, upstreams: [upstream('influxdb', http, tls)] }),
  ]
}

/** `words`: flags and the command. */
async function influxdCtl(...words: readonly string[]): Promise<void> {
  const argv = ['-bind', `localhost:${meta}`, ...words]
  await until(async () => (await runCommand(estate.path('usr/bin/influxd-ctl'), argv)).code === 0, {
    what: `influxd-ctl ${words.join(' ')}`,
    everyMs: 200,
  })
}

let databases = 0

/** The meta node leads, the data node reaches it, and what telegraf writes arrives. */
async function clusterWorks(ask: Ask): Promise<void> {
  const leader = `"leader":"localhost:${raft}"`
  await until(async () => (await ask(meta, { path: '/status' })).body.includes(leader), {
    what: 'the meta node leads',
  })
  const path = `/query?q=${encodeURIComponent(`CREATE DATABASE d${databases++}`)}`
  await until(async () => !(await ask(http, { path, method: 'POST' })).body.includes('error'), {
    what: 'the data node gets a database from the meta node',
  })
  const before = writtenByTelegraf()
  await until(() => writtenByTelegraf() > before, { what: 'telegraf writes' })
}

function writtenByTelegraf(): number {
  const path = estate.path(TELEGRAF_STATUS)
  // Written with its first flush.
  if (!existsSync(path)) return 0
  const text = readFileSync(path, 'utf8')
  return z.parse(TelegrafStatus, JSON.parse(text)).outputs[0]?.written ?? 0
}

function invocations(): Promise<readonly string[]> {
  return Promise.all(UNITS.map(unit => estate.invocation(unit)))
}

await t.test('the products work in plaintext', async t => {
  await untilAnswers('influxd-meta', () => estate.http(meta, { path: '/status' }))
  await untilAnswers('influxd', () => estate.http(http, { path: '/ping' }), 204)
  await influxdCtl('add-meta', `localhost:${meta}`)
  await influxdCtl('add-data', `localhost:${rpc}`)
  await clusterWorks(estate.http)

  const before = estate.times()
  t.same(
    told(await estate.apply(wishes('off'))),
    UNITS.map(unit => `${unit}: in-sync none`),
  )
  t.match(estate.times(), before, 'off is what they are')
})

await t.test('what cannot be brought to TLS is put back, and works', async t => {
  const program = estate.path('usr/bin/influxd')
  renameSync(program, `${program}.good`)
  const isOn = `[ "$1" = -config ] && grep -q 'https-enabled = true' "$2"`
  writeProgram(program, `if ${isOn}; then echo no >&2; exit 1; fi\nexec ${program}.good "$@"`)
  const stock = readFileSync(CONFIGURATION, 'utf8')

  t.match(await estate.apply([served('influxdb')]), [{ outcome: 'restored' }])

  t.equal(readFileSync(CONFIGURATION, 'utf8'), stock)
  await clusterWorks(estate.http)
  renameSync(`${program}.good`, program)
})

await t.test(
  'what overrides the file from outside of unit and files is found out first',
  async t => {
    const program = estate.path('usr/bin/influxd')
    renameSync(program, `${program}.good`)
    writeProgram(program, `export INFLUXDB_HTTP_HTTPS_ENABLED=false\nexec ${program}.good "$@"`)
    const before = { text: readFileSync(CONFIGURATION, 'utf8'), process: await invocations() }

    t.match(await estate.apply([served('influxdb')]), [
      {
        outcome: 'failed',
        reason: { code: 'environment-fixed', message: /INFLUXDB_HTTP_HTTPS_ENABLED/ },
      },
    ])

    t.same({ text: readFileSync(CONFIGURATION, 'utf8'), process: await invocations() }, before)
    renameSync(`${program}.good`, program)
  },
)

await t.test('one pass brings all of them to TLS, and everybody verifies everybody', async t => {
  t.same(told(await estate.apply(wishes('on'))), [
    'influxdb-meta: changed restart',
    'influxdb: changed restart',
    'telegraf: changed reload',
  ])

  t.match(await estate.https(http, { path: '/ping' }), { status: 204 })
  // A data node that is added is dialled by the meta node.
  await influxdCtl('-bind-tls', 'remove-data', `localhost:${rpc}`)
  await influxdCtl('-bind-tls', 'add-data', `localhost:${rpc}`)
  await clusterWorks(estate.https)
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

await t.test('a renewal is a restart in these versions, of the servers only', async t => {
  const before = await Promise.all([meta, http].map(port => estate.https(port)))
  const running = await invocations()

  t.same(told(await estate.renew(wishes('on'), ['influxdb-meta', 'influxdb'])), [
    'influxdb-meta: changed restart',
    'influxdb: changed restart',
    'telegraf: in-sync none',
  ])

  const after = await Promise.all([meta, http].map(port => estate.https(port)))
  t.notOk(after.some((one, index) => one.fingerprint === before[index]?.fingerprint))
  const now = await invocations()
  t.same(
    now.map((id, index) => id === running[index]),
    [false, false, true],
  )
  await clusterWorks(estate.https)
})

await t.test('off brings them back to plaintext', async t => {
  t.same(told(await estate.apply(wishes('off'))), [
    'influxdb-meta: changed restart',
    'influxdb: changed restart',
    'telegraf: changed reload',
  ])

  await clusterWorks(estate.http)
  const before = estate.times()
  t.same(
    told(await estate.apply(wishes('off'))),
    UNITS.map(unit => `${unit}: in-sync none`),
  )
  t.same(estate.times(), before)
})

await t.test('a version that loads another certificate at a signal goes on running', async t => {
  const port = await freePort()
  const estate = await createProductNode(t, [{ service: 'influxdb', version: '1.12.3', port }])
  await untilAnswers('influxd', () => estate.http(port, { path: '/ping' }), 204)
  const wishes = [served('influxdb', { issuer: 'self-signed' })]

  t.same(told(await estate.apply(wishes)), ['influxdb: changed restart'])
  const running = await estate.invocation('influxdb')
  const trust = () => readFileSync(estate.path('etc/influxdb/tls/ca.pem'), 'utf8')
  const before = await estate.https(port, { ca: trust(), path: '/ping' })
  t.equal(before.status, 204)

  t.same(told(await estate.renew(wishes, ['influxdb'])), ['influxdb: changed reload'])

  const after = await estate.https(port, { ca: trust(), path: '/ping' })
  t.not(after.fingerprint, before.fingerprint)
  t.equal(await estate.invocation('influxdb'), running)
})
