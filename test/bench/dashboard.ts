// How long it takes until the dashboard of a fleet can be used, in a browser that has never seen it, and what
// that transfers. Beside it, in the same browser and in turns: the same answers of the API, fetched and
// parsed by a page that does nothing else.

import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Browser, chromium, type Page } from 'playwright-core'
import { createController } from '../../controller/controller.ts'
import { initController } from '../../controller/init.ts'
import { systemClock } from '../../shared/clock.ts'
import { silentLog } from '../../shared/log.ts'
import { Secret } from '../../shared/secret.ts'
import { fillFleet, syntheticNodes } from '../dashboard/synthetic-fleet.ts'
import { median, printMetric, say } from './metric.ts'

const CHROMIUM = '/usr/bin/chromium'
const NODES = 1_000
const ROUNDS = 7
const LOOPBACK = { host: '127.0.0.1', port: 0 }

interface Visit {
  readonly wallMs: number
  readonly assetsKb: number
  readonly apiKb: number
  /** Paths of the API, in the order in which they were asked for. */
  readonly asked: readonly string[]
}

export async function benchDashboard(): Promise<void> {
  if (!existsSync(CHROMIUM)) return say(`dashboard: not measured, there is no ${CHROMIUM}`)
  const dir = mkdtempSync(join(tmpdir(), 'tlsfleet-bench-dashboard-'))
  const ends: (() => Promise<void>)[] = []
  try {
    const { origin, token, close } = await startFleet(join(dir, 'data'))
    ends.push(close)
    const browser = await startChromium(join(dir, 'home'))
    ends.unshift(() => browser.close())
    // The controller builds the page when the first browser asks.
    await visitDashboard(browser, origin, token)
    const visits: Visit[] = []
    const raw: number[] = []
    for (let round = 0; round < ROUNDS; round++) {
      const visit = await visitDashboard(browser, origin, token)
      visits.push(visit)
      raw.push(await fetchRaw(browser, origin, token, visit.asked))
    }
    print(visits, raw)
  } finally {
    for (const end of ends) await end()
    rmSync(dir, { recursive: true, force: true })
  }
}

function print(visits: readonly Visit[], raw: readonly number[]): void {
  const usable = visits.map(({ wallMs }) => wallMs)
  const of = `dashboard.${NODES}_nodes`
  printMetric(`${of}.usable_ms`, median(usable), 'ms', usable.length)
  printMetric(`${of}.same_answers_raw_ms`, median(raw), 'ms', raw.length)
  printMetric(`${of}.usable_over_raw`, median(usable) / median(raw), 'ratio', raw.length)
  for (const kind of ['assetsKb', 'apiKb'] as const) {
    const sizes = visits.map(visit => visit[kind])
    printMetric(`${of}.${kind === 'apiKb' ? 'api' : 'page'}_kb`, median(sizes), 'kb', sizes.length)
  }
}

async function startFleet(dataDir: string) {
  const passphrase = new Secret('correct horse battery staple')
  const known = { dataDir, fleet: 'demo', passphrase }
  const { adminToken } = await initController({
    ...known,
    nowMs: Date.now(),
    random: randomBytes,
  })
  const controller = await createController({
    dataDir,
    passphrase,
    listen: { operator: LOOPBACK, agent: LOOPBACK, enroll: LOOPBACK },
    publicNames: ['localhost'],
    clock: systemClock,
    log: silentLog,
  })
  await fillFleet(controller, syntheticNodes(NODES))
  return {
    origin: controller.urls.operator,
    token: adminToken.reveal(),
    close: () => controller.close(),
  }
}

function startChromium(home: string): Promise<Browser> {
  mkdirSync(home)
  return chromium.launch({
    executablePath: CHROMIUM,
    // The bench may run as root, where its own sandbox refuses to work.
    args: ['--no-sandbox', '--disable-dev-shm-usage', '--disable-gpu'],
    env: { PATH: process.env['PATH'] ?? '', HOME: home, LANG: 'C.UTF-8' },
  })
}

/** From the address until every node is counted and the first rows of the list are there. */
async function visitDashboard(browser: Browser, origin: string, token: string): Promise<Visit> {
  const context = await browser.newContext({ ignoreHTTPSErrors: true })
  const page = await context.newPage()
  const transfers = await watchTransfers(page)
  const content = `sessionStorage.setItem('tlsfleet-token', ${JSON.stringify(token)})`
  await context.addInitScript({ content })
  const startedMs = performance.now()
  await page.goto(`${origin}/`)
  await page.getByText(`${NODES.toLocaleString('en')} nodes`, { exact: true }).waitFor()
  await page.getByRole('grid', { name: 'Nodes' }).getByRole('row').nth(5).waitFor()
  const wallMs = performance.now() - startedMs
  const seen = transfers()
  await context.close()
  return { wallMs, ...seen }
}

async function fetchRaw(
  browser: Browser,
  origin: string,
  token: string,
  asked: readonly string[],
): Promise<number> {
  const context = await browser.newContext({ ignoreHTTPSErrors: true })
  const page = await context.newPage()
  const startedMs = performance.now()
  // A page of the same origin without a script.
  await page.goto(`${origin}/dashboard/icon.svg`)
  const headers = { authorization: `Bearer ${token}` }
  const each = `path => fetch(path, { headers: ${JSON.stringify(headers)} }).then(answer => answer.json())`
  await page.evaluate(`Promise.all(${JSON.stringify(asked)}.map(${each})).then(() => {})`)
  const wallMs = performance.now() - startedMs
  await context.close()
  return wallMs
}

/** Bytes as they came over the connection, headers included. */
async function watchTransfers(page: Page) {
  const session = await page.context().newCDPSession(page)
  await session.send('Network.enable')
  const paths = new Map<string, string>()
  const bytes = new Map<string, number>()
  session.on('Network.requestWillBeSent', ({ requestId, request }) => {
    const { pathname, search } = new URL(request.url)
    paths.set(requestId, pathname + search)
  })
  session.on('Network.loadingFinished', ({ requestId, encodedDataLength }) => {
    bytes.set(requestId, encodedDataLength)
  })
  return () => {
    const done = [...bytes].map(([id, size]) => ({ path: paths.get(id) ?? '', size }))
    const isApi = (path: string) => path.startsWith('/v1/')
    const kbOf = (some: typeof done) => some.reduce((sum, { size }) => sum + size, 0) / 1_000
    return {
      assetsKb: kbOf(done.filter(({ path }) => !isApi(path))),
      apiKb: kbOf(done.filter(({ path }) => isApi(path))),
      asked: done.map(({ path }) => path).filter(isApi),
    }
  }
}
