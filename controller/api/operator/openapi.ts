// The API description, made from the same schemas that check requests and answers.

import { fastifySwagger } from '@fastify/swagger'
import { createJsonSchemaTransform } from 'fastify-type-provider-zod'
import * as z from 'zod/mini'
import { Problem } from '../../../shared/contract/agent-api.ts'
import { OPERATOR_ROUTES } from '../../../shared/contract/operator-api.ts'
import type { App } from '../context.ts'
import { jsonOf } from '../json-of.ts'
import { completeDescription } from '../openapi/document.ts'
import type { JsonObject } from '../openapi/json-schema.ts'

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
  const schemas: RouteSchemas[] = []
  schemasOf.set(app, schemas)
  app.addHook('onRoute', route => {
    const path = route.url.replaceAll(/:(\w+)/g, '{$1}')
    const { body, response: answers = {} } = route.schema ?? {}
    schemas.push({ name: `${String(route.method)} ${path}`, body, answers: Object(answers) })
    const policy = route.config?.policy
    const isOpen = policy?.kind === 'public'
    route.schema = {
      ...route.schema,
      ...(isOpen ? {} : { security: [{ token: [] }] }),
      ...(policy?.kind === 'operator' ? { 'x-role': policy.role } : {}),
      ...(policy?.kind === 'operator' && policy.verbs !== undefined
        ? { 'x-role-of-verb': policy.verbs }
        : {}),
      response: { ...Object(route.schema?.response), default: ERROR_RESPONSE },
    }
  })
}

const ERROR_RESPONSE = {
  description: 'What went wrong; `code` is stable',
  content: { 'application/problem+json': { schema: Problem } },
}

/** What a route takes and gives, as it checks it. */
export interface RouteSchemas {
  /** Method and path, as in the description. */
  readonly name: string
  readonly body: unknown
  readonly answers: Readonly<Record<string, unknown>>
}

const schemasOf = new WeakMap<App, readonly RouteSchemas[]>()

export function routeSchemas(app: App): readonly RouteSchemas[] {
  return schemasOf.get(app) ?? []
}

const descriptions = new WeakMap<App, JsonObject>()

/** Made once: routes do not change. The app must be ready. */
export function descriptionOf(app: App): JsonObject {
  const known = descriptions.get(app)
  if (known !== undefined) return known
  const description = completeDescription(jsonOf(app.swagger({ yaml: false })))
  descriptions.set(app, description)
  return description
}

export function openapiRoute(app: App): void {
  app.get(
    OPERATOR_ROUTES.openapi,
    {
      config: { policy: { kind: 'public' } },
      schema: { summary: 'This description', response: { 200: z.unknown() } },
    },
    async () => descriptionOf(app),
  )
}
