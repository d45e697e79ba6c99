// From the fleet spec and the node records to one desired content per node. Pure: equal inputs
// give equal contents, whatever the order of entries, nodes or names.

import { contentDigestOf, type DesiredContent } from '../../shared/contract/desired-state.ts'
import type { Names } from '../../shared/contract/schema.ts'
import {
  isServer,
  managesTransport,
  ServiceTls,
  TRANSPORT_ISSUERS,
  wantsClientUse,
} from '../../shared/contract/service.ts'
import type { NameConstraints } from '../../shared/pki/extensions.ts'
import { missingNames, normalizeNames } from '../../shared/pki/names.ts'
import type { NodeRecord } from '../store/store.ts'
import { type AcmeDirectories, acmeProblems, addressProblem, NO_DIRECTORIES } from './acme.ts'
import { rankOf } from './edges.ts'
import type { FleetSpec, ServiceIntent } from './intent.ts'
import { type ExtraTrust, type FleetListeners, listenersOf, trustedFor } from './listeners.ts'
import { nearest } from './nearest.ts'
import { type PickedNames, pickedNames } from './node-names.ts'
import {
  clientUseProblem,
  NO_PAIRS,
  pairFor,
  type ProvidedPair,
  type ProvidedPairs,
  providedProblems,
  versionOf,
} from './provided.ts'
import { matches } from './selector.ts'
import { NONE_KNOWN, type SelfSignedKnown } from './self-signed.ts'
import type { Finding } from './spec-problems.ts'
import { zoneProblems } from './zone-problem.ts'

/** The service CA as nodes need to know it. */
export interface ServiceCa {
  /** PEM; what clients of the services must trust. */
  readonly trust: readonly string[]
  /** Fingerprint of the certificate that signs leaves now. */
  readonly issuedBy: string
  /** While issuers change: what clients must trust beside what the fleet spec says. */
  readonly extraTrust?: ExtraTrust
  /** Of that certificate: names that it may sign for. Undefined: all. */
  readonly constraints?: NameConstraints
}

export type CompiledNode =
  | { readonly kind: 'content'; readonly content: DesiredContent; readonly digest: string }
  /** No entry selects the node: nothing is published, and what it has stays as it is. */
  | { readonly kind: 'unselected' }
  | { readonly kind: 'problems'; readonly problems: readonly Finding[] }

type CompilableNode = Pick<NodeRecord, 'name' | 'labels' | 'names'>

/** What the content of a node depends on beside itself and the spec. */
export interface Surroundings {
  readonly ca: ServiceCa
  readonly listeners: FleetListeners
  /** What operators have uploaded, by name. */
  readonly pairs?: ProvidedPairs
  /** Where issuer `acme` can order, by name. */
  readonly directories?: AcmeDirectories
}

export function compileNode(
  spec: FleetSpec,
  node: CompilableNode,
  surroundings: Surroundings,
): CompiledNode {
  const problems: Finding[] = []
  const services: ServiceTls[] = []
  const selectedBy = new Map<string, number>()
  for (const [index, intent] of spec.services.entries()) {
    if (!matches(node, intent.nodes)) continue
    const other = selectedBy.get(intent.service)
    if (other !== undefined) {
      const message = `node ${node.name} gets ${intent.service} from services[${other}] already; an entry may select it once`
      problems.push({ path: ['services', index, 'nodes'], message })
      continue
    }
    selectedBy.set(intent.service, index)
    const names =
      intent.server === undefined ? undefined : namesFor(intent.server.names, index, node, problems)
    const wanted = { node: node.name, names, index }
    const pair = pairFor(intent.server, wanted, surroundings.pairs ?? NO_PAIRS, problems)
    problems.push(
      ...addressProblem(intent.server, wanted, surroundings.directories ?? NO_DIRECTORIES),
    )
    problems.push(...zoneProblems(intent.server, wanted, surroundings.ca.constraints))
    const tls = serviceTls(intent, names, node.name, surroundings, pair)
    if (pair !== undefined && isServer(tls) && wantsClientUse(tls) && !pair.clientUse)
      problems.push(clientUseProblem(pair, tls.service, index))
    problems.push(...transportProblems(tls, index))
    services.push(tls)
  }
  if (problems.length > 0) return { kind: 'problems', problems }
  if (services.length === 0) return { kind: 'unselected' }
  // In the order in which an agent takes them.
  const content = {
    services: services.toSorted(
      (a, b) =>
        rankOf(a.service, a.tls) - rankOf(b.service, b.tls) || (a.service < b.service ? -1 : 1),
    ),
  }
  return { kind: 'content', content, digest: contentDigestOf(content) }
}

