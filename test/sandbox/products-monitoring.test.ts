// Prometheus, alertmanager and node-exporter, the real programs, on one sandbox node: from Debian's
// files to TLS and back.

import { readFileSync, renameSync } from 'node:fs'
import t from 'tap'
import type { TlsSwitch } from '../../shared/contract/service.ts'
import { LAB_UNAVAILABLE } from '../lab/availability.ts'
import { until } from '../lab/until.ts'
import {
  type Ask,
  createProductNode,
  type ProductNode,
  served,
  told,
  untilAnswers,
  upstream,
  type Wish,
} from '../support/product-node.ts'
import { writeProgram } from './layout.ts'
import { findProgram, freePort } from './sandbox.ts'

t.setTimeout(900_000)
const SERVICES = ['node-exporter', 'alertmanager', 'prometheus'] as const
const UNITS = ['prometheus-node-exporter', 'prometheus-alertmanager', 'prometheus']
const IN_SYNC = SERVICES.map(service => `${service}: in-sync none`)
const RESTARTED = SERVICES.map(service => `${service}: changed restart`)

const missing = UNITS.filter(program => findProgram(program) === undefined)
if (missing.length > 0) {
  const skip = `${LAB_UNAVAILABLE}: ${missing.join(', ')} not installed (apt-get install prometheus prometheus-alertmanager prometheus-node-exporter)`
  await t.test('the real programs', { skip }, async () => {})
} else {
  await theStory()
}

async function theStory(): Promise<void> {
  const [exporter, alertmanager, prometheus] = [
    await freePort(),
    await freePort(),
    await freePort(),
  ]
  const estate = await createProductNode(t, [
    { service: 'node-exporter', port: exporter },
    { service: 'alertmanager', port: alertmanager },
    { service: 'prometheus', port: prometheus, alertmanager, nodeExporter: exporter },
  ])
  const ports = [exporter, alertmanager, prometheus]
  const wishes = (tls: TlsSwitch): readonly Wish[] => [
    served('node-exporter', { tls }),
    served('alertmanager', { tls }),
    served('prometheus', {
      tls,
      upstreams: [
        upstream('node-exporter', exporter, tls),
        upstream('alertmanager', alertmanager, tls),
      ],
      upstreamTrust: [estate.ca.certPem],
    }),
  ]

  /** It scrapes itself and the exporter, and knows where the alertmanager is. */
  const prometheusWorks = async (ask: Ask) => {
    const scheme = ask === estate.https ? 'https' : 'http'
    await until(
      async () => {
        const { body } = await ask(prometheus, { path: '/api/v1/targets?state=active' })
        const up = [...body.matchAll(new RegExp(`"scrapeUrl":"${scheme}:[^}]*"health":"up"`, 'g'))]
        return up.length === 2
      },
      { what: `prometheus scrapes both over ${scheme}`, everyMs: 200 },
    )
    const { body } = await ask(prometheus, { path: '/api/v1/alertmanagers' })
    if (!body.includes(`"${scheme}://localhost:${alertmanager}/api`)) throw new Error(body)
  }

  await t.test('the products work in plaintext', async t => {
    await untilAnswers('node-exporter', () => estate.http(exporter))
    await untilAnswers('alertmanager', () => estate.http(alertmanager, { path: '/-/ready' }))
    await untilAnswers('prometheus', () => estate.http(prometheus, { path: '/-/ready' }))
    await prometheusWorks(estate.http)

    const before = estate.times()
    t.same(told(await estate.apply(wishes('off'))), IN_SYNC)
    t.match(estate.times(), before, 'off is what they are')
  })

  await t.test('what cannot be brought to TLS is put back, and works', async t => {
    const program = estate.path('usr/bin/prometheus-node-exporter')
    const flags = estate.path('etc/default/prometheus-node-exporter')
    renameSync(program, `${program}.good`)
    const isOn = `case "$*" in *--web.config*) echo no >&2; exit 1 ;; esac`
    writeProgram(program, `${isOn}\nexec ${program}.good "$@"`)
    const stock = readFileSync(flags, 'utf8')

    t.match(await estate.apply([served('node-exporter')]), [{ outcome: 'restored' }])

    t.equal(readFileSync(flags, 'utf8'), stock)
    t.match(await estate.http(exporter), { status: 200 })
    renameSync(`${program}.good`, program)
  })

  await t.test('one pass brings all of them and the scrape jobs to TLS', async t => {
    t.same(told(await estate.apply(wishes('on'))), RESTARTED)

    for (const port of ports) t.match(await estate.https(port), { status: /200|302/ })
    await prometheusWorks(estate.https)
  })

  await t.test('a second pass changes nothing', async t => {
    const [before, running] = [estate.times(), await invocations(estate)]

    t.same(told(await estate.apply(wishes('on'))), IN_SYNC)

    t.same(estate.times(), before)
    t.same(await invocations(estate), running)
  })

  await t.test('a renewal is taken without a restart or a signal', async t => {
    const prints = () =>
      Promise.all(ports.map(async port => (await estate.https(port)).fingerprint))
    const [before, running] = [await prints(), await invocations(estate)]

    t.same(
      told(await estate.renew(wishes('on'), SERVICES)),
      SERVICES.map(service => `${service}: changed none`),
    )

    const after = await prints()
    t.notOk(
      after.some(print => before.includes(print)),
      'all serve another leaf',
    )
    t.same(await invocations(estate), running)
    await prometheusWorks(estate.https)
  })

  await t.test('off brings them back to plaintext', async t => {
    t.same(told(await estate.apply(wishes('off'))), RESTARTED)

    await prometheusWorks(estate.http)
    const before = estate.times()
    t.same(told(await estate.apply(wishes('off'))), IN_SYNC)
    t.same(estate.times(), before)
  })
}

function invocations(estate: ProductNode): Promise<readonly string[]> {
  return Promise.all(UNITS.map(unit => estate.invocation(unit)))
}
