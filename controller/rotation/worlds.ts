// The four worlds that a rotation leads through, compiled: which content every node has in each. Pure
// but for the compiling itself, which is given.

import { X509Certificate } from 'node:crypto'
import type { DesiredContent } from '../../shared/contract/desired-state.ts'
import { SERVICE_NAMES, type ServiceName } from '../../shared/contract/service.ts'
import { splitPemCertificates } from '../../shared/pki/pem.ts'
import type { CompiledFleet, ServiceCa } from '../fleet/compile.ts'
import { type BrokenEdge, brokenEdges, fingerprintsOf, type KnownSigner } from '../fleet/closure.ts'
import type { FleetSpec } from '../fleet/intent.ts'
import { type ExtraTrust, trustOfService } from '../fleet/listeners.ts'
import type { CaSet } from './barriers.ts'
import type { World } from './rotation.ts'

/** In the order of the way there. */
export const WORLDS: readonly World[] = [
  { trust: 'old', side: 'old' },
  { trust: 'both', side: 'old' },
  { trust: 'both', side: 'new' },
  { trust: 'new', side: 'new' },
]

/** How the fleet is with one of the two: its spec, and what the CA is with it. */
export interface Ending {
  readonly spec: FleetSpec
  readonly ca: ServiceCa
}

export type CompiledNodes = CompiledFleet['nodes']

/** What a world is compiled from. */
export interface WorldInput {
  readonly side: World['side']
  readonly ca: ServiceCa
}

/** For a rotation of the service CA: specs are equal, the CA differs. */
export function worldInput(
  { trust, side }: World,
  ends: { readonly old: Ending; readonly new: Ending },
  kind: 'service' | 'issuer',
): WorldInput {
  const { ca } = ends[side]
  if (trust !== 'both') return { side, ca }
  if (kind === 'issuer') return { side, ca: { ...ca, extraTrust: bothTrusts(ends) } }
  // The old root first in both worlds: a client that only verifies is not disturbed between them.
  const both = [...new Set([...ends.old.ca.trust, ...ends.new.ca.trust])]
  return { side, ca: { ...ca, trust: both } }
}

function bothTrusts(ends: { readonly old: Ending; readonly new: Ending }): ExtraTrust {
  return new Map(
    SERVICE_NAMES.map(service => [
      service,
      [
        ...new Set([
          ...trustOfService(service, ends.old.spec, ends.old.ca),
          ...trustOfService(service, ends.new.spec, ends.new.ca),
        ]),
      ],
    ]),
  )
}

/** Contents of all nodes in each of the four worlds. */
export interface Worlds {
  readonly compiled: readonly CompiledNodes[]
  /** Nodes that are not the same in all of them. */
  readonly involved: ReadonlySet<string>
}

export function worldsOf(compiled: readonly CompiledNodes[]): Worlds {
  const first = new Map<string, string>()
  const involved = new Set<string>()
  const counts = new Map<string, number>()
  for (const nodes of compiled)
    for (const { node, digest } of nodes) {
      counts.set(node, (counts.get(node) ?? 0) + 1)
      const before = first.get(node)
      if (before === undefined) first.set(node, digest)
      else if (before !== digest) involved.add(node)
    }
  // Selected by one spec and not by the other.
  for (const [node, count] of counts) if (count < compiled.length) involved.add(node)
  return { compiled, involved }
}

export function targetsIn({ compiled }: Worlds, world: World): CompiledNodes {
  const index = WORLDS.findIndex(({ trust, side }) => trust === world.trust && side === world.side)
  return compiled[index] ?? []
}

/** Edges that would not hold on the way from one world to the next. */
export function brokenOnTheWay(
  { compiled }: Worlds,
  signers: readonly KnownSigner[],
): readonly BrokenEdge[] {
  return compiled.slice(1).flatMap((after, index) => {
    const before = compiled[index] ?? []
    const from = new Map(before.map(({ node, content }) => [node, content]))
    const to = new Map<string, DesiredContent>(after.map(({ node, content }) => [node, content]))
    const names = [...new Set([...from.keys(), ...to.keys()])]
    const nodes = names.map(node => ({ node, from: from.get(node), to: to.get(node) }))
    return brokenEdges(nodes, { signers, combinations: 'all' })
  })
}

const EMPTY: CaSet = { fingerprints: new Set(), subjects: new Set() }

/** By service, the CA certificates of one end that the other does without. */
export function leftBetween(from: Ending, to: Ending): ReadonlyMap<ServiceName, CaSet> {
  return new Map(
    SERVICE_NAMES.map(service => {
      const kept = fingerprintsOf(trustOfService(service, to.spec, to.ca))
      const pems = trustOfService(service, from.spec, from.ca)
        .flatMap(splitPemCertificates)
        .filter(pem => [...fingerprintsOf([pem])].every(one => !kept.has(one)))
      return [service, pems.length === 0 ? EMPTY : caSetOf(pems)]
    }),
  )
}

/** Services of which a listener gets another issuer, or another trust. */
export function changedServices(ends: {
  readonly old: Ending
  readonly new: Ending
}): readonly ServiceName[] {
  const issuersOf = ({ spec }: Ending, service: ServiceName) =>
    [
      ...new Set(
        spec.services
          .filter(intent => intent.service === service && intent.tls === 'on')
          .map(({ server }) => server?.issuer ?? 'none'),
      ),
    ]
      .toSorted()
      .join(' ')
  const trustIn = ({ spec, ca }: Ending, service: ServiceName) =>
    [...fingerprintsOf(trustOfService(service, spec, ca))].toSorted().join(' ')
  return SERVICE_NAMES.filter(
    service =>
      issuersOf(ends.old, service) !== issuersOf(ends.new, service) ||
      trustIn(ends.old, service) !== trustIn(ends.new, service),
  )
}

export function caSetOf(pems: readonly string[]): CaSet {
  const all = pems.flatMap(splitPemCertificates)
  return {
    fingerprints: fingerprintsOf(all),
    // As agents write the names of those who issued what they saw.
    subjects: new Set(all.map(pem => new X509Certificate(pem).subject.replaceAll('\n', ', '))),
  }
}

/** Is a chain as a server sends it, without its root, from one of these? */
export function isOfCa(chain: string, { fingerprints, subjects }: CaSet): boolean {
  const [leaf, ...above] = splitPemCertificates(chain)
  return (
    [...fingerprintsOf(above)].some(one => fingerprints.has(one)) ||
    // Of somebody else's CA the root alone is known, and what stands below it only by its issuer's name.
    [leaf, ...above].some(pem => pem !== undefined && subjects.has(issuerIn(pem)))
  )
}

function issuerIn(pem: string): string {
  return new X509Certificate(pem).issuer.replaceAll('\n', ', ')
}
