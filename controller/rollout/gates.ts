// What looks from elsewhere say: of one node against what it reports itself, of a cluster against how it
// was before its batch. Three-valued: an error is neither a pass nor a failure. Pure.

import type { ClusterHealth, ClusterView } from '../../shared/contract/cluster-view.ts'
import type { Sighting } from '../../shared/contract/probes.ts'
import type { Served } from '../../shared/contract/report.ts'
import type { Reason } from '../../shared/contract/schema.ts'
import type { ClusterBaseline, GateVerdict, Vantage } from './rollout.ts'

export interface Expected {
  readonly tls: 'on' | 'off'
  /** What the node says that this listener serves. */
  readonly served: Pick<Served, 'listener' | 'fingerprint'>
}

/** `by`: who looked. */
export function judgeSighting(sighting: Sighting, { tls, served }: Expected, by: string): Vantage {
  const { listener, fingerprint } = served
  const disagrees = (code: string, what: string): Vantage => ({
    kind: 'disagrees',
    reason: { code, message: `${listener} as seen from ${by}: ${what}` },
  })
  switch (sighting.kind) {
    case 'plaintext':
      if (tls === 'on') return disagrees('seen-plaintext', 'it answers without TLS')
      break
    case 'tls':
      if (tls === 'off') return disagrees('seen-tls', 'it answers with TLS')
      if (fingerprint !== undefined && sighting.fingerprint !== fingerprint)
        return disagrees('seen-other-certificate', 'it serves another certificate')
      if (sighting.untrusted !== undefined)
        return disagrees('seen-untrusted', sighting.untrusted.message)
      break
    case 'unreachable':
    case 'unknown': {
      const message = `${listener} as seen from ${by}: ${sighting.reason.message}`
      return { kind: 'unreachable', reason: { code: 'vantage-unreachable', message } }
    }
    case 'cluster':
      return {
        kind: 'unreachable',
        reason: { code: 'vantage-confused', message: `${by} has answered another question` },
      }
  }
  const { unhealthy } = sighting
  return unhealthy === undefined
    ? { kind: 'agrees' }
    : disagrees('seen-unhealthy', unhealthy.message)
}

const WORST_FIRST = ['disagrees', 'pending', 'unreachable', 'none', 'agrees'] as const

/** Of all listeners of a node: what the worst of them says. */
export function worstOf(vantages: readonly Vantage[]): Vantage {
  for (const kind of WORST_FIRST) {
    const found = vantages.find(one => one.kind === kind)
    if (found !== undefined) return found
  }
  return { kind: 'agrees' }
}

export interface Recovery {
  /** Since the batch has settled. */
  readonly waitedMs: number
  /** A cluster is given so long to be again what it was. */
  readonly limitMs: number
}

/**
 * G2 of one cluster. Undefined: it recovers still. `now` undefined: nobody has answered since the batch
 * has settled.
 */
export function judgeCluster(
  { name, view: before }: ClusterBaseline,
  now: ClusterView | undefined,
  { waitedMs, limitMs }: Recovery,
): Omit<GateVerdict, 'gate'> | undefined {
  const isOver = waitedMs >= limitMs
  if (now === undefined) {
    if (waitedMs < Math.min(limitMs, SILENCE_MS)) return undefined
    return {
      verdict: 'inconclusive',
      reason: { code: 'cluster-silent', message: `${name}: no member tells how its cluster is` },
    }
  }
  const loss = lossOf(before, now)
  const evidence = `${name}: ${describe(now)}; before the batch ${describe(before)}`
  if (loss === undefined && rank(now.health) >= rank(before.health))
    return { verdict: 'pass', reason: { code: 'cluster-as-before', message: evidence } }
  if (!isOver) return undefined
  // Copies may still be on their way: that is slow, and no harm.
  if (loss === undefined && now.health === 'yellow')
    return { verdict: 'inconclusive', reason: { code: 'cluster-recovering', message: evidence } }
  return { verdict: 'fail', reason: { code: loss ?? 'cluster-worse', message: evidence } }
}

// Some looks, by several members.
const SILENCE_MS = 60_000

function lossOf(before: ClusterView, now: ClusterView): string | undefined {
  if (now.size < before.size) return 'cluster-members-lost'
  if (before.leader !== undefined && now.leader === undefined && isListed(now))
    return 'cluster-leaderless'
  return undefined
}

// Who could not list the members does not know the leader either.
function isListed({ members }: ClusterView): boolean {
  return members.length > 0
}

function rank(health: ClusterHealth): number {
  return { red: 0, yellow: 1, green: 2 }[health]
}

function describe({ size, health, leader }: ClusterView): string {
  return `${health}, ${size} members${leader === undefined ? '' : `, led by ${leader}`}`
}

/** All clusters of a batch as one verdict: fail wins, then doubt; undefined while one recovers. */
export function togetherAs(
  gate: string,
  verdicts: readonly (Omit<GateVerdict, 'gate'> | undefined)[],
): GateVerdict | undefined {
  const failed = verdicts.find(one => one?.verdict === 'fail')
  if (failed !== undefined) return { gate, ...failed }
  if (verdicts.includes(undefined)) return undefined
  const told = verdicts.filter(one => one !== undefined)
  const doubt = told.find(({ verdict }) => verdict === 'inconclusive')
  if (doubt !== undefined) return { gate, ...doubt }
  const message = told.map(({ reason }) => reason.message).join('. ')
  const reason: Reason = {
    code: 'cluster-as-before',
    message: message.slice(0, MESSAGE_LENGTH_MAX),
  }
  return { gate, verdict: 'pass', reason }
}

const MESSAGE_LENGTH_MAX = 2_000
