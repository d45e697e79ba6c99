// What a runner keeps of the fleet, compared with what one sees that has just been started: keeping it
// must make no difference.

import type { FleetView } from '../../controller/rollout/rollout.ts'
import { canonicalJson, type Json } from '../../shared/digest.ts'
import { Violation } from './violation.ts'

/** Throws what differs. */
export function requireSameView(kept: FleetView, fresh: FleetView, whose: string): void {
  const [left, right] = [describe(kept), describe(fresh)]
  for (const [key, value] of Object.entries(right)) {
    if (canonicalJson(left[key] ?? null) === canonicalJson(value)) continue
    const told = `${JSON.stringify(left[key])} is kept, ${JSON.stringify(value)} is so`
    throw new Violation(`the view of ${whose} is outdated: ${key}: ${told}`)
  }
  for (const key of Object.keys(left))
    if (!(key in right)) throw new Violation(`the view of ${whose} has ${key}, which is not there`)
}

function describe({ nodes, groups, ripe, frozen }: FleetView): Record<string, Json> {
  const told: Record<string, Json> = { frozen: plain(frozen ?? null) }
  // For how long a node is silent only its own observer knows.
  for (const [node, { silentMs: _silent, ...view }] of nodes) told[`node ${node}`] = plain(view)
  for (const [name, { out, leases, members, ...group }] of groups) {
    const lists = { out: [...out], leases: [...leases], members: [...members] }
    const sorted = Object.entries(lists).map(([key, list]) => [
      key,
      list.map(one => JSON.stringify(one)).toSorted(),
    ])
    told[`group ${name}`] = plain({ ...group, ...Object.fromEntries(sorted) })
  }
  for (const [piece, marked] of ripe ?? []) told[`ripe ${piece}`] = [...marked].toSorted()
  return told
}

function plain(value: unknown): Json {
  const json: Json = JSON.parse(JSON.stringify(value))
  return json
}
