import t from 'tap'
import { LAB_UNAVAILABLE } from './lab/availability.ts'
import { addOutcome, closingLine, selectFiles, type Tally, verdict } from './run.ts'
import { inOrder, needsMachine, placesOn, runInPlaces } from './schedule.ts'
import { NOT_IN_CI, readTests, runTestFile } from './test-file.ts'

const TAP = `TAP version 14
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
`
const END = { code: 0, signal: null, isLate: false }

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

await t.test('a run fails on a failure, on no test, and in CI on a skip', async t => {
  const skip = { name: 'x', reason: `${LAB_UNAVAILABLE}: needs root` }
  const without = { name: 'y', reason: `${NOT_IN_CI}: no QEMU` }

  t.equal(verdict(tally({ passed: 1 }), { ci: true }), undefined)
  t.equal(verdict(tally({ passed: 1, failed: 1 }), { ci: false }), 'tests failed')
  t.equal(verdict(tally({}), { ci: false }), 'no test ran')
  t.equal(verdict(tally({ passed: 1, skipped: [skip, without] }), { ci: false }), undefined)
  t.equal(verdict(tally({ passed: 1, skipped: [without] }), { ci: true }), undefined)
  t.match(
    verdict(tally({ passed: 1, skipped: [skip, without] }), { ci: true }),
    '1 tests were skipped',
  )
})

await t.test('assertions are counted at the leaves, skips with their reasons', async t => {
  const reader = readTests('test/a.test.ts')
  reader.parser.end(TAP)
  const outcome = reader.outcome({ ...END, code: 1 })
  const counted = tally({})
  const lines = addOutcome(counted, outcome, 100)

  t.match(counted, {
    passed: 2,
    failed: 1,
    skipped: [{ name: 'test/a.test.ts > inner > c', reason: 'no time' }],
  })
  t.match(lines[0], /test\/a.test.ts > inner > b[^]*message: should be equal/)
  t.strictSame(lines.slice(1), ['FAIL test/a.test.ts  2 passed  0.1 s'])
})

await t.test('a file that is skipped as a whole says why', async t => {
  for (const plan of ['1..0 # SKIP needs root', '1..0 # needs root']) {
    const reader = readTests('test/b.test.ts')
    reader.parser.end(`TAP version 14\n${plan}\n`)
    const counted = tally({})
    const lines = addOutcome(counted, reader.outcome(END), 0)

    const skipped = [{ name: 'test/b.test.ts', reason: 'needs root' }]
    t.strictSame(counted, { passed: 0, failed: 0, skipped })
    t.strictSame(lines, ['skip test/b.test.ts  0 passed  0.0 s'])
  }
})

await t.test('a file fails however it fails', async t => {
  const head = "console.log('TAP version 14\\nok 1 - fine')\n"
  const cwd = t.testdir({
    'good.mjs': `${head}console.log('1..1')\n`,
    'code.mjs': `${head}console.log('1..1')\nprocess.exitCode = 3\n`,
    'cut.mjs': `${head}process.exit(0)\n`,
    'silent.mjs': '',
    'killed.mjs': `${head}process.kill(process.pid, 'SIGKILL')\n`,
    'late.mjs': `${head}process.on('SIGTERM', () => {})\nsetInterval(() => {}, 1000)\n`,
    'bail.mjs': `${head}console.log('Bail out! out of luck')\n`,
  })
  const run = async (file: string, timeoutMs = 60_000) => {
    const { ok, passed, failures } = await runTestFile(file, { cwd, env: process.env, timeoutMs })
    return [ok, passed, ...failures]
  }

  t.strictSame(await run('good.mjs'), [true, 1])
  t.strictSame(await run('code.mjs'), [
    false,
    1,
    'code.mjs: ended with 3, though no assertion failed',
  ])
  t.match(await run('cut.mjs'), [false, 1, /no plan/])
  t.strictSame(await run('silent.mjs'), [false, 0, 'silent.mjs: nothing was asserted'])
  t.strictSame(await run('killed.mjs'), [false, 1, 'killed.mjs: was ended by SIGKILL'])
  t.match(await run('late.mjs', 2_000), [false, Number, 'late.mjs: did not end in time'])
  t.match(await run('bail.mjs'), [false, 1, 'bailed out: out of luck'])
})

