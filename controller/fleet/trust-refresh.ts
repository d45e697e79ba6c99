// The part of a node's desired content that follows from self-signed certificates of others, brought
// up to date; and whether clients hold a certificate. Pure.

import { X509Certificate } from 'node:crypto'
import {
  contentDigestOf,
  type DesiredContent,
  type DesiredState,
} from '../../shared/contract/desired-state.ts'
import type { Report } from '../../shared/contract/report.ts'
import { isServer, type ServiceName, type ServiceTls } from '../../shared/contract/service.ts'
import { isSelfSigned } from '../../shared/pki/facts.ts'
import { UPSTREAMS_OF } from './edges.ts'
import { isGiven } from './self-signed.ts'

export interface RefreshedContent {
  readonly content: DesiredContent
  readonly digest: string
  /** Certificates that the node lacks. Empty: some are only to be forgotten. */
  readonly added: readonly string[]
  /** A listener has shown its certificate, and is spoken to with TLS from now on. */
  readonly isSwitched: boolean
}

/**
 * `stored` with the self-signed certificates of `compiled`, which is what the same revision gives
 * now. Whatever else differs stays as it is: an operator decides about that. Undefined: nothing to do.
 */
export function refreshedContent(
  stored: DesiredContent,
  compiled: DesiredContent,
): RefreshedContent | undefined {
  const services = stored.services.map(tls => {
    const wanted = compiled.services.find(one => one.service === tls.service)
    return wanted === undefined ? tls : refreshedService(tls, wanted)
  })
  const content = { services }
  const digest = contentDigestOf(content)
  if (digest === contentDigestOf(stored)) return undefined
  const before = new Set(stored.services.flatMap(trustedBy))
  return {
    content,
    digest,
    added: services.flatMap(trustedBy).filter(pem => !before.has(pem)),
    isSwitched: services.some(
      (tls, index) =>
        JSON.stringify(tls.upstreams) !== JSON.stringify(stored.services[index]?.upstreams),
    ),
  }
}

function refreshedService(tls: ServiceTls, wanted: ServiceTls): ServiceTls {
  const sides = new Map(wanted.upstreams.map(one => [placeOf(one), one.tls]))
  const common = {
    ...tls,
    upstreams: tls.upstreams.map(one => ({ ...one, tls: sides.get(placeOf(one)) ?? one.tls })),
    upstreamTrust: withLeavesOf(tls.upstreamTrust, wanted.upstreamTrust),
  }
  const isOwn =
    isServer(tls) &&
    isServer(wanted) &&
    tls.certificate.issuer === 'self-signed' &&
    wanted.certificate.issuer === 'self-signed'
  return isOwn && isServer(common)
    ? { ...common, trust: withLeavesOf(tls.trust, wanted.trust) }
    : common
}

function placeOf({ service, names, port }: ServiceTls['upstreams'][number]): string {
  return JSON.stringify([service, names, port])
}

// In the order of the compiler, so that applying the revision again finds nothing to do.
function withLeavesOf(stored: readonly string[], wanted: readonly string[]): string[] {
  const cas = stored.filter(pem => !isLeaf(pem))
  const isSame = wanted.filter(pem => !isLeaf(pem)).join() === cas.join()
  return isSame ? [...wanted] : [...cas, ...wanted.filter(isLeaf)]
}

function trustedBy(tls: ServiceTls): readonly string[] {
  return [...tls.upstreamTrust, ...(isServer(tls) ? tls.trust : [])]
}

// A fleet has some hundred of them; each is asked about for every client.
const KNOWN_MAX = 10_000
const known = new Map<string, boolean>()

/** Trusted for itself alone. CA certificates of roots are self-signed too. */
function isLeaf(pem: string): boolean {
  const found = known.get(pem)
  if (found !== undefined) return found
  const certificate = new X509Certificate(pem)
  const answer = !certificate.ca && isSelfSigned(certificate)
  if (known.size >= KNOWN_MAX) known.clear()
  known.set(pem, answer)
  return answer
}

/** Is there a client of the service on the node that may not have loaded the certificate yet? */
export function isLacking(
  state: DesiredState | undefined,
  report: Report | undefined,
  { service, pem }: { readonly service: ServiceName; readonly pem: string },
): boolean {
  const clients = (state?.content.services ?? []).filter(
    tls => UPSTREAMS_OF[tls.service].includes(service) && isGiven(tls, service),
  )
  if (state === undefined || clients.length === 0) return false
  const isCurrent =
    state.mode === 'enforce' &&
    report?.observedGeneration === state.generation &&
    report.observedDigest === state.digest
  if (!isCurrent) return true
  return clients.some(tls => {
    if (!tls.upstreamTrust.includes(pem)) return true
    const told = report.services.find(one => one.service === tls.service)
    // A stopped one verifies nothing, and starts with what is prepared for it.
    const isStopped = told?.outcome === 'waiting' && told.reason.code === 'inactive'
    return !isStopped && told?.outcome !== 'in-sync' && told?.outcome !== 'changed'
  })
}
