// How long requests take. Labels come from the declared routes, never from what a client sends, so
// that nobody can make more of them.

import type { FastifyReply, FastifyRequest } from 'fastify'
import { EVENT_STREAM_TYPE } from '../../shared/contract/watch.ts'
import { AGENT_ROUTES } from '../../shared/contract/protocol.ts'
import type { App } from '../api/context.ts'
import type { Listener } from '../api/policy.ts'
import type { Measures } from './measures.ts'

export function measureRequests(app: App, listener: Listener, measures: Measures): void {
  app.addHook('onResponse', async (request, reply) => {
    const labels = {
      listener,
      method: request.method,
      route: request.routeOptions.url ?? 'none',
      code: `${Math.floor(reply.statusCode / 100)}xx`,
    }
    // Their time is how long nothing happened: among the others it would hide what is slow.
    if (isLongPoll(request) || isStream(reply)) measures.longPolls.add(labels)
    else measures.requests.observe(labels, reply.elapsedTime / 1000)
  })
}

function isLongPoll({ routeOptions, query }: FastifyRequest): boolean {
  if (routeOptions.url === AGENT_ROUTES.desired) return true
  return typeof query === 'object' && query !== null && 'wait' in query && Number(query.wait) > 0
}

function isStream(reply: FastifyReply): boolean {
  return reply.getHeader('content-type') === EVENT_STREAM_TYPE
}
