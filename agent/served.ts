// Judges what a listener was seen serving. Pure.

import type { ClusterView } from '../shared/contract/cluster-view.ts'
import type { Served } from '../shared/contract/report.ts'
import type { Reason } from '../shared/contract/schema.ts'
import type { Handshake, HttpAnswer } from './host.ts'
import type { NodeFacts, ServedListener } from './observation.ts'
import type { ServedSummary } from './owed.ts'
import type { MaterialDecision } from './resources/material.ts'
import { servedChain } from './served-chain.ts'
import type { ListenerIntent } from './services/service.ts'

/** Expected of a listener whose certificate is not ours: TLS, with whatever leaf. */
export const ANY_LEAF = 'any'

/** What the handshakes say, in one word: the worst that one of them says. */
export function servedSummary(facts: NodeFacts, material: MaterialDecision): ServedSummary {
  if (facts.served.length === 0) return 'unknown'
  const expected = material.kind === 'keep' ? material.release.facts.fingerprint : undefined
  const words = facts.served.map(({ listener, handshake }): ServedSummary => {
    if (handshake.kind === 'unreachable') return 'unreachable'
    if (listener.scheme === 'http') return handshake.kind === 'plaintext' ? 'current' : 'tls'
    if (handshake.kind === 'plaintext') return 'plaintext'
    return material.kind === 'none' || handshake.fingerprint === expected ? 'current' : 'stale'
  })
  for (const word of ['unreachable', 'plaintext', 'tls', 'stale'] as const)
    if (words.includes(word)) return word
  return 'current'
}

/** `expected`: SHA-256 of the leaf that should be served; undefined when there is none yet. */
export function judgeServed(seen: ServedListener, expected: string | undefined): Served {
  const { listener, handshake } = seen
  const { name, port } = listener
  if (handshake.kind === 'unreachable')
    return { listener: name, port, ok: false, reason: handshake.reason }
  const judged =
    listener.scheme === 'http'
      ? judgePlain(listener, handshake)
      : judgeTls(listener, handshake, expected)
  return { ...judged, port }
}

/** What the product says of the cluster that it is in. */
export function clusterOf(served: readonly ServedListener[]): ClusterView | undefined {
  for (const { listener, handshake, members } of served) {
    const http = handshake.kind === 'unreachable' ? undefined : handshake.http
    const view = http && listener.cluster?.read(http, members)
    if (view !== undefined) return view
  }
  return undefined
}

type Answering = Exclude<Handshake, { kind: 'unreachable' }>

function judgePlain(listener: ListenerIntent, handshake: Answering): Served {
  const { name } = listener
  if (handshake.kind === 'tls') {
    const reason = { code: 'served-tls', message: `${name} still answers with TLS` }
    const { fingerprint, protocol, chainPem } = handshake
    const seen = { listener: name, fingerprint, protocol, ...servedChain(chainPem) }
    return { ...seen, ok: false, reason }
  }
  const { http } = handshake
  const reason = healthReason(listener, http, 'accepts connections') ?? {
    code: 'served-as-wanted',
    message: `${name} answers without TLS`,
  }
  return {
    listener: name,
    ...healthOf(listener, http),
    ok: reason.code === 'served-as-wanted',
    reason,
  }
}

function judgeTls(
  listener: ListenerIntent,
  handshake: Answering,
  expected: string | undefined,
): Served {
  const { name } = listener
  if (handshake.kind === 'plaintext') {
    return {
      listener: name,
      ok: false,
      reason: { code: 'served-plaintext', message: `${name} answers without TLS` },
    }
  }
  const http = handshake.http
  const seen = {
    listener: name,
    fingerprint: handshake.fingerprint,
    protocol: handshake.protocol,
    ...servedChain(handshake.chainPem),
    ...healthOf(listener, http),
  }
  const isForeign = expected === ANY_LEAF
  if (!isForeign && handshake.fingerprint !== expected) {
    const reason = {
      code: 'served-stale',
      message: `${name} serves another certificate than the one in use`,
    }
    return { ...seen, ok: false, reason }
  }
  if (!isForeign && handshake.untrusted !== undefined)
    return { ...seen, ok: false, reason: handshake.untrusted }
  const reason = healthReason(listener, http, 'completes the handshake') ?? {
    code: 'served-as-wanted',
    message: isForeign ? `${name} answers with TLS` : `${name} serves the certificate in use`,
  }
  return { ...seen, ok: reason.code === 'served-as-wanted', reason }
}

function healthOf({ healthPath }: ListenerIntent, http: HttpAnswer | undefined) {
  return http === undefined ? {} : { health: `GET ${healthPath} ${http.status}` }
}

/** Undefined: it is in health. */
function healthReason(
  { name, healthPath, healthyStatuses }: ListenerIntent,
  http: HttpAnswer | undefined,
  doing: string,
): Reason | undefined {
  if (http === undefined)
    return { code: 'health-no-answer', message: `${name} ${doing} but does not answer` }
  if (healthyStatuses.includes(http.status)) return undefined
  return { code: 'unhealthy', message: `GET ${healthPath} on ${name} answers ${http.status}` }
}
