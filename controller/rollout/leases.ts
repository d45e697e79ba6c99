// What the store does for a claim: of a permit, or of a lease for a renewal or a correction. The same
// rule, the same transaction: granted with everything it takes, or not at all.

import type { LeaseAnswer, LeaseRequest, SectionAct } from '../../shared/contract/agent-api.ts'
import type { ReportExcerpt } from '../store/store.ts'
import type { ServiceReport } from '../../shared/contract/report.ts'
import type { Reason } from '../../shared/contract/schema.ts'
import { isServer } from '../../shared/contract/service.ts'
import { assert } from '../../shared/assert.ts'
import { mayLease } from './budget.ts'
import { carryOut, type Move, NO_MOVE, takenNow } from './carry-out.ts'
import { evolveAll } from './evolve.ts'
import { isRefusal, request, type RolloutCommand } from './request.ts'
import { maySection } from './section.ts'
import type { FleetView, Now, Rollout } from './rollout.ts'
import { isInMotion, stepOf, stepsIn } from './steps.ts'
import type { RolloutTransaction } from './rollout-store.ts'

export interface Claim {
  readonly node: string
  readonly generation: number
  readonly digest: string
  readonly purpose: LeaseRequest['purpose']
  /** Of a permit that is claimed: what the node would do next with all others of its section. */
  readonly act?: SectionAct | undefined
  /** Of the node's last report; undefined: the last one that has arrived. */
  readonly sequence: number | undefined
}

export interface ClaimResult {
  readonly answer: LeaseAnswer
  readonly rollout: string | undefined
  readonly move: Move
}

export interface Surroundings {
  readonly now: Now
  readonly read: (rollout: Rollout) => Promise<FleetView>
  /** For a node that no rollout has in motion. */
  readonly readGroups: (node: string) => Promise<FleetView>
  /** Nodes that were woken to take a lease which is free: they count as if they had it. */
  readonly woken?: ReadonlySet<string>
}

export async function decideClaim(
  tx: RolloutTransaction,
  claim: Claim,
  surroundings: Surroundings,
): Promise<ClaimResult> {
  const { node, generation, digest } = claim
  const desired = (await tx.desired.get(node))?.state
  if (desired === undefined || desired.generation !== generation || desired.digest !== digest) {
    const current = desired === undefined ? 'none' : `${desired.generation}`
    const message = `generation ${generation} is not the current one of ${node}, which is ${current}`
    return refused({ code: 'permit-stale', message })
  }
  const active = await tx.rollouts.active()
  const rollout = active.find(one => stepOf(one, node) !== undefined)
  if (claim.purpose !== 'rollout') return lease(tx, claim, rollout, surroundings)
  if (desired.mode !== 'enforce') {
    const message = `generation ${generation} of ${node} is not to be enforced yet`
    return refused({ code: 'not-permitted', message })
  }
  // What the node had before its step published anything was proven by an earlier rollout.
  // What it is done with as well: this is another act, and needs a lease of its own.
  const step = rollout && stepOf(rollout, node)
  if (rollout === undefined || step?.generation !== generation || step.state === 'done')
    return lease(tx, { ...claim, purpose: 'correction' }, rollout, surroundings)
  const { sequence, act } = claim
  const command: RolloutCommand = { kind: 'claim', node, generation, sequence, act }
  const { now } = surroundings
  const fleet = await surroundings.read(rollout)
  const events = request(rollout, command, fleet, now)
  if (isRefusal(events)) return refused(events.reason)
  const move = await carryOut(tx, rollout, fleet, events, now, claim.sequence)
  if (act !== undefined) {
    const answer = answerAct(evolveAll(rollout, events), node, act)
    return { answer, rollout: rollout.id, move }
  }
  const message = `${node} may go on with generation ${generation}`
  const reason = { code: 'permit-claimed', message }
  return { answer: { granted: true, reason }, rollout: rollout.id, move }
}

function answerAct(rollout: Rollout, node: string, act: SectionAct): LeaseAnswer {
  const step = stepOf(rollout, node)
  assert(step !== undefined, `${node} is not in ${rollout.id}`)
  const answer = maySection(rollout, step, act)
  if (answer.kind === 'go')
    return { granted: true, reason: { code: 'section-reached', message: `${node} may ${act}` } }
  return { granted: false, again: answer.kind === 'wait', reason: answer.reason }
}

// Not a rollout: nothing new is intended, and no batch is asked. The budget is the same.
async function lease(
  tx: RolloutTransaction,
  claim: Claim,
  rollout: Rollout | undefined,
  surroundings: Surroundings,
): Promise<ClaimResult> {
  const { node, generation, purpose, sequence } = claim
  const step = rollout && stepOf(rollout, node)
  if (rollout !== undefined && step !== undefined && isInMotion(step))
    return refused({ code: 'step-in-motion', message: `${node} is being changed by ${rollout.id}` })
  const fleet = await surroundings.readGroups(node)
  const held = await whyNoLease(tx, claim, fleet, surroundings)
  if (held !== undefined) return refused(held)
  const groups = fleet.groupsOf.get(node) ?? []
  // Nobody else is counted on to be up when this one is not.
  if (groups.length === 0) {
    const message = `nothing holds back generation ${generation} of ${node}`
    return granted({ code: 'no-rollout', message })
  }
  const { now } = surroundings
  const taken = { node, purpose, generation, ...(await takenNow(tx, node, now, sequence)) }
  for (const group of groups) await tx.leases.take({ group, ...taken })
  return granted({
    code: 'lease-granted',
    message: `${node} has the lease of ${groups.join(', ')}`,
  })
}

