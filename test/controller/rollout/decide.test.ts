import t, { type Test } from 'tap'
import { decide } from '../../../controller/rollout/decide.ts'
import { evolveAll } from '../../../controller/rollout/evolve.ts'
import { request } from '../../../controller/rollout/request.ts'
import type { FleetView, Rollout } from '../../../controller/rollout/rollout.ts'
import { nowAt } from '../../contract/samples.ts'
import { brief, fleetOf, nodeView, reporting, rolloutWith, WHY } from './states.ts'

type Case = readonly [string, Rollout, FleetView, readonly string[]]

const offline = { online: false, silentMs: 1 }

function check(t: Test, cases: readonly Case[]): void {
  for (const [what, rollout, fleet, expected] of cases) {
    const events = decide(rollout, fleet, nowAt())
    t.same(brief(events), expected, what)
    t.doesNotThrow(() => evolveAll(rollout, events), what)
  }
}
await t.test('a planned rollout starts, one that has ended does nothing', async t => {
  t.same(brief(decide(rolloutWith('planned', { a: 'waiting' }), fleetOf(), nowAt())), ['started'])
  for (const status of ['succeeded', 'partial', 'failed', 'aborted', 'superseded'] as const) {
    t.same(decide(rolloutWith(status, { a: 'staged' }), fleetOf(nodeView('a')), nowAt()), [])
  }
})

await t.test('staging: what follows from a waiting or an assigned node', async t => {
  const waiting = rolloutWith('staging', { a: 'waiting', z: 'assigned' })
  const assigned = rolloutWith('staging', { a: 'assigned', z: 'assigned' })
  const z = nodeView('z')
  const drained = ['node-refused a', 'draining failed']
  check(t, [
    ['online', waiting, fleetOf(nodeView('a', { highestGeneration: 8 }), z), ['node-assigned a 9']],
    ['offline', waiting, fleetOf(nodeView('a', offline), z), ['node-deferred a']],
    ['removed', waiting, fleetOf(z), ['node-deferred a']],
    ['staged', assigned, fleetOf(reporting('a', 'staged'), z), ['node-staged a']],
    ['there already', assigned, fleetOf(reporting('a', 'in-sync'), z), ['node-staged a']],
    [
      'staged, then gone',
      assigned,
      fleetOf(reporting('a', 'staged', offline), z),
      ['node-staged a'],
    ],
    ['gone', assigned, fleetOf(nodeView('a', offline), z), ['node-deferred a']],
    ['no report yet', assigned, fleetOf(nodeView('a'), z), []],
    [
      'an old report',
      assigned,
      fleetOf(reporting('a', 'failed', { observedGeneration: 4 }), z),
      [],
    ],
    [
      'stopped',
      assigned,
      fleetOf(reporting('a', 'waiting', { inactive: true }), z),
      ['node-deferred a'],
    ],
    ['waiting otherwise', assigned, fleetOf(reporting('a', 'waiting'), z), []],
    ['failed', assigned, fleetOf(reporting('a', 'failed'), z), drained],
    ['unsupported', assigned, fleetOf(reporting('a', 'unsupported'), z), drained],
    ['restored, which nobody asked for', assigned, fleetOf(reporting('a', 'restored'), z), drained],
  ])
})

await t.test('staging ends when every step is staged or settled', async t => {
  const rollout = rolloutWith('staging', { a: 'assigned', b: 'staged', c: 'deferred' })
  const fleet = fleetOf(reporting('a', 'staged'), nodeView('b'), nodeView('c', offline))
  t.same(brief(decide(rollout, fleet, nowAt())), ['node-staged a', 'staged'])
  t.same(
    brief(decide(rolloutWith('staging', {}), fleetOf(), nowAt())),
    ['staged'],
    'no nodes at all',
  )
})

