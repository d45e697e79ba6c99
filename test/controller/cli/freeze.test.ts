import t from 'tap'
import { tlsfleet } from './command.ts'
import { contextFile, startFakeController } from './fake-controller.ts'
import { NOW_MS } from './views.ts'

const controller = await startFakeController({
  'GET /v1/freezes': {
    body: {
      freezes: [
        { name: 'sale', reason: 'the sale', actor: 'ann', atMs: NOW_MS - 3_600_000 },
        { name: 'lab', reason: 'tests', nodes: ['a', 'b'], actor: 'bob', atMs: NOW_MS },
      ],
    },
  },
  'PUT /v1/freezes/sale': { body: { freezes: [] } },
  'DELETE /v1/freezes/sale': { body: { freezes: [] } },
})
t.teardown(() => controller.close())
const config = contextFile(controller)

await t.test('who has frozen what, since when, and why', async t => {
  const { code, out } = await tlsfleet(['freeze', 'ls'], { config })
  t.equal(code, 0)
  t.match(out, /sale +all nodes +ann +60 min ago +the sale\nlab +a b +bob .*tests/)
})

await t.test('a freeze says why and of whom, and is lifted again', async t => {
  const set = await tlsfleet(
    ['freeze', 'set', 'sale', '--reason', 'big sale', '--node', 'a', 'b'],
    {
      config,
    },
  )
  t.equal(set.code, 0, set.err)
  t.match(set.out, /^a, b frozen by sale: rollouts pause/)
  t.same(controller.requests.at(-1)?.body, { reason: 'big sale', nodes: ['a', 'b'] })
  const lifted = await tlsfleet(['freeze', 'rm', 'sale', '--yes'], { config })
  t.equal(lifted.code, 0, lifted.err)
  t.equal(controller.requests.at(-1)?.method, 'DELETE')
})

await t.test('without a reason there is no freeze', async t => {
  const { code, err } = await tlsfleet(['freeze', 'set', 'sale'], { config })
  t.equal(code, 1)
  t.match(err, /--reason/)
})
