// The agent's two conversations with its controller: asking for desired states, telling reports.

import { setImmediate as nextTurn } from 'node:timers/promises'
import t from 'tap'
import type { DesiredAnswer } from '../../shared/contract/agent-api.ts'
import type { Report } from '../../shared/contract/report.ts'
import { OperationalError } from '../../shared/errors.ts'
import { silentLog } from '../../shared/log.ts'
import { createReporter, pollDesired } from '../../agent/poll.ts'
import type { Remote } from '../../agent/remote.ts'
import { until } from '../lab/until.ts'
import { createFakeController, unreachable } from '../support/fake-controller.ts'

const settled = async () => {
  for (let turn = 0; turn < 5; turn++) await nextTurn()
}

/** Sleeps cost no time here; how long they were is written down. */
function scene(change: Partial<Remote>) {
  const sleeps: number[] = []
  const warnings: unknown[] = []
  const stop = new AbortController()
  const { remote } = createFakeController(() => 0)
  const connection: Remote = { ...remote, ...change }
  return {
    sleeps,
    warnings,
    stop,
    shared: {
      remote: () => connection,
      clock: {
        now: () => 0,
        monotonic: () => 0,
        async sleep(ms: number, signal?: AbortSignal) {
          sleeps.push(ms)
          // An idle reporter waits for an offer.
          if (ms > 600_000)
            await new Promise<void>(resolve => signal?.addEventListener('abort', () => resolve()))
          await nextTurn()
        },
      },
      log: { ...silentLog, warn: (...said: unknown[]) => void warnings.push(said) },
      random: () => 0.5,
    },
  }
}

const nothing: DesiredAnswer = { nowMs: 1 }

await t.test(
  'polls go on while the controller is away, ever slower, and say so seldom',
  async t => {
    let asked = 0
    const { shared, sleeps, warnings, stop } = scene({
      async desired() {
        asked += 1
        if (asked === 130) stop.abort()
        throw unreachable()
      },
    })

    await pollDesired({
      ...shared,
      position: () => ({ epoch: 0, generation: 1 }),
      onAnswer: () => t.fail('there is no answer'),
      signal: stop.signal,
    })

    t.equal(asked, 130)
    t.strictSame(sleeps.slice(0, 8), [750, 1_500, 3_000, 6_000, 12_000, 24_000, 45_000, 45_000])
    t.ok(Math.max(...sleeps) <= 60_000, 'never more than a minute')
    t.equal(warnings.length, 3, 'one line an hour, not one a try')
  },
)

await t.test('a refusal is not hidden by the outage before it', async t => {
  const codes = ['controller-unreachable', 'identity-refused', 'identity-refused']
  let asked = 0
  const { shared, warnings, stop } = scene({
    async desired() {
      const code = codes[asked]
      asked += 1
      if (code === undefined) stop.abort()
      throw new OperationalError(code ?? 'controller-unreachable', 'no')
    },
  })

  await pollDesired({
    ...shared,
    position: () => ({ epoch: 0, generation: 1 }),
    onAnswer: () => undefined,
    signal: stop.signal,
  })

  t.match(warnings, [[{ code: 'controller-unreachable' }], [{ code: 'identity-refused' }]])
  t.equal(warnings.length, 2)
})

await t.test('an answer ends the slowness; jitter keeps a fleet apart', async t => {
  let asked = 0
  const { shared, sleeps, stop } = scene({
    async desired() {
      asked += 1
      if (asked === 4) return { ...nothing, document: {} }
      if (asked === 6) stop.abort()
      throw unreachable()
    },
  })
  const answers: unknown[] = []

  await pollDesired({
    ...shared,
    random: () => 0.999,
    position: () => undefined,
    onAnswer: answer => answers.push(answer),
    signal: stop.signal,
  })

  t.equal(answers.length, 1)
  t.strictSame(
    sleeps.map(ms => Math.round(ms / 100) * 100),
    [1_000, 2_000, 4_000, 1_000],
  )
})

