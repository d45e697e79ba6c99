// Issuer `provided` in a fleet spec: which uploaded pair an entry means, and whether it is one for
// the nodes that it selects. Pure.

import type { X509Certificate } from 'node:crypto'
import type { Names, Reason } from '../../shared/contract/schema.ts'
import { missingNames } from '../../shared/pki/names.ts'
import { pathReasons } from '../../shared/pki/path.ts'
import { parseCertificate, splitPemCertificates } from '../../shared/pki/pem.ts'
import type { FleetSpec, ServerSettings } from './intent.ts'
import { nearest } from './nearest.ts'
import type { Finding } from './spec-problems.ts'

/** The current version of a pair that an operator has uploaded, as compile needs it. */
export interface ProvidedPair {
  readonly name: string
  /** Of the leaf. */
  readonly fingerprint: string
  readonly certificateChain: string
  readonly names: Names
  /** The leaf may identify a client. */
  readonly clientUse: boolean
  /** Why nobody can use it now, for example because it has ended. */
  readonly problem: Reason | undefined
}

export type ProvidedPairs = ReadonlyMap<string, ProvidedPair>

export const NO_PAIRS: ProvidedPairs = new Map()

/** What is wrong with an entry whatever nodes it selects. */
export function providedProblems(spec: FleetSpec, pairs: ProvidedPairs): readonly Finding[] {
  return spec.services.flatMap(({ server }, index) =>
    server === undefined ? [] : entryProblems(server, index, pairs),
  )
}

function entryProblems(
  server: ServerSettings,
  index: number,
  pairs: ProvidedPairs,
): readonly Finding[] {
  if (server.issuer !== 'provided' || server.provided === undefined) return []
  const path = ['services', index, 'provided']
  const { provided: name, trust } = server
  const pair = pairs.get(name)
  if (pair === undefined) {
    const near = nearest(name, [...pairs.keys()])
    const hint =
      near === undefined
        ? `; upload it: tlsfleet provided put ${name} --chain FILE --key FILE`
        : `; did you mean \`${near}\`?`
    return [{ path, message: `no pair named \`${name}\` was uploaded${hint}` }]
  }
  if (pair.problem !== undefined)
    return [{ path, message: `pair \`${name}\` cannot be used: ${pair.problem.message}` }]
  const untrusted = trust.length === 0 ? undefined : distrust(pair, trust)
  if (untrusted === undefined) return []
  const message = `pair \`${name}\` is not accepted by the CA certificates under \`trust\`: ${untrusted.message}`
  return [{ path: ['services', index, 'trust'], message }]
}

/** The pair that a node gets; undefined for other issuers, and where there is none. */
export function pairFor(
  server: ServerSettings | undefined,
  wanted: { readonly node: string; readonly names: Names | undefined; readonly index: number },
  pairs: ProvidedPairs,
  problems: Finding[],
): ProvidedPair | undefined {
  const { names, index } = wanted
  if (server?.issuer !== 'provided' || names === undefined) return undefined
  const pair = pairs.get(server.provided ?? '')
  if (pair === undefined) {
    problems.push(...entryProblems(server, index, pairs))
    return undefined
  }
  const uncovered = coverageProblem(pair, { ...wanted, names }, pairs)
  if (uncovered !== undefined) problems.push(uncovered)
  return pair
}

export function versionOf({ name, fingerprint }: ProvidedPair) {
  return { name, fingerprint }
}

/** Wanted names of a node that the certificate does not cover. */
function coverageProblem(
  pair: ProvidedPair,
  wanted: { readonly node: string; readonly names: Names; readonly index: number },
  pairs: ProvidedPairs,
): Finding | undefined {
  const missing = missingNames(pair.names, wanted.names)
  if (missing.length === 0) return undefined
  const list = missing.map(name => `\`${name}\``).join(', ')
  const message = `pair \`${pair.name}\` does not cover ${list} of node ${wanted.node}${coverageHint(pair, wanted.names, missing, pairs)}`
  return { path: ['services', wanted.index, 'provided'], message }
}

function coverageHint(
  pair: ProvidedPair,
  wanted: Names,
  missing: readonly string[],
  pairs: ProvidedPairs,
): string {
  const other = [...pairs.values()]
    .filter(one => one !== pair && one.problem === undefined)
    .find(one => missingNames(one.names, wanted).length === 0)
  if (other !== undefined) return `; \`${other.name}\` does`
  if (missing.every(name => wanted.ip.includes(name)))
    return '; where clients use DNS names only, say so with `names: dns`'
  const isTooDeep = missing.some(name =>
    pair.names.dns.some(one => one.startsWith('*.') && name.endsWith(one.slice(1))),
  )
  return isTooDeep
    ? '; a wildcard stands for one label'
    : '; choose the names that it covers with `names`'
}

export function clientUseProblem(pair: ProvidedPair, service: string, index: number): Finding {
  const message = `${service} shows its certificate as a client too, which pair \`${pair.name}\` may not be used for: it lacks the purpose clientAuth`
  return { path: ['services', index, 'provided'], message }
}

// Dates are the pair's own problem, and judged with a clock.
function distrust(pair: ProvidedPair, trust: readonly string[]): Reason | undefined {
  const [leaf, ...intermediates] = certificatesOf(pair.certificateChain)
  if (leaf === undefined) return undefined
  return pathReasons({
    leaf,
    intermediates,
    trust: trust.flatMap(certificatesOf),
    purposes: ['server'],
    nowMs: leaf.validFromDate.getTime(),
  }).find(({ code }) => code !== 'expired' && code !== 'not-yet-valid')
}

function certificatesOf(pem: string): readonly X509Certificate[] {
  return splitPemCertificates(pem).map(parseCertificate)
}
