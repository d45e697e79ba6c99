import t from 'tap'
import { LAB_UNAVAILABLE } from './lab/availability.ts'
import { closingLine, createTally, selectFiles, type Tally, verdict } from './run.ts'

const TAP = `TAP version 14
# Subtest: test/a.test.ts
    # Subtest: inner
        ok 1 - a
        not ok 2 - b
          ---
          message: should be equal
          ...
        ok 3 - c # SKIP no time
        ok 4 - d
        1..4
        # failed 1 of 4 tests
    not ok 1 - inner
    1..1
not ok 1 - test/a.test.ts # time=100ms
# Subtest: test/b.test.ts
    1..0 # SKIP needs root
ok 2 - test/b.test.ts # SKIP needs root
Bail out! out of luck
`

await t.test('a selection is cut by folder and by what is given on the command line', async t => {
  const files = [
    'test/lab/lab.test.ts',
    'test/a/b.test.ts',
    'test/integration/x.test.ts',
    'test/a/a.test.ts',
  ]

  t.same(selectFiles(files, 'fast', []), ['test/a/a.test.ts', 'test/a/b.test.ts'])
  t.same(selectFiles(files, 'lab', []), ['test/integration/x.test.ts', 'test/lab/lab.test.ts'])
  t.equal(selectFiles(files, 'all', []).length, 4)
  t.same(selectFiles(files, 'all', ['a/b', 'lab']), ['test/a/b.test.ts', 'test/lab/lab.test.ts'])
})

await t.test('the closing line names what was skipped only where something was', async t => {
  t.equal(closingLine(tally({ passed: 3 })), '3 passed, 0 failed')
  const skipped = [{ name: 'x', reason: 'y' }]
  t.equal(closingLine(tally({ passed: 3, failed: 1, skipped })), '3 passed, 1 failed, 1 skipped')
})

await t.test(
  'a run fails on a failure, on no test, and in CI on a skip for want of the lab',
  async t => {
    const lab = { name: 'x', reason: `${LAB_UNAVAILABLE}: needs root` }
    const other = { name: 'y', reason: 'no PostgreSQL here' }

    t.equal(verdict(tally({ passed: 1 }), { ci: true }), undefined)
    t.equal(verdict(tally({ passed: 1, failed: 1 }), { ci: false }), 'tests failed')
    t.equal(verdict(tally({}), { ci: false }), 'no test ran')
    t.equal(verdict(tally({ passed: 1, skipped: [lab, other] }), { ci: false }), undefined)
    t.equal(verdict(tally({ passed: 1, skipped: [other] }), { ci: true }), undefined)
    t.match(verdict(tally({ passed: 1, skipped: [lab] }), { ci: true }), '1 tests needed the lab')
  },
)

await t.test(
  'assertions are counted at the leaves, skips with their reasons, bailouts as failures',
  async t => {
    const lines: string[] = []
    const counted = tally({})
    const parser = createTally(counted, line => lines.push(line))
    parser.end(TAP)

    t.match(counted, {
      passed: 2,
      failed: 2,
      skipped: [
        { name: 'test/a.test.ts > inner > c', reason: 'no time' },
        { reason: 'needs root' },
      ],
    })
    t.match(lines[0], /inner > b[^]*message: should be equal/)
    t.equal(lines[1], 'FAIL test/a.test.ts  2 passed  0.1 s')
    t.match(lines[2], 'skip test/b.test.ts')
    t.match(lines.at(-1), 'bailed out: out of luck')
  },
)

function tally(some: Partial<Tally>): Tally {
  return { passed: 0, failed: 0, skipped: [], ...some }
}
