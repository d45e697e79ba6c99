// The files of the dashboard as the operator listener serves them, and what pages of others get.

import { globSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { Agent, request } from 'node:https'
import t from 'tap'
import { CONTENT_SECURITY_POLICY, DASHBOARD_PATHS } from '../../../controller/api/dashboard.ts'
import { buildAssets } from '../../../controller/dashboard/build.ts'
import { call, codeOf, operatorOf, startController } from './support.ts'

const PAGE = join(dirname(dirname(dirname(import.meta.dirname))), 'controller/dashboard/page')

await t.test('four files for everybody, each under the strict policy', async t => {
  const { controller } = await startController(t)
  const tls = { ca: controller.identityRoot }
  const get = (path: string, headers = {}) =>
    call({ url: `${controller.urls.operator}${path}`, headers, tls })
  const types = ['text/html', 'text/javascript', 'text/css', 'image/svg+xml']

  for (const [index, path] of DASHBOARD_PATHS.entries()) {
    const { status, headers, text } = await get(path)
    t.equal(status, 200, path)
    t.equal(headers['content-type']?.toString().split(';')[0], types[index])
    t.match(headers, {
      'content-security-policy': CONTENT_SECURITY_POLICY,
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
      'cache-control': 'no-cache',
    })
    t.equal(headers['set-cookie'], undefined)
    const again = await get(path, { 'if-none-match': String(headers['etag']) })
    t.strictSame([again.status, again.text], [304, ''])
    const packed = await gzipped(`${controller.urls.operator}${path}`, tls.ca)
    t.equal(packed, text, 'the same, packed')
  }
  t.match(CONTENT_SECURITY_POLICY, /^default-src 'none'; script-src 'self';/)
  t.notMatch(CONTENT_SECURITY_POLICY, /unsafe|\*|https?:|data:/)
  const tried = await call({ url: `${controller.urls.operator}/`, method: 'POST', tls })
  t.equal(tried.status, 404)
  const elsewhere = await call({ url: `${controller.urls.enroll}/`, tls })
  t.equal(elsewhere.status, 404, 'no other listener has it')
})

function gzipped(url: string, ca: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const agent = new Agent({ keepAlive: false })
    const sent = request(url, { ca, agent, headers: { 'accept-encoding': 'gzip' } }, response => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('end', () => {
        const isPacked = response.headers['content-encoding'] === 'gzip'
        const bytes = Buffer.concat(chunks)
        resolve(isPacked ? gunzipSync(bytes).toString() : 'not packed')
      })
    })
    sent.on('error', reject)
    sent.end()
  })
}

await t.test('what another page causes is refused, also with a good token', async t => {
  const running = await startController(t)
  const { controller } = running
  const ask = (site: string, path: string) =>
    call({
      url: `${controller.urls.operator}${path}`,
      headers: { authorization: `Bearer ${running.adminToken}`, 'sec-fetch-site': site },
      tls: { ca: controller.identityRoot },
    })

  for (const site of ['cross-site', 'same-site']) {
    const answer = await ask(site, '/v1/whoami')
    t.strictSame([answer.status, codeOf(answer)], [403, 'foreign-page'], site)
    t.equal((await ask(site, '/')).status, 200, 'a link from elsewhere opens the page')
  }
  for (const site of ['same-origin', 'none'])
    t.equal((await ask(site, '/v1/whoami')).status, 200, site)
})

await t.test('the page is small, the same each time, and needs nothing from elsewhere', async t => {
  const [{ assets, inputs }, again] = [await buildAssets(), await buildAssets()]

  t.strictSame(again.assets, assets)
  t.strictSame(
    assets.map(({ path }) => path),
    DASHBOARD_PATHS,
  )
  const packages = new Set(inputs.flatMap(path => /node_modules\/([^/]+)/.exec(path)?.[1] ?? []))
  t.strictSame([...packages], ['preact'])
  const bytes = assets.reduce((sum, { text }) => sum + Buffer.byteLength(text), 0)
  t.ok(bytes < 160 * 1024, `${bytes} bytes`)
  for (const { path, text } of assets) {
    const urls = [...text.matchAll(/https?:\/\/[^\s"'`)]+/g)].map(([url]) => url)
    // Names of languages, which nobody fetches.
    t.strictSame(
      urls.filter(url => !url.startsWith('http://www.w3.org/')),
      [],
      path,
    )
  }
})

await t.test('no text becomes markup, a script or a place to go to', async t => {
  for (const path of globSync('**/*.{ts,tsx,html}', { cwd: PAGE })) {
    const text = readFileSync(join(PAGE, path), 'utf8')
    t.notMatch(
      text,
      /innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|localStorage|document\.cookie|style="/,
      path,
    )
  }
})

await t.test('a plan of one node is asked of that node', async t => {
  const running = await startController(t)
  const operator = operatorOf(running)
  t.equal(codeOf(await operator('POST', '/v1/nodes/n1/plan', {})), 'not-found')
  await operator('POST', '/v1/nodes', { name: 'n1', names: { dns: ['n1.example.org'], ip: [] } })
  t.equal(codeOf(await operator('POST', '/v1/nodes/n1/plan', {})), 'nothing-to-do')
})
