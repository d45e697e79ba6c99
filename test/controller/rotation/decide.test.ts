import t from 'tap'
import {
  decide,
  type Decision,
  needsConfirmation,
  request,
} from '../../../controller/rotation/decide.ts'
import {
  evolve,
  evolveAll,
  IllegalStep,
  startRotation,
} from '../../../controller/rotation/evolve.ts'
import {
  type Barrier,
  type Pace,
  type Rotation,
  type RotationEvent,
  type RotationPhase,
  type RotationView,
  worldOf,
} from '../../../controller/rotation/rotation.ts'
import { standingsOf } from '../../../controller/rotation/standing.ts'

const T0 = 1_800_000_000_000
const by = { atMs: T0, actor: 'alice' }
const reason = { code: 'why', message: 'because' }
const HOLDS: Barrier = { verdict: 'holds', blockers: [] }
const BLOCKED: Barrier = {
  verdict: 'blocked',
  blockers: [{ node: 'n1', reason, isUnknown: false }],
}
const WAY: readonly RotationPhase[] = ['distribute', 'activate', 'retire', 'deny']

function started(pace: Pace = 'normal', kind: 'service' | 'identity' = 'service'): Rotation {
  const subject = { kind, from: `${kind}-1`, to: `${kind}-2` }
  return startRotation('r1', { kind: 'created', subject, pace, ...by })
}

function inPhase(phase: RotationPhase, pace: Pace = 'normal'): Rotation {
  const until = WAY.slice(0, WAY.indexOf(phase) + 1)
  return evolveAll(
    started(pace),
    until.map(one => ({ kind: 'entered', phase: one, reason, ...by })),
  )
}

function view(over: Partial<RotationView> = {}): RotationView {
  return { rollout: undefined, movable: 0, barrier: HOLDS, ...over }
}

function kinds(decision: Decision): readonly string[] {
  return decision.kind === 'events'
    ? decision.events.map(event => ('phase' in event ? event.phase : event.kind))
    : [decision.kind]
}

await t.test('what happens next', async t => {
  const moving = evolve(inPhase('distribute'), { kind: 'rollout-started', rollout: 'x', ...by })
  const ended = (status: 'succeeded' | 'partial' | 'failed') =>
    view({ rollout: { id: 'x', status, reason } })
  const partial = evolve(moving, {
    kind: 'rollout-ended',
    rollout: 'x',
    status: 'partial',
    ...by,
  })
  const table: readonly (readonly [string, Rotation, RotationView, readonly string[]])[] = [
    ['prepare has no barrier', started(), view(), ['distribute']],
    [
      'nodes that are not there yet are moved',
      inPhase('distribute'),
      view({ movable: 1, barrier: BLOCKED }),
      ['start-rollout'],
    ],
    [
      'a rollout is waited for',
      moving,
      view({ rollout: { id: 'x', status: 'running', reason } }),
      ['nothing'],
    ],
    [
      'one that nobody has noted is',
      inPhase('distribute'),
      view({ rollout: { id: 'x', status: 'staging', reason } }),
      ['rollout-started'],
    ],
    ['its end is noted', moving, ended('succeeded'), ['rollout-ended']],
    ['deferred nodes are no failure', moving, ended('partial'), ['rollout-ended']],
    ['a failure stops the rotation', moving, ended('failed'), ['rollout-ended', 'stopped']],
    ['one that is gone, too', moving, view(), ['rollout-ended', 'stopped']],
    ['a barrier is waited for', inPhase('distribute'), view({ barrier: BLOCKED }), ['nothing']],
    ['distribute goes on by itself', inPhase('distribute'), view(), ['activate']],
    ['activate waits for an operator', inPhase('activate'), view(), ['nothing']],
    ['but not in a hurry', inPhase('activate', 'auto'), view(), ['retire']],
    [
      'nor when it is confirmed',
      evolve(inPhase('activate'), { kind: 'confirmed', reason, ...by }),
      view(),
      ['retire'],
    ],
    [
      'nor when the CA is compromised',
      evolve(inPhase('activate', 'step'), { kind: 'tainted', reason, ...by }),
      view(),
      ['retire'],
    ],
    [
      'a confirmation is no way past a barrier',
      evolve(inPhase('activate'), { kind: 'confirmed', reason, ...by }),
      view({ barrier: BLOCKED }),
      ['nothing'],
    ],
    ['step by step distribute waits too', inPhase('distribute', 'step'), view(), ['nothing']],
    ['retire leads to deny', inPhase('retire'), view(), ['deny']],
    ['and deny to the end', inPhase('deny'), view(), ['ended']],
    [
      'stopped is stopped',
      evolve(inPhase('distribute'), { kind: 'stopped', reason, ...by }),
      view({ movable: 3 }),
      ['nothing'],
    ],
    [
      'what was deferred is tried again, a little later',
      partial,
      { ...ended('partial'), movable: 1 },
      ['nothing'],
    ],
  ]
  for (const [name, rotation, seen, expected] of table)
    t.strictSame(kinds(decide(rotation, seen, T0)), expected, name)
  t.strictSame(kinds(decide(partial, { ...ended('partial'), movable: 1 }, T0 + 5_000)), [
    'start-rollout',
  ])
})

