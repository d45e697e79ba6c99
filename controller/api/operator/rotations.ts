// Rotations: begin one, list, show, confirm, resume, take back, hurry.

import * as z from 'zod/mini'
import type { Reason } from '../../../shared/contract/schema.ts'
import {
  ROTATION_ROUTES,
  RotationCreate,
  RotationList,
  RotationReason,
  RotationSummary,
  RotationView,
} from '../../../shared/contract/rotations.ts'
import { OperationalError } from '../../../shared/errors.ts'
import type { RotationCommand } from '../../rotation/decide.ts'
import type { RotationRequest } from '../../rotation/create.ts'
import { operatorOf } from '../caller.ts'
import type { ApiContext, App } from '../context.ts'
import { keyAfter, limitOf, PAGE_QUERY, pageOf } from '../paging.ts'
import { expectedNumber, tellVersion } from '../versions.ts'
import { rotationSummary, rotationView } from './rotation-view.ts'

const Params = z.strictObject({ id: z.string().check(z.regex(/^[A-Za-z0-9-]{1,64}$/)) })

export function rotationRoutes(app: App, context: ApiContext): void {
  createRoute(app, context)
  showRoutes(app, context)
  commandRoute(app, context, { kind: 'advance', summary: 'Confirm the next phase of a rotation' })
  commandRoute(app, context, { kind: 'resume', summary: 'Let a rotation that stopped go on' })
  commandRoute(app, context, { kind: 'abort', summary: 'Take a rotation back, phase by phase' })
  commandRoute(app, context, {
    kind: 'taint',
    summary: 'The CA that a rotation leaves is compromised: nothing waits for an operator',
  })
  taintRoute(app, context)
}

function createRoute(app: App, context: ApiContext): void {
  app.post(
    ROTATION_ROUTES.rotations,
    {
      config: { policy: { kind: 'operator', role: 'admin' } },
      schema: {
        summary: 'Begin to replace a CA, or the issuer of services',
        body: RotationCreate,
        response: { 201: RotationSummary },
      },
    },
    async (request, reply) => {
      const { name: actor } = operatorOf(request)
      const { pace } = request.body
      const subject = subjectOf(request.body)
      const rotation = await context.rotations.create({ actor, pace, subject })
      context.wakeRotations()
      return reply.code(201).send(rotationSummary(rotation))
    },
  )
}

function subjectOf({ kind, spec }: RotationCreate): RotationRequest['subject'] {
  if (kind !== 'issuer') return { kind }
  if (spec !== undefined) return { kind, spec }
  throw new OperationalError('malformed-request', 'a change of issuer needs the fleet spec')
}

function showRoutes(app: App, { store, rotations }: ApiContext): void {
  app.get(
    ROTATION_ROUTES.rotations,
    {
      config: { policy: { kind: 'operator', role: 'viewer' } },
      schema: {
        summary: 'List rotations, newest first',
        querystring: z.strictObject(PAGE_QUERY),
        response: { 200: RotationList },
      },
    },
    async ({ query }) => {
      const limit = limitOf(query)
      const before = keyAfter('rotations', query)
      const page = { limit: limit + 1, ...(before === undefined ? {} : { before }) }
      const found = await store.transaction(tx => tx.rotations.list(page))
      const { shown, next } = pageOf('rotations', { found, limit }, ({ id }) => id)
      return { rotations: shown.map(rotationSummary), ...next }
    },
  )
  app.get(
    ROTATION_ROUTES.rotation,
    {
      config: { policy: { kind: 'operator', role: 'viewer' } },
      schema: {
        summary: 'Show a rotation: its phase, what it waits for, where every node is',
        params: Params,
        response: { 200: RotationView },
      },
    },
    async (request, reply) => {
      const { id } = request.params
      const { rotation, seen } = await rotations.look(id)
      const events = await store.transaction(tx => tx.rotations.events(id))
      tellVersion(reply, rotation.version)
      return rotationView(rotation, seen, events)
    },
  )
}

function commandRoute(
  app: App,
  context: ApiContext,
  { kind, summary }: { readonly kind: RotationCommand['kind']; readonly summary: string },
): void {
  app.post(
    ROTATION_ROUTES[kind],
    {
      config: { policy: { kind: 'operator', role: kind === 'advance' ? 'confirmation' : 'admin' } },
      schema: {
        summary,
        params: Params,
        body: RotationReason,
        response: { 200: RotationSummary },
      },
    },
    async (request, reply) => {
      const { name: actor } = operatorOf(request)
      const reason = reasonOf(kind, actor, request.body)
      const { id } = request.params
      const command = { kind, reason }
      const expected = expectedNumber(request)
      const answer = await context.rotations.request(id, command, actor, expected)
      if ('kind' in answer) throw new OperationalError(answer.reason.code, answer.reason.message)
      context.wakeRotations()
      tellVersion(reply, answer.version)
      return rotationSummary(answer)
    },
  )
}

/** Before there is a rotation; one that begins afterwards runs without pauses. */
function taintRoute(app: App, { store, clock, refreshAuthorities }: ApiContext): void {
  app.post(
    ROTATION_ROUTES.authorityTaint,
    {
      config: { policy: { kind: 'operator', role: 'admin' } },
      schema: {
        summary: 'Mark a CA as compromised; rotate it next',
        params: Params,
        body: RotationReason,
        response: { 204: z.null() },
      },
    },
    async (request, reply) => {
      const { name: actor } = operatorOf(request)
      const { id } = request.params
      const atMs = clock.now()
      await store.transaction(async tx => {
        await tx.authorities.taint(id, atMs)
        const reason = reasonOf('taint', actor, request.body)
        await tx.audit.append({ atMs, actor, action: 'authority-taint', subject: id, reason })
      })
      await refreshAuthorities()
      return reply.code(204).send(null)
    },
  )
}

function reasonOf(
  kind: RotationCommand['kind'],
  actor: string,
  { reason }: RotationReason,
): Reason {
  const message = reason === undefined ? `by ${actor}` : `by ${actor}: ${reason}`
  return { code: `operator-${kind}`, message }
}
