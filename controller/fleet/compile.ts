// From the fleet spec and the node records to one desired content per node. Pure: equal inputs
// give equal contents, whatever the order of entries, nodes or names.

import { unreachable } from '../../shared/assert.ts'
import { contentDigestOf, type DesiredContent } from '../../shared/contract/desired-state.ts'
import type { Names } from '../../shared/contract/schema.ts'
import { ServiceTls } from '../../shared/contract/service.ts'
import { missingNames, normalizeNames } from '../../shared/pki/names.ts'
import type { NodeRecord } from '../store/store.ts'
import type { FleetSpec, ServiceIntent } from './intent.ts'
import { nearest } from './nearest.ts'
import { matches } from './selector.ts'
import type { Finding } from './spec-problems.ts'

/** The service CA as nodes need to know it. */
export interface ServiceCa {
  /** PEM; what clients of the services must trust. */
  readonly trust: readonly string[]
  /** Fingerprint of the certificate that signs leaves now. */
  readonly issuedBy: string
}

export type CompiledNode =
  | { readonly kind: 'content'; readonly content: DesiredContent; readonly digest: string }
  /** No entry selects the node: nothing is published, and what it has stays as it is. */
  | { readonly kind: 'unselected' }
  | { readonly kind: 'problems'; readonly problems: readonly Finding[] }

type CompilableNode = Pick<NodeRecord, 'name' | 'labels' | 'names'>

export function compileNode(spec: FleetSpec, node: CompilableNode, ca: ServiceCa): CompiledNode {
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
    const certificateNames = namesFor(intent, index, node, problems)
    services.push(serviceTls(intent, certificateNames, ca))
  }
  if (problems.length > 0) return { kind: 'problems', problems }
  if (services.length === 0) return { kind: 'unselected' }
  const content = { services: services.toSorted((a, b) => (a.service < b.service ? -1 : 1)) }
  return { kind: 'content', content, digest: contentDigestOf(content) }
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
): CompiledFleet {
  const compiled: { node: string; content: DesiredContent; digest: string }[] = []
  const unselected: string[] = []
  const problems: Finding[] = [...unknownNodes(spec, nodes)]
  for (const node of nodes.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
    const result = compileNode(spec, node, ca)
    if (result.kind === 'content')
      compiled.push({ node: node.name, content: result.content, digest: result.digest })
    else if (result.kind === 'unselected') unselected.push(node.name)
    else problems.push(...result.problems)
  }
  return { nodes: compiled, unselected, problems }
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
  intent: ServiceIntent,
  index: number,
  node: CompilableNode,
  problems: Finding[],
): Names {
  const recorded = normalizeNames(node.names, { wildcard: false })
  if (recorded.dns.length + recorded.ip.length === 0) {
    const message = `node ${node.name} has no names recorded, so no certificate can be made for it`
    problems.push({ path: ['services', index, 'nodes'], message })
  }
  const wanted = intent.names ?? recorded
  for (const name of missingNames(recorded, wanted)) {
    const hint = suggestion(name, [...recorded.dns, ...recorded.ip])
    const message = `\`${name}\` is not recorded for node ${node.name}${hint}`
    problems.push({ path: ['services', index, 'names'], message })
  }
  return { dns: [...wanted.dns], ip: [...wanted.ip] }
}

// Through the schema, so that every default of the contract is filled in.
function serviceTls(intent: ServiceIntent, names: Names, ca: ServiceCa): ServiceTls {
  return ServiceTls.parse({
    service: intent.service,
    certificate: {
      issuer: intent.issuer,
      names,
      key: intent.key,
      lifetimeMs: intent.lifetimeMs,
      renewBeforeMs: intent.renewBeforeMs,
      ...(intent.issuer === 'internal' ? { issuedBy: ca.issuedBy } : {}),
    },
    trust: trustFor(intent, ca),
    clientAuth: intent.clientAuth,
    minVersion: intent.minVersion,
    verify: intent.verify,
    ...(intent.options === undefined ? {} : { options: intent.options }),
  })
}

function trustFor(intent: ServiceIntent, ca: ServiceCa): readonly string[] {
  switch (intent.issuer) {
    case 'internal':
      return ca.trust
    case 'files':
      return intent.trust
    case 'self-signed':
      return []
    default:
      return unreachable(intent.issuer)
  }
}
