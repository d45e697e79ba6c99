// Operators: add, list, show, change, remove; certificates of theirs that are not accepted any more.

import * as z from 'zod/mini'
import {
  DenyCertificate,
  OPERATOR_RECORD_ROUTES,
  OperatorAdd,
  OperatorChange,
  OperatorList,
  OperatorView,
} from '../../../shared/contract/operators.ts'
import { OperationalError } from '../../../shared/errors.ts'
import type { OperatorRecord, Transaction } from '../../store/store.ts'
import { operatorOf } from '../caller.ts'
import type { ApiContext, App } from '../context.ts'
import { Nothing, OperatorParams } from '../fields.ts'
import { normalizeCertificateName, normalizeSerial } from '../operator-certificate.ts'
import { operatorView, requireOperator } from './operator-view.ts'

const ADMIN = { policy: { kind: 'operator', role: 'admin' } } as const
const VIEWER = { policy: { kind: 'operator', role: 'viewer' } } as const

/** In the audit log these are the controller itself and commands on its machine. */
const RESERVED: readonly string[] = ['controller', 'system', 'local', 'init']

export function operatorRoutes(app: App, context: ApiContext): void {
  readRoutes(app, context)
  addRoute(app, context)
  changeRoute(app, context)
  removeRoute(app, context)
  denyRoute(app, context)
}

function readRoutes(app: App, { store, clock }: ApiContext): void {
  app.get(
    OPERATOR_RECORD_ROUTES.operators,
    {
      config: VIEWER,
      schema: {
        summary: 'List operators with their tokens, without secrets',
        querystring: Nothing,
        response: { 200: OperatorList },
      },
    },
    () =>
      store.transaction(async tx => {
        const operators: OperatorView[] = []
        for (const operator of await tx.operators.list())
          operators.push(await operatorView(tx, operator, clock.now()))
        return { operators }
      }),
  )
  app.get(
    OPERATOR_RECORD_ROUTES.operator,
    {
      config: VIEWER,
      schema: {
        summary: 'Show an operator',
        params: OperatorParams,
        response: { 200: OperatorView },
      },
    },
    request =>
      store.transaction(async tx =>
        operatorView(tx, await requireOperator(tx, request.params.name), clock.now()),
      ),
  )
}

function addRoute(app: App, { store, clock, log }: ApiContext): void {
  app.post(
    OPERATOR_RECORD_ROUTES.operators,
    {
      config: ADMIN,
      schema: {
        summary: 'Add an operator; it gets in with a token or a client certificate',
        body: OperatorAdd,
        response: { 201: OperatorView },
      },
    },
    async (request, reply) => {
      const { name, role } = request.body
      const actor = operatorOf(request).name
      if (RESERVED.includes(name))
        throw new OperationalError(
          'name-reserved',
          `${name} is what the audit log calls the controller`,
        )
      const certificateNames = namesIn(request.body)
      const added = await store.transaction(async tx => {
        const nowMs = clock.now()
        const made = { createdAtMs: nowMs, createdBy: actor, isDisabled: false }
        const operator: OperatorRecord = { name, role, certificateNames, ...made }
        await tx.operators.insert(operator)
        const reason = { code: 'operator-added', message: standing(operator) }
        await tx.audit.append({ atMs: nowMs, actor, action: 'operator-add', subject: name, reason })
        return operatorView(tx, operator, nowMs)
      })
      log.info({ operator: name, role, actor }, 'operator added')
      return reply.code(201).send(added)
    },
  )
}

