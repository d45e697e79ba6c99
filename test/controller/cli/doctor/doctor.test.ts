// `tlsfleet doctor` against what answers, and what does not.

import { createServer } from 'node:net'
import t from 'tap'
import metadata from '../../../../package.json' with { type: 'json' }
import { tlsfleet } from '../command.ts'
import { contextFile, listen, startFakeController } from '../fake-controller.ts'
import { nodeView } from '../views.ts'

const ADMIN = {
  name: 'ada',
  role: 'admin',
  disabled: false,
  certificateNames: ['spiffe://corp.example/operator/ada'],
  createdAtMs: 1,
  createdBy: 'init',
  tokens: [],
  deniedCertificates: [],
}
const controller = await startFakeController({
  'GET /v1/openapi.json': { body: { info: { version: metadata.version } } },
  'GET /v1/whoami': { body: { name: 'ann', role: 'viewer', fleet: 'prod' } },
  'GET /v1/operators': { body: { operators: [ADMIN] } },
  'GET /v1/authorities': { body: { authorities: [] } },
  'GET /v1/nodes': { body: { nodes: [nodeView({ agentVersion: metadata.version })] } },
  'GET /v1/certificates': { body: { certificates: [] } },
  'GET /v1/groups': { body: { groups: [] } },
  'GET /v1/rollouts': { body: { rollouts: [] } },
})
t.teardown(() => controller.close())
const config = contextFile(controller)

await t.test('everything in order is exit code 0', async t => {
  const { code, out, err } = await tlsfleet(['doctor'], { config, nowMs: Date.now() })
  t.equal(code, 0, out + err)
  t.match(out, /ok +connection +TLSv1\.3, trusted by the CA of this login/)
  t.match(out, /ok +clock/)
  t.match(out, /ok +version/)
  t.match(out, /ok +login +ann \(viewer\) of fleet prod/)
  t.match(out, /ok +nodes +1 node, none in trouble/)
})

await t.test('a clock that is days off fails, and the rest is looked at all the same', async t => {
  const nowMs = Date.now() - 7_200_000
  const { code, out } = await tlsfleet(['doctor', '--json'], { config, nowMs })
  t.equal(code, 1)
  const { findings } = JSON.parse(out)
  const clock = findings.find(({ check }: { check: string }) => check === 'clock')
  t.equal(clock.state, 'failed')
  t.match(clock.message, /^that of the controller is (2h|1h).* ahead of this one$/)
  t.match(clock.fix, 'NTP')
  t.match(out, '"nodes"')
})

await t.test('a token that is refused is found, with what to do', async t => {
  const wrong = contextFile(controller, 'another-token')
  const { code, out } = await tlsfleet(['doctor'], { config: wrong, nowMs: Date.now() })
  t.equal(code, 1)
  t.match(out, /failed +login .*\(token-refused\)\n +→ .*log in again/)
  t.match(out, /skipped +the rest/)
  t.match(out, /ok +connection/)
})

await t.test('nobody there, and something else there', async t => {
  const nobody = createServer()
  const port = await listen(nobody)
  await new Promise(resolve => nobody.close(resolve))
  const gone = contextFile({ ...controller, url: `https://127.0.0.1:${port}` })
  const { code, out } = await tlsfleet(['doctor'], { config: gone })
  t.equal(code, 1)
  t.match(out, /failed +connection .*controller-unreachable/)

  const plain = createServer(socket => socket.end('SSH-2.0-nothing\r\n'))
  t.teardown(() => plain.close())
  const other = contextFile({ ...controller, url: `https://127.0.0.1:${await listen(plain)}` })
  const answer = await tlsfleet(['doctor'], { config: other })
  t.match(answer.out, /failed +connection .*(controller-tls-failed|controller-unreachable)/)
})

await t.test('without a login there is nothing to look at', async t => {
  const { code, out } = await tlsfleet(['doctor'], { config: '/nonexistent/config.json' })
  t.equal(code, 1)
  t.match(out, /failed +context .*no-context.*\n +→ log in first/)
})
