// The acts of a section, one after the other: all are saved before the first one stops, and a snapshot
// takes the time that its node gives it.

import t from 'tap'
import { decide } from '../../../controller/rollout/decide.ts'
import { evolveAll, startRollout } from '../../../controller/rollout/evolve.ts'
import { isRefusal, request } from '../../../controller/rollout/request.ts'
import {
  isSaving,
  maySection,
  whyNotMoved,
  whySectionWaits,
} from '../../../controller/rollout/section.ts'
import type { Rollout, Step } from '../../../controller/rollout/rollout.ts'
import { stepOf } from '../../../controller/rollout/steps.ts'
import { SNAPSHOT_MS_MAX } from '../../../shared/contract/snapshots.ts'
import type { SectionAct } from '../../../shared/contract/agent-api.ts'
import { nowAt } from '../../contract/samples.ts'
import { sectionSample } from '../../contract/sections.ts'
import { fleetOf, nodeView } from './states.ts'

const FLEET = fleetOf(nodeView('a'), nodeView('b'))
const MINUTE_MS = 60_000

/** A rollout of a and b whose permits are claimed, and nothing more. */
function claimed(): Rollout {
  const { plan, planned, events } = sectionSample()
  const first = events.findIndex(({ kind }) => kind === 'node-held')
  return evolveAll(startRollout('r1', plan, planned), events.slice(0, first))
}

/** What is decided once this node has asked. */
function asks(rollout: Rollout, node: string, act: SectionAct): Rollout {
  const generation = 2
  const question = { kind: 'claim', node, generation, sequence: 1, act } as const
  const events = request(rollout, question, FLEET, nowAt(10))
  if (isRefusal(events)) throw new Error(events.reason.message)
  const asked = evolveAll(rollout, events)
  return evolveAll(asked, decide(asked, FLEET, nowAt(10)))
}

function step(rollout: Rollout, node: string): Step {
  const found = stepOf(rollout, node)
  if (found === undefined) throw new Error(`no step of ${node}`)
  return found
}

await t.test('nobody may stop before everybody is saved', t => {
  const none = claimed()
  t.strictSame(decide(none, FLEET, nowAt(9)), [], 'nobody is saved')
  t.equal(whyNotMoved(none, 'stop'), 'a is not there yet')
  t.equal(whySectionWaits(none, step(none, 'a')), undefined, 'it is at work')

  const one = asks(none, 'a', 'stop')

  t.equal(step(one, 'a').held, 'saved')
  t.equal(one.section, undefined)
  t.equal(whyNotMoved(one, 'stop'), 'b is not there yet')
  t.match(maySection(one, step(one, 'a'), 'stop'), {
    kind: 'wait',
    reason: { code: 'together', message: 'all stop together; b is not ready' },
  })
  t.match(whySectionWaits(one, step(one, 'a')), { code: 'together' })

  const both = asks(one, 'b', 'stop')

  t.equal(both.section, 'stop')
  t.strictSame(maySection(both, step(both, 'a'), 'stop'), { kind: 'go' })
  t.equal(maySection(both, step(both, 'a'), 'switch').kind, 'wait')
  t.equal(asks(asks(both, 'a', 'switch'), 'b', 'switch').section, 'switch')
  t.end()
})

await t.test('one that cannot take its snapshot sends all back before the first one stops', t => {
  const one = asks(claimed(), 'a', 'stop')
  const reason = { code: 'snapshot-failed', message: 'the disk is full' }
  const failed = nodeView('b', {
    observedGeneration: 2,
    outcome: 'restored',
    reason,
    sequence: 9,
  })

  const after = evolveAll(one, decide(one, fleetOf(nodeView('a'), failed), nowAt(11)))

  t.match(step(after, 'b'), { state: 'reverted', reason })
  t.equal(after.section, 'back')
  t.match(maySection(after, step(after, 'a'), 'stop'), {
    kind: 'back',
    reason: { code: 'together-back' },
  })
  t.end()
})

await t.test('a snapshot may take longer than a rollout may be without progress', t => {
  const at = (timeMs: number) => ({ atMs: nowAt().atMs + timeMs, timeMs })
  const saving = asks(claimed(), 'a', 'stop')
  const kinds = (rollout: Rollout, timeMs: number) =>
    decide(rollout, FLEET, at(timeMs)).map(({ kind }) => kind)
  t.ok(isSaving(saving))

  t.strictSame(kinds(saving, 60 * MINUTE_MS), [])
  t.strictSame(kinds(saving, SNAPSHOT_MS_MAX), [])
  t.strictSame(kinds(saving, SNAPSHOT_MS_MAX + 11 * MINUTE_MS), ['paused'], 'but not for ever')
  const stopping = asks(saving, 'b', 'stop')
  t.notOk(isSaving(stopping))
  t.strictSame(kinds(stopping, 60 * MINUTE_MS), ['paused'], 'nor anything that comes after it')
  t.end()
})