await t.test('each question names the newest generation, and waits for long', async t => {
  const questions: unknown[] = []
  let generation: number | undefined
  const { shared, sleeps, stop } = scene({
    async desired(question) {
      questions.push(question)
      if (questions.length === 3) stop.abort()
      generation = (generation ?? 6) + 1
      return nothing
    },
  })

  await pollDesired({
    ...shared,
    position: () => (generation === undefined ? undefined : { epoch: 0, generation }),
    onAnswer: () => undefined,
    signal: stop.signal,
  })

  t.match(questions, [{ generation: undefined }, { generation: 7 }, { generation: 8 }])
  t.match(questions[0], { waitMs: 55_000 })
  t.ok(
    sleeps.length >= 2 && sleeps.every(ms => ms <= 100),
    'an answer of nothing is a new question',
  )
})

await t.test('a refusal of the controller is no reason to give up', async t => {
  let asked = 0
  const { shared, stop } = scene({
    async desired() {
      asked += 1
      if (asked === 5) stop.abort()
      throw new OperationalError(asked % 2 === 0 ? 'identity-refused' : 'malformed-answer', 'no')
    },
  })

  await pollDesired({
    ...shared,
    position: () => ({ epoch: 0, generation: 1 }),
    onAnswer: () => undefined,
    signal: stop.signal,
  })

  t.equal(asked, 5)
})

function report(sequence: number, more: Partial<Report> = {}): Report {
  return { sequence, atMs: sequence, agentVersion: '1', services: [], facts: {}, ...more }
}

const problem = (code: string) => ({ problem: { code, message: code } })

await t.test('only news is sent: neither a new number nor a new time is news', async t => {
  const sent: Report[] = []
  const { shared, stop } = scene({ report: async one => void sent.push(one) })
  const reporter = createReporter(shared)
  const running = reporter.run(stop.signal)

  reporter.offer(report(1))
  await until(() => sent.length === 1, { what: 'the first', everyMs: 1 })
  reporter.offer(report(2))
  await settled()
  t.equal(sent.length, 1)
  reporter.offer(report(3, problem('a')))
  await until(() => sent.length === 2, { what: 'the second', everyMs: 1 })
  reporter.offer(report(4))
  await until(() => sent.length === 3, { what: 'back to the first is news again', everyMs: 1 })

  t.strictSame(
    sent.map(one => one.sequence),
    [1, 3, 4],
  )
  stop.abort()
  await running
})

await t.test(
  'a report is sent until it has arrived; the newest takes the place of an unsent one',
  async t => {
    const tried: number[] = []
    const { shared, sleeps, stop } = scene({
      async report({ sequence }) {
        tried.push(sequence)
        if (tried.length === 3) reporter.offer(report(2, problem('b')))
        if (tried.length === 4) reporter.offer(report(3, problem('c')))
        if (tried.length < 7) throw unreachable()
      },
    })
    const reporter = createReporter(shared)
    reporter.offer(report(1, problem('a')))
    const running = reporter.run(stop.signal)

    await until(() => tried.length === 7, { what: 'it has arrived', everyMs: 1 })
    await settled()

    t.strictSame(tried, [1, 1, 1, 2, 3, 3, 3])
    t.strictSame(sleeps.slice(0, 6), [750, 1_500, 3_000, 6_000, 12_000, 24_000])
    stop.abort()
    await running
  },
)

await t.test('what changes while a report is on its way is sent after it', async t => {
  const sent: number[] = []
  const { shared, stop } = scene({
    async report({ sequence }) {
      sent.push(sequence)
      if (sequence === 1) reporter.offer(report(2, problem('b')))
    },
  })
  const reporter = createReporter(shared)
  reporter.offer(report(1))
  const running = reporter.run(stop.signal)

  await until(() => sent.length === 2, { what: 'the second', everyMs: 1 })
  await settled()

  t.strictSame(sent, [1, 2])
  stop.abort()
  await running
})

await t.test('a stop ends an idle reporter, and one that is trying', async t => {
  for (const isAway of [false, true]) {
    const { shared, stop } = scene({
      async report() {
        if (isAway) throw unreachable()
      },
    })
    const reporter = createReporter(shared)
    reporter.offer(report(1))
    const running = reporter.run(stop.signal)
    await settled()
    stop.abort()
    await running
    t.pass(isAway ? 'trying' : 'idle')
  }
})