await t.test('a file that does not end is said with how far it came', t => {
  const { parser, outcome } = readTests('a.test.ts')
  parser.write('TAP version 14\n# Subtest: one\n    ok 1 - begun\n')
  parser.end()
  t.strictSame(outcome({ code: null, signal: 'SIGTERM', isLate: true }).failures, [
    'a.test.ts: did not end in time, after: a.test.ts > one > begun',
  ])
  t.end()
})

await t.test('an error that nobody handles fails the file, a rejection too', async t => {
  const tap = import.meta.resolve('tap')
  const testOf = (body: string) => `import t from '${tap}'
await t.test('a', async t => {
  t.pass()
  ${body}
  await new Promise(resolve => setTimeout(resolve, 50))
})
`
  const cwd = t.testdir({
    'good.mjs': testOf(''),
    'timer.mjs': testOf("setTimeout(() => { throw new Error('in a timer') }, 1)"),
    'promise.mjs': testOf("void Promise.reject(new Error('by nobody'))"),
    'later.mjs': testOf("setTimeout(() => Promise.reject(new Error('and later')), 1)"),
  })
  const run = (file: string) => runTestFile(file, { cwd, env: process.env, timeoutMs: 60_000 })

  t.match(await run('good.mjs'), { ok: true, passed: 1, failures: [] })
  t.match(await run('timer.mjs'), { ok: false, passed: 1, failures: [/in a timer/] })
  t.match(await run('promise.mjs'), { ok: false, passed: 1, failures: [/by nobody/] })
  t.match(await run('later.mjs'), { ok: false, passed: 1, failures: [/and later/] })
})

await t.test('what takes long begins first, then labs, and every file is run once', async t => {
  const files = [
    'test/a/a.test.ts',
    'test/integration/x.test.ts',
    'test/lab/estate/rotation.test.ts',
    'test/lab/faults.test.ts',
    'test/lab/lab.test.ts',
    'test/property/rollout.test.ts',
  ]
  t.strictSame(inOrder(files), [
    'test/lab/estate/rotation.test.ts',
    'test/lab/faults.test.ts',
    'test/property/rollout.test.ts',
    'test/integration/x.test.ts',
    'test/lab/lab.test.ts',
    'test/a/a.test.ts',
  ])
})

await t.test('a machine of any size has places for both kinds, and they are kept', async t => {
  t.strictSame([1, 2, 64].map(placesOn), [
    { all: 2, labs: 2 },
    { all: 2, labs: 2 },
    { all: 8, labs: 6 },
  ])
  const files = ['test/lab/1', 'test/lab/2', 'test/lab/3', 'test/a/1', 'test/a/2']
  const seen: string[] = []
  const running = new Set<string>()
  const most = { all: 0, labs: 0 }
  await runInPlaces(files, { all: 3, labs: 1 }, async file => {
    seen.push(file)
    running.add(file)
    const labs = [...running].filter(needsMachine).length
    most.all = Math.max(most.all, running.size)
    most.labs = Math.max(most.labs, labs)
    await new Promise(resolve => setImmediate(resolve))
    running.delete(file)
  })

  t.strictSame(seen.toSorted(), files.toSorted())
  t.strictSame(seen.slice(0, 3), ['test/lab/1', 'test/a/1', 'test/a/2'], 'others go by')
  t.strictSame(most, { all: 3, labs: 1 })
})

function tally(some: Partial<Tally>): Tally {
  return { passed: 0, failed: 0, skipped: [], ...some }
}
