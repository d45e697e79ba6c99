// POST revoke: a node is locked out, now. When the answer is there its connections are gone, its
// identities denied in the store, and its tokens with them.

import { NodeView, OPERATOR_ROUTES } from '../../../shared/contract/operator-api.ts'
import * as z from 'zod/mini'
import { VerbBody } from '../../../shared/contract/rollout-verbs.ts'
import { operatorOf } from '../caller.ts'
import type { ApiContext, App } from '../context.ts'
import { NodeParams } from '../fields.ts'
import { lockNode } from '../lock-node.ts'
import { nodeView } from './node-view.ts'
import { requireNode, requireNodeVersion } from './nodes.ts'

export function revokeRoute(app: App, context: ApiContext): void {
  const { store, clock, log } = context
  app.post(
    OPERATOR_ROUTES.nodeRevoke,
    {
      // Less than removing it: nothing is lost, and whoever sees a break-in must not look for an admin.
      config: { policy: { kind: 'operator', role: 'operator' } },
      schema: {
        summary: 'Lock a node out until it is enrolled anew',
        description:
          'Denies its identities, cuts its connections and voids its tokens. Services of the node go on.',
        params: NodeParams,
        body: z.nullish(VerbBody),
        response: { 200: NodeView },
      },
    },
    async request => {
      const { name: node } = request.params
      const actor = operatorOf(request).name
      const given = request.body?.reason
      const why = given === undefined ? '' : `: ${given}`
      const message = `${actor} has revoked its identity${why}`
      const reason = { code: 'identity-revoked', message }
      await store.transaction(async tx => {
        await requireNodeVersion(tx, request, node)
        await lockNode(tx, { node, cause: 'revoked', reason, actor, nowMs: clock.now() })
      })
      await context.lockedOut(node)
      log.info({ node, actor }, 'node revoked')
      return store.transaction(async tx => nodeView(context, tx, await requireNode(tx, node)))
    },
  )
}
