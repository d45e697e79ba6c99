// The three listeners and what each serves.

import type { ApiContext, App } from './context.ts'
import { createApp, type ListenerTls, type ServerCertificate } from './app.ts'
import { dashboardRoutes } from './dashboard.ts'
import { desiredRoute } from './agent/desired.ts'
import { enrollRoute } from './agent/enroll.ts'
import { leaseRoute } from './agent/lease.ts'
import { previewRoute } from './agent/preview.ts'
import { debtsRoute } from './agent/debts.ts'
import { probeRoute } from './agent/probe.ts'
import { providedRoute } from './agent/provided.ts'
import { renewExpiredRoute } from './agent/renew-expired.ts'
import { renewRoute, whoamiRoute } from './agent/renew.ts'
import { reportRoute } from './agent/report.ts'
import { signRoute } from './agent/sign.ts'
import { createSignLimit } from './agent/sign-limit.ts'
import { acmeRoutes } from './operator/acme.ts'
import { auditRoutes } from './operator/audit.ts'
import { certificateRoutes } from './operator/certificates.ts'
import { backupRoute } from './operator/backup.ts'
import { authorityRoutes } from './operator/authorities.ts'
import { fleetRoutes } from './operator/fleet.ts'
import { refuseForeignPages } from './foreign-pages.ts'
import { limitRequests } from './request-limit.ts'
import { repeatAnswers } from './idempotency.ts'
import { nameIdentityRoots } from './operator/identity-roots.ts'
import { metricsRoute } from './operator/metrics.ts'
import { nodeHistoryRoute } from './operator/node-history.ts'
import { nodePlanRoute } from './operator/node-plan.ts'
import { nodeChangeRoute } from './operator/node-change.ts'
import { nodeRoutes } from './operator/nodes.ts'
import { describeApi, openapiRoute } from './operator/openapi.ts'
import { operatorRoutes } from './operator/operators.ts'
import { referenceRoute } from './operator/reference.ts'
import { planRoute } from './operator/plans.ts'
import { providedRoutes } from './operator/provided.ts'
import { reasonRoute } from './operator/reasons.ts'
import { requestRoutes } from './operator/requests.ts'
import { revisionRoutes } from './operator/revisions.ts'
import { revokeRoute } from './operator/revoke.ts'
import { rolloutRoutes } from './operator/rollouts.ts'
import { rolloutStepRoutes } from './operator/rollout-steps.ts'
import { freezeRoutes } from './operator/freezes.ts'
import { rolloutGatesRoute } from './operator/rollout-gates.ts'
import { rolloutVerbRoutes } from './operator/rollout-verbs.ts'
import { enrollmentTokenRoutes } from './operator/enrollment-tokens.ts'
import { debtRoutes } from './operator/debts.ts'
import { leaseRoutes } from './operator/leases.ts'
import { watchRoute } from './operator/watch.ts'
import { rotationRoutes } from './operator/rotations.ts'
import { operatorTokenRoutes } from './operator/tokens.ts'

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
  probeRoute(app, context)
  debtsRoute(app, context)
  leaseRoute(app, context)
  signRoute(app, context, limit)
  providedRoute(app, context, limit)
  renewRoute(app, context, limit)
  whoamiRoute(app, context)
  return app
}

/** No client certificate: for nodes that have none, or none that is still good. */
export function createEnrollApp(certificate: ServerCertificate, context: ApiContext): App {
  const app = createApp('enroll', { certificate }, context)
  enrollRoute(app, context)
  renewExpiredRoute(app, context)
  return app
}

export async function createOperatorApp(
  tls: Pick<ListenerTls, 'certificate' | 'operatorCa'>,
  context: ApiContext,
  version: string,
): Promise<App> {
  const app = createApp('operator', tls, context)
  refuseForeignPages(app)
  nameIdentityRoots(app, context)
  limitRequests(app, context.clock)
  repeatAnswers(app, context)
  await describeApi(app, version)
  fleetRoutes(app, context)
  nodeRoutes(app, context)
  nodeChangeRoute(app, context)
  nodeHistoryRoute(app, context)
  nodePlanRoute(app, context)
  revokeRoute(app, context)
  revisionRoutes(app, context)
  planRoute(app, context)
  rolloutRoutes(app, context)
  rolloutVerbRoutes(app, context)
  rolloutGatesRoute(app, context)
  rolloutStepRoutes(app, context)
  freezeRoutes(app, context)
  rotationRoutes(app, context)
  certificateRoutes(app, context)
  providedRoutes(app, context)
  requestRoutes(app, context)
  authorityRoutes(app, context)
  acmeRoutes(app, context)
  watchRoute(app, context)
  leaseRoutes(app, context)
  debtRoutes(app, context)
  enrollmentTokenRoutes(app, context)
  operatorRoutes(app, context)
  operatorTokenRoutes(app, context)
  auditRoutes(app, context)
  reasonRoute(app)
  backupRoute(app, context)
  metricsRoute(app, context)
  openapiRoute(app)
  referenceRoute(app)
  dashboardRoutes(app)
  return app
}
