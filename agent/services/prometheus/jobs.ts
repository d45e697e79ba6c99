// Jobs of prometheus: those that scrape, and those that send alerts. A job has one scheme for all of
// its targets, so it follows them to https, and back to http, only where they agree.

import type { Names } from '../../../shared/contract/schema.ts'
import { isTable, type ConfigEdit, type ConfigPath, type ConfigValue } from '../../formats/edit.ts'
import { isCovered, primaryName } from '../addresses.ts'
import { listAt, tableAt, textAt, valueAt, type Table } from '../values.ts'
import { targetsOf, type Estate, type Target } from './targets.ts'

/** Paths as prometheus sees them. */
export interface ClientPaths {
  /** CA certificates of this server. Undefined: the roots of the operating system are enough. */
  readonly trust: string | undefined
  /** CA certificates of the upstreams; likewise. */
  readonly upstreamTrust: string | undefined
  /** The CA certificates of this server are among those of the upstreams. */
  readonly isTrustShared: boolean
  /** A pair to show to a listener that demands one. */
  readonly certificate: string
  readonly key: string
  /** All files that tlsfleet has for jobs: settings with one of them are its own. */
  readonly owned: readonly string[]
}

export interface JobQuestion {
  readonly estate: Estate
  readonly paths: ClientPaths
}

export type Job =
  | {
      /** All of its targets are known, and agree. */
      readonly kind: 'https' | 'http'
      readonly name: string
      readonly edits: readonly ConfigEdit[]
      /** The wanted settings, as text. */
      readonly value: string
      readonly targets: readonly Target[]
    }
  | { readonly kind: 'mixed' | 'relabelled' | 'discovered' | 'foreign'; readonly name: string }

export function judgeJob(
  job: ConfigValue,
  name: string,
  path: ConfigPath,
  question: JobQuestion,
): Job {
  if (!isTable(job)) return { kind: 'foreign', name }
  const isDiscovered = Object.keys(job).some(key => key.endsWith('_sd_configs'))
  const targets = targetsOf(job, question.estate)
  const known = targets.filter(target => target.kind !== 'unknown')
  const isSecure = textAt(job, 'scheme') === 'https'
  const isWanted = known.some(target => target.tls === 'on')
  if (known.length === 0) return { kind: isDiscovered ? 'discovered' : 'foreign', name }
  // As it is meant to be: it may have other targets.
  const isPlain = !isWanted && !isSecure
  // Such a job, for example of a prober, talks to something else than its targets.
  if (rewritesTargets(job)) return { kind: isPlain ? 'foreign' : 'relabelled', name }
  const isAgreed = known.every(target => (target.tls === 'on') === isWanted)
  if (known.length < targets.length || isDiscovered || !isAgreed)
    return { kind: isPlain ? 'foreign' : 'mixed', name }
  if (!isWanted) return plainJob(job, name, path, known, question)
  return secureJob(job, name, path, known, question) ?? { kind: 'mixed', name }
}

/** Undefined: one CA file or one name is not enough for all of its targets. */
function secureJob(
  job: Table,
  name: string,
  path: ConfigPath,
  targets: readonly Target[],
  { estate, paths }: JobQuestion,
): Job | undefined {
  const settings = tableAt(job, 'tls_config')
  const trust = trustFor(targets, paths)
  const serverName = serverNameFor(textAt(settings, 'server_name'), targets)
  if (trust === undefined || serverName === undefined) return undefined
  const wanted: Record<string, string> = {}
  if (trust.value !== undefined) wanted['ca_file'] = trust.value
  if (serverName.value !== undefined) wanted['server_name'] = serverName.value
  const isOwn = targets.some(target => target.kind === 'own')
  if (isOwn && estate.tls.clientAuth === 'required') {
    wanted['cert_file'] = paths.certificate
    wanted['key_file'] = paths.key
  }
  // Prometheus refuses a file next to the same thing written out or referred to.
  const competing = Object.keys(wanted)
    .filter(key => key.endsWith('_file'))
    .map(key => key.slice(0, -'_file'.length))
    .flatMap(key => [key, `${key}_ref`])
    .filter(key => valueAt(settings, key) !== undefined)
  const misleading =
    serverName.value === undefined && textAt(settings, 'server_name') !== undefined
      ? ['server_name']
      : []
  const pairs = Object.entries(wanted)
  const setting = (key: string) => [...path, 'tls_config', key]
  return {
    kind: 'https',
    name,
    edits: [
      { path: [...path, 'scheme'], value: 'https' },
      ...[...competing, ...misleading].map(key => ({ path: setting(key), value: undefined })),
      ...pairs.map(([key, value]) => ({ path: setting(key), value })),
    ],
    value: ['https', ...pairs.map(([key, value]) => `${key}=${value}`)].join(' '),
    targets,
  }
}

