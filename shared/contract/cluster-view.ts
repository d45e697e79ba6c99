// What a member of a cluster says of it: how many there are, who leads, how well it is. Small and the
// same for every product; how it is asked, the drivers know.

import * as z from 'zod/mini'

// A member that needs more than this is none.
const Text = z.string().check(z.maxLength(255))

export const ClusterKind = z.enum(['elasticsearch', 'influxdb-meta'])
export type ClusterKind = z.infer<typeof ClusterKind>

export const ClusterHealth = z.enum(['green', 'yellow', 'red'])
export type ClusterHealth = z.infer<typeof ClusterHealth>

export const ClusterMember = z.object({
  /** As the product names it: the name of an Elasticsearch node, `host:port` of a meta node. */
  name: Text,
  address: z.optional(Text),
})
export type ClusterMember = Readonly<z.infer<typeof ClusterMember>>

export const ClusterView = z.object({
  kind: ClusterKind,
  /** How many members there are; `members` may be fewer, or none, where they could not be listed. */
  size: z.int().check(z.nonnegative()),
  members: z.array(ClusterMember).check(z.maxLength(256)),
  /** Name of the one that leads; absent: none is known. */
  leader: z.optional(Text),
  health: ClusterHealth,
})
export type ClusterView = Readonly<z.infer<typeof ClusterView>>
