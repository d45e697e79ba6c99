// Small routes about the controller itself: health, who am I, what clients must trust.

import * as z from 'zod/mini'
import { OPERATOR_ROUTES, TrustView, WhoAmI } from '../../../shared/contract/operator-api.ts'
import { bundleDigest } from '../../../shared/pki/trust.ts'
import { operatorOf } from '../caller.ts'
import type { ApiContext, App } from '../context.ts'

const Health = z.object({ status: z.literal('ok') })

export function fleetRoutes(app: App, { authorities, fleet, store }: ApiContext): void {
  app.get(
    OPERATOR_ROUTES.health,
    {
      config: { policy: { kind: 'public' } },
      schema: { summary: 'Does the controller work?', response: { 200: Health } },
    },
    async () => {
      // A controller that cannot read its store answers 500 here as everywhere.
      await store.transaction(tx => tx.settings.get('fleet'))
      return { status: 'ok' as const }
    },
  )

  app.get(
    OPERATOR_ROUTES.whoami,
    {
      config: { policy: { kind: 'operator', role: 'viewer' } },
      schema: { summary: 'Name and role of the caller', response: { 200: WhoAmI } },
    },
    async request => {
      const { name, role, credential } = operatorOf(request)
      const { kind, id, expiresAtMs } = credential
      const shown = { kind, id, ...(expiresAtMs === undefined ? {} : { expiresAtMs }) }
      return { name, role, fleet, credential: shown }
    },
  )

  app.get(
    OPERATOR_ROUTES.trust,
    {
      config: { policy: { kind: 'operator', role: 'viewer' } },
      schema: {
        summary: 'CA certificates that clients of the services must trust',
        response: { 200: TrustView },
      },
    },
    async () => {
      const { service, identity } = authorities.current()
      const { trust } = service.ca
      return { service: [...trust], digest: bundleDigest(trust), identity: [...identity.roots] }
    },
  )
}
