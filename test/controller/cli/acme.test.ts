// `tlsfleet acme ls`: directories and what is under way there.

import t from 'tap'
import { AcmeView } from '../../../shared/contract/acme.ts'
import { golden, tlsfleet } from './command.ts'
import { contextFile, startFakeController } from './fake-controller.ts'
import { NOW_MS } from './views.ts'

const failed = {
  code: 'dns-program-failed',
  message:
    '/usr/local/lib/tlsfleet/dns-update present _acme-challenge.kb-1.example.org. failed (exit 2): update failed: REFUSED',
}
const full = AcmeView.parse({
  directories: [
    {
      name: 'corp',
      url: 'https://ca.example.org/acme/directory',
      challenges: ['dns-01'],
      accountUrl: 'https://ca.example.org/acme/account/7',
      accountCreatedAtMs: NOW_MS,
      ordered: 2,
      ordersPerHour: 60,
    },
    {
      name: 'lab',
      url: 'https://lab.example.org/directory',
      challenges: ['dns-01', 'http-01'],
      blocked: {
        reason: {
          code: 'acme-unreachable',
          message: 'could not reach the directory at lab.example.org: nothing listens there',
        },
        untilMs: NOW_MS + 120_000,
      },
      ordered: 0,
      ordersPerHour: 300,
    },
  ],
  orders: [
    {
      request: '6f0c7a52-9d3e-4f5d-8a55-0c7d1f3b2a10',
      directory: 'corp',
      node: 'prom-1',
      service: 'prometheus',
      names: { dns: ['prom-1.example.org'], ip: [] },
      state: 'finalizing',
      attempts: 0,
      nextAttemptAtMs: NOW_MS - 2_000,
    },
    {
      request: '5f0c7a52-9d3e-4f5d-8a55-0c7d1f3b2a10',
      directory: 'corp',
      node: 'kb-1',
      service: 'kibana',
      names: { dns: ['kb-1.example.org', 'kibana.example.org'], ip: [] },
      state: 'ordered',
      orderUrl: 'https://ca.example.org/acme/order/12',
      attempts: 3,
      nextAttemptAtMs: NOW_MS + 480_000,
      reason: failed,
    },
  ],
})

const answer = { body: full }
const controller = await startFakeController({ 'GET /v1/acme': () => answer })
t.teardown(() => controller.close())
const config = contextFile(controller)

await t.test('directories with their accounts, orders with what they wait for', async t => {
  const { code, out, err } = await tlsfleet(['acme', 'ls'], { config })

  t.equal(err, '')
  t.equal(code, 0)
  t.equal(out, golden('acme', out))
})

await t.test('all pages are read, and what is tried next comes first', async t => {
  const [soon, late] = full.orders
  const paged = await startFakeController({
    'GET /v1/acme': ({ path }) => ({
      body: path.includes('after=')
        ? { ...full, orders: [soon] }
        : { ...full, orders: [late], next: 'bmV4dA' },
    }),
  })
  t.teardown(() => paged.close())

  const { out } = await tlsfleet(['acme', 'ls', '--json'], { config: contextFile(paged) })

  t.strictSame(JSON.parse(out), full)
  t.match(paged.requests.at(-1)?.path, '/v1/acme?after=bmV4dA')
})

await t.test('the same for programs; and where nothing is configured', async t => {
  const { out } = await tlsfleet(['acme', 'ls', '--json'], { config })
  t.strictSame(JSON.parse(out), full)

  answer.body = { directories: full.directories, orders: [] }
  t.match((await tlsfleet(['acme', 'ls'], { config })).out, 'no orders under way')
  answer.body = { directories: [], orders: [] }
  t.equal((await tlsfleet(['acme', 'ls'], { config })).out, 'no ACME directories are configured\n')
})
