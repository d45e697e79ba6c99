// What operators do with a rollout, and why nothing moves, by the command line.

import t from 'tap'
import { tlsfleet } from './command.ts'
import { contextFile, refusal, startFakeController } from './fake-controller.ts'
import { NOW_MS, rolloutView } from './views.ts'

const reason = (code: string, message: string) => ({ code, message })
const controller = await startFakeController()
t.teardown(() => controller.close())
const config = contextFile(controller)

await t.test('verbs that can be taken back are done, with reason and version', async t => {
  for (const verb of ['approve', 'start', 'pause', 'resume', 'promote', 'retry']) {
    controller.answer({ [`POST /v1/rollouts/r7/${verb}`]: { body: rolloutView() } })
    const { code, out, err } = await tlsfleet(
      ['rollout', verb, 'r7', '--reason', 'because', '--if-version', '12'],
      { config },
    )
    t.equal(code, 0, err)
    t.match(out, /^rollout r7 is /)
    const asked = controller.requests.at(-1)
    t.same(asked?.body, { reason: 'because' })
    t.equal(asked?.headers['if-match'], '"12"')
    t.match(asked?.headers['idempotency-key'], /^[0-9a-f-]{36}$/)
  }
})

await t.test('the others ask, and say what they mean', async t => {
  for (const [verb, said] of [
    ['rollback', /get back what they had before/],
    ['supersede', /nodes that are done stay/],
  ] as const) {
    const before = controller.requests.length
    const refused = await tlsfleet(['rollout', verb, 'r7'], { config, typed: 'n' })
    t.match(refused.err, said)
    t.equal(controller.requests.length, before, 'nothing was asked of the controller')
  }
  controller.answer({
    'POST /v1/rollouts/r7/nodes/data-1/force-release': { body: rolloutView() },
    'POST /v1/rollouts/r7/nodes/data-1/skip': { body: rolloutView() },
  })
  const forced = await tlsfleet(['rollout', 'force-release', 'r7', 'data-1'], {
    config,
    typed: 'y',
  })
  t.equal(forced.code, 0)
  t.match(forced.err, /may still finish its switch/)
  t.equal((await tlsfleet(['rollout', 'skip', 'r7', 'data-1', '--yes'], { config })).code, 0)
})

await t.test('what follows says who is held to nothing, and how long is waited for it', async t => {
  const unheld = [
    { node: 'data-1', reason: reason('no-answer', 'the agent did not answer in time') },
    { node: 'data-2', reason: reason('node-silent', 'the agent does not answer') },
  ]
  controller.answer({ 'POST /v1/rollouts/r7/rollback': { body: { ...rolloutView(), unheld } } })

  const args = ['rollout', 'rollback', 'r7', '--yes']
  const { code, out, err } = await tlsfleet([...args, '--wait', '2s'], { config })

  t.equal(code, 0, err)
  t.match(
    out,
    '2 nodes are held to no diff\n  data-1: the agent did not answer in time (no-answer)\n',
  )
  t.same(controller.requests.at(-1)?.body, { waitMs: 2_000 })
  t.match((await tlsfleet([...args, '--wait', '2h'], { config })).err, 'could not read --wait 2h')
})

await t.test('a plan in pages is shown as one', async t => {
  const step = (node: string) => ({ node, to: '0'.repeat(64), rank: 0 })
  const head = {
    digest: '1'.repeat(64),
    kind: 'change',
    revision: 3,
    author: 'ada',
    settings: {},
    groups: [{ name: 'web', kind: 'pool', members: ['a', 'b', 'c'], limit: 1 }],
    windows: [],
  }
  const batch = { rule: 'wide', soakMs: 0, promote: 'automatic' }
  const change = { name: 'change', barrier: false, coordinated: false, maxFailures: 0 }
  const plan = (...batches: readonly (readonly string[])[]) => ({
    ...head,
    phases: [
      {
        ...change,
        batches: batches.map((nodes, index) => ({
          ...batch,
          count: index + 1,
          nodes: nodes.map(step),
        })),
      },
    ],
  })
  controller.answer({
    'GET /v1/rollouts/r7/plan': ({ path }) => ({
      body: path.includes('after=')
        ? { ...plan([], ['c']), groups: [] }
        : { ...plan(['a'], ['b']), next: 'cGxhbgoy' },
    }),
  })

  const { out, err } = await tlsfleet(['rollout', 'show', 'r7', '--plan', '--json'], { config })
  const text = (await tlsfleet(['rollout', 'show', 'r7', '--plan'], { config })).out

  t.strictSame(JSON.parse(out), plan(['a'], ['b', 'c']), err)
  t.match(controller.requests.at(-1)?.path, '/v1/rollouts/r7/plan?limit=500&after=cGxhbgoy')
  t.match(text, 'Batch 2 of 2, 2 nodes: b, c')
  t.match(text, 'a  not asked: held to no diff')
})

