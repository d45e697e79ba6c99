// A listener between the nodes of a cluster that goes from plaintext to TLS or back. It speaks one of
// both, so nodes on different sides cannot talk (facts: influx-telegraf-prometheus, 2(h) and 6.1). That
// a cluster gets over this one by one is inferred and not seen, so that has to be asked for.

import type { Reason } from '../../../shared/contract/schema.ts'
import type { SchemeChange, Upstream } from '../../../shared/contract/service.ts'
import { because } from '../reasons.ts'
import { isOn, type Settings, type TableName } from './settings.ts'

export interface SideChange {
  readonly settings: Settings
  /** Whose `https-enabled` it is. */
  readonly table: TableName
  /** Undefined: it stays as it is. */
  readonly wanted: boolean | undefined
  readonly hasPeers: boolean
  readonly choice: SchemeChange
}

/** Why all nodes of the cluster make this change at once; undefined: it may be made by this one alone. */
export function togetherReason(change: SideChange): Reason | undefined {
  const { settings, table, wanted, hasPeers, choice } = change
  if (choice === 'rolling' || !hasPeers || wanted === undefined) return undefined
  if (isOn(settings.effective(table, 'https-enabled')) === wanted) return undefined
  const side = wanted ? 'on' : 'off'
  return because(
    'coordinated-change',
    `https-enabled of [${table}] in ${settings.path} is switched ${side}: nodes with and without it cannot talk, so all nodes of the cluster are stopped, changed and started as a whole, by apply --together GROUP; options: { schemeChange: rolling } changes them one by one instead, with interruptions`,
  )
}

/** Does the fleet spec have other nodes of this product than this one? */
export function hasOthers(upstreams: readonly Upstream[], service: Upstream['service']): boolean {
  return upstreams.some(one => one.service === service && one.isLocal !== true)
}
