import { join } from 'node:path'
import t from 'tap'
import type {
  NodeView,
  RolloutEventList,
  RolloutView,
} from '../../../shared/contract/operator-api.ts'
import { golden, tlsfleet, tlsfleetProgram } from './command.ts'
import { type Request, contextFile, refusal, startFakeController } from './fake-controller.ts'
import {
  NOW_MS,
  emptyPlan,
  nodeView,
  plan,
  prometheusDrifted,
  rolloutView,
  serviceReport,
  step,
} from './views.ts'

const controller = await startFakeController()
t.teardown(() => controller.close())
const config = contextFile(controller)
const file = join(t.testdir({ 'fleet.yaml': 'fleet: prod\n' }), 'fleet.yaml')

type Event = RolloutEventList['events'][number]

/** Tells a rollout in the given parts, a poll each; the last part is the end. */
function tellRollout(
  parts: readonly { rollout: RolloutView; events: readonly Omit<Event, 'atMs'>[] }[],
) {
  const events = ({ path }: Request) => {
    const after = Number(new URLSearchParams(path.split('?')[1]).get('after'))
    const part = parts.find(one => one.events.some(event => event.version > after))
    const news = (part?.events ?? [])
      .filter(event => event.version > after)
      .map(event => ({ ...event, atMs: NOW_MS + event.version * 1_000 }))
    return { body: { rollout: (part ?? parts.at(-1))?.rollout, events: news } }
  }
  controller.answer({
    'POST /v1/plans': { body: plan },
    'POST /v1/rollouts': { body: rolloutView() },
    'GET /v1/rollouts/r7/events': events,
  })
}

function tellNodes(nodes: readonly NodeView[]) {
  controller.answer({ 'GET /v1/nodes': { body: { nodes } } })
  for (const node of nodes) controller.answer({ [`GET /v1/nodes/${node.name}`]: { body: node } })
}

const changed = (name: string) =>
  nodeView({
    name,
    generation: 4,
    observedGeneration: 4,
    services: [serviceReport({ outcome: 'changed', activation: 'restart', activations: 1 })],
  })

const succeeded = rolloutView({
  status: 'succeeded',
  endedAtMs: NOW_MS + 9_000,
  steps: [
    step({ node: 'data-1', state: 'done', generation: 4 }),
    step({ node: 'prom-1', state: 'done', generation: 4 }),
  ],
})
const SUCCESS = [
  {
    rollout: rolloutView(),
    events: [
      { version: 1, kind: 'planned' },
      { version: 2, kind: 'started' },
    ],
  },
  { rollout: rolloutView(), events: [{ version: 3, kind: 'node-done', node: 'data-1' }] },
  {
    rollout: succeeded,
    events: [
      { version: 4, kind: 'node-done', node: 'prom-1' },
      { version: 5, kind: 'ended' },
    ],
  },
]

await t.test('a rollout that succeeds is told line by line and ends with the recap', async t => {
  tellRollout(SUCCESS)
  tellNodes([changed('data-1'), changed('prom-1')])
  const before = controller.requests.length

  const { code, out, err } = await tlsfleetProgram(['apply', '-f', file, '--yes', '--quiet'], {
    config,
  })

  t.equal(err, '')
  t.equal(code, 0)
  t.equal(out, golden('apply', out))
  const asked = controller.requests.slice(before).map(({ method, path }) => `${method} ${path}`)
  t.strictSame(asked, [
    'POST /v1/plans',
    'POST /v1/rollouts',
    'GET /v1/rollouts/r7/events?after=0&wait=25000',
    'GET /v1/rollouts/r7/events?after=2&wait=25000',
    'GET /v1/nodes/data-1',
    'GET /v1/rollouts/r7/events?after=3&wait=25000',
    'GET /v1/nodes/prom-1',
    'GET /v1/rollouts/r7/events?after=5&wait=25000',
  ])
})

