// The API description, made from the same schemas that check requests and answers.

import { fastifySwagger } from '@fastify/swagger'
import { createJsonSchemaTransform } from 'fastify-type-provider-zod'
import * as z from 'zod/mini'
import { Problem } from '../../../shared/contract/agent-api.ts'
import { OPERATOR_ROUTES } from '../../../shared/contract/operator-api.ts'
import type { App } from '../context.ts'

export async function describeApi(app: App, version: string): Promise<void> {
  await app.register(fastifySwagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'tlsfleet operator API',
        description:
          'Everything that the tlsfleet command does. Errors are application/problem+json.',
        version,
        license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
      },
      components: { securitySchemes: { token: { type: 'http', scheme: 'bearer' } } },
    },
    transform: createJsonSchemaTransform({}),
  })
  // From the policy, so that the description cannot claim another one.
  app.addHook('onRoute', route => {
    const isOpen = route.config?.policy?.kind === 'public'
    route.schema = {
      ...route.schema,
      ...(isOpen ? {} : { security: [{ token: [] }] }),
      response: { ...Object(route.schema?.response), default: ERROR_RESPONSE },
    }
  })
}

const ERROR_RESPONSE = {
  description: 'What went wrong; `code` is stable',
  content: { 'application/problem+json': { schema: Problem } },
}

export function openapiRoute(app: App): void {
  app.get(
    OPERATOR_ROUTES.openapi,
    {
      config: { policy: { kind: 'public' } },
      schema: { summary: 'This description', response: { 200: z.unknown() } },
    },
    async () => app.swagger({ yaml: false }),
  )
}
