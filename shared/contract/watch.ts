// What server-sent events say. `GET /v1/watch?resources=nodes,rollouts` is one stream for everything,
// because browsers open six connections to a host at most.
//
//   event: resync  data: {"resource":"nodes"}                 fetch the list: first, and whenever more changed than can be named
//   event: change  data: {"resource":"nodes","ids":["n1"]}    these are not as they were; what is not found any more was removed
//   event: end     data: {"code":"closing","message":"…"}     the stream is over; connect again
//
// Changes are levels, not edges: several in a short time are told once, and what an id stands for is
// read anew by whoever cares. So there is no `Last-Event-ID` here; a new stream begins with `resync`.
// A comment line comes every 15 seconds.
//
// `GET /v1/rollouts/{id}/events` with `Accept: text/event-stream` is a log: every version exactly once,
// in order, `id:` is the version, and `Last-Event-ID` or `?after=` is where it goes on.

import * as z from 'zod/mini'

export const WATCH_ROUTE = '/v1/watch'

/**
 * Ids: name of a node, freeze or pair; id of a rollout, rotation, request, token or CA; number of a revision;
 * `group/node` of a lease; sequence number of an audit record. Groups and certificates follow from what
 * nodes say, from leases and from CAs: of them only `resync` is told, when one of these has changed.
 */
export const WatchResource = z.enum([
  'nodes',
  'rollouts',
  'rotations',
  'requests',
  'revisions',
  'freezes',
  'leases',
  'provided',
  'tokens',
  'authorities',
  'audit',
  'groups',
  'certificates',
])
export type WatchResource = z.infer<typeof WatchResource>

export const WatchResync = z.object({ resource: WatchResource })
export const WatchChange = z.object({ resource: WatchResource, ids: z.array(z.string()) })
export type WatchChange = Readonly<z.infer<typeof WatchChange>>
export const WatchEnd = z.object({ code: z.string(), message: z.string() })

/** Media type of both. */
export const EVENT_STREAM_TYPE = 'text/event-stream'
