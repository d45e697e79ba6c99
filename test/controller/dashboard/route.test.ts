import * as fc from 'fast-check'
import t from 'tap'
import { hrefOf, parseRoute, type Route } from '../../../controller/dashboard/page/route.ts'

await t.test('a link leads where it was made for', async t => {
  const text = fc.string({ minLength: 1, maxLength: 30, unit: 'binary' })
  const id = text.filter(one => one.isWellFormed())
  const filter = fc.oneof(fc.constant(''), id)
  const route: fc.Arbitrary<Route> = fc.oneof(
    filter.map(one => ({ view: 'fleet' as const, filter: one })),
    id.map(name => ({ view: 'node' as const, name })),
    filter.map(one => ({ view: 'certificates' as const, filter: one })),
    filter.map(one => ({ view: 'audit' as const, filter: one })),
    fc.tuple(id, filter).map(([one, two]) => ({ view: 'rollout' as const, id: one, filter: two })),
    id.map(one => ({ view: 'rotation' as const, id: one })),
    fc.constantFrom('rollouts' as const, 'rotations' as const, 'groups' as const).map(view => ({
      view,
    })),
  )
  fc.assert(
    fc.property(route, one => {
      t.strictSame(parseRoute(hrefOf(one)), one)
    }),
  )
})

await t.test(
  'an address that is typed by hand leads to the fleet, or says that it is nowhere',
  async t => {
    t.strictSame(parseRoute(''), { view: 'fleet', filter: '' })
    t.strictSame(parseRoute('#/?filter=state%3Afailed'), { view: 'fleet', filter: 'state:failed' })
    t.strictSame(parseRoute('#/nodes'), { view: 'fleet', filter: '' })
    t.strictSame(parseRoute('#/nodes/%E0%A4'), { view: 'node', name: '%E0%A4' })
    t.match(parseRoute('#/nodes/a/b'), { view: 'nowhere' })
    t.match(parseRoute('#/no-such-view'), { view: 'nowhere', path: 'no-such-view' })
  },
)
