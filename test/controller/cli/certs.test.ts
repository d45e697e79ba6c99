// `tlsfleet certs`: what is asked of the controller, what a person sees, what a script gets.

import t from 'tap'
import { CertificateList, type CertificateView } from '../../../shared/contract/certificates.ts'
import { colourPaint, plainPaint } from '../../../controller/cli/output.ts'
import { certificateDetails, certificatesText } from '../../../controller/cli/views/certificates.ts'
import { golden, tlsfleet } from './command.ts'
import { contextFile, startFakeController } from './fake-controller.ts'
import { DAY_MS, NOW_MS } from './views.ts'

const silent = { code: 'node-silent', message: 'not heard of since 2026-11-19T08:00:00Z' }
const planned = { code: 'renewal-planned', message: 'renewed by itself, 2026-12-10T12:00:00Z' }
const due = { code: 'renewal-due', message: 'its renewal is under way' }
const chain = [
  {
    fingerprint: 'e'.repeat(64),
    subject: 'O=demo, CN=service intermediate 4c2f8a11',
    issuer: 'O=demo, CN=service root 0b1c2d3e',
    notAfterMs: NOW_MS + 1_000 * DAY_MS,
  },
]
const leaf = {
  kind: 'listener',
  node: 'prom-1',
  service: 'prometheus',
  listener: 'https 127.0.0.1:9090',
  state: 'ok',
  reason: planned,
  notAfterMs: NOW_MS + 30 * DAY_MS,
  renewAtMs: NOW_MS + 20 * DAY_MS,
  fingerprint: 'a'.repeat(64),
  issuer: 'O=demo, CN=service intermediate 4c2f8a11',
  source: 'internal',
  names: { dns: ['prom-1.example.org'], ip: ['192.0.2.11'] },
  chain,
  clients: [
    { service: 'prometheus', trust: 'trusts', count: 2, nodes: ['prom-1', 'prom-2'] },
    { service: 'telegraf', trust: 'lacks-issuer', count: 30, nodes: ['app-1', 'app-2'] },
  ],
} as const
const { certificates } = CertificateList.parse({
  certificates: [
    {
      kind: 'authority',
      role: 'service-root',
      state: 'ok',
      reason: { code: 'ca-not-renewed', message: 'a CA certificate is never renewed by itself' },
      unrenewed: { code: 'ca-not-renewed', message: 'a CA certificate is never renewed by itself' },
      notAfterMs: NOW_MS + 3_600 * DAY_MS,
      subject: 'O=demo, CN=service root 0b1c2d3e',
      fingerprint: 'f'.repeat(64),
      clients: [{ service: 'prometheus', trust: 'trusts', count: 2, nodes: ['prom-1', 'prom-2'] }],
    },
    leaf,
    {
      ...leaf,
      node: 'prom-2',
      state: 'renewal-due',
      reason: due,
      renewAtMs: NOW_MS - DAY_MS,
      clients: [],
    },
    {
      ...leaf,
      node: 'data-1',
      service: 'influxdb',
      listener: 'https :8086',
      notAfterMs: NOW_MS + 9 * DAY_MS,
      reason: silent,
      unrenewed: silent,
      clients: [],
    },
    {
      kind: 'identity',
      node: 'data-1',
      state: 'expired',
      reason: silent,
      unrenewed: silent,
      notAfterMs: NOW_MS - 3 * 3_600_000,
      renewAtMs: NOW_MS - 3 * DAY_MS,
      clients: [],
    },
    {
      kind: 'listener',
      node: 'kb-1',
      service: 'kibana',
      state: 'unknown',
      reason: { code: 'not-observed', message: 'no report says what is served' },
      clients: [],
    },
    {
      ...leaf,
      node: 'prom-3',
      state: 'foreign',
      notAfterMs: NOW_MS + 300 * DAY_MS,
      renewAtMs: NOW_MS + 290 * DAY_MS,
      reason: { code: 'served-stale', message: 'https :9090 serves another certificate' },
      clients: [],
    },
  ],
})

const controller = await startFakeController({
  'GET /v1/certificates': ({ path }) =>
    path.includes('after=')
      ? { body: { certificates: certificates.slice(3) } }
      : { body: { certificates: certificates.slice(0, 3), next: 'prom-2' } },
})
t.teardown(() => controller.close())
const config = contextFile(controller)