function changeRoute(app: App, { store, clock, log, sessions }: ApiContext): void {
  app.put(
    OPERATOR_RECORD_ROUTES.operator,
    {
      config: ADMIN,
      schema: {
        summary: 'Change the role of an operator, the names in its certificates, or disable it',
        params: OperatorParams,
        body: OperatorChange,
        response: { 200: OperatorView },
      },
    },
    async request => {
      const { name } = request.params
      const { role, disabled: isDisabled } = request.body
      const actor = operatorOf(request).name
      const certificateNames = namesIn(request.body)
      const { view, isChanged } = await store.transaction(async tx => {
        const before = await requireOperator(tx, name)
        const after: OperatorRecord = { ...before, role, certificateNames, isDisabled }
        const nowMs = clock.now()
        if (standing(before) === standing(after))
          return { view: await operatorView(tx, before, nowMs), isChanged: false }
        await tx.operators.update(after)
        await requireAdmin(tx)
        const message = `${standing(before)} → ${standing(after)}`
        const reason = { code: 'operator-changed', message }
        await tx.audit.append({
          atMs: nowMs,
          actor,
          action: 'operator-change',
          subject: name,
          reason,
        })
        return { view: await operatorView(tx, after, nowMs), isChanged: true }
      })
      // What is under way was let in by what held before.
      if (isChanged) sessions.revoke({ kind: 'operator', name }, request.raw.socket)
      log.info({ operator: name, role, isDisabled, actor }, 'operator changed')
      return view
    },
  )
}

function removeRoute(app: App, { store, clock, log, sessions }: ApiContext): void {
  app.delete(
    OPERATOR_RECORD_ROUTES.operator,
    {
      config: ADMIN,
      schema: {
        summary: 'Remove an operator with its tokens, at once',
        params: OperatorParams,
        response: { 204: z.null() },
      },
    },
    async (request, reply) => {
      const { name } = request.params
      const actor = operatorOf(request).name
      await store.transaction(async tx => {
        await requireOperator(tx, name)
        await tx.operators.remove(name)
        await requireAdmin(tx)
        const entry = { atMs: clock.now(), actor, action: 'operator-remove', subject: name }
        await tx.audit.append(entry)
      })
      sessions.revoke({ kind: 'operator', name }, request.raw.socket)
      log.info({ operator: name, actor }, 'operator removed')
      return reply.code(204).send(null)
    },
  )
}

function denyRoute(app: App, { store, clock, log, sessions }: ApiContext): void {
  app.post(
    OPERATOR_RECORD_ROUTES.deniedCertificates,
    {
      config: ADMIN,
      schema: {
        summary: 'Refuse a client certificate from now on, by its serial',
        params: OperatorParams,
        body: DenyCertificate,
        response: { 200: OperatorView },
      },
    },
    async request => {
      const { name } = request.params
      const actor = operatorOf(request).name
      const serial = normalizeSerial(request.body.serial)
      const view = await store.transaction(async tx => {
        const operator = await requireOperator(tx, name)
        const nowMs = clock.now()
        if (!(await tx.operators.isSerialDenied(serial))) {
          await tx.operators.denySerial({ serial, operator: name, atMs: nowMs, by: actor })
          const subject = `${name}/${serial}`
          await tx.audit.append({
            atMs: nowMs,
            actor,
            action: 'operator-deny-certificate',
            subject,
          })
        }
        return operatorView(tx, operator, nowMs)
      })
      sessions.revoke({ kind: 'serial', serial }, request.raw.socket)
      log.info({ operator: name, serial, actor }, 'client certificate denied')
      return view
    },
  )
}

function namesIn({ certificateNames }: Pick<OperatorChange, 'certificateNames'>): string[] {
  return [...new Set(certificateNames.map(normalizeCertificateName))].toSorted()
}

function standing({ role, isDisabled, certificateNames }: OperatorRecord): string {
  const names = certificateNames.length === 0 ? '' : `, ${certificateNames.join(' ')}`
  return `${role}${isDisabled ? ', disabled' : ''}${names}`
}

// Nobody could undo it but on the controller's machine, stopped.
async function requireAdmin(tx: Transaction): Promise<void> {
  const operators = await tx.operators.list()
  if (operators.some(({ role, isDisabled }) => role === 'admin' && !isDisabled)) return
  throw new OperationalError('last-admin', 'no operator with the role admin would be left', {
    hint: 'Add another one first.',
  })
}
