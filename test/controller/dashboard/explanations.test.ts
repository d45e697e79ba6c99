import t from 'tap'
import {
  createExplanations,
  placeBeside,
  withoutLinks,
} from '../../../controller/dashboard/page/explanations.ts'

await t.test('a code is asked for once, and again when nobody answered', async t => {
  const asked: string[] = []
  let isAway = true
  const explanations = createExplanations({
    async get(path) {
      asked.push(path)
      if (isAway) throw new Error('away')
      return JSON.parse('{"code":"in-sync","meaning":"m","action":"a"}')
    },
  })

  await t.rejects(explanations.of('in-sync'))
  isAway = false
  const [first, second] = await Promise.all([
    explanations.of('in-sync'),
    explanations.of('in-sync'),
  ])

  t.match(first, { meaning: 'm' })
  t.equal(first, second)
  t.strictSame(asked, ['/v1/reasons/in-sync', '/v1/reasons/in-sync'])
})

await t.test('links become names of pages', async t => {
  t.equal(
    withoutLinks('See [rotation](ca-rotation.md#x).'),
    'See rotation (docs/ca-rotation.md#x).',
  )
  t.equal(withoutLinks('Nothing.'), 'Nothing.')
})

await t.test('an explanation is beside what it explains and inside of the window', async t => {
  const size = { width: 300, height: 150 }
  const room = { width: 1000, height: 700 }
  t.strictSame(placeBeside({ top: 100, bottom: 120, left: 50 }, size, room), { top: 128, left: 50 })
  t.strictSame(
    placeBeside({ top: 600, bottom: 620, left: 900 }, size, room),
    { top: 442, left: 692 },
    'above, where there is no room below',
  )
  t.strictSame(
    placeBeside({ top: 90, bottom: 110, left: 5 }, size, { width: 200, height: 180 }),
    { top: 22, left: 8 },
    'in a window that is too small, from its edge on',
  )
})
