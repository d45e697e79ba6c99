// One entry of the fleet spec with defaults filled in: what compile works with. Pure.

import { X509Certificate } from 'node:crypto'
import type {
  ClientAuth,
  Issuer,
  KeyType,
  ServiceTls,
  TlsVersion,
} from '../../shared/contract/service.ts'
import { formatDuration } from '../../shared/duration.ts'
import { OperationalError } from '../../shared/errors.ts'
import { normalizeNames } from '../../shared/pki/names.ts'
import type { Selector } from './selector.ts'
import type { Path } from './spec-problems.ts'
import type { Defaults, ServiceEntry } from './spec-schema.ts'

/** Defaults are filled in, durations are numbers, names normalized: what compile works with. */
export interface FleetSpec {
  readonly fleet: string
  readonly services: readonly ServiceIntent[]
}

export type ServiceIntent = {
  readonly nodes: Selector
  /** A part of the node's recorded names; undefined: all of them. */
  readonly names: { readonly dns: readonly string[]; readonly ip: readonly string[] } | undefined
  readonly issuer: Exclude<Issuer, 'local-ca'>
  readonly key: KeyType
  readonly lifetimeMs: number
  readonly renewBeforeMs: number
  readonly minVersion: TlsVersion
  readonly clientAuth: ClientAuth
  readonly verify: { readonly stableForMs: number; readonly deadlineMs: number }
  /** For issuer `files`, whose CA is not ours. */
  readonly trust: readonly string[]
} & ProductIntent

type ProductIntent = {
  [S in ServiceTls['service']]: {
    readonly service: S
    readonly options: Extract<ServiceTls, { service: S }>['options'] | undefined
  }
}[ServiceTls['service']]

const DAY_MS = 86_400_000

/** Clients, browsers among them, refuse leaves with a longer life, and a stolen key lives as long. */
export const INTERNAL_LIFETIME_MS_MAX = 398 * DAY_MS
const LIFETIME_MS_DEFAULT = 30 * DAY_MS

type Report = (path: Path, message: string) => void

/** Fills in defaults and tells what no schema can see. `report` takes a path inside the entry. */
export function resolveEntry(
  entry: ServiceEntry,
  defaults: Defaults,
  report: Report,
): ServiceIntent {
  const wanted = entry.issuer ?? defaults.issuer ?? 'internal'
  const issuer = wanted === 'local-ca' ? 'internal' : wanted
  if (wanted === 'local-ca')
    report(
      ['issuer'],
      'issuer `local-ca` works on a node without a controller only; use `internal`',
    )

  const lifetimeMs = entry.lifetime ?? defaults.lifetime ?? LIFETIME_MS_DEFAULT
  const renewBeforeMs = entry.renewBefore ?? defaults.renewBefore ?? Math.round(lifetimeMs / 3)
  const shorter =
    entry.lifetime === undefined && entry.renewBefore !== undefined ? 'renewBefore' : 'lifetime'
  if (renewBeforeMs >= lifetimeMs)
    report(
      [shorter],
      `renewBefore (${formatDuration(renewBeforeMs)}) must be shorter than lifetime (${formatDuration(lifetimeMs)})`,
    )
  if (issuer === 'internal' && lifetimeMs > INTERNAL_LIFETIME_MS_MAX)
    report(
      ['lifetime'],
      `a certificate of issuer \`internal\` lives at most ${formatDuration(INTERNAL_LIFETIME_MS_MAX)}`,
    )

  const verify = {
    stableForMs: entry.verify?.stableFor ?? defaults.verify?.stableFor ?? 5_000,
    deadlineMs: entry.verify?.deadline ?? defaults.verify?.deadline ?? 300_000,
  }
  if (verify.stableForMs >= verify.deadlineMs)
    report(['verify'], 'verify.stableFor must be shorter than verify.deadline')

  const trust = entry.trust ?? (issuer === 'files' ? defaults.trust : undefined) ?? []
  if (trust.length > 0 && issuer !== 'files')
    report(['trust'], 'trust is for issuer `files`; the other issuers bring their own')
  for (const [index, pem] of trust.entries())
    if (!isCertificate(pem)) report(['trust', index], 'is not a certificate in PEM form')

  return {
    ...productOf(entry),
    nodes: selectorOf(entry, report),
    names: namesOf(entry, report),
    issuer,
    key: entry.key ?? defaults.key ?? 'ec-p256',
    lifetimeMs,
    renewBeforeMs,
    minVersion: entry.minVersion ?? defaults.minVersion ?? '1.2',
    clientAuth: entry.clientAuth ?? defaults.clientAuth ?? 'none',
    verify,
    trust,
  }
}

// Written out so that product and options stay one pair for the compiler.
function productOf(entry: ServiceEntry): ProductIntent {
  return entry.service === 'prometheus'
    ? { service: entry.service, options: entry.options }
    : { service: entry.service, options: entry.options }
}

function selectorOf({ nodes }: ServiceEntry, report: Report): Selector {
  if (nodes === 'all') return nodes
  const labels = Object.entries(nodes.labels ?? {}).map(
    ([label, value]) => [label, typeof value === 'string' ? [value] : value.toSorted()] as const,
  )
  // A condition left empty by mistake must not turn into "every node".
  if (nodes.names === undefined && labels.length === 0)
    report(['nodes'], 'give `labels`, `names` or both; `nodes: all` selects every node')
  return {
    ...(labels.length === 0 ? {} : { labels: Object.fromEntries(labels) }),
    ...(nodes.names === undefined ? {} : { names: nodes.names.toSorted() }),
  }
}

function namesOf(entry: ServiceEntry, report: Report): ServiceIntent['names'] {
  if (entry.names === undefined) return undefined
  try {
    const names = normalizeNames(
      { dns: entry.names.dns ?? [], ip: entry.names.ip ?? [] },
      { wildcard: false },
    )
    if (names.dns.length + names.ip.length === 0)
      report(['names'], 'lists no name; leave it out for all names of the node')
    return names
  } catch (error) {
    if (!(error instanceof OperationalError)) throw error
    report(['names'], error.message)
    return undefined
  }
}

function isCertificate(pem: string): boolean {
  try {
    return new X509Certificate(pem).raw.length > 0
  } catch {
    // Whatever the text is, it is not what is asked for.
    return false
  }
}
