// The scrape jobs with which prometheus watches itself. Its own listener goes to https, so these jobs
// must follow; jobs that also have other targets are the operator's to split.

import type { Names, Reason } from '../../shared/contract/schema.ts'
import type { ServiceTlsOf } from '../../shared/contract/service.ts'
import { isTable, type ConfigEdit, type ConfigValue } from '../formats/edit.ts'
import { readYaml } from '../formats/yaml.ts'
import { isCovered, isOwnHost, parseAddress, primaryName, type Address } from './addresses.ts'
import { because, type ReasonCode, type Refusal } from './reasons.ts'
import type { FileIntent, Seen } from './service.ts'
import { documentIn, listAt, tableAt, textAt, valueAt, type Table } from './values.ts'

type Intent = ServiceTlsOf<'prometheus'>

export interface Scrape {
  readonly kind: 'scrape'
  /** Undefined: no job watches this server. */
  readonly file: FileIntent | undefined
  /** The wanted settings of these jobs, as text. */
  readonly value: string
  readonly notices: readonly Reason[]
}

export interface ScrapePaths {
  /** Undefined: the roots of the operating system are enough. */
  readonly trust: string | undefined
  /** A pair to show to a listener that demands one. */
  readonly certificate: string
  readonly key: string
}

export interface ScrapeQuestion {
  /** Logical; undefined where it is not known. */
  readonly path: string | undefined
  readonly tls: Intent
  readonly listenAddresses: readonly Address[]
  readonly paths: ScrapePaths
}

export function scrapeIn(question: ScrapeQuestion, seen: Seen): Scrape | Refusal {
  const { path } = question
  const file = path === undefined ? undefined : seen.file(path)
  if (path === undefined || file === undefined || file.kind === 'missing')
    return untouched([
      because(
        'scrape-config-not-found',
        `${path ?? 'the configuration file'} was not found; if this server scrapes itself, change that to https`,
      ),
    ])
  const document = documentIn(path, file, readYaml)
  if (document.kind === 'refusal') return document

  const jobs = listAt(document.value, 'scrape_configs').map((job, index) =>
    judge(job, index, question),
  )
  const own = jobs.filter(job => job.kind === 'own')
  const notices = noticesOn(path, jobs, document.value)
  if (own.length === 0) return untouched(notices)
  return {
    kind: 'scrape',
    file: {
      kind: 'config',
      path,
      format: 'yaml',
      edits: own.flatMap(job => job.edits),
      reason: because(
        'self-scrape',
        `${namesOf(own)} in ${path} scrapes this server, which serves https`,
      ),
      createMode: undefined,
    },
    value: own.map(job => `${job.name}: ${job.value}`).join('\n'),
    notices,
  }
}

function untouched(notices: readonly Reason[]): Scrape {
  return { kind: 'scrape', file: undefined, value: '', notices }
}

type Job =
  | {
      readonly kind: 'own'
      readonly name: string
      readonly edits: readonly ConfigEdit[]
      readonly value: string
    }
  | { readonly kind: 'mixed' | 'relabelled' | 'discovered' | 'foreign'; readonly name: string }

function judge(job: ConfigValue, index: number, question: ScrapeQuestion): Job {
  if (!isTable(job)) return { kind: 'foreign', name: `job ${index + 1}` }
  const name = textAt(job, 'job_name') ?? `job ${index + 1}`
  const isDiscovered = Object.keys(job).some(key => key.endsWith('_sd_configs'))
  const targets = targetsOf(job)
  const own = targets.filter(target => isOwnTarget(target, job, question))
  if (own.length === 0) return { kind: isDiscovered ? 'discovered' : 'foreign', name }
  // Such a job, for example of a prober, talks to something else than its targets.
  if (rewritesTargets(job)) return { kind: 'relabelled', name }
  if (own.length < targets.length || isDiscovered) return { kind: 'mixed', name }
  return ownJob(name, job, index, own, question)
}

