// What the inventory of certificates needs to know of a node's desired content: a small part of it,
// kept instead of the whole. Pure.

import type { DesiredContent } from '../../shared/contract/desired-state.ts'
import type { Names } from '../../shared/contract/schema.ts'
import {
  type Issuer,
  type ServiceName,
  type ServiceTls,
  type TlsSwitch,
  isServer,
} from '../../shared/contract/service.ts'
import {
  type Verification,
  verificationOf,
  verifiesWith,
} from '../../shared/contract/verification.ts'
import { sha256 } from '../../shared/digest.ts'
import { chainOf } from './chain.ts'

export interface ContentSummary {
  readonly servers: readonly ServerSummary[]
  readonly clients: readonly ClientSummary[]
  /** Every CA certificate that a service of the node is told to trust. */
  readonly authorities: readonly TrustedAuthority[]
}

export interface ServerSummary {
  readonly service: ServiceName
  readonly tls: TlsSwitch
  readonly issuer: Issuer
  readonly renewBeforeMs: number
  /** What clients know it by; see `placeOf`. */
  readonly place: string
}

/** One service as a client of one kind of upstream. */
export interface ClientSummary {
  readonly service: ServiceName
  readonly verification: Verification
  readonly places: ReadonlySet<string>
  readonly trust: readonly TrustedAuthority[]
  /** Equal for clients of equal listeners with equal trust. */
  readonly key: string
}

export interface TrustedAuthority {
  readonly fingerprint: string
  readonly subject: string
  readonly issuer: string
  readonly notAfterMs: number
}

export function summarize({ services }: DesiredContent): ContentSummary {
  const clients = services.flatMap(clientsOf)
  const known = new Map(
    services
      .flatMap(tls => [...tls.upstreamTrust, ...(isServer(tls) ? tls.trust : [])])
      .flatMap(chainOf)
      // Self-signed leaves are listed where they are served, and renewed there.
      .filter(({ isCa }) => isCa)
      .map(authority => [authority.fingerprint, authorityOf(authority)]),
  )
  return {
    servers: services.filter(isServer).map(tls => ({
      service: tls.service,
      tls: tls.tls,
      issuer: tls.certificate.issuer,
      renewBeforeMs: tls.certificate.renewBeforeMs,
      place: placeOf(tls.service, tls.certificate.names),
    })),
    clients,
    authorities: [...known.values()],
  }
}

/** A service of a node, by the names that its clients are told: the same text on both sides. */
function placeOf(service: ServiceName, { dns, ip }: Names): string {
  return [service, ...dns.toSorted(), ...ip.toSorted()].join(' ')
}

function clientsOf(tls: ServiceTls): readonly ClientSummary[] {
  const { service, upstreams } = tls
  const trust = verifiesWith(tls).flatMap(authoritiesOf)
  const trusted = trust.map(({ fingerprint }) => fingerprint).toSorted()
  const kinds = [...new Set(upstreams.map(upstream => upstream.service))]
  return kinds.flatMap(kind => {
    const places = upstreams
      .filter(upstream => upstream.service === kind && upstream.tls === 'on')
      .map(upstream => placeOf(kind, upstream.names))
      .toSorted()
    if (places.length === 0) return []
    const verification = verificationOf(tls, kind)
    const key = sha256(JSON.stringify([service, verification, places, trusted]))
    return [{ service, verification, places: new Set(places), trust, key }]
  })
}

function authoritiesOf(pem: string): readonly TrustedAuthority[] {
  return chainOf(pem).map(authorityOf)
}

function authorityOf({ fingerprint, subject, issuer, notAfterMs }: TrustedAuthority) {
  return { fingerprint, subject, issuer, notAfterMs }
}
