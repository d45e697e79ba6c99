// External gates against a real Prometheus (Debian's package) and a webhook on loopback.

import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { judgeQuery, judgeWebhook } from '../../controller/gates/answers.ts'
import { exchangeJson } from '../../controller/gates/exchange.ts'
import { signatureOf } from '../../controller/webhooks/send.ts'
import { Secret } from '../../shared/secret.ts'
import { until } from '../lab/until.ts'
import { freePort } from '../support/free-port.ts'
import { PROMETHEUS, PROMETHEUS_UNAVAILABLE } from '../support/prometheus.ts'

const { signal } = new AbortController()
const serverAt = (origin: string, secret?: Secret) => ({
  origin,
  secret,
  token: undefined,
  ca: undefined,
})

async function startPrometheus(t: Test): Promise<string> {
  const directory = mkdtempSync(join(tmpdir(), 'tlsfleet-prometheus-'))
  const port = await freePort()
  const config = join(directory, 'prometheus.yml')
  writeFileSync(config, 'scrape_configs: []\n')
  const child = spawn(
    PROMETHEUS,
    [
      `--config.file=${config}`,
      `--storage.tsdb.path=${directory}/data`,
      `--web.listen-address=127.0.0.1:${port}`,
    ],
    { stdio: 'ignore' },
  )
  const ended = new Promise(resolve => child.once('exit', resolve))
  t.teardown(async () => {
    child.kill('SIGKILL')
    await ended
    rmSync(directory, { recursive: true })
  })
  const origin = `http://127.0.0.1:${port}`
  const url = new URL('/-/ready', origin)
  const isReady = () =>
    exchangeJson(serverAt(origin), url, { nowMs: 0, signal }).then(
      ({ status }) => status === 200,
      () => false,
    )
  await until(isReady, { what: 'prometheus is ready' })
  return origin
}

await t.test(
  'a query of a real Prometheus passes, fails, and says nothing',
  { skip: PROMETHEUS_UNAVAILABLE },
  async t => {
    const origin = await startPrometheus(t)
    const ask = async (query: string, expect: Parameters<typeof judgeQuery>[1]) => {
      const url = new URL(`/api/v1/query?${new URLSearchParams({ query }).toString()}`, origin)
      const answer = await exchangeJson(serverAt(origin), url, { nowMs: Date.now(), signal })
      return judgeQuery(answer, expect).verdict
    }

    t.equal(await ask('vector(1)', { is: '<', than: 2 }), 'pass')
    t.equal(await ask('vector(3)', { is: '<', than: 2 }), 'fail')
    t.equal(await ask('2', { is: '==', than: 2 }), 'pass', 'a scalar')
    t.equal(await ask('vector(1) > 5', 'empty'), 'pass')
    t.equal(await ask('vector(1) > 5', { is: '<', than: 2 }), 'inconclusive')
    t.equal(await ask('this is (no query', 'non-empty'), 'inconclusive')
  },
)

await t.test('a webhook is told by a signed POST, and its answer is the verdict', async t => {
  const secret = new Secret('0123456789abcdef')
  const seen: { method?: string | undefined; signature: unknown; body: string }[] = []
  const server = createServer((request, response) => {
    let body = ''
    request.on('data', (piece: Buffer) => (body += piece.toString('utf8')))
    request.on('end', () => {
      const signature = request.headers['tlsfleet-signature']
      seen.push({ method: request.method, signature, body })
      response.end('{"verdict":"fail","evidence":"error rate 4 %"}')
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('it listens on a port')
  const url = new URL(`http://127.0.0.1:${address.port}/gate`)

  const body = '{"rollout":"r1"}'
  const answer = await exchangeJson(serverAt(url.origin, secret), url, {
    body,
    nowMs: 1_000,
    signal,
  })

  t.match(judgeWebhook(answer), { verdict: 'fail', reason: { message: 'error rate 4 %' } })
  t.strictSame(seen, [{ method: 'POST', signature: signatureOf(secret, body, 1_000), body }])
  const gone = await freePort()
  const nobody = new URL(`http://127.0.0.1:${gone}/gate`)
  await t.rejects(exchangeJson(serverAt(nobody.origin), nobody, { nowMs: 0, signal }), {
    code: 'gate-unanswered',
  })
})
