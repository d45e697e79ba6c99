// What meta nodes tell each other, data nodes and influxd-ctl. The vendor's own wire format is not
// public; of this only /status, /ping, /peers and /show-cluster look as they do in the manual.

import * as z from 'zod/mini'

export const MetaNode = z.object({ id: z.number(), raftAddr: z.string(), httpAddr: z.string() })
export type MetaNode = Readonly<z.infer<typeof MetaNode>>

export const DataNode = z.object({ id: z.number(), tcpAddr: z.string(), httpAddr: z.string() })
export type DataNode = Readonly<z.infer<typeof DataNode>>

/** What raft agrees on. */
export const ClusterData = z.object({
  nextId: z.number(),
  metas: z.array(MetaNode),
  dataNodes: z.array(DataNode),
  databases: z.array(z.string()),
  /** Name and password, for basic authentication. */
  users: z.record(z.string(), z.string()),
})
export type ClusterData = z.infer<typeof ClusterData>

export const NO_CLUSTER: ClusterData = {
  nextId: 1,
  metas: [],
  dataNodes: [],
  databases: [],
  users: {},
}

export const Announcement = z.object({
  kind: z.enum(['meta', 'data']),
  /** Of a meta node its HTTP address, of a data node its TCP address. */
  addr: z.string(),
  httpAddr: z.string(),
  httpScheme: z.enum(['http', 'https']),
  version: z.string(),
  ageMs: z.number(),
})
export type Announcement = Readonly<z.infer<typeof Announcement>>

export const Announcements = z.object({ announcements: z.array(Announcement) })

export const Status = z.object({
  nodeType: z.literal('meta'),
  leader: z.string(),
  httpAddr: z.string(),
  raftAddr: z.string(),
  peers: z.nullable(z.array(z.string())),
})
export type Status = Readonly<z.infer<typeof Status>>

const ShownNode = z.object({
  id: z.number(),
  addr: z.string(),
  httpScheme: z.string(),
  tcpAddr: z.string(),
  version: z.string(),
})
export const ShowCluster = z.object({ data: z.array(ShownNode), meta: z.array(ShownNode) })
export type ShowCluster = Readonly<z.infer<typeof ShowCluster>>

/** add-meta, remove-meta, add-data, remove-data. */
export const Member = z.object({ addr: z.string() })

/** What a data node is told when it joins, and what it answers. */
export const JoinRequest = z.object({ metas: z.array(z.string()) })
export const JoinAnswer = z.object({ httpAddr: z.string() })

/** A change of the metadata: needs a leader. */
export const Command = z.object({
  createDatabase: z.optional(z.string()),
  createUser: z.optional(z.object({ name: z.string(), password: z.string() })),
})
export type Command = Readonly<z.infer<typeof Command>>

/** Lines for the points of another data node. */
export const RemoteWrite = z.object({ database: z.string(), lines: z.array(z.string()) })
export type RemoteWrite = Readonly<z.infer<typeof RemoteWrite>>

export const Failure = z.object({ error: z.string() })

/** JSON of a border; undefined where it is not what the schema says. */
export function parseAs<S extends z.ZodMiniType>(schema: S, text: string): z.output<S> | undefined {
  try {
    const parsed = z.safeParse(schema, JSON.parse(text))
    return parsed.success ? parsed.data : undefined
  } catch {
    return undefined
  }
}
