// The three listeners and what each serves.

import type { ApiContext, App } from './context.ts'
import { createApp, type ListenerTls, type ServerCertificate } from './app.ts'
import { desiredRoute } from './agent/desired.ts'
import { enrollRoute } from './agent/enroll.ts'
import { leaseRoute } from './agent/lease.ts'
import { previewRoute } from './agent/preview.ts'
import { renewRoute } from './agent/renew.ts'
import { reportRoute } from './agent/report.ts'
import { signRoute } from './agent/sign.ts'
import { createSignLimit } from './agent/sign-limit.ts'
import { fleetRoutes } from './operator/fleet.ts'
import { nodeRoutes } from './operator/nodes.ts'
import { describeApi, openapiRoute } from './operator/openapi.ts'
import { planRoute } from './operator/plans.ts'
import { revisionRoutes } from './operator/revisions.ts'
import { rolloutRoutes } from './operator/rollouts.ts'

/** Client certificate required; `clientCa` is the identity CA, never that of services. */
export function createAgentApp(
  tls: ListenerTls & Required<Pick<ListenerTls, 'clientCa'>>,
  context: ApiContext,
): App {
  const app = createApp('agent', tls, context)
  const limit = createSignLimit(context.clock)
  desiredRoute(app, context)
  reportRoute(app, context)
  previewRoute(app, context)
  leaseRoute(app, context)
  signRoute(app, context, limit)
  renewRoute(app, context, limit)
  return app
}

/** No client certificate: for nodes that have none yet. */
export function createEnrollApp(certificate: ServerCertificate, context: ApiContext): App {
  const app = createApp('enroll', { certificate }, context)
  enrollRoute(app, context)
  return app
}

export async function createOperatorApp(
  certificate: ServerCertificate,
  context: ApiContext,
  version: string,
): Promise<App> {
  const app = createApp('operator', { certificate }, context)
  await describeApi(app, version)
  fleetRoutes(app, context)
  nodeRoutes(app, context)
  revisionRoutes(app, context)
  planRoute(app, context)
  rolloutRoutes(app, context)
  openapiRoute(app)
  return app
}
