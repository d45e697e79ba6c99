import t from 'tap'
import { clockDifferenceMs } from '../../shared/clock-difference.ts'
import { findingsText, hasFailed } from '../../shared/findings.ts'

await t.test('findings are lines with what to do below them, and a sum', async t => {
  const findings = [
    { check: 'clock', state: 'ok', message: 'agrees' },
    { check: 'connection', state: 'warning', message: 'slow', fix: 'wait' },
    { check: 'login', state: 'failed', message: 'refused', fix: 'log in again' },
    { check: 'the rest', state: 'skipped', message: 'needs this first' },
  ] as const
  t.equal(
    findingsText(findings),
    [
      'ok       clock       agrees',
      'warning  connection  slow',
      '                     → wait',
      'failed   login       refused',
      '                     → log in again',
      'skipped  the rest    needs this first',
      '',
      '1 failed, 1 warning',
      '',
    ].join('\n'),
  )
  t.equal(hasFailed(findings), true)
  t.equal(hasFailed(findings.slice(0, 2)), false)
  t.match(findingsText([findings[0]]), 'nothing is wrong')
})

await t.test('a difference of clocks counts beyond what one answer can tell', async t => {
  const askedAtMs = Date.UTC(2026, 0, 1, 12, 0, 0, 900)
  const answer = (date: string | undefined) =>
    clockDifferenceMs({ date, askedAtMs, answeredAtMs: askedAtMs + 300 })
  t.equal(answer('Thu, 01 Jan 2026 12:00:00 GMT'), 0, 'the second in which it was asked')
  t.equal(answer('Thu, 01 Jan 2026 12:00:01 GMT'), 0, 'the second in which it was answered')
  t.equal(answer('Thu, 01 Jan 2026 12:00:11 GMT'), 9_800)
  t.equal(answer('Thu, 01 Jan 2026 11:59:50 GMT'), -9_900)
  t.equal(answer('yesterday'), undefined)
  t.equal(answer(undefined), undefined)
})