await t.test('a rollout that does not succeed exits with 3 and says why', async t => {
  const reason = { code: 'restored-after-failure', message: 'influxdb did not come up' }
  const end = rolloutView({
    status: 'failed',
    reason: { code: 'node-failed', message: 'data-1 failed' },
    steps: [
      step({ node: 'data-1', state: 'reverted', generation: 4, reason }),
      step({ node: 'prom-1', state: 'skipped' }),
    ],
  })
  tellRollout([
    { rollout: end, events: [{ version: 1, kind: 'node-reverted', node: 'data-1', reason }] },
  ])
  const restored = serviceReport({ outcome: 'restored' })
  tellNodes([{ ...changed('data-1'), services: [restored] }, nodeView()])

  const { code, out } = await tlsfleet(['apply', '-f', file, '--yes', '--quiet'], { config })

  t.equal(code, 3)
  t.match(
    out,
    'data-1  failed, previous state restored: influxdb did not come up (restored-after-failure)',
  )
  t.match(out, /\ndata-1 +0 +0 +1 +0 +0 +0 +0  influxdb did not come up/)
  t.match(out, /\nRollout r7 of revision 13 failed: data-1 failed \(node-failed\)\n$/)
})

await t.test('without --yes the plan is shown and a person is asked', async t => {
  tellRollout(SUCCESS)
  tellNodes([changed('data-1'), changed('prom-1')])
  const started = () => controller.requests.filter(one => one.path === '/v1/rollouts').length
  const before = started()

  const alone = await tlsfleet(['apply', '-f', file], { config })
  const json = await tlsfleet(['apply', '-f', file, '--json'], { config, typed: 'y' })
  const no = await tlsfleet(['apply', '-f', file], { config, typed: 'n' })
  t.equal(started(), before)
  const yes = await tlsfleet(['apply', '-f', file], { config, typed: 'yes' })

  t.equal(started(), before + 1)
  t.equal(alone.code, 1)
  t.match(alone.out, 'Plan: 3 nodes')
  t.match(alone.err, /^error: could not apply .* \(confirmation-needed\)\nhint: give --yes/)
  t.equal(json.code, 1)
  t.equal(no.code, 1)
  t.match(no.err, 'nothing was applied')
  t.equal(yes.code, 0)
  t.match(yes.out, 'Plan: 3 nodes')
  t.equal(yes.err, 'Apply these changes? [y/N] ')
})

await t.test('what would be refused is told with the plan, and nobody is asked', async t => {
  const reason = { code: 'coordinated-change', message: 'm1 cannot be changed apart' }
  controller.answer({
    'POST /v1/plans': { body: { ...plan, refused: reason } },
    'POST /v1/rollouts': refusal(409, 'coordinated-change', 'nothing of it is begun'),
  })
  const started = () => controller.requests.filter(one => one.path === '/v1/rollouts').length
  const before = started()

  const asked = await tlsfleet(['apply', '-f', file], { config, typed: 'yes' })

  t.equal(asked.code, 1)
  t.match(asked.out, 'Refused as it is: m1 cannot be changed apart (coordinated-change)')
  t.equal(asked.err, 'nothing was applied\n')
  t.equal(started(), before)
  const given = await tlsfleet(['apply', '-f', file, '--yes'], { config })
  t.equal(given.code, 1)
  t.match(given.err, /nothing of it is begun.*coordinated-change/s)
  const digest = '1'.repeat(64)
  const head = { digest, kind: 'change', revision: 1, author: 'ada', settings: {} }
  const moves = { ...plan, digest, rollout: { ...head, groups: [], windows: [], phases: [] } }
  const planned = async (body: object) => {
    controller.answer({ 'POST /v1/plans': { body } })
    return (await tlsfleet(['plan', '-f', file], { config })).out
  }
  const refused = await planned({ ...moves, refused: reason })
  t.match(refused, 'Refused as it is: m1')
  t.notMatch(refused, 'Exactly this')
  t.match(await planned(moves), `Exactly this: tlsfleet apply -f ${file} --plan ${digest}`)
})

