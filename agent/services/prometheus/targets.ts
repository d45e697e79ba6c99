// Whom a job of prometheus asks: itself, a listener of the fleet, or somebody unknown.

import type { Names } from '../../../shared/contract/schema.ts'
import type { ServiceTlsOf, TlsSwitch, Upstream } from '../../../shared/contract/service.ts'
import { isCovered, isLoopback, isOwnHost, parseAddress, type Address } from '../addresses.ts'
import { isTable } from '../../formats/edit.ts'
import { listAt, textAt, type Table } from '../values.ts'

type Intent = ServiceTlsOf<'prometheus'>

export interface Target {
  readonly kind: 'own' | 'upstream'
  readonly service: Upstream['service']
  readonly host: string
  readonly port: number
  readonly tls: TlsSwitch
  /** What its certificate carries. */
  readonly names: Names
}

export type JobTarget = Target | { readonly kind: 'unknown' }

export interface Estate {
  readonly tls: Intent
  /** Of this server. */
  readonly listenAddresses: readonly Address[]
}

/** The static targets of a job, in the order of the file. */
export function targetsOf(job: Table, estate: Estate): readonly JobTarget[] {
  const isSecure = textAt(job, 'scheme') === 'https'
  return listAt(job, 'static_configs')
    .filter(isTable)
    .flatMap(group => listAt(group, 'targets'))
    .map(String)
    .map(target => targetAt(target, isSecure, estate))
}

function targetAt(text: string, isSecure: boolean, estate: Estate): JobTarget {
  // Prometheus takes the port of the scheme where a target has none.
  const address = parseAddress(text) ?? parseAddress(`${text}:${isSecure ? 443 : 80}`)
  if (address === undefined) return { kind: 'unknown' }
  if (isOwn(address, estate)) return ownTarget(address, estate)
  const found = estate.tls.upstreams.filter(upstream => isUpstream(upstream, address, estate))
  const [first] = found
  // Two listeners cannot have one address; where they seem to, neither is believed.
  if (first === undefined || found.some(({ tls }) => tls !== first.tls)) return { kind: 'unknown' }
  const { service, tls, names } = first
  return { kind: 'upstream', service, ...address, tls, names }
}

function ownTarget(address: Address, { tls }: Estate): Target {
  const { names } = tls.certificate
  return { kind: 'own', service: 'prometheus', ...address, tls: tls.tls, names }
}

function isOwn({ host, port }: Address, { tls, listenAddresses }: Estate): boolean {
  return (
    listenAddresses.some(listening => listening.port === port) &&
    (isOwnHost(host, tls.certificate.names) ||
      listenAddresses.some(listening => listening.host === host))
  )
}

// Many nodes call themselves localhost: that name means only what runs here.
function isUpstream(upstream: Upstream, { host, port }: Address, { tls }: Estate): boolean {
  if (upstream.port !== port) return false
  if (isLoopback(host)) return isHere(upstream.names, tls.certificate.names)
  return isCovered(host, withoutWildcards(upstream.names))
}

function isHere(names: Names, own: Names): boolean {
  const distinct = [...names.dns, ...names.ip].filter(
    name => !isLoopback(name) && !name.startsWith('*.'),
  )
  return distinct.length === 0 || distinct.some(name => isCovered(name, withoutWildcards(own)))
}

function withoutWildcards({ dns, ip }: Names): Names {
  return { dns: dns.filter(name => !name.startsWith('*.')), ip }
}
