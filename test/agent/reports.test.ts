// Numbers of reports, which a controller only takes when they rise.

import t from 'tap'
import { seen } from '../support/agent-scene.ts'
import { createFakeController, documentOf } from '../support/fake-controller.ts'
import { startAgent } from '../support/memory-agent.ts'
import { newNode, STATE, wish } from '../support/memory-fleet.ts'

await t.test('report numbers increase over restarts, and over a lost ledger', async t => {
  const node = newNode()
  const controller = createFakeController(() => node.nowMs())
  for (let life = 1; life <= 4; life++) {
    if (life === 3) node.files.put(`${STATE}/ledger.json`, 'torn')
    if (life === 4) {
      node.files.put(`${STATE}/ledger.json`, '')
      node.files.put(`${STATE}/report.json`, '')
    }
    const agent = await startAgent(node, controller)
    const dns = ['n1', 'localhost', `life-${life}`]
    const count = controller.reports.length
    const document = documentOf({ generation: life, services: await wish({ dns }) })
    await agent.afterPass(() => controller.offer(document))
    await agent.afterPass(() => agent.wake('files'))
    await seen('the reports', () => controller.reports.length >= count + 2)
    if (life % 2 === 0) await agent.stop()
    else agent.kill()
    node.advance(60_000)
  }

  const numbers = controller.reports.map(report => report.sequence)
  const news = numbers.filter((number, index) => number !== numbers[index - 1])
  t.strictSame(
    news,
    news.toSorted((a, b) => a - b),
    'every number is above those before it, or the very same report again',
  )
  t.ok(news.length >= 8, news.join(' '))
})
