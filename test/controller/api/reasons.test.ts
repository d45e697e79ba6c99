import t from 'tap'
import { ReasonExplained } from '../../../shared/contract/reasons.ts'
import { allCodes } from '../../../shared/reasons/explain.ts'
import { codeOf, operatorOf, parsed, startController } from './support.ts'

await t.test('every code is explained to whoever may look, one at a time', async t => {
  const running = await startController(t)
  const viewer = operatorOf(running, running.viewerToken)

  const answer = await viewer('GET', '/v1/reasons/author-confirms')

  t.match(answer.body, { code: 'author-confirms', meaning: /rotation/, action: /ca advance/ })
  for (const code of allCodes())
    t.ok(ReasonExplained.safeParse({ code, meaning: 'm', action: 'a' }).success, code)
  const family = parsed(
    ReasonExplained,
    await viewer('GET', '/v1/reasons/window-influxdb-telegraf'),
  )
  t.match(family, { code: 'window-influxdb-telegraf', meaning: /plaintext or TLS/ })
  t.equal(codeOf(await viewer('GET', '/v1/reasons/no-such-code')), 'not-found')
  t.equal(codeOf(await viewer('GET', '/v1/reasons/constructor')), 'not-found')
  t.equal(codeOf(await viewer('GET', '/v1/reasons/NOT%20A%20CODE')), 'malformed-request')
})
