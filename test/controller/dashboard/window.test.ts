import * as fc from 'fast-check'
import t from 'tap'
import { moved, sliceOf } from '../../../controller/dashboard/page/window.ts'

await t.test('whatever is in sight is in the document, and little else', async t => {
  const sight = fc.record({
    rows: fc.nat(5_000),
    rowPx: fc.integer({ min: 20, max: 80 }),
    scrolledPx: fc.integer({ min: -500, max: 500_000 }),
    heightPx: fc.integer({ min: 0, max: 2_000 }),
  })
  fc.assert(
    fc.property(sight, one => {
      const { rows, rowPx, heightPx } = one
      const { start, end, abovePx, belowPx } = sliceOf(one)
      const allPx = rows * rowPx
      const scrolledPx = Math.max(0, Math.min(one.scrolledPx, allPx - heightPx))
      t.ok(start >= 0 && end >= start && end <= rows)
      t.equal(abovePx + (end - start) * rowPx + belowPx, allPx, 'the list keeps its height')
      t.ok(end - start <= 160)
      if (heightPx / rowPx > 100) return
      const first = Math.floor(scrolledPx / rowPx)
      const last = Math.min(rows, Math.ceil((scrolledPx + heightPx) / rowPx))
      if (one.scrolledPx <= allPx - heightPx)
        t.ok(start <= first && last <= end, `${start} ${first} ${last} ${end}`)
    }),
    { numRuns: 500 },
  )
})

await t.test('keys move within the list, and other keys are left alone', async t => {
  t.equal(moved('ArrowDown', -1, 10, 5), 0, 'the first key chooses the first row')
  t.equal(moved('ArrowDown', 9, 10, 5), 9)
  t.equal(moved('ArrowUp', 0, 10, 5), 0)
  t.equal(moved('PageDown', 3, 10, 5), 8)
  t.equal(moved('PageUp', 3, 10, 5), 0)
  t.equal(moved('Home', 7, 10, 5), 0)
  t.equal(moved('End', 2, 10, 5), 9)
  t.equal(moved('Tab', 2, 10, 5), undefined)
})