await t.test('what ends first is on top, with state, renewal, clients and reason', async t => {
  const { code, out, err } = await tlsfleet(['certs'], { config })

  t.equal(err, '')
  t.equal(code, 0)
  t.equal(out, golden('certs', out))
})

await t.test('each in full, for a person who wants to know about one', async t => {
  const { out } = await tlsfleet(['certs', '--details', '--node', 'prom-1'], { config })

  t.equal(out, golden('certs-details', out))
  t.match(controller.requests.at(-2)?.path, /\?limit=500&node=prom-1$/)
})

await t.test('on a terminal states have their colours', async t => {
  const asked = { within: undefined, isForecast: false }
  const options = { paint: colourPaint, width: undefined, nowMs: NOW_MS }

  const shown = certificatesText(certificates, asked, options)

  for (const text of [
    '\u001b[32mok\u001b[39m',
    '\u001b[33mrenewal-due\u001b[39m',
    '\u001b[31mexpired\u001b[39m',
    '\u001b[31mforeign\u001b[39m',
    '\u001b[31m3 h ago\u001b[39m',
  ])
    t.ok(shown.includes(text), text)
})

await t.test('filters are the questions to the controller, page after page', async t => {
  const before = controller.requests.length
  const argv = ['certs', '--service', 'influxdb', '--label', 'a=b', '--expiring', '14d', '--json']

  const { code, out } = await tlsfleet(argv, { config })

  const query = `limit=500&service=influxdb&label=a%3Db&expiringBefore=${NOW_MS + 14 * DAY_MS}`
  t.strictSame(
    controller.requests.slice(before).map(({ path }) => path),
    [`/v1/certificates?${query}`, `/v1/certificates?${query}&after=prom-2`],
  )
  t.strictSame(
    JSON.parse(out).certificates.map((one: CertificateView) => one.node ?? '-'),
    ['data-1', 'data-1', 'prom-1', 'prom-2', 'prom-3', '-', 'kb-1'],
  )
  t.equal(code, 2, 'something ends')
})

await t.test('a forecast asks for what nobody renews, within 30 days unless told', async t => {
  const path = async (...argv: readonly string[]) => {
    await tlsfleet(['certs', ...argv], { config })
    return controller.requests.at(-2)?.path
  }
  const within = (days: number) => `expiringBefore=${NOW_MS + days * DAY_MS}&unrenewed=true`

  t.match(await path('--forecast'), `?limit=500&${within(30)}`)
  t.match(await path('--forecast', '--expiring', '90d'), `?limit=500&${within(90)}`)
  t.match(await path('--without-controller'), `?limit=500&${within(30)}&controller=down`)
  const { code, out } = await tlsfleet(['certs', '--forecast'], { config })
  t.equal(code, 2)
  t.match(out, /^7 certificates end within 30d if nothing changes: 1 expired, /m)
})

await t.test('nothing that ends is exit code 0 and one line', async t => {
  controller.answer({ 'GET /v1/certificates': { body: { certificates: [] } } })

  const all = await tlsfleet(['certs'], { config })
  const forecast = await tlsfleet(['certs', '--forecast', '--expiring', '12h'], { config })

  t.strictSame([all.code, all.out], [0, 'no certificates\n'])
  t.strictSame(
    [forecast.code, forecast.out],
    [0, 'no certificates end within 12h if nothing changes\n'],
  )
})

await t.test('a time that is none is refused before anything is asked', async t => {
  const before = controller.requests.length

  const { code, err } = await tlsfleet(['certs', '--expiring', 'soon'], { config })

  t.equal(code, 1)
  t.match(err, /^error: could not read --expiring soon \(usage\)\nhint: .*14d/)
  t.equal(controller.requests.length, before)
})

await t.test('a node cannot write to the terminal, nor name a time that is none', async t => {
  const evil = {
    ...leaf,
    listener: 'https \u001b[2J',
    notAfterMs: Number.MAX_SAFE_INTEGER,
    renewAtMs: Number.MAX_SAFE_INTEGER,
  }
  controller.answer({ 'GET /v1/certificates': { body: { certificates: [evil] } } })

  const table = await tlsfleet(['certs'], { config })
  const details = await tlsfleet(['certs', '--details'], { config })

  for (const { code, out } of [table, details]) {
    t.equal(code, 0)
    t.match(out, 'https \\u001b[2J')
    // oxlint-disable-next-line no-control-regex
    t.notMatch(out, /\u001b/)
  }
  t.equal(certificateDetails([], { paint: plainPaint, width: undefined, nowMs: NOW_MS }), '')
})