await t.test('a wide rollout is assigned in portions', async t => {
  const names = Array.from({ length: 300 }, (_, index) => `n${index}`)
  const rollout = rolloutWith(
    'staging',
    Object.fromEntries(names.map(name => [name, 'waiting' as const])),
  )
  const fleet = fleetOf(...names.map(name => nodeView(name)))

  const first = decide(rollout, fleet, nowAt())
  const second = decide(evolveAll(rollout, first), fleet, nowAt())

  t.equal(first.length, 256)
  t.equal(second.length, 44)
})

await t.test('running: one permit at a time, in the order of the plan', async t => {
  const two = rolloutWith('running', { b: 'staged', a: 'staged' })
  const ready = [reporting('a', 'staged'), reporting('b', 'staged')] as const
  check(t, [
    ['the first', two, fleetOf(...ready), ['node-permitted b 6']],
    [
      'the first is gone',
      two,
      fleetOf(ready[0], nodeView('b', offline)),
      ['node-deferred b', 'node-permitted a 6'],
    ],
    ['the first was removed', two, fleetOf(ready[0]), ['node-deferred b', 'node-permitted a 6']],
    [
      'the first was stopped',
      two,
      fleetOf(ready[0], reporting('b', 'waiting', { inactive: true })),
      ['node-deferred b', 'node-permitted a 6'],
    ],
    [
      'the first fails meanwhile',
      two,
      fleetOf(ready[0], reporting('b', 'failed')),
      ['node-refused b', 'draining failed'],
    ],
    [
      'one is in motion',
      rolloutWith('running', { b: 'applying', a: 'staged' }),
      fleetOf(ready[0], nodeView('b')),
      [],
    ],
    [
      'one is suspect',
      rolloutWith('running', { b: 'suspect', a: 'staged' }),
      fleetOf(ready[0], nodeView('b')),
      [],
    ],
    [
      'the one before is done',
      rolloutWith('running', { b: 'applying', a: 'staged' }),
      fleetOf(ready[0], reporting('b', 'changed')),
      ['node-done b', 'node-permitted a 6'],
    ],
    [
      'all are gone',
      two,
      fleetOf(nodeView('a', offline), nodeView('b', offline)),
      [
        'node-deferred b',
        'node-deferred a',
        'batch-settled',
        'node-released b 6',
        'node-released a 6',
        'ended partial',
      ],
    ],
  ])
})

