// What nodes say to each other to agree on a master and on a state, and what each keeps on disk of it.

import { z } from 'zod'
import { ClusterState, NodeInfo } from './cluster-state.ts'

export const Stored = z.object({
  term: z.number(),
  accepted: ClusterState,
  /** Of the last state known to be committed: what is only accepted may never have been agreed on. */
  committed: z.object({ clusterUuid: z.string(), voting: z.array(z.string()) }),
})
export type Stored = z.infer<typeof Stored>

export const Vote = z.object({
  clusterUuid: z.string(),
  term: z.number(),
  acceptedTerm: z.number(),
  acceptedVersion: z.number(),
  really: z.boolean(),
})
export const Publication = z.object({ term: z.number(), master: NodeInfo, state: ClusterState })
export const Committed = z.object({ term: z.number(), version: z.number() })
export const Check = z.object({ term: z.number(), master: NodeInfo })
export const Join = z.object({ node: NodeInfo, clusterUuid: z.string() })