await t.test('a spec that changes nothing is recorded without a question', async t => {
  const done = rolloutView({ id: 'none', status: 'succeeded', steps: [] })
  controller.answer({ 'POST /v1/plans': { body: emptyPlan }, 'POST /v1/rollouts': { body: done } })

  const { code, out, err } = await tlsfleet(['apply', '-f', file], { config })

  t.equal(code, 0)
  t.equal(err, '')
  t.match(out, /Plan: no changes.*\n\nRevision 13: every node has it already, nothing to do\n$/)
})

await t.test('with --json every line is a document of a kind', async t => {
  tellRollout(SUCCESS)
  tellNodes([changed('data-1'), changed('prom-1')])

  const { code, out } = await tlsfleet(['apply', '-f', file, '--yes', '--json'], { config })

  t.equal(code, 0)
  const lines = out
    .trimEnd()
    .split('\n')
    .map(line => JSON.parse(line))
  t.strictSame(
    lines.map(line => line.type),
    ['plan', 'rollout', 'event', 'event', 'event', 'event', 'event', 'recap'],
  )
  t.strictSame(lines[0].plan, plan)
  t.strictSame(lines[2].event, { version: 1, atMs: NOW_MS + 1_000, kind: 'planned' })
  t.strictSame(lines.at(-1).rollout, succeeded)
  t.match(lines.at(-1).nodes, [
    { node: 'data-1', ok: 0, changed: 1, failed: 0, unreachable: 0, waiting: 0, restarts: 1 },
    { node: 'prom-1', changed: 1 },
  ])
})

await t.test('--detach starts the rollout, and rollout follow tells it from the start', async t => {
  tellRollout(SUCCESS)
  tellNodes([changed('data-1'), changed('prom-1')])

  const detached = await tlsfleet(['apply', '-f', file, '--yes', '--quiet', '--detach'], { config })
  const followed = await tlsfleet(['rollout', 'follow', 'r7'], { config })

  t.equal(detached.code, 0)
  t.match(
    detached.out,
    /Rollout r7 of revision 13: 2 nodes\nfollow it: tlsfleet rollout follow r7\n$/,
  )
  t.equal(followed.code, 0)
  t.match(followed.out, /^12:00:01Z  rollout planned\n/)
  t.match(followed.out, 'Rollout r7 of revision 13 succeeded after 9s')
})

await t.test('what a node waits for while it prepares is told once', async t => {
  const message = 'influxdb: its request 5f0c2a1e waits to be signed'
  const reason = { code: 'certificate-pending', message }
  const held = (other: 'assigned' | 'staged') =>
    rolloutView({
      status: 'staging',
      steps: [
        step({ node: 'data-1', state: 'assigned', reason }),
        step({ node: 'prom-1', state: other }),
      ],
    })
  const assigned = ['data-1', 'prom-1'].map((node, index) => ({
    version: index + 1,
    kind: 'node-assigned',
    node,
  }))
  tellRollout([
    { rollout: held('assigned'), events: assigned },
    { rollout: held('staged'), events: [{ version: 3, kind: 'node-staged', node: 'prom-1' }] },
    { rollout: succeeded, events: [{ version: 4, kind: 'ended' }] },
  ])
  tellNodes([changed('data-1'), changed('prom-1')])
  controller.answer({ 'GET /v1/rollouts': { body: { rollouts: [held('staged')] } } })
  const before = controller.requests.length

  const { out } = await tlsfleet(['rollout', 'follow', 'r7'], { config })
  const list = await tlsfleet(['rollout', 'ls'], { config })

  t.equal(out.split(`data-1  preparing: ${message}`).length, 2)
  t.match(list.out, `waits for data-1: ${message}`)
  const waits = controller.requests
    .slice(before)
    .flatMap(({ path }) => /after=(\d+&wait=\d+)/.exec(path)?.[1] ?? [])
  t.match(waits.slice(-3), ['2&wait=5000', '3&wait=25000', '4&wait=25000'])
})

