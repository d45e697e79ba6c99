// Who is not to be renewed together with whom. Pure.

import { digestOf, type Json } from '../../shared/digest.ts'
import type { ServiceName } from '../../shared/contract/service.ts'
import type { NodeRecord } from '../store/store.ts'
import type { FleetSpec } from './intent.ts'
import { matches } from './selector.ts'

// Their nodes are one cluster, however many entries describe them.
const CLUSTERS: readonly ServiceName[] = ['elasticsearch', 'influxdb-meta']

/**
 * A name for the group that the service of a node belongs to: nodes of one entry of the fleet spec, by
 * what the entry selects, so that the name outlives changes of everything else; a cluster as a whole.
 */
export function renewalGroupOf(
  spec: FleetSpec | undefined,
  node: Pick<NodeRecord, 'name' | 'labels'>,
  service: ServiceName,
): string {
  if (CLUSTERS.includes(service)) return service
  const intent = spec?.services.find(one => one.service === service && matches(node, one.nodes))
  if (intent === undefined) return service
  const selector: Json = JSON.parse(JSON.stringify(intent.nodes))
  return `${service} ${digestOf(selector).slice(0, 16)}`
}
