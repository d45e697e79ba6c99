import fc from 'fast-check'
import t from 'tap'
import {
  publicDaysMax,
  publicLifetimeProblem,
  validityDays,
} from '../../../shared/pki/public-lifetime.ts'

const SECOND_MS = 1_000
const DAY_MS = 86_400 * SECOND_MS
const at = (text: string) => Date.parse(text)

/** First and last second of issuance that a limit is for, and the limit, as the ballot has them. */
const TABLE = [
  { first: '2020-09-01T00:00:00Z', last: '2026-03-14T23:59:59Z', days: 398 },
  { first: '2026-03-15T00:00:00Z', last: '2027-03-14T23:59:59Z', days: 200 },
  { first: '2027-03-15T00:00:00Z', last: '2029-03-14T23:59:59Z', days: 100 },
  { first: '2029-03-15T00:00:00Z', last: '2040-01-01T00:00:00Z', days: 47 },
] as const

await t.test('each limit holds from its first to its last second, and to the second', async t => {
  for (const { first, last, days } of TABLE)
    for (const issued of [first, last]) {
      const notBeforeMs = at(issued)
      // Both ends count: valid from 00:00:00 to 23:59:59 is one day.
      const longest = notBeforeMs + days * DAY_MS - SECOND_MS
      const title = `${days} days, issued ${issued}`
      t.equal(publicDaysMax(notBeforeMs), days, title)
      t.equal(publicLifetimeProblem({ notBeforeMs, notAfterMs: longest }), undefined, title)
      t.match(
        publicLifetimeProblem({ notBeforeMs, notAfterMs: longest + SECOND_MS }),
        { code: 'public-lifetime', message: `at most ${days} ` },
        `${title}: one second more is another day`,
      )
    }
})

await t.test('limits change between two seconds and nowhere else', async t => {
  for (const [index, { last }] of TABLE.slice(0, -1).entries())
    t.equal(at(TABLE[index + 1]?.first ?? ''), at(last) + SECOND_MS, last)
})

await t.test('a day is 86,400 seconds, and any excess is another day', async t => {
  const notBeforeMs = at('2028-02-28T12:34:56Z')
  for (const [seconds, days] of [
    [0, 1],
    [86_399, 1],
    [86_400, 2],
    [2 * 86_400 - 1, 2],
    [47 * 86_400 - 1, 47],
    [47 * 86_400, 48],
  ] as const)
    t.equal(
      validityDays({ notBeforeMs, notAfterMs: notBeforeMs + seconds * SECOND_MS }),
      days,
      `${seconds} s`,
    )
})

await t.test('the message says what is and what may be', async t => {
  const notBeforeMs = at('2026-11-22T00:00:00Z')
  t.same(publicLifetimeProblem({ notBeforeMs, notAfterMs: notBeforeMs + 365 * DAY_MS }), {
    code: 'public-lifetime',
    message:
      'it is valid for 366 days; a public CA may give at most 200 to a certificate issued on 2026-11-22',
  })
})

await t.test('limits only become shorter, and what is too long stays too long', async () => {
  const time = fc.integer({ min: at('2020-09-01T00:00:00Z'), max: at('2035-01-01T00:00:00Z') })
  const span = fc.integer({ min: 0, max: 500 * DAY_MS })
  fc.assert(
    fc.property(time, span, fc.nat(DAY_MS), fc.nat(1000 * DAY_MS), (from, length, more, later) => {
      const isBad = (notBeforeMs: number, lengthMs: number) =>
        publicLifetimeProblem({ notBeforeMs, notAfterMs: notBeforeMs + lengthMs }) !== undefined
      return !isBad(from, length) || (isBad(from, length + more) && isBad(from + later, length))
    }),
  )
})
