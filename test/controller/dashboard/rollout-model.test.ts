import t from 'tap'
import { auditQuery, mentions } from '../../../controller/dashboard/page/audit-model.ts'
import { refusalFor, type Right, ROLES_WITH } from '../../../controller/dashboard/page/rights.ts'
import {
  batchesOf,
  statusWord,
  stepsInOrder,
  stepVerbsOf,
  verbsOf,
} from '../../../controller/dashboard/page/rollout-model.ts'
import { rotationVerbsOf } from '../../../controller/dashboard/page/rotation-model.ts'
import { NODE_STATES, STEP_STATES, adviceOn } from '../../../controller/dashboard/page/words.ts'
import { RIGHTS } from '../../../controller/api/policy.ts'
import { NodeState, RolloutStatus, StepState } from '../../../shared/contract/operator-api.ts'

const offered = (status: RolloutStatus, pausedBy: readonly string[] = []) =>
  verbsOf({ status, pausedBy, steps: [] }, 'admin')
const names = (
  choices: readonly { readonly verb: string; readonly refused: string | undefined }[],
) => choices.map(({ verb, refused }) => (refused === undefined ? verb : `(${verb})`))

await t.test('the rights of the page are those of the controller', async t => {
  const rights: readonly Right[] = ['operator', 'approval', 'confirmation', 'admin']
  for (const right of rights) t.strictSame(ROLES_WITH[right], RIGHTS[right], right)
  t.equal(refusalFor('operator', 'operator'), undefined)
  t.equal(
    refusalFor('viewer', 'operator'),
    'your role is viewer; this takes the role operator or admin',
  )
})

await t.test('verbs are those that can have a meaning', async t => {
  t.strictSame(names(offered('planned')), ['approve', 'start', 'abort'])
  t.strictSame(names(offered('staging')), ['pause', 'abort'])
  t.strictSame(names(offered('running')), ['pause', 'promote', 'abort'])
  t.strictSame(names(offered('running', ['manual'])), ['resume', 'promote', 'abort'])
  t.strictSame(names(offered('running', ['frozen'])), ['(pause)', 'promote', 'abort'])
  t.strictSame(names(offered('draining')), ['(abort)'])
  t.strictSame(names(offered('failed')), ['retry', 'rollback'])
  t.strictSame(names(offered('succeeded')), ['(retry)', 'rollback'])
})

await t.test(
  'every verb tells a viewer why it cannot be chosen, and approvers approve',
  async t => {
    for (const status of RolloutStatus.options) {
      const all = verbsOf({ status, pausedBy: [], steps: [] }, 'viewer')
      for (const { verb, refused } of all) t.match(refused, /role is viewer/, `${status} ${verb}`)
    }
    const approver = verbsOf({ status: 'planned', pausedBy: [], steps: [] }, 'approver')
    t.strictSame(names(approver), ['approve', '(start)', '(abort)'])
  },
)

await t.test('a step can be skipped before it moves, and released when nobody knows', async t => {
  const verbs = (state: StepState) => stepVerbsOf(state, 'running', 'operator')
  for (const state of StepState.options) {
    const expected = ['waiting', 'assigned', 'staged', 'deferred'].includes(state)
      ? ['skip']
      : ['suspect', 'broken'].includes(state)
        ? ['force-release']
        : []
    t.strictSame(names(verbs(state)), expected, state)
  }
  t.strictSame(stepVerbsOf('waiting', 'aborted', 'operator'), [])
  t.strictSame(names(stepVerbsOf('suspect', 'running', 'viewer')), ['(force-release)'])
})

await t.test('batches are counted from one and know which is current', async t => {
  const step = (batch: number, state: string) => ({ node: `n${batch}${state}`, batch, state })
  const steps = [step(0, 'done'), step(1, 'applying'), step(1, 'staged'), step(-1, 'deferred')]
  const known = (text: string) => StepState.options.find(state => state === text)
  const batches = batchesOf({ batch: 1, batches: 3, steps }, known)

  t.strictSame(
    batches.map(({ number, place, total }) => [number, place, total]),
    [
      [1, 'passed', 1],
      [2, 'current', 2],
      [3, 'ahead', 0],
    ],
  )
})

await t.test('steps that need somebody stand first', async t => {
  const steps = ['done', 'waiting', 'broken', 'applying'].map(state => ({ node: 'n', state }))
  t.strictSame(
    stepsInOrder(steps).map(({ state }) => state),
    ['broken', 'applying', 'waiting', 'done'],
  )
})

await t.test('a pause is what people see of a rollout that has not ended', async t => {
  t.equal(statusWord('running', ['manual']).label, 'Paused')
  t.equal(statusWord('running', []).label, 'Running')
  t.equal(statusWord('aborted', ['manual']).label, 'Aborted')
})

await t.test('a rotation is advanced when it waits for that, and taken back once', async t => {
  const asked = { author: 'ada', needsOthers: 0, confirmedBy: [] }
  const rotation = { stopped: undefined, direction: 'forward', isTainted: false, ...asked } as const
  const verbs = (more: object = {}, me = 'ada') =>
    names(rotationVerbsOf({ ...rotation, waitsFor: 'advance', ...more }, me))

  t.strictSame(verbs(), ['advance', 'abort', 'taint'])
  t.strictSame(verbs({ waitsFor: 'barrier' }), ['(advance)', 'abort', 'taint'])
  t.strictSame(verbs({ direction: 'reverse', isTainted: true }), ['advance', '(abort)', '(taint)'])
  t.strictSame(
    verbs({ waitsFor: 'resume', stopped: { code: 'rollout-failed', message: 'failed' } }),
    ['(advance)', 'resume', 'abort', 'taint'],
  )
  t.strictSame(verbs({ needsOthers: 1 }), ['(advance)', 'abort', 'taint'], 'its author waits')
  t.strictSame(verbs({ needsOthers: 1 }, 'bob'), ['advance', 'abort', 'taint'])
  t.strictSame(verbs({ needsOthers: 1, confirmedBy: ['bob'] }, 'bob'), [
    '(advance)',
    'abort',
    'taint',
  ])
})

await t.test('states differ by shape where they differ by colour', async t => {
  for (const words of [NODE_STATES, STEP_STATES]) {
    const looks = Object.values(words).map(({ tone, shape }) => ({ tone, shape }))
    for (const { tone, shape } of looks)
      t.strictSame(
        [...new Set(looks.filter(one => one.shape === shape).map(one => one.tone))],
        [tone],
        `${shape} has one colour`,
      )
  }
  for (const state of NodeState.options)
    t.equal(
      adviceOn(state) === undefined,
      state === 'converged' || state === 'converging',
      `${state} says what to do`,
    )
})

await t.test('the audit filter asks the API for what it knows, and searches the rest', async t => {
  t.strictSame(auditQuery(' actor:ada  Lunch target:n1 '), {
    query: 'actor=ada&target=n1',
    words: ['lunch'],
  })
  const record = {
    sequence: 1,
    atMs: 0,
    actor: 'ada',
    action: 'rollout-pause',
    subject: 'r1',
    reason: { code: 'operator-pause', message: 'Lunch' },
    hash: '0'.repeat(64),
  }
  t.ok(mentions(record, ['lunch', 'ada']))
  t.notOk(mentions(record, ['dinner']))
})