function ownJob(
  name: string,
  job: Table,
  index: number,
  targets: readonly string[],
  { tls, paths }: ScrapeQuestion,
): Job {
  const at = (...path: readonly string[]) => ['scrape_configs', index, ...path]
  const settings = tableAt(job, 'tls_config')
  const wanted: Record<string, string> = {}
  if (paths.trust !== undefined) wanted['ca_file'] = paths.trust
  const serverName = serverNameFor(textAt(settings, 'server_name'), targets, tls.certificate.names)
  if (serverName !== undefined) wanted['server_name'] = serverName
  if (tls.clientAuth === 'required') {
    wanted['cert_file'] = paths.certificate
    wanted['key_file'] = paths.key
  }
  // Prometheus refuses a file next to the same thing written out or referred to.
  const competing = Object.keys(wanted)
    .filter(key => key.endsWith('_file'))
    .map(key => key.slice(0, -'_file'.length))
    .flatMap(key => [key, `${key}_ref`])
    .filter(key => valueAt(settings, key) !== undefined)
  const pairs = Object.entries(wanted)
  return {
    kind: 'own',
    name,
    edits: [
      { path: at('scheme'), value: 'https' },
      ...competing.map(key => ({ path: at('tls_config', key), value: undefined })),
      ...pairs.map(([key, value]) => ({ path: at('tls_config', key), value })),
    ],
    value: ['https', ...pairs.map(([key, value]) => `${key}=${value}`)].join(' '),
  }
}

// One name is verified for all targets of a job. It is needed only where the address of a target is
// no name of the certificate; an operator's own choice stays as long as the certificate carries it.
function serverNameFor(
  current: string | undefined,
  targets: readonly string[],
  names: Names,
): string | undefined {
  if (current !== undefined && isCovered(current, names)) return current
  const isNeeded = targets.some(target => !isCovered(hostOf(target), names))
  return isNeeded || current !== undefined ? primaryName(names) : undefined
}

function targetsOf(job: Table): readonly string[] {
  return listAt(job, 'static_configs')
    .filter(isTable)
    .flatMap(group => listAt(group, 'targets'))
    .map(String)
}

function isOwnTarget(
  target: string,
  job: Table,
  { tls, listenAddresses }: ScrapeQuestion,
): boolean {
  const address = parseAddress(withPort(target, job))
  return (
    address !== undefined &&
    listenAddresses.some(({ port }) => port === address.port) &&
    (isOwnHost(address.host, tls.certificate.names) ||
      listenAddresses.some(({ host }) => host === address.host))
  )
}

// Prometheus takes the port of the scheme where a target has none.
function withPort(target: string, job: Table): string {
  if (parseAddress(target) !== undefined) return target
  return `${target}:${textAt(job, 'scheme') === 'https' ? 443 : 80}`
}

function hostOf(target: string): string {
  return parseAddress(target)?.host ?? target
}

function rewritesTargets(job: Table): boolean {
  return listAt(job, 'relabel_configs')
    .filter(isTable)
    .some(rule => ['__address__', '__scheme__'].includes(textAt(rule, 'target_label') ?? ''))
}

const NOTICES = {
  mixed: {
    code: 'scrape-job-mixed',
    what: 'has this server and other targets; move this server to a job of its own with scheme https',
  },
  relabelled: {
    code: 'scrape-job-relabelled',
    what: 'rewrites the addresses of its targets; if it asks this server, change that to https',
  },
  discovered: {
    code: 'scrape-job-discovered',
    what: 'discovers its targets; if this server is one of them, it must be asked with scheme https',
  },
} as const satisfies Record<string, { readonly code: ReasonCode; readonly what: string }>

function noticesOn(path: string, jobs: readonly Job[], document: Table): readonly Reason[] {
  const notices: Reason[] = []
  for (const kind of ['mixed', 'relabelled', 'discovered'] as const) {
    const { code, what } = NOTICES[kind]
    const named = jobs.filter(job => job.kind === kind)
    if (named.length > 0) notices.push(because(code, `${namesOf(named)} in ${path} ${what}`))
  }
  const elsewhere = listAt(document, 'scrape_config_files').map(String)
  if (elsewhere.length > 0)
    notices.push(
      because(
        'scrape-config-elsewhere',
        `jobs in ${elsewhere.join(', ')} are left alone; those that ask this server need scheme https`,
      ),
    )
  return notices
}

function namesOf(jobs: readonly Job[]): string {
  return `scrape job ${jobs.map(job => job.name).join(', ')}`
}
