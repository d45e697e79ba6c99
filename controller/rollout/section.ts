// A coordinated phase once its permits are claimed: all take their snapshots, all stop, all switch, all
// start. Nobody stops before everybody is saved, and no process on the new content runs beside one on
// the old. Nodes ask before each act and say with the question how far they are; until all may start,
// whatever goes wrong sends every one of them back. Pure.

import { unreachable } from '../../shared/assert.ts'
import type { SectionAct } from '../../shared/contract/agent-api.ts'
import type { Reason } from '../../shared/contract/schema.ts'
import type { Now, Rollout, RolloutEvent, Step } from './rollout.ts'
import { countSteps, FAILED, IN_MOTION, OPEN, phaseOf, plannedOf, stepsIn, sum } from './steps.ts'

/** What the nodes of a section may do: the acts follow one another, `back` ends them. */
export type SectionState = SectionAct | 'back'

/** How far a node says that it is; `saved`: its snapshot is taken, or it has none to take. */
export type Held = 'saved' | 'stopped' | 'switched'

const MOVES: readonly SectionAct[] = ['stop', 'switch', 'start']
const HELD: readonly Held[] = ['saved', 'stopped', 'switched']

/** What a node has done that asks for its next act. */
export function heldBefore(act: SectionAct): Held {
  switch (act) {
    case 'stop':
      return 'saved'
    case 'switch':
      return 'stopped'
    case 'start':
      return 'switched'
    default:
      return unreachable(act)
  }
}

/** Moves the section on when all of its nodes are there, or sends them back. */
export function judgeSection(rollout: Rollout, now: Now): readonly RolloutEvent[] {
  if (!phaseOf(rollout).coordinated) return []
  const to = nextState(rollout)
  return to === undefined ? [] : [{ kind: 'section-moved', to, ...now }]
}

function nextState(rollout: Rollout): SectionState | undefined {
  const { section, status } = rollout
  const counts = countSteps(rollout)
  if (section === 'start' || section === 'back') return undefined
  if (sum(counts, IN_MOTION) === 0) return undefined
  const isLost = status === 'draining' || counts.suspect > 0 || sum(counts, FAILED) > 0
  if (isLost) return sum(counts, ['applying', 'suspect']) > 0 ? 'back' : undefined
  if (sum(counts, OPEN) > counts.applying) return undefined
  const to = nextAct(section)
  if (to === undefined) return undefined
  return [...stepsIn(rollout, ['applying'])].every(step => isReady(step, to)) ? to : undefined
}

function nextAct(section: SectionAct | undefined): SectionAct | undefined {
  return section === undefined ? MOVES[0] : MOVES[MOVES.indexOf(section) + 1]
}

/** Has it done what comes before this act? */
function isReady({ held }: Step, act: SectionAct): boolean {
  return held !== undefined && HELD.indexOf(held) >= HELD.indexOf(heldBefore(act))
}

/** Some of its nodes take their snapshots: how long that may take, each of them knows by itself. */
export function isSaving(rollout: Rollout): boolean {
  if (!phaseOf(rollout).coordinated || rollout.section !== undefined) return false
  return [...stepsIn(rollout, ['applying'])].some(({ held }) => held === undefined)
}

/** Does this event of a section fit what its nodes have said? Undefined: yes; else what is missing. */
export function whyNotMoved(rollout: Rollout, to: SectionState): string | undefined {
  if (!phaseOf(rollout).coordinated) return 'the phase is not coordinated'
  const { section } = rollout
  if (to === 'back')
    return section === 'start' || section === 'back' ? `it is at ${section} already` : undefined
  const counts = countSteps(rollout)
  if (sum(counts, OPEN) > counts.applying || sum(counts, FAILED) > 0)
    return 'not every node takes part'
  if (section === 'back' || nextAct(section) !== to) return `it is at ${section ?? 'its beginning'}`
  const late = [...stepsIn(rollout, ['applying'])].find(step => !isReady(step, to))
  return late === undefined ? undefined : `${late.node} is not there yet`
}

export type SectionAnswer =
  | { readonly kind: 'go' }
  | { readonly kind: 'wait' | 'back'; readonly reason: Reason }

/** May this node do what it asks for? Its step is in motion. */
export function maySection(rollout: Rollout, step: Step, act: SectionAct): SectionAnswer {
  const { section } = rollout
  if (section === 'back') return { kind: 'back', reason: BACK }
  const isReached = section !== undefined && MOVES.indexOf(section) >= MOVES.indexOf(act)
  if (!isReached) return { kind: 'wait', reason: waitingFor(rollout, act) }
  const first = act === 'start' ? startsBefore(rollout, step.node) : undefined
  if (first === undefined) return { kind: 'go' }
  const message = `${first.node} starts first, and is ${first.state}`
  return { kind: 'wait', reason: { code: TOGETHER, message } }
}

/** What the nodes of a section wait for; undefined: this one is at work. */
export function whySectionWaits(rollout: Rollout, step: Step): Reason | undefined {
  if (!phaseOf(rollout).coordinated) return undefined
  if (step.held === undefined) return undefined
  const next = { saved: 'stop', stopped: 'switch', switched: 'start' } as const
  const answer = maySection(rollout, step, next[step.held])
  return answer.kind === 'go' ? undefined : answer.reason
}

// In the order of the groups, as those that others cannot start without are named first. One that has
// failed is waited for no longer: the content of before is gone everywhere.
function startsBefore(rollout: Rollout, node: string): Step | undefined {
  const rank = plannedOf(rollout, node)?.rank ?? 0
  for (const step of stepsIn(rollout, ['applying', 'suspect'])) {
    const isEarlier = (plannedOf(rollout, step.node)?.rank ?? 0) < rank
    if (isEarlier && step.healthyTimeMs === undefined) return step
  }
  return undefined
}

function waitingFor(rollout: Rollout, act: SectionAct): Reason {
  const late = [...stepsIn(rollout, OPEN)].filter(
    step => step.state !== 'applying' || !isReady(step, act),
  )
  const names = late.slice(0, NAMES_MAX).map(({ node }) => node)
  const more = late.length > names.length ? ` and ${late.length - names.length} more` : ''
  const message =
    late.length === 0
      ? `all are ready to ${act}`
      : `all ${act} together; ${names.join(', ')}${more} ${late.length === 1 ? 'is' : 'are'} not ready`
  return { code: TOGETHER, message }
}

/** Code of the reason for which a node of a section waits. */
export const TOGETHER = 'together'

const NAMES_MAX = 5

const BACK: Reason = {
  code: 'together-back',
  message: 'not every node of the section could go on: all go back to what was there',
}