function transportProblems(tls: ServiceTls, index: number): readonly Finding[] {
  if (!managesTransport(tls) || !isServer(tls)) return []
  const { issuer } = tls.certificate
  if (TRANSPORT_ISSUERS.includes(issuer)) return []
  const message = `transport: manage takes issuer internal only: whoever has a certificate of issuer ${issuer} could join the cluster`
  return [{ path: ['services', index, 'options', 'transport'], message }]
}

export interface CompiledFleet {
  /** By name of the node, ascending. */
  readonly nodes: readonly {
    readonly node: string
    readonly content: DesiredContent
    readonly digest: string
  }[]
  readonly unselected: readonly string[]
  readonly problems: readonly Finding[]
}

export function compileFleet(
  spec: FleetSpec,
  nodes: readonly CompilableNode[],
  ca: ServiceCa,
  pairs: ProvidedPairs = NO_PAIRS,
  directories: AcmeDirectories = NO_DIRECTORIES,
  selfSigned: SelfSignedKnown = NONE_KNOWN,
): CompiledFleet {
  const compiled: { node: string; content: DesiredContent; digest: string }[] = []
  const unselected: string[] = []
  const listeners = listenersOf(spec, nodes, ca, selfSigned)
  const problems: Finding[] = [
    ...unknownNodes(spec, nodes),
    ...listeners.problems,
    ...providedProblems(spec, pairs),
    ...acmeProblems(spec, directories),
  ]
  for (const node of nodes.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
    const result = compileNode(spec, node, { ca, listeners, pairs, directories })
    if (result.kind === 'content')
      compiled.push({ node: node.name, content: result.content, digest: result.digest })
    else if (result.kind === 'unselected') unselected.push(node.name)
    else problems.push(...result.problems)
  }
  return { nodes: compiled, unselected, problems: unique(problems) }
}

// What is wrong with an entry is found again with every node that it selects.
function unique(problems: readonly Finding[]): readonly Finding[] {
  return [...new Map(problems.map(one => [JSON.stringify(one), one])).values()]
}

// A name is written to mean one node: a typing error must not silently select nothing.
function unknownNodes(spec: FleetSpec, nodes: readonly CompilableNode[]): readonly Finding[] {
  const known = new Set(nodes.map(node => node.name))
  return spec.services.flatMap(({ nodes: selector }, index) =>
    selector === 'all'
      ? []
      : (selector.names ?? [])
          .filter(name => !known.has(name))
          .map(name => ({
            path: ['services', index, 'nodes', 'names'],
            message: `no node is named \`${name}\`${suggestion(name, [...known])}`,
          })),
  )
}

function suggestion(word: string, known: readonly string[]): string {
  const near = nearest(word, known)
  return near === undefined ? '' : `; did you mean \`${near}\`?`
}

function namesFor(
  picked: PickedNames,
  index: number,
  node: CompilableNode,
  problems: Finding[],
): Names {
  const recorded = normalizeNames(node.names, { wildcard: false })
  if (recorded.dns.length + recorded.ip.length === 0) {
    const message = `node ${node.name} has no names recorded, so no certificate can be made for it`
    problems.push({ path: ['services', index, 'nodes'], message })
  }
  const wanted = pickedNames(picked, node.names)
  for (const name of missingNames(recorded, wanted)) {
    const hint = suggestion(name, [...recorded.dns, ...recorded.ip])
    const message = `\`${name}\` is not recorded for node ${node.name}${hint}`
    problems.push({ path: ['services', index, 'names'], message })
  }
  if (picked === 'dns' && recorded.ip.length > 0 && wanted.dns.length === 0) {
    const message = `node ${node.name} has no DNS name recorded`
    problems.push({ path: ['services', index, 'names'], message })
  }
  return wanted
}

// Through the schema, so that every default of the contract is filled in.
function serviceTls(
  intent: ServiceIntent,
  names: Names | undefined,
  node: string,
  { ca, listeners }: Surroundings,
  pair: ProvidedPair | undefined,
): ServiceTls {
  const { service, tls, verify, server, options } = intent
  return ServiceTls.parse({
    service,
    tls,
    verify,
    ...listeners.seenBy(intent, node),
    ...(options === undefined ? {} : { options }),
    ...(server === undefined
      ? {}
      : {
          certificate: {
            issuer: server.issuer,
            names,
            key: server.key,
            lifetimeMs: server.lifetimeMs,
            renewBeforeMs: server.renewBeforeMs,
            ...(server.issuer === 'internal' ? { issuedBy: ca.issuedBy } : {}),
            ...(pair === undefined ? {} : { provided: versionOf(pair) }),
            ...(server.directory === undefined ? {} : { directory: server.directory }),
          },
          trust:
            server.issuer === 'self-signed'
              ? [...trustedFor(service, server, ca), ...listeners.ownTrust(service, node)]
              : trustedFor(service, server, ca),
          clientAuth: server.clientAuth,
          minVersion: server.minVersion,
        }),
  })
}
