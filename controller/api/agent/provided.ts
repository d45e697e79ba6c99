// POST provided: the pair that an operator has uploaded for a service of the caller's node. Which one
// and whether, the node's current document says: a request names no pair and no other node.

import { type ProvidedAnswer, ProvidedRequest } from '../../../shared/contract/agent-api.ts'
import { AGENT_ROUTES } from '../../../shared/contract/protocol.ts'
import { isServer } from '../../../shared/contract/service.ts'
import { OperationalError } from '../../../shared/errors.ts'
import type { Secret } from '../../../shared/secret.ts'
import { openProvidedKey } from '../../ca/provided-key.ts'
import type { Transaction } from '../../store/store.ts'
import { agentOf } from '../caller.ts'
import type { ApiContext, App } from '../context.ts'
import { requireGoodIdentity } from './identity.ts'
import { SIGN_BODY_BYTES_MAX, type SignLimit } from './sign-limit.ts'

export function providedRoute(app: App, context: ApiContext, limit: SignLimit): void {
  app.post(
    AGENT_ROUTES.provided,
    {
      config: { policy: { kind: 'agent' } },
      bodyLimit: SIGN_BODY_BYTES_MAX,
      schema: { body: ProvidedRequest },
    },
    async (request): Promise<ProvidedAnswer> => {
      const agent = agentOf(request)
      const { node } = agent
      limit.take(node)
      const asked = { node, ...request.body }
      // A refusal is an answer: thrown inside, it would undo its own entry in the audit log.
      const found = await context.store.transaction(async tx => {
        await requireGoodIdentity(tx, agent)
        return deliver(context, tx, asked)
      })
      if (found.kind === 'denied') throw found.error
      const { name, fingerprint, certificateChain, key } = found
      context.log.info({ node, service: asked.service, pair: name, fingerprint }, 'pair delivered')
      return { certificateChain, privateKey: key.reveal() }
    },
  )
}

type Asked = ProvidedRequest & { readonly node: string }

type Found =
  | {
      readonly kind: 'pair'
      readonly name: string
      readonly fingerprint: string
      readonly certificateChain: string
      readonly key: Secret
    }
  | { readonly kind: 'denied'; readonly error: OperationalError }

async function deliver(
  { sealing, clock }: Pick<ApiContext, 'sealing' | 'clock'>,
  tx: Transaction,
  { node, service, generation }: Asked,
): Promise<Found> {
  const state = (await tx.desired.get(node))?.state
  const wanted = state?.content.services.find(one => one.service === service)
  const selected =
    wanted !== undefined && isServer(wanted) && wanted.certificate.issuer === 'provided'
      ? wanted.certificate.provided
      : undefined
  const entry = { atMs: clock.now(), actor: `node:${node}` }
  if (state === undefined || selected === undefined) {
    const reason = {
      code: 'provided-not-selected',
      message: `no uploaded pair is for ${service} on ${node}`,
    }
    const subject = `${node}/${service}`
    await tx.audit.append({ ...entry, action: 'provided-deny', subject, reason })
    return denied(reason.code, reason.message)
  }
  // Of its own pair, and late: it will ask again.
  if (state.generation !== generation)
    return denied(
      'stale-generation',
      `generation ${generation} is not the current one of ${node}, which is ${state.generation}`,
    )
  const { name, fingerprint } = selected
  const record = await tx.provided.get(name, fingerprint)
  if (record === undefined)
    return denied('provided-unknown', `version ${fingerprint} of pair ${name} is gone`)
  const key = openProvidedKey(sealing, record)
  const subject = `${node}/${service}/${name}/${fingerprint}`
  await tx.audit.append({ ...entry, action: 'provided-deliver', subject })
  return { kind: 'pair', name, fingerprint, certificateChain: record.certificateChain, key }
}

function denied(code: string, message: string): Found {
  return { kind: 'denied', error: new OperationalError(code, message) }
}