await t.test('running: what follows from a report of a node that holds a permit', async t => {
  const z = reporting('z', 'staged')
  const permitted = rolloutWith('running', { a: 'permitted', z: 'staged' })
  const applying = rolloutWith('running', { a: 'applying', z: 'staged' })
  const suspect = rolloutWith('running', { a: 'suspect', z: 'staged' })
  const next = 'node-permitted z 6'
  const taken = ['permit-withdrawn a 6', 'node-deferred a', next]
  const silent = { online: false, silentMs: 600_000 + 1 }
  check(t, [
    ['permitted, nothing', permitted, fleetOf(nodeView('a'), z), []],
    ['permitted, still staged', permitted, fleetOf(reporting('a', 'staged'), z), []],
    ['permitted, waits for a lease', permitted, fleetOf(reporting('a', 'waiting'), z), []],
    [
      'permitted, nothing to do',
      permitted,
      fleetOf(reporting('a', 'in-sync'), z),
      ['node-done a', next],
    ],
    [
      'permitted, stopped',
      permitted,
      fleetOf(reporting('a', 'waiting', { inactive: true }), z),
      taken,
    ],
    ['permitted, gone', permitted, fleetOf(nodeView('a', offline), z), taken],
    ['permitted, removed', permitted, fleetOf(z), taken],
    [
      'permitted, failed',
      permitted,
      fleetOf(reporting('a', 'failed'), z),
      ['node-refused a', 'draining failed'],
    ],
    [
      'permitted, broken without a claim',
      permitted,
      fleetOf(reporting('a', 'failed', { broken: true }), z),
      ['node-broken a', 'draining failed'],
    ],
    [
      'permitted, restored',
      permitted,
      fleetOf(reporting('a', 'restored'), z),
      ['node-reverted a', 'draining failed'],
    ],
    [
      'permitted, an old report',
      permitted,
      fleetOf(reporting('a', 'restored', { observedGeneration: 4 }), z),
      [],
    ],
    ['applying, nothing', applying, fleetOf(nodeView('a', { silentMs: 600_000 }), z), []],
    ['applying, silent', applying, fleetOf(nodeView('a', silent), z), ['node-suspected a']],
    [
      'applying, in sync',
      applying,
      fleetOf(reporting('a', 'in-sync', silent), z),
      ['node-done a', next],
    ],
    [
      'applying, restored',
      applying,
      fleetOf(reporting('a', 'restored'), z),
      ['node-reverted a', 'draining failed'],
    ],
    [
      'applying, failed',
      applying,
      fleetOf(reporting('a', 'failed'), z),
      ['node-broken a', 'draining failed'],
    ],
    [
      'applying, unsupported',
      applying,
      fleetOf(reporting('a', 'unsupported'), z),
      ['node-broken a', 'draining failed'],
    ],
    [
      'applying, stopped before the switch',
      applying,
      fleetOf(reporting('a', 'waiting', { inactive: true }), z),
      ['node-reverted a', 'draining failed'],
    ],
    ['applying, waits for something else', applying, fleetOf(reporting('a', 'waiting'), z), []],
    ['applying, removed', applying, fleetOf(z), ['node-broken a', 'draining failed']],
    ['suspect, silent', suspect, fleetOf(nodeView('a', silent), z), []],
    ['suspect, back', suspect, fleetOf(reporting('a', 'changed'), z), ['node-done a', next]],
    [
      'suspect, failed',
      suspect,
      fleetOf(reporting('a', 'failed'), z),
      ['node-broken a', 'draining failed'],
    ],
  ])
})

await t.test('running ends when every step is settled', async t => {
  const applying = rolloutWith('running', { a: 'applying', b: 'done' })
  const deferred = rolloutWith('running', { a: 'applying', b: 'deferred', c: 'skipped' })
  const b = nodeView('b', { highestGeneration: 9, ...offline })
  check(t, [
    [
      'all done',
      applying,
      fleetOf(reporting('a', 'in-sync'), b),
      ['node-done a', 'batch-settled', 'ended succeeded'],
    ],
    [
      'some deferred: they get back what they had',
      deferred,
      fleetOf(reporting('a', 'in-sync'), b),
      ['node-done a', 'batch-settled', 'node-released b 10', 'ended partial'],
    ],
    ['nothing to do', rolloutWith('running', {}), fleetOf(), ['batch-settled', 'ended succeeded']],
  ])
})

await t.test(
  'draining waits for what is in motion, gives back what was given, and ends',
  async t => {
    const moving = rolloutWith('draining', { a: 'applying', b: 'staged', c: 'broken' })
    const still = rolloutWith('draining', {
      a: 'waiting',
      b: 'assigned',
      c: 'staged',
      d: 'done',
      e: 'reverted',
      f: 'refused',
      g: 'broken',
      h: 'deferred',
      i: 'staged',
    })
    const views = 'abcdefgh'.split('').map(name => nodeView(name))
    const all = 'bcefh'.split('').map(name => `node-released ${name} 6`)
    check(t, [
      ['in motion', moving, fleetOf(...views), []],
      [
        'it finishes',
        moving,
        fleetOf(...views.slice(1), reporting('a', 'changed')),
        ['node-done a', 'node-released b 6', 'ended failed'],
      ],
      [
        'it breaks',
        moving,
        fleetOf(...views.slice(1), reporting('a', 'failed')),
        ['node-broken a', 'node-released b 6', 'ended failed'],
      ],
      ['nothing moves; i was removed', still, fleetOf(...views), [...all, 'ended failed']],
      [
        'toward aborted',
        { ...rolloutWith('draining', { a: 'waiting' }), toward: 'aborted' },
        fleetOf(...views),
        ['ended aborted'],
      ],
      [
        'a permit that was left is withdrawn first, and its generation counts',
        rolloutWith('draining', { a: 'permitted' }),
        fleetOf(...views),
        ['permit-withdrawn a 6', 'node-released a 7', 'ended failed'],
      ],
      [
        'a broken node that was repaired is done',
        rolloutWith('draining', { a: 'suspect', b: 'broken' }),
        fleetOf(nodeView('a'), reporting('b', 'in-sync')),
        ['node-done b'],
      ],
    ])
  },
)

