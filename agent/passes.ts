// The passes over all documents in force, one after the other, and plans of any content: what this
// node's own configuration does not allow is reported in its place.

import type { DesiredState } from '../shared/contract/desired-state.ts'
import type { ServiceReport } from '../shared/contract/report.ts'
import type { ServiceName, ServiceTls } from '../shared/contract/service.ts'
import type { AgentOptions } from './agent.ts'
import type { Asking } from './asking.ts'
import type { Claims } from './claim.ts'
import type { Accepted } from './desired.ts'
import type { FetchProvided } from './issuers.ts'
import { withKeptUp } from './kept-up.ts'
import { isHeldBack } from './next-look.ts'
import type { Reconciler } from './reconciler.ts'
import { reportOfPlan } from './report.ts'
import type { Session } from './session.ts'
import { signerFor } from './signing.ts'

interface PassTools {
  readonly session: Session
  readonly asking: Asking
  readonly claims: Claims
}

/** `renew`: services that get a new key and certificate now. */
export type PassAll = (
  accepted: Accepted | undefined,
  renew: readonly ServiceName[],
  signal: AbortSignal,
) => Promise<readonly ServiceReport[]>

export function createPassAll(
  options: Pick<AgentOptions, 'allow'>,
  reconciler: Reconciler,
  tools: PassTools,
): PassAll {
  const { claims } = tools
  // An operator's wish is heard once, and the lease for it may be hours away.
  let postponed: readonly ServiceName[] = []
  return async (accepted, renew, signal) => {
    if (accepted === undefined) return []
    const wanted = [...new Set([...renew, ...postponed])]
    const { latest, enforced } = accepted
    claims.begin()
    const pass = (document: DesiredState) =>
      passDocument(options, reconciler, { ...tools, document, latest, renew: wanted, signal })
    // While a new content is prepared, the one in force is kept up.
    const isKept = latest.mode === 'stage' && enforced !== undefined
    const kept = isKept ? await pass({ ...enforced, permit: false }) : []
    const newest = await pass(latest)
    claims.end()
    const held = (isKept ? kept : newest).filter(isHeldBack).map(({ service }) => service)
    postponed = wanted.filter(service => held.includes(service))
    return withKeptUp(newest, kept)
  }
}

async function passDocument(
  options: Pick<AgentOptions, 'allow'>,
  reconciler: Reconciler,
  part: PassTools & {
    readonly document: DesiredState
    readonly latest: DesiredState
    readonly renew: readonly ServiceName[]
    readonly signal: AbortSignal
  },
): Promise<readonly ServiceReport[]> {
  const { document, latest, session, asking, claims, signal } = part
  const { allowed, refused } = sorted(options, document.content.services)
  const input = {
    services: allowed,
    mode: document.mode,
    planned: document.planned,
    together: togetherIn(document),
    isAlone: document.permit && document.alone === true,
    claim: claims.claimFor({ latest, permit: document.permit, remote: session.remote(), signal }),
    limits: options.allow,
    signInternal: signerFor({ document, latest, session, asking, signal }),
    fetchProvided: fetcher(session, latest.generation, signal),
    // What is only being prepared is new anyway.
    renew: document.mode === 'enforce' ? part.renew : [],
    isSucceeded: document.generation !== latest.generation,
    signal,
  }
  return [...(await reconciler.pass(input)), ...refused]
}

// By the newest document: it is the one whose permit is claimed.
function togetherIn({ together, permit, generation, digest }: DesiredState) {
  return together === undefined || !permit
    ? undefined
    : new Map([[together, { generation, digest }]])
}

/** A plan must not promise what a pass would not do. */
export async function planAll(
  options: Pick<AgentOptions, 'allow'>,
  reconciler: Reconciler,
  services: readonly ServiceTls[],
): Promise<readonly ServiceReport[]> {
  const { allowed, refused } = sorted(options, services)
  return [...(await reconciler.plan(allowed)), ...refused]
}

function sorted({ allow }: Pick<AgentOptions, 'allow'>, services: readonly ServiceTls[]) {
  const isAllowed = (tls: ServiceTls) => allow.services.includes(tls.service)
  return {
    allowed: services.filter(isAllowed),
    refused: services.filter(tls => !isAllowed(tls)).map(notAllowed),
  }
}

function notAllowed({ service }: ServiceTls): ServiceReport {
  const message = `this node's own configuration does not let tlsfleet touch ${service}`
  const reason = { code: 'service-not-allowed', message }
  return reportOfPlan({
    kind: 'blocked',
    service,
    outcome: 'unsupported',
    reason,
    unit: undefined,
    version: undefined,
  })
}

// For the newest generation too; whether that is the version which is wanted, its leaf says.
function fetcher(session: Session, generation: number, signal: AbortSignal): FetchProvided {
  return service => session.remote().provided({ service, generation }, signal)
}