await t.test('a refusal is told in the words of the controller', async t => {
  controller.answer({
    'POST /v1/rollouts/r7/pause': refusal(412, 'version-mismatch', 'it is at version 14 by now'),
  })
  const { code, err } = await tlsfleet(['rollout', 'pause', 'r7', '--if-version', '12'], { config })
  t.equal(code, 1)
  t.match(err, /could not pause rollout r7: it is at version 14 by now.*version-mismatch/s)
})

await t.test('where a rollout is, and why each node waits', async t => {
  controller.answer({
    'GET /v1/rollouts/r7/steps': {
      body: {
        status: 'running',
        pausedBy: ['frozen'],
        phase: 0,
        batch: 1,
        batches: 3,
        soakLeftMs: 61_000,
        steps: [
          { node: 'm1', state: 'done', batch: 0 },
          {
            node: 'm2',
            state: 'staged',
            batch: 1,
            waiting: reason('group-busy', 'm1 has the lease'),
          },
        ],
      },
    },
  })
  const { out } = await tlsfleet(['rollout', 'show', 'r7'], { config })
  t.match(out, /r7 is running, paused \(frozen\); batch 2 of 3, 1m ?1s of its soak left\n/)
  t.match(out, /m2 +2 {2}staged +m1 has the lease/)
})

await t.test('gates: what is judged, how it was before, and by what evidence', async t => {
  controller.answer({
    'GET /v1/rollouts/r7/gates': {
      body: {
        wanted: ['cluster', 'soak'],
        baseline: {
          unseen: ['m9'],
          clusters: [
            { name: 'es', view: { kind: 'elasticsearch', size: 3, members: [], health: 'green' } },
          ],
        },
        results: [
          {
            version: 9,
            atMs: NOW_MS,
            phase: 0,
            batch: 1,
            gate: 'cluster',
            verdict: 'fail',
            evidence: reason('cluster-worse', 'es is red'),
          },
        ],
      },
    },
  })
  const { code, out } = await tlsfleet(['rollout', 'gates', 'r7'], { config })
  t.equal(code, 0)
  t.match(out, 'gates of the current batch: cluster, soak')
  t.match(out, 'es was green with 3 members')
  t.match(out, 'nobody could reach m9')
  t.match(out, /2026-11-20T12:00:00Z +1\.2 +cluster +fail +es is red \(cluster-worse\)/)
})

await t.test(
  'groups: who leads, who holds a lease since when, who is out, and what is odd',
  async t => {
    controller.answer({
      'GET /v1/groups': {
        body: {
          groups: [
            {
              name: 'meta',
              kind: 'raft',
              declared: true,
              members: ['m1', 'm2', 'm3'],
              maxUnavailable: 1,
              limit: 1,
              leader: 'm2',
              health: 'yellow',
              leases: [
                { node: 'm1', purpose: 'renewal', generation: 3, takenAtMs: NOW_MS - 300_000 },
              ],
              out: [{ node: 'm3', reason: reason('node-offline', 'is not connected') }],
              notices: [reason('member-undeclared', 'm4 is a member that no group names')],
            },
          ],
        },
      },
    })
    const { out } = await tlsfleet(['group', 'show', 'meta'], { config })
    t.match(
      out,
      /meta +raft +3 +1 +m2 +yellow +m1 \(renewal, 5 min ago\) +m3: is not connected\nnote: meta: m4 is a member/,
    )
    const none = await tlsfleet(['group', 'show', 'nobody'], { config })
    t.equal(none.code, 1)
    t.match(none.err, 'there is no group nobody')
  },
)
