// What Elasticsearch says of its cluster: `_cluster/health` and `_cat/nodes`, both only to those who
// may ask (facts: elastic, 2(f)).

import * as z from 'zod/mini'
import { ClusterHealth, type ClusterView } from '../../../shared/contract/cluster-view.ts'
import type { HttpAnswer } from '../../host.ts'
import { jsonIn } from '../json-in.ts'

/** The master first and the name last, because names may hold blanks. */
export const MEMBERS_PATH = '/_cat/nodes?h=master,ip,name&master_timeout=2s'

const Health = z.object({ status: ClusterHealth, number_of_nodes: z.int() })
const MEMBERS_MAX = 256

/** Without a list of members their number is all that is known of them. */
export function elasticView(
  health: HttpAnswer,
  members: HttpAnswer | undefined,
): ClusterView | undefined {
  const parsed = Health.safeParse(jsonIn(health.body))
  // 408: the time that it was given to look was not enough; what it says is right all the same.
  if ((health.status !== 200 && health.status !== 408) || !parsed.success) return undefined
  const rows = members?.status === 200 ? rowsIn(members.body) : []
  const leader = rows.find(({ isMaster }) => isMaster)?.name
  return {
    kind: 'elasticsearch',
    size: parsed.data.number_of_nodes,
    members: rows.map(({ name, address }) => ({ name, address })),
    ...(leader === undefined ? {} : { leader }),
    health: parsed.data.status,
  }
}

function rowsIn(text: string) {
  return text
    .split('\n')
    .flatMap(line => {
      const [, mark, address, name] =
        /^\s*([*-])\s+(\S{1,255})\s+(\S.{0,254}?)\s*$/.exec(line) ?? []
      return name === undefined || address === undefined
        ? []
        : [{ isMaster: mark === '*', address, name }]
    })
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
    .slice(0, MEMBERS_MAX)
}
