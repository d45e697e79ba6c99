import t from 'tap'
import {
  cloneReason,
  deniedSinceMs,
  IDENTITY_POLICY,
  prunableBeforeMs,
} from '../../../controller/ca/succession.ts'

const DAY_MS = 86_400_000
const NOW = 1_800_000_000_000
const MINUTE_MS = 60_000

await t.test('who goes back to an identity that was overtaken is a second machine', async t => {
  const presented = (
    generation: number,
    newest: { generation: number; confirmedAtMs: number } | undefined,
    more: { isRenewal?: boolean; deniedFor?: 'superseded' | 'revoked' } = {},
  ) =>
    cloneReason({
      identity: { node: 'n1', generation, deniedFor: more.deniedFor },
      newest,
      nowMs: NOW,
      isRenewal: more.isRenewal ?? false,
    })?.code
  const used = (generation: number, agoMs: number) => ({ generation, confirmedAtMs: NOW - agoMs })
  const renewing = { isRenewal: true }

  t.equal(presented(1, undefined), undefined, 'the first one')
  t.equal(presented(1, undefined, renewing), undefined)
  t.equal(presented(3, used(3, DAY_MS), renewing), undefined, 'the newest one')
  t.equal(presented(4, used(3, DAY_MS), renewing), undefined, 'one that was not used before')
  t.equal(presented(2, used(3, MINUTE_MS)), undefined, 'a request that was under way')
  t.equal(presented(2, used(3, 3 * MINUTE_MS)), 'identity-cloned')
  t.equal(presented(2, used(3, 0), renewing), 'identity-cloned', 'nobody renews twice from one')
  t.equal(presented(2, used(3, -DAY_MS)), undefined, 'a clock that was set back accuses nobody')
  t.equal(presented(2, undefined, { deniedFor: 'superseded' }), 'identity-cloned')
  t.equal(presented(2, used(3, DAY_MS), { deniedFor: 'revoked' }), undefined, 'decided already')
})

await t.test('what is forgotten has ended for everybody, and is too old to come back', async t => {
  const { graceMs } = IDENTITY_POLICY
  t.equal(prunableBeforeMs(IDENTITY_POLICY, NOW), NOW - graceMs - DAY_MS)
  t.equal(deniedSinceMs(NOW), NOW - DAY_MS)
  t.ok(prunableBeforeMs({ lifetimeMs: 1, graceMs: 0 }, NOW) <= deniedSinceMs(NOW))
})
