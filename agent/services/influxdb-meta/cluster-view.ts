// What a meta node says of its Raft group by `/status` (facts: influx-telegraf-prometheus, 2(f)).

import * as z from 'zod/mini'
import type { ClusterView } from '../../../shared/contract/cluster-view.ts'
import type { HttpAnswer } from '../../host.ts'
import { jsonIn } from '../json-in.ts'

const Status = z.object({
  leader: z.string().check(z.maxLength(255)),
  peers: z.nullable(z.array(z.string().check(z.maxLength(255))).check(z.maxLength(256))),
})

/** Undefined: it does not say, or has joined no cluster. */
export function raftView({ status, body }: HttpAnswer): ClusterView | undefined {
  const parsed = Status.safeParse(jsonIn(body))
  if (status !== 200 || !parsed.success) return undefined
  const { leader, peers } = parsed.data
  if (peers === null || peers.length === 0) return undefined
  return {
    kind: 'influxdb-meta',
    size: peers.length,
    members: peers.toSorted().map(name => ({ name })),
    // Without a quorum there is none, and nothing that the cluster knows can be changed.
    ...(leader === '' ? {} : { leader }),
    health: leader === '' ? 'red' : 'green',
  }
}
