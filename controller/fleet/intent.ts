// One entry of the fleet spec with defaults filled in: what compile works with. Pure.

import { X509Certificate } from 'node:crypto'
import type {
  ClientAuth,
  Issuer,
  KeyType,
  ServiceName,
  TlsSwitch,
  TlsVersion,
} from '../../shared/contract/service.ts'
import { OperationalError } from '../../shared/errors.ts'
import { isSelfSigned } from '../../shared/pki/facts.ts'
import { normalizeNames } from '../../shared/pki/names.ts'
import { directoryOf } from './acme.ts'
import { lifetimeFor } from './lifetime-policy.ts'
import type { PickedNames } from './node-names.ts'
import type { RolloutIntent } from './rollout-spec.ts'
import type { Selector } from './selector.ts'
import type { Path } from './spec-problems.ts'
import { type Defaults, isClient, type ServerEntry, type ServiceEntry } from './spec-schema.ts'

/** Defaults are filled in, durations are numbers, names normalized: what compile works with. */
export interface FleetSpec extends RolloutIntent {
  readonly fleet: string
  readonly services: readonly ServiceIntent[]
}

interface CommonIntent {
  readonly nodes: Selector
  readonly tls: TlsSwitch
  readonly verify: { readonly stableForMs: number; readonly deadlineMs: number }
}

/** What an entry says of a product with a listener of its own. */
export interface ServerSettings {
  readonly names: PickedNames
  /** Where clients find the listener; undefined: the port that the product has by itself. */
  readonly port: number | undefined
  readonly issuer: Exclude<Issuer, 'local-ca'>
  readonly key: KeyType
  readonly lifetimeMs: number
  readonly renewBeforeMs: number
  readonly minVersion: TlsVersion
  readonly clientAuth: ClientAuth
  /** For issuers whose CA is not ours. */
  readonly trust: readonly string[]
  /** Issuer `provided`: name of the uploaded pair. */
  readonly provided: string | undefined
  /** Issuer `acme`: name of the directory in the controller's configuration. */
  readonly directory: string | undefined
}

export type ServiceIntent = CommonIntent & {
  readonly service: ServiceName
  /** Undefined: the product is only a client. */
  readonly server: ServerSettings | undefined
  readonly options: ServiceEntry['options']
}

type Report = (path: Path, message: string) => void

/** Fills in defaults and tells what no schema can see. `report` takes a path inside the entry. */
export function resolveEntry(
  entry: ServiceEntry,
  defaults: Defaults,
  report: Report,
): ServiceIntent {
  const verify = {
    stableForMs: entry.verify?.stableFor ?? defaults.verify?.stableFor ?? 5_000,
    deadlineMs: entry.verify?.deadline ?? defaults.verify?.deadline ?? 300_000,
  }
  if (verify.stableForMs >= verify.deadlineMs)
    report(['verify'], 'verify.stableFor must be shorter than verify.deadline')
  return {
    service: entry.service,
    options: entry.options,
    nodes: selectorOf(entry, report),
    tls: entry.tls ?? defaults.tls ?? 'on',
    verify,
    server: isServerEntry(entry) ? serverSettings(entry, defaults, report) : undefined,
  }
}

function isServerEntry(entry: ServiceEntry): entry is ServerEntry {
  return !isClient(entry.service)
}

function serverSettings(entry: ServerEntry, defaults: Defaults, report: Report): ServerSettings {
  const wanted = entry.issuer ?? defaults.issuer ?? 'internal'
  const issuer = wanted === 'local-ca' ? 'internal' : wanted
  if (wanted === 'local-ca')
    report(
      ['issuer'],
      'issuer `local-ca` works on a node without a controller only; use `internal`',
    )

  const { lifetimeMs, renewBeforeMs } = lifetimeFor(issuer, { entry, defaults }, report)

  const isForeign = FOREIGN_ISSUERS.includes(issuer)
  const trust = entry.trust ?? (isForeign ? defaults.trust : undefined) ?? []
  if (trust.length > 0 && !isForeign)
    report(
      ['trust'],
      `trust is for the issuers ${FOREIGN_ISSUERS.join(', ')}; the other issuers bring their own`,
    )
  for (const [index, pem] of trust.entries())
    if (!isCertificate(pem)) report(['trust', index], 'is not a certificate in PEM form')
  if (REQUESTED_ISSUERS.includes(issuer) && trust.every(isCertificate) && !holdsRoot(trust))
    report(['trust'], 'holds no root: an intermediate alone vouches for no certificate')

  return {
    names: namesOf(entry, report),
    port: entry.port,
    issuer,
    key: entry.key ?? defaults.key ?? 'ec-p256',
    lifetimeMs,
    renewBeforeMs,
    minVersion: entry.minVersion ?? defaults.minVersion ?? '1.2',
    clientAuth: entry.clientAuth ?? defaults.clientAuth ?? 'none',
    trust,
    provided: providedOf(entry, defaults, issuer, report),
    directory: directoryOf(entry, defaults, issuer, report),
  }
}

/** Whose answers are checked against `trust` when they come. */
const REQUESTED_ISSUERS: readonly Issuer[] = ['csr', 'acme']

function holdsRoot(trust: readonly string[]): boolean {
  return trust.length === 0 || trust.some(pem => isSelfSigned(new X509Certificate(pem)))
}

/** Whose CA only the operator knows. */
const FOREIGN_ISSUERS: readonly Issuer[] = ['files', 'provided', 'csr', 'acme']

function providedOf(
  entry: ServerEntry,
  defaults: Defaults,
  issuer: Issuer,
  report: Report,
): string | undefined {
  if (issuer !== 'provided') {
    if (entry.provided !== undefined)
      report(['provided'], `provided is for issuer \`provided\`, not for \`${issuer}\``)
    return undefined
  }
  const name = entry.provided ?? defaults.provided
  if (name === undefined)
    report(['issuer'], 'issuer `provided` needs the name of an uploaded pair: `provided: NAME`')
  return name
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

function namesOf(entry: ServerEntry, report: Report): ServerSettings['names'] {
  if (entry.names === undefined || entry.names === 'dns') return entry.names
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