/** What is in the way of a renewal or a correction of this node; undefined: nothing is. */
export async function whyNoLease(
  tx: RolloutTransaction,
  { node, purpose }: Pick<Claim, 'node' | 'purpose'>,
  fleet: FleetView,
  { now, woken = NOBODY }: Pick<Surroundings, 'now' | 'woken'>,
): Promise<Reason | undefined> {
  // A freeze must not make a certificate end: from a floor on, renewals go on.
  if (fleet.frozen !== undefined && (purpose !== 'renewal' || !(await isBelowFloor(tx, node, now))))
    return fleet.frozen
  if (!fleet.groupsOf.has(node)) return undefined
  const promised = new Set([...promisedBy(await tx.rollouts.active()), ...woken])
  const held = mayLease({ node, promised }, fleet)
  if (held === undefined || purpose !== 'renewal' || !(await hasEnded(tx, node, now))) return held
  return mayLease({ node, promised, isOut: true }, fleet)
}

/**
 * Half of the time that a renewal is begun before the end: a freeze that is over by then has cost nothing,
 * and what is left is enough for what may still go wrong. What is not known does not hold it back.
 */
async function isBelowFloor(tx: RolloutTransaction, node: string, { atMs }: Now): Promise<boolean> {
  const wanted = (await tx.desired.get(node))?.state.content.services.filter(isServer) ?? []
  const reported = (await tx.reports.get(node))?.report.services ?? []
  const known = wanted.flatMap(({ service, certificate }) => {
    const endMs = endOf(reported.find(one => one.service === service))
    return endMs === undefined ? [] : [endMs - atMs <= certificate.renewBeforeMs / 2]
  })
  return known.length < wanted.length || known.length === 0 || known.includes(true)
}

// What is served, not what is prepared to follow it: that waits for this very lease.
function endOf(report: ServiceReport | undefined): number | undefined {
  const served = report?.served.flatMap(({ notAfterMs }) => notAfterMs ?? []) ?? []
  return served.length === 0 ? report?.notAfterMs : Math.min(...served)
}

const NOBODY: ReadonlySet<string> = new Set()

// Who verifies it counts such a node out already: no budget may keep it so. By the wall clock, as dates
// of certificates are; still one node at a time.
async function hasEnded(tx: RolloutTransaction, node: string, { atMs }: Now): Promise<boolean> {
  const services = (await tx.reports.get(node))?.report.services ?? []
  return services.some(({ served }) =>
    served.some(({ notAfterMs }) => notAfterMs !== undefined && notAfterMs <= atMs),
  )
}

// A permit that is out is as good as claimed: it would be refused otherwise, and come again.
function promisedBy(rollouts: readonly Rollout[]): ReadonlySet<string> {
  return new Set(
    rollouts.flatMap(rollout => [...stepsIn(rollout, ['permitted'])].map(({ node }) => node)),
  )
}

/**
 * Leases end with what the node says: of renewals and corrections, and of broken nodes whose rollout
 * has ended, when a report for the current document says that all is well. Never by time.
 */
export async function releaseFinished(tx: RolloutTransaction): Promise<number> {
  const leases = await tx.leases.all()
  if (leases.length === 0) return 0
  const active = await tx.rollouts.active()
  const names = new Set(leases.map(({ node }) => node))
  let count = 0
  for (const member of await tx.rollouts.membersNamed([...names])) {
    const { node, desired, report } = member
    const isMoving = active.some(rollout => {
      const step = stepOf(rollout, node)
      return step !== undefined && (isInMotion(step) || step.state === 'broken')
    })
    if (isMoving || desired === undefined || report === undefined) continue
    const isCurrent = report.observedGeneration === desired.generation
    const held = leases.filter(one => one.node === node)
    const isOld = held.some(one => one.takenSequence >= report.sequence)
    const isStep = held.some(({ purpose }) => purpose === 'rollout')
    const isOver = report.services.every(
      one => isPassOver(one) && (!isStep || WELL.has(one.outcome)),
    )
    if (!isCurrent || isOld || !isOver) continue
    await tx.leases.releaseNode(node)
    count++
  }
  return count
}

const WELL: ReadonlySet<string> = new Set(['in-sync', 'changed', 'restored'])

// Of a renewal or a correction: it is done, was put back, or touched nothing after all.
function isPassOver(service: ReportExcerpt['services'][number]): boolean {
  const { outcome, activations, broken } = service
  return broken !== true && (outcome !== 'failed' || activations === 0)
}

function refused(reason: Reason): ClaimResult {
  return { answer: { granted: false, reason }, rollout: undefined, move: NO_MOVE }
}

function granted(reason: Reason): ClaimResult {
  return { answer: { granted: true, reason }, rollout: undefined, move: NO_MOVE }
}
