// What `GET /status` of a meta node says about its cluster. While the nodes change sides one by one
// there is no leader for a while, so this is told and never undone.

import * as z from 'zod/mini'
import type { Reason } from '../../../shared/contract/schema.ts'
import type { HttpAnswer } from '../../host.ts'
import { jsonIn } from '../json-in.ts'
import { because } from '../reasons.ts'

const Status = z.object({
  leader: z.string(),
  peers: z.nullable(z.array(z.string())),
})

export function clusterAdvice({ status, body }: HttpAnswer): readonly Reason[] {
  if (status !== 200) return []
  const parsed = Status.safeParse(jsonIn(body))
  if (!parsed.success)
    return [because('status-unreadable', 'the answer of /status is not that of a meta node')]
  const { leader, peers } = parsed.data
  if (leader === '')
    return [because('raft-no-leader', 'the meta node knows no leader of its Raft group')]
  return peers === null || peers.length === 0
    ? [because('raft-no-peers', 'the meta node has joined no cluster')]
    : []
}