/** What to set; undefined within: nothing is needed. */
interface Choice {
  readonly value: string | undefined
}

function trustFor(targets: readonly Target[], paths: ClientPaths): Choice | undefined {
  if (targets.every(target => target.kind === 'own')) return { value: paths.trust }
  const hasOwn = targets.some(target => target.kind === 'own')
  return hasOwn && !paths.isTrustShared ? undefined : { value: paths.upstreamTrust }
}

// One name is verified for all targets of a job. It is needed only where the address of a target is
// no name of its certificate; an operator's own choice stays as long as all certificates carry it.
function serverNameFor(
  current: string | undefined,
  targets: readonly Target[],
): Choice | undefined {
  const fits = (name: string) => targets.every(({ names }) => isCovered(name, names))
  if (current !== undefined && fits(current)) return { value: current }
  const isNeeded = targets.some(({ host, names }) => !isCovered(host, names))
  if (!isNeeded && current === undefined) return { value: undefined }
  const candidates = targets.map(({ names }) => primaryName(names))
  const value = candidates.find(name => name !== undefined && fits(name))
  return value === undefined && isNeeded ? undefined : { value }
}

// Settings that are ours go, so that a job comes back as it was. An operator's stay: for http they
// mean nothing.
function plainJob(
  job: Table,
  name: string,
  path: ConfigPath,
  targets: readonly Target[],
  { paths }: JobQuestion,
): Job {
  const value = 'http'
  if (textAt(job, 'scheme') !== 'https') return { kind: 'http', name, edits: [], value, targets }
  const keys = Object.keys(job)
  const settings = tableAt(job, 'tls_config') ?? {}
  const own = ownSettings(settings, paths)
  const isWhole = own.length > 0 && own.length === Object.keys(settings).length
  const tlsConfig: readonly ConfigEdit[] = isWhole
    ? [{ path: [...path, 'tls_config'], value: undefined }]
    : own.map(key => ({ path: [...path, 'tls_config', key], value: undefined }))
  // Where the scheme stands last it was added with the settings, so it goes with them.
  const isAdded = keys.filter(key => key !== 'tls_config' || !isWhole).at(-1) === 'scheme'
  const scheme = { path: [...path, 'scheme'], value: isAdded ? undefined : 'http' }
  return { kind: 'http', name, edits: [...tlsConfig, scheme], value, targets }
}

function ownSettings(settings: Table, { owned }: ClientPaths): readonly string[] {
  const files = Object.entries(settings)
    .filter(([, value]) => typeof value === 'string' && owned.includes(value))
    .map(([key]) => key)
  return files.length > 0 && textAt(settings, 'server_name') !== undefined
    ? [...files, 'server_name']
    : files
}

function rewritesTargets(job: Table): boolean {
  return listAt(job, 'relabel_configs')
    .filter(isTable)
    .some(rule => ['__address__', '__scheme__'].includes(textAt(rule, 'target_label') ?? ''))
}

/** Does the certificate of a target carry this name? For those who look at the same listener. */
export function nameToVerify({ host, names }: { host: string; names: Names }): string {
  return isCovered(host, names) ? host : (primaryName(names) ?? host)
}
