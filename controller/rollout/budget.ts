// May a node be disruptive now? The one budget rule, for rollouts, renewals and corrections alike. A
// slot of a group is a lease; leases are owned and never freed by time. Pure.

import type { Reason } from '../../shared/contract/schema.ts'
import type { FleetView, GroupView } from './rollout.ts'

const NOBODY: ReadonlySet<string> = new Set()
// As many names as a person reads.
const NAMES_MAX = 5

export interface Claimant {
  readonly node: string
  /** Nodes that will take a lease without having one yet: their permits are out. */
  readonly promised?: ReadonlySet<string>
  /** A coordinated section has the leases of its whole group: those of these nodes do not count. */
  readonly together?: ReadonlySet<string>
  /** It is out already, whatever it reports. */
  readonly isOut?: boolean
}

/** Undefined = yes. Else who holds what the node would need. */
export function mayLease(claimant: Claimant, fleet: FleetView): Reason | undefined {
  for (const name of fleet.groupsOf.get(claimant.node) ?? []) {
    const group = fleet.groups.get(name)
    const refused = group && refusedBy(group, claimant)
    if (refused !== undefined) return refused
  }
  return undefined
}

function refusedBy(
  group: GroupView,
  { node, promised = NOBODY, together = NOBODY, isOut = false }: Claimant,
): Reason | undefined {
  const { name, members, maxUnavailable, limit, out, leases } = group
  const holders = [...leases.keys()].filter(one => one !== node && !together.has(one))
  const others = new Set(holders)
  if (together.size > 0) return others.size === 0 ? undefined : held(name, others)
  for (const one of promised) if (one !== node && members.has(one)) others.add(one)
  // Repairs do not run side by side either.
  if (others.size >= maxUnavailable) return held(name, others)
  // A node that is out already makes nothing worse.
  if (isOut || out.has(node) || leases.has(node)) return undefined
  const gone = new Set([...others].filter(one => !out.has(one)))
  if (out.size + gone.size < limit) return undefined
  if (out.size === 0) return others.size === 0 ? spareless(group) : held(name, others)
  const causes = [...out].slice(0, NAMES_MAX).map(([one, why]) => `${one} (${why.message})`)
  return {
    code: 'budget-out',
    message: `group ${name} can spare ${limit}, and ${listed(causes, out.size)} of it ${out.size === 1 ? 'is' : 'are'} out`,
  }
}

// Only a group that can lose nobody has no room where nobody is out and nobody has a lease.
function spareless({ name, members }: GroupView): Reason {
  return {
    code: 'budget-none',
    message: `group ${name} has ${members.size} members and can spare none: none of them may be interrupted (acceptQuorumLoss: true in the group says that its outage is known)`,
  }
}

function held(group: string, holders: ReadonlySet<string>): Reason {
  const names = [...holders].slice(0, NAMES_MAX)
  return {
    code: 'budget-leased',
    message: `group ${group} is being changed at ${listed(names, holders.size)}`,
  }
}

function listed(names: readonly string[], count: number): string {
  return count > names.length
    ? `${names.join(', ')} and ${count - names.length} more`
    : names.join(', ')
}
