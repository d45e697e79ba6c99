// However often the agent looks, and however often its controller is away for a while: every identity
// is renewed once, not before half of its life, and while the looks are closer than the rest of it,
// before its end.

import { X509Certificate } from 'node:crypto'
import fc from 'fast-check'
import t from 'tap'
import { identityEndsAtMs } from '../../agent/identity.ts'
import { createSession } from '../../agent/session.ts'
import { silentLog } from '../../shared/log.ts'
import {
  createFakeController,
  createIdentity,
  createMemoryCa,
  DAY_MS,
  unreachable,
} from '../support/fake-controller.ts'
import { createMemoryFiles, createPower } from '../support/memory-files.ts'

const START = Date.UTC(2026, 5, 1)
const LIFETIME_MS = 7 * DAY_MS
const LOOKS_DAYS_MAX = 0.9

const look = fc.record({
  afterMs: fc.integer({ min: 1, max: LOOKS_DAYS_MAX * DAY_MS }),
  isAway: fc.boolean(),
})

await t.test('every identity is renewed once, in its second half', async t => {
  let renewals = 0
  await fc.assert(
    fc.asyncProperty(fc.array(look, { minLength: 20, maxLength: 60 }), async looks => {
      let nowMs = START
      const ca = createMemoryCa(START)
      const controller = createFakeController(() => nowMs)
      const power = createPower(undefined)
      const files = createMemoryFiles(
        new Map(),
        () => nowMs,
        () => power,
      )
      files.put('/state/placeholder', '')
      let isAway = false
      // Questions in a row that nobody answered.
      let missed = 0
      let current = createIdentity(nowMs, LIFETIME_MS).certificateChain
      controller.answerRenew = async key => {
        if (isAway) {
          missed++
          throw unreachable()
        }
        missed = 0
        const { validFromDate, validToDate } = new X509Certificate(current)
        const halfMs = (validFromDate.getTime() + validToDate.getTime()) / 2
        if (nowMs < halfMs) throw new Error('renewed before half of its life')
        current = ca.issue(key, nowMs, LIFETIME_MS)
        renewals++
        return current
      }
      const session = await createSession({
        host: { files, clock: { now: () => nowMs, monotonic: () => 0, sleep: async () => {} } },
        stateDirectory: '/state',
        identity: { ...createIdentity(nowMs, LIFETIME_MS) },
        connect: () => controller.remote,
        log: silentLog,
        random: () => 0.5,
        onRefused: () => undefined,
      })
      current = session.identity().certificateChain
      for (const { afterMs, isAway: wish } of looks) {
        nowMs += afterMs
        // At most two in a row: 2.7 days of the 2.8 that are left at the latest, and minutes in which a look
        // that comes soon after a failure does not ask.
        isAway = wish && missed < 2
        await session.renewIfDue(new AbortController().signal)
        if (session.identity().certificateChain !== current) throw new Error('not the newest')
        if (nowMs >= identityEndsAtMs(session.identity())) throw new Error('it has ended')
      }
      if (controller.renewedLate.length > 0) throw new Error('it came too late')
    }),
    { numRuns: 30 },
  )
  t.ok(renewals > 50, `${renewals} renewals`)
})