await t.test('a drain says which node failed and why', async t => {
  const rollout = rolloutWith('staging', { a: 'assigned' })

  const events = decide(rollout, fleetOf(reporting('a', 'failed')), nowAt())

  t.match(events[1], {
    kind: 'draining',
    reason: { code: 'node-refused', message: 'a: because of that' },
  })
})

await t.test(
  'a claim is granted for the current permit, again and again, and for nothing else',
  async t => {
    const claim = (rollout: Rollout, node: string, generation: number) => {
      const answer = request(rollout, { kind: 'claim', node, generation }, fleetOf(), nowAt())
      return 'kind' in answer ? answer.reason.code : brief(answer)
    }
    for (const state of ['applying', 'suspect', 'done', 'broken'] as const) {
      t.same(claim(rolloutWith('running', { a: state }), 'a', 5), [], state)
    }
    for (const state of [
      'assigned',
      'staged',
      'reverted',
      'refused',
      'deferred',
      'skipped',
    ] as const) {
      t.equal(claim(rolloutWith('running', { a: state }), 'a', 5), 'not-permitted', state)
    }
    const permitted = rolloutWith('running', { a: 'permitted' })
    t.same(claim(permitted, 'a', 5), ['permit-claimed a 5'])
    t.equal(claim(permitted, 'a', 4), 'permit-stale')
    t.equal(claim(permitted, 'a', 6), 'permit-stale')
    t.equal(claim(permitted, 'constructor', 5), 'not-in-rollout')
    t.equal(claim(rolloutWith('running', { a: 'waiting' }), 'a', 5), 'permit-stale')
    t.equal(claim(rolloutWith('draining', { a: 'permitted' }), 'a', 5), 'not-permitted')
    t.same(
      claim(rolloutWith('draining', { a: 'applying' }), 'a', 5),
      [],
      'what has begun may finish',
    )
  },
)

await t.test(
  'abort stops a rollout that runs, withdraws its permit, and is refused too late',
  async t => {
    const abort = (rollout: Rollout) => {
      const fleet = fleetOf(nodeView('a', { highestGeneration: 7 }))
      const answer = request(rollout, { kind: 'abort', reason: WHY }, fleet, nowAt())
      return 'kind' in answer ? answer.reason.code : brief(answer)
    }
    t.same(abort(rolloutWith('planned', { a: 'waiting' })), ['draining aborted'])
    t.same(abort(rolloutWith('staging', { a: 'assigned' })), ['draining aborted'])
    t.same(abort(rolloutWith('running', { a: 'permitted' })), [
      'draining aborted',
      'permit-withdrawn a 8',
    ])
    t.same(abort(rolloutWith('running', { a: 'applying' })), ['draining aborted'])
    t.equal(abort(rolloutWith('draining', { a: 'applying' })), 'illegal-transition')
    t.same(abort({ ...rolloutWith('draining', { a: 'applying' }), toward: 'aborted' }), [], 'twice')
    t.equal(
      abort({ ...rolloutWith('succeeded', { a: 'done' }), endedAtMs: 1 }),
      'illegal-transition',
    )
  },
)
