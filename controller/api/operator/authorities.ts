// The CAs of the controller: which there are, how far each has come, where its keys are.

import * as z from 'zod/mini'
import {
  AuthorityList,
  AuthorityView,
  type CaCertificateView,
} from '../../../shared/contract/authorities.ts'
import { OPERATOR_ROUTES } from '../../../shared/contract/operator-api.ts'
import { OperationalError } from '../../../shared/errors.ts'
import { certificateFacts } from '../../../shared/pki/facts.ts'
import { spkiPin } from '../../../shared/pki/pin.ts'
import { constraintsOf, permittedNames } from '../../../shared/pki/zones.ts'
import type { AuthorityRecord } from '../../store/store.ts'
import type { ApiContext, App } from '../context.ts'
import { PAGE_QUERY, pageOfAll } from '../paging.ts'

export function authorityRoutes(app: App, { store }: ApiContext): void {
  app.get(
    OPERATOR_ROUTES.authorities,
    {
      config: { policy: { kind: 'operator', role: 'viewer' } },
      schema: {
        summary: 'CAs that the controller has and had',
        querystring: z.strictObject(PAGE_QUERY),
        response: { 200: AuthorityList },
      },
    },
    async ({ query }) => {
      const all = await everyAuthority(store)
      // Identity CAs come first, each kind in the order in which they were made.
      const keyed = all.map((record, index) => ({ record, key: String(index).padStart(6, '0') }))
      const { shown, next } = pageOfAll('authorities', query, {
        all: keyed,
        keyOf: ({ key }) => key,
      })
      return { ...next, authorities: shown.map(({ record }) => authorityView(record)) }
    },
  )
  app.get(
    OPERATOR_ROUTES.authority,
    {
      config: { policy: { kind: 'operator', role: 'viewer' } },
      schema: {
        summary: 'Show one CA',
        params: z.strictObject({ id: z.string().check(z.minLength(1), z.maxLength(128)) }),
        querystring: z.strictObject({}),
        response: { 200: AuthorityView },
      },
    },
    async ({ params: { id } }) => {
      const found = (await everyAuthority(store)).find(record => record.id === id)
      if (found === undefined) throw new OperationalError('not-found', `there is no CA ${id}`)
      return authorityView(found)
    },
  )
}

/** A handful in the life of a fleet. */
function everyAuthority(store: ApiContext['store']): Promise<readonly AuthorityRecord[]> {
  return store.transaction(async tx => [
    ...(await tx.authorities.list('identity')),
    ...(await tx.authorities.list('service')),
  ])
}

/** Without keys. */
export function authorityView(record: AuthorityRecord): AuthorityView {
  const { id, kind, state, createdAtMs, changedAtMs, taintedAtMs } = record
  const constraints = constraintsOf(record.intermediateCertificate)
  return {
    id,
    kind,
    state,
    changedAtMs,
    createdAtMs,
    ...(taintedAtMs === undefined ? {} : { taintedAtMs }),
    rootKey: rootKeyOf(record),
    root: certificateView(record.rootCertificate),
    pin: spkiPin(record.rootCertificate),
    intermediate: certificateView(record.intermediateCertificate),
    former: record.formerIntermediates.map(certificateView),
    ...(constraints === undefined ? {} : { zones: permittedNames(constraints) }),
  }
}

function rootKeyOf({ state, rootKeySealed }: AuthorityRecord): AuthorityView['rootKey'] {
  if (rootKeySealed !== undefined) return 'sealed'
  return state === 'denied' ? 'destroyed' : 'offline'
}

function certificateView(pem: string): CaCertificateView {
  const { fingerprint, subject, notBeforeMs, notAfterMs } = certificateFacts(pem)
  return { fingerprint, subject, notBeforeMs, notAfterMs, pem }
}