await t.test('a controller that is away for a while does not end the view', async t => {
  tellRollout(SUCCESS)
  tellNodes([changed('data-1'), changed('prom-1')])
  const busy = refusal(503, 'store-busy', 'try again')
  const end = { body: { rollout: succeeded, events: [] } }
  const polls = [busy, busy, { body: { rollout: rolloutView(), events: [] } }, busy, end]
  controller.answer({ 'GET /v1/rollouts/r7/events': () => polls.shift() ?? end })

  const back = await tlsfleet(['apply', '-f', file, '--yes', '--quiet'], { config })
  controller.answer({ 'GET /v1/rollouts/r7/events': busy })
  const gone = await tlsfleet(['apply', '-f', file, '--yes', '--quiet'], { config })

  t.equal(back.code, 0)
  t.equal(
    back.err,
    'the controller does not answer, trying again; the rollout goes on\n'.repeat(2),
    'once for each time that it is away',
  )
  t.equal(gone.code, 1)
  t.match(gone.err, /\nerror: could not follow rollout r7: try again \(store-busy\)\n/)
})

await t.test('Ctrl-C leaves the rollout alone and says so', async t => {
  const interruption = new AbortController()
  tellRollout(SUCCESS)
  tellNodes([changed('data-1'), changed('prom-1')])
  controller.answer({
    'GET /v1/rollouts/r7/events': () => {
      interruption.abort()
      return { body: {} }
    },
  })

  const { code, err } = await tlsfleet(['apply', '-f', file, '--yes', '--quiet'], {
    config,
    signal: interruption.signal,
  })

  t.equal(code, 130)
  t.match(
    err,
    /^interrupted; rollout r7 goes on\. Follow it: tlsfleet rollout follow r7; stop it: tlsfleet rollout abort r7\n$/,
  )
})

await t.test('a node that was removed meanwhile is an empty row', async t => {
  tellRollout(SUCCESS)
  tellNodes([changed('data-1')])
  controller.answer({ 'GET /v1/nodes/prom-1': refusal(404, 'not-found', 'no such node') })

  const { code, out } = await tlsfleet(['rollout', 'follow', 'r7'], { config })

  t.equal(code, 0)
  t.match(out, /\nprom-1 +0 +0 +0 +0 +0 +0 +0\n/)
})

await t.test('a rollout is aborted when a person says so', async t => {
  controller.answer({ 'POST /v1/rollouts/r7/abort': { body: rolloutView({ status: 'draining' }) } })

  const silent = await tlsfleet(['rollout', 'abort', 'r7'], { config })
  const no = await tlsfleet(['rollout', 'abort', 'r7'], { config, typed: 'n' })
  const yes = await tlsfleet(['rollout', 'abort', 'r7', '--yes'], { config })

  t.strictSame([silent.code, no.code, yes.code], [1, 1, 0])
  t.equal(yes.out, 'rollout r7 is draining\n')
})

await t.test('a conflict with another rollout is told with the hint of the controller', async t => {
  controller.answer({
    'POST /v1/rollouts': refusal(409, 'overlapping-rollout', 'rollout r6 still moves data-1', {
      hint: 'wait for it, or abort it',
    }),
  })

  const { code, err } = await tlsfleet(['apply', '-f', file, '--yes', '--quiet'], { config })

  t.equal(code, 1)
  t.equal(
    err,
    `error: could not apply ${file}: rollout r6 still moves data-1 (overlapping-rollout)\nhint: wait for it, or abort it\n`,
  )
})

await t.test('drift alone is a change, too', async t => {
  controller.answer({
    'POST /v1/plans': {
      body: {
        ...emptyPlan,
        changes: 1,
        nodes: [{ ...plan.nodes[1], services: [prometheusDrifted] }],
      },
    },
  })

  t.equal((await tlsfleet(['plan', '-f', file], { config })).code, 2)
})