await t.test('the way back leads through the same worlds', async t => {
  const there = evolve(inPhase('activate'), { kind: 'rollout-started', rollout: 'x', ...by })
  let rotation = evolve(there, { kind: 'reversed', reason, ...by })
  const running = view({ rollout: { id: 'x', status: 'running', reason }, movable: 2 })
  t.match(decide(rotation, running, T0), { kind: 'abort-rollout', rollout: 'x' })
  const failed = view({ rollout: { id: 'x', status: 'aborted', reason }, movable: 2 })
  const end = decide(rotation, failed, T0)
  t.strictSame(kinds(end), ['rollout-ended'], 'of the way there, so it stops nothing')
  if (end.kind === 'events') rotation = evolveAll(rotation, end.events)

  const passed: unknown[] = []
  for (let round = 0; round < 5 && rotation.status === 'running'; round++) {
    passed.push([rotation.phase, worldOf(rotation)?.trust, standingsOf(rotation)])
    const next = decide(rotation, view(), T0)
    if (next.kind === 'events') rotation = evolveAll(rotation, next.events)
  }
  const states = (old: string, next: string) => [
    { id: 'service-2', state: next },
    { id: 'service-1', state: old },
  ]
  t.strictSame(passed, [
    ['activate', 'both', states('active', 'outgoing')],
    ['distribute', 'old', states('active', 'retired')],
    ['prepare', undefined, states('active', 'denied')],
  ])
  t.equal(rotation.status, 'reversed')
})

await t.test('what an operator may ask, and when it is too late', async t => {
  const ask = (
    rotation: Rotation,
    kind: 'advance' | 'resume' | 'abort' | 'taint',
    wasPermitted = false,
  ) => {
    const answer = request(rotation, { kind, reason }, { actor: 'alice', atMs: T0, wasPermitted })
    return 'kind' in answer ? answer.reason.code : answer.map(event => event.kind)
  }
  t.strictSame(ask(inPhase('activate'), 'advance'), ['confirmed'])
  t.equal(ask(inPhase('distribute'), 'advance'), 'illegal-transition', 'it goes on by itself')
  t.strictSame(ask(inPhase('distribute', 'step'), 'advance'), ['confirmed'])
  for (const phase of ['distribute', 'activate', 'retire'] as const)
    t.strictSame(ask(inPhase(phase), 'abort'), ['reversed'], phase)
  t.equal(ask(inPhase('retire'), 'abort', true), 'illegal-transition')
  t.equal(ask(inPhase('deny'), 'abort'), 'illegal-transition')
  t.strictSame(ask(inPhase('activate'), 'taint'), ['tainted'])
  t.strictSame(ask(inPhase('activate'), 'resume'), [], 'it goes on anyway')
  const stopped = evolve(inPhase('activate'), { kind: 'stopped', reason, ...by })
  t.strictSame(ask(stopped, 'resume'), ['resumed'])
  const back = evolve(inPhase('activate'), { kind: 'reversed', reason, ...by })
  t.strictSame(ask(back, 'abort'), [])
  t.notOk(needsConfirmation(back), 'the way back waits for nobody')
})

await t.test('where others are asked for, trust is removed by nobody alone', async t => {
  const inActivate = (approvals: number, pace: Pace = 'normal') => {
    const subject = { kind: 'service', from: 'service-1', to: 'service-2' } as const
    const first = startRotation('r1', { kind: 'created', subject, pace, approvals, ...by })
    const entered = WAY.slice(0, 2)
    return evolveAll(
      first,
      entered.map(phase => ({ kind: 'entered', phase, reason, ...by })),
    )
  }
  const ask = (rotation: Rotation, actor: string) =>
    request(rotation, { kind: 'advance', reason }, { actor, atMs: T0, wasPermitted: false })
  const confirmed = (rotation: Rotation, actor: string) => {
    const answer = ask(rotation, actor)
    return 'kind' in answer ? rotation : evolveAll(rotation, answer)
  }
  for (const pace of ['step', 'normal', 'auto'] as const) {
    const rotation = inActivate(2, pace)
    const hurried = evolve(rotation, { kind: 'tainted', reason, ...by })
    for (const one of [rotation, hurried]) {
      t.match(ask(one, 'alice'), { reason: { code: 'author-confirms' } })
      t.throws(() => evolve(one, { kind: 'confirmed', reason, ...by }), new IllegalStep())
      const bob = confirmed(one, 'bob')
      t.strictSame(ask(bob, 'bob'), [], 'twice is once')
      t.strictSame(kinds(decide(bob, view(), T0)), ['nothing'], `${pace}: two are asked for`)
      t.match(ask(bob, 'alice'), { reason: { code: 'author-confirms' } })
      t.strictSame(kinds(decide(confirmed(bob, 'carol'), view(), T0)), ['retire'])
    }
  }
  const step = evolveAll(inActivate(0, 'step'), [{ kind: 'confirmed', reason, ...by }])
  t.strictSame(kinds(decide(step, view(), T0)), ['retire'], 'nobody is asked for by default')
  const back = evolve(inActivate(1), { kind: 'reversed', reason, ...by })
  t.notOk(needsConfirmation(back), 'the way back waits for nobody')
})

await t.test('what the order of the phases does not allow is not stored', async t => {
  const moving = evolve(inPhase('distribute'), { kind: 'rollout-started', rollout: 'x', ...by })
  const refused: readonly (readonly [Rotation, RotationEvent])[] = [
    [started(), { kind: 'entered', phase: 'activate', reason, ...by }],
    [moving, { kind: 'entered', phase: 'activate', reason, ...by }],
    [moving, { kind: 'rollout-started', rollout: 'y', ...by }],
    [inPhase('distribute'), { kind: 'ended', status: 'completed', ...by }],
    [inPhase('deny'), { kind: 'reversed', reason, ...by }],
    [
      evolve(inPhase('activate'), { kind: 'reversed', reason, ...by }),
      { kind: 'reversed', reason, ...by },
    ],
    [
      evolve(inPhase('deny'), { kind: 'ended', status: 'completed', ...by }),
      { kind: 'tainted', reason, ...by },
    ],
  ]
  for (const [rotation, event] of refused)
    t.throws(() => evolve(rotation, event), new IllegalStep(), `${event.kind} in ${rotation.phase}`)
})
