import t from 'tap'
import { stripVTControlCharacters } from 'node:util'
import type { GroupBudget, StepList } from '../../../../shared/contract/rollout-verbs.ts'
import { colourPaint, plainPaint } from '../../../../controller/cli/output.ts'
import { widthOf } from '../../../../controller/cli/table.ts'
import { type Watched, watchText } from '../../../../controller/cli/views/watch.ts'
import { NOW_MS, rolloutView, step } from '../views.ts'

const reason = (message: string) => ({ code: 'because', message })

function list(steps: StepList['steps'], over: Partial<StepList> = {}): StepList {
  return { status: 'running', pausedBy: [], phase: 0, batch: 0, batches: 2, steps, ...over }
}

function watched(steps: StepList, over: Partial<Watched> = {}): Watched {
  return { rollout: rolloutView(), steps, groups: [], events: [], problem: undefined, ...over }
}

const group: GroupBudget = {
  name: 'meta',
  kind: 'raft',
  declared: true,
  members: ['m1', 'm2', 'm3'],
  maxUnavailable: 1,
  limit: 1,
  out: [
    { node: 'm1', reason: reason('holds a lease') },
    { node: 'm3', reason: reason('is offline') },
  ],
  leases: [{ node: 'm1', purpose: 'renewal', generation: 4, takenAtMs: NOW_MS }],
}

await t.test(
  'one screen says where the rollout is, who needs eyes, and what holds it up',
  async t => {
    const steps = list(
      [
        { node: 'm1', state: 'done', batch: 0 },
        { node: 'm2', state: 'waiting', batch: 1, waiting: reason('meta has nobody to spare') },
        { node: 'm3', state: 'reverted', batch: 0 },
      ],
      { soakLeftMs: 61_500, pausedBy: ['manual'] },
    )
    const rollout = rolloutView({
      steps: [step({ node: 'm3', state: 'reverted', reason: reason('did not come up') })],
    })
    const events = [{ version: 3, atMs: NOW_MS, kind: 'node-done', node: 'm1' }]

    const text = watchText(watched(steps, { rollout, groups: [group], events }), {
      columns: 120,
      rows: 30,
      paint: plainPaint,
    })

    t.match(text, /running \(paused: manual\); 1 of 3 nodes done, 1 failed/)
    t.match(text, /▸ batch 1 of 2 +━{10}╌{10} {2}1 done, 1 reverted, soak: 1m ?2s left/)
    t.match(text, /batch 2 of 2 +╌{20} {2}1 waiting/)
    t.match(
      text,
      /m3 +1 {2}reverted +did not come up\nm2 +2 {2}waiting +meta has nobody to spare\nm1/,
    )
    t.match(text, 'meta may lose 1 of 3; leases: m1 (renewal); out: m3: is offline')
    t.match(text, /12:00:00Z {2}m1 {2}done/)
  },
)

await t.test('a group in which nobody is out holds nobody up and is not shown', async t => {
  const idle = { ...group, out: [], leases: [] }
  const text = watchText(
    watched(list([{ node: 'a', state: 'done', batch: 0 }]), { groups: [idle] }),
    {
      columns: 80,
      rows: 24,
      paint: plainPaint,
    },
  )
  t.notMatch(text, 'meta')
})

await t.test(
  'a large fleet fits every terminal, and says how many nodes are not shown',
  async t => {
    const many = Array.from({ length: 2000 }, (_, index) => ({
      node: `node-${String(index).padStart(4, '0')}`,
      state: index === 1500 ? 'applying' : index < 1500 ? 'done' : 'waiting',
      batch: Math.floor(index / 200),
      waiting: reason(
        'a reason that is far too long for one line of a narrow terminal, as many are',
      ),
    }))
    for (const [columns, rows] of [
      [40, 16],
      [80, 24],
      [200, 60],
    ] as const) {
      const text = watchText(watched(list(many, { batch: 7, batches: 10 })), {
        columns,
        rows,
        paint: colourPaint,
      })
      const lines = text.split('\n')
      t.ok(lines.length <= rows, `${lines.length} lines for ${rows}`)
      t.ok(
        lines.every(line => widthOf(line) <= columns),
        `no line is wider than ${columns}`,
      )
      const plain = stripVTControlCharacters(text)
      t.match(plain, /node-1500 +8 {2}applying/, 'what moves is shown')
      t.match(plain, /… and \d+ more nodes/)
      t.match(plain, /▸ batch 8 of 10/)
      t.ok(text.split('\u001b[').length > 3, 'in colours')
    }
  },
)

await t.test('what was seen last stays, with what keeps it from being newer', async t => {
  const text = watchText(
    watched(list([{ node: 'a', state: 'applying', batch: 0 }]), { problem: 'no answer' }),
    { columns: 80, rows: 24, paint: plainPaint },
  )
  t.match(text, /a +1 {2}applying/)
  t.match(text, 'no answer')
})
