// Self-signed certificates as trust: which clients are given them, and which are known. A client is
// told to speak plaintext to a listener whose certificate nobody has shown yet. Pure.

import { unreachable } from '../../shared/assert.ts'
import type { ServiceName } from '../../shared/contract/service.ts'
import { UPSTREAMS_OF } from './edges.ts'
import type { FleetSpec, ServiceIntent } from './intent.ts'
import type { Finding } from './spec-problems.ts'

/** What a node has shown of one service. */
export interface KnownCertificate {
  /** PEM, in use. */
  readonly current: string | undefined
  /** PEM, prepared to follow it. */
  readonly next: string | undefined
  /** Every client holds the next one. */
  readonly isNextGiven: boolean
}

export type SelfSignedKnown = (node: string, service: ServiceName) => KnownCertificate | undefined

export const NONE_KNOWN: SelfSignedKnown = () => undefined

type ClientIntent = Pick<ServiceIntent, 'service' | 'tls' | 'options'>

/** Each is one more certificate in the document of every client, and for a while two. */
const LISTENERS_MAX = 200

/** Does it check what these serve by the certificates that it is told here? */
export function isGiven({ service, options = {} }: ClientIntent, upstream: ServiceName): boolean {
  switch (service) {
    case 'kibana':
    case 'metricbeat':
      return true
    case 'telegraf':
      return !('verification' in options && options.verification === 'insecure')
    // What federates from another prometheus has a job of its own, and its CA in it.
    case 'prometheus':
      return upstream !== 'prometheus'
    case 'alertmanager':
    case 'elasticsearch':
    case 'influxdb':
    case 'influxdb-meta':
    case 'node-exporter':
      return false
    default:
      return unreachable(service)
  }
}

// Links of an InfluxDB cluster: products older than 1.13 know the CA store of the machine only, and
// that of Fedora and its kin takes no certificate that is no CA.
function needsCa({ service, tls, options = {} }: ClientIntent, upstream: ServiceName): boolean {
  if (service === 'influxdb')
    return upstream === 'influxdb-meta'
      ? 'meta' in options && options.meta === 'tls'
      : 'cluster' in options && options.cluster === 'tls'
  if (service === 'influxdb-meta')
    return upstream === 'influxdb-meta'
      ? tls === 'on' && !('peers' in options && options.peers === 'insecure')
      : 'data' in options && options.data === 'tls'
  return false
}

/** Whose self-signed certificates somebody is given. */
export function servicesWithClients(spec: FleetSpec): ReadonlySet<ServiceName> {
  return new Set(
    spec.services.flatMap(intent =>
      UPSTREAMS_OF[intent.service].filter(upstream => isGiven(intent, upstream)),
    ),
  )
}

/** What the desired state of the node itself lists: what its clients hold. Nothing, where there are none. */
export function ownTrust(known: KnownCertificate | undefined): readonly string[] {
  if (known?.current === undefined) return []
  return known.next !== undefined && known.isNextGiven
    ? [known.current, known.next]
    : [known.current]
}

/** What clients are given of it. */
export function givenTrust(known: KnownCertificate | undefined): readonly string[] {
  return [known?.current, known?.next].filter(pem => pem !== undefined)
}

export function selfSignedProblems(
  intent: ServiceIntent,
  index: number,
  spec: FleetSpec,
): readonly Finding[] {
  return UPSTREAMS_OF[intent.service]
    .filter(upstream => needsCa(intent, upstream) && isSelfSigned(spec, upstream))
    .map(upstream => ({
      path: ['services', index, 'service'],
      message: `${intent.service} verifies ${upstream}, whose certificates are self-signed, by CA certificates only: use issuer \`internal\` or \`files\` for ${upstream}, or the insecure option`,
    }))
}

/** More than a document holds. */
export function crowdProblems(
  intent: ServiceIntent,
  index: number,
  counts: ReadonlyMap<ServiceName, number>,
): readonly Finding[] {
  const given = UPSTREAMS_OF[intent.service].filter(upstream => isGiven(intent, upstream))
  const count = given.reduce((sum, upstream) => sum + (counts.get(upstream) ?? 0), 0)
  if (count <= LISTENERS_MAX) return []
  const message = `${intent.service} would be given ${count} self-signed certificates, and ${LISTENERS_MAX} is the most: use issuer \`internal\` for what it connects to`
  return [{ path: ['services', index, 'service'], message }]
}

function isSelfSigned(spec: FleetSpec, upstream: ServiceName): boolean {
  return spec.services.some(
    ({ service, tls, server }) =>
      service === upstream && tls === 'on' && server?.issuer === 'self-signed',
  )
}
