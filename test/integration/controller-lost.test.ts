// The controller is gone and there is no backup (docs/operations.md): a new one with new CAs takes the
// nodes over while their agents run and their services serve.

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { storeContext } from '../../controller/cli/context.ts'
import { databasePath } from '../../controller/init.ts'
import { openSqliteStore } from '../../controller/store/sqlite.ts'
import { CertificateList } from '../../shared/contract/certificates.ts'
import { NodeView } from '../../shared/contract/operator-api.ts'
import { startController } from '../controller/api/support.ts'
import { tlsfleet } from '../controller/cli/command.ts'
import { until } from '../lab/until.ts'
import { freePort } from '../sandbox/sandbox.ts'
import { probe } from '../simulators/probe.ts'
import { createSandboxFleet } from '../support/sandbox-fleet.ts'

t.setTimeout(280_000)

const fleet = await createSandboxFleet(t)
const { running, directory } = fleet
const port = await freePort()
const database = await fleet.addNode('n1', [{ service: 'influxdb', port, version: '1.12.3' }])
const client = await fleet.addNode('n2', [
  { service: 'telegraf', version: '1.34.0', urls: [`http://localhost:${port}`] },
])

function specOf(key: string): string {
  const file = join(directory, `${key}.yaml`)
  const text = `
version: 1
fleet: demo
defaults: { key: ${key}, verify: { stableFor: 300ms, deadline: 60s } }
services:
  - { service: influxdb, port: ${port}, nodes: { names: [n1] } }
  - { service: telegraf, nodes: { names: [n2] } }
`
  writeFileSync(file, text)
  return file
}
const spec = specOf('rsa-2048')

const startsOf = async () =>
  Promise.all([
    database.run('show', '--property=InvocationID', '--value', 'influxdb'),
    client.run('show', '--property=InvocationID', '--value', 'telegraf'),
  ]).then(shown => shown.map(({ stdout }) => stdout.trim()))
const served = async (ca: string) => (await probe({ port, ca, path: '/ping' })).status
const trusted = () => readFileSync(join(client.root, 'etc/telegraf/tls/upstream-ca.pem'), 'utf8')
const at = (config: string, ...argv: readonly string[]) =>
  tlsfleet(argv, { config, nowMs: Date.now() })
const caOf = async (config: string) => (await at(config, 'trust')).out

// Made later than the first: its epoch is above all generations of that one.
const second = await startController(t, {}, async dataDir => {
  const store = await openSqliteStore({ path: databasePath(dataDir), busyTimeoutMs: 1_000 })
  const laterS = Math.floor(Date.now() / 1_000) + 3_600
  await store.transaction(tx => tx.desired.beginEpoch(laterS))
  await store.close()
})
const config = join(directory, 'second.json')
storeContext(config, 'second', {
  url: second.controller.urls.operator,
  token: second.adminToken,
  ca: [second.controller.identityRoot],
})
let firstCa = ''
let before: readonly string[] = []

await t.test('the fleet of the first controller', async t => {
  for (const key of ['ec-p256', 'rsa-2048']) {
    const applied = await fleet.cli('apply', '-f', specOf(key), '--yes', '--quiet')
    t.equal(applied.code, 0, applied.out + applied.err)
  }
  firstCa = await caOf(join(directory, 'cli.json'))
  before = await startsOf()
  await running.controller.close()
})

await t.test('every node is added and enrolled anew, and nothing is touched by that', async t => {
  for (const name of ['n1', 'n2']) {
    const names = ['--dns', 'localhost', '--dns', `${name}.example.org`, '--ip', '127.0.0.1']
    const added = await at(config, '--json', 'node', 'add', name, ...names)
    t.equal(added.code, 0, added.err)
    await fleet.enroll(name, JSON.parse(added.out).enrollment.token)
  }
  await until(
    async () => {
      const views = await Promise.all(
        ['n1', 'n2'].map(async name =>
          NodeView.parse(JSON.parse((await at(config, '--json', 'node', 'show', name)).out)),
        ),
      )
      return views.every(({ state }) => state === 'idle')
    },
    { what: 'both are there', timeoutMs: 90_000 },
  )
  t.strictSame(await startsOf(), before)
  t.equal(await served(firstCa), 204, 'served as before')
})

await t.test('the fleet spec brings the new CA to all, client and server', async t => {
  const planned = await at(config, 'plan', '-f', spec)
  t.equal(planned.code, 2, planned.err)
  const applied = await at(config, 'apply', '-f', spec, '--yes', '--quiet')
  t.equal(applied.code, 0, applied.out + applied.err)

  const secondCa = await caOf(config)
  t.not(secondCa, firstCa)
  t.equal(await served(secondCa), 204)
  await t.rejects(served(firstCa), 'the old CA does not verify it any more')
  t.match(trusted(), secondCa.trim())
  const again = await at(config, 'plan', '-f', spec)
  t.equal(again.code, 0, again.out + again.err)
  const { certificates } = CertificateList.parse(
    JSON.parse((await at(config, '--json', 'certs')).out),
  )
  t.ok(certificates.some(({ node }) => node === 'n1'))
})
