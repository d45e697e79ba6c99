// Prometheus as a client: of itself, of exporters, of alertmanagers and of other servers of the fleet.
// What they serve is what its jobs must ask for.

import type { Reason } from '../../../shared/contract/schema.ts'
import { isTable, type ConfigValue } from '../../formats/edit.ts'
import { readYaml } from '../../formats/yaml.ts'
import { inUrl } from '../addresses.ts'
import { because, type ReasonCode, type Refusal } from '../reasons.ts'
import type { DriverContext, FileIntent, LoadIntent, Seen, UpstreamIntent } from '../service.ts'
import { hasTrustFile } from '../trust.ts'
import { upstreamTrustFile } from '../upstream-urls.ts'
import { documentIn, listAt, tableAt, textAt, type Table } from '../values.ts'
import { trustFileOf, type WebProduct } from '../web-config/product.ts'
import { judgeJob, nameToVerify, type ClientPaths, type Job } from './jobs.ts'
import type { Estate } from './targets.ts'

export interface Client {
  readonly kind: 'client'
  /** The file with the jobs, where there is something in it to keep. */
  readonly config: FileIntent | undefined
  readonly trust: FileIntent | undefined
  readonly loads: readonly LoadIntent[]
  readonly upstreams: readonly UpstreamIntent[]
  readonly notices: readonly Reason[]
}

export interface ClientQuestion {
  readonly estate: Estate
  /** Logical path of the file with the jobs; undefined where it is not known. */
  readonly path: string | undefined
  readonly product: WebProduct
  readonly seen: Seen
  readonly context: DriverContext
}

// Each costs a handshake; what prometheus sees of all of them is in its own metric `up`.
const UPSTREAMS_MAX = 8

type DecidedJob = Extract<Job, { readonly kind: 'https' | 'http' }>

export function upstreamTrustPath({ directory }: WebProduct): string {
  return `${directory}/upstream-ca.pem`
}

export function clientOf(question: ClientQuestion): Client | Refusal {
  const { path, estate, seen } = question
  const file = path === undefined ? undefined : seen.file(path)
  if (path === undefined || file === undefined || file.kind === 'missing')
    return nothing(isConcerned(estate) ? [notFound(path)] : [])
  const document = documentIn(path, file, readYaml)
  if (document.kind === 'refusal') return document
  const paths = pathsFor(question)
  const jobs = jobsIn(document.value, { estate, paths })
  const kept = jobs.filter(job => isKept(job, question))
  return {
    kind: 'client',
    config: kept.length === 0 ? undefined : configIntent(path, kept),
    trust: trustIntent(question, kept),
    loads: kept.length === 0 ? [] : [loadOf(kept, seen)],
    upstreams: upstreamsOf(kept, estate),
    notices: isConcerned(estate) ? noticesOn(path, jobs, document.value) : [],
  }
}

function nothing(notices: readonly Reason[]): Client {
  const none = { config: undefined, trust: undefined, loads: [], upstreams: [] }
  return { kind: 'client', ...none, notices }
}

// In a fleet without TLS jobs are nobody's concern.
function isConcerned({ tls }: Estate): boolean {
  return tls.tls === 'on' || tls.upstreams.some(upstream => upstream.tls === 'on')
}

function notFound(path: string | undefined): Reason {
  return because(
    'scrape-config-not-found',
    `${path ?? 'the configuration file'} was not found; if it scrapes servers with TLS, this server included, change those jobs to https`,
  )
}

function pathsFor({ estate: { tls }, product, context }: ClientQuestion): ClientPaths {
  const own = context.servicePath(trustFileOf(product))
  const upstream = context.servicePath(upstreamTrustPath(product))
  const certificate = context.servicePath(`${product.directory}/current/chain.pem`)
  const key = context.servicePath(`${product.directory}/current/key.pem`)
  const { issuer } = tls.certificate
  const isKnown = issuer === 'internal' || issuer === 'files' || issuer === 'provided'
  return {
    trust: hasTrustFile(tls) ? own : undefined,
    upstreamTrust: tls.upstreamTrust.length > 0 ? upstream : undefined,
    isTrustShared:
      isKnown &&
      (tls.trust.length === 0
        ? tls.upstreamTrust.length === 0
        : tls.trust.every(pem => tls.upstreamTrust.includes(pem))),
    certificate,
    key,
    owned: [own, upstream, certificate, key],
  }
}

function jobsIn(
  document: Table,
  question: { readonly estate: Estate; readonly paths: ClientPaths },
): readonly Job[] {
  const scrapes = listAt(document, 'scrape_configs').map((job, index) =>
    judgeJob(job, nameOf(job, index), ['scrape_configs', index], question),
  )
  const alerting = listAt(tableAt(document, 'alerting'), 'alertmanagers').map((job, index) =>
    judgeJob(job, `alertmanagers ${index + 1}`, ['alerting', 'alertmanagers', index], question),
  )
  return [...scrapes, ...alerting]
}

function nameOf(job: ConfigValue, index: number): string {
  const name = isTable(job) ? textAt(job, 'job_name') : undefined
  return name ?? `job ${index + 1}`
}

// Where there is no TLS and never was, jobs are not looked after. A file with CA certificates tells
// that there was, so that a reload which is owed for http stays owed.
function isKept(job: Job, { estate, product, seen }: ClientQuestion): job is DecidedJob {
  if (job.kind !== 'http') return job.kind === 'https'
  const trusts = [trustFileOf(product), upstreamTrustPath(product)]
  const isKnown = isConcerned(estate) || trusts.some(path => seen.file(path)?.kind === 'text')
  return isKnown || job.edits.length > 0
}

function configIntent(path: string, jobs: readonly DecidedJob[]): FileIntent {
  return {
    kind: 'config',
    path,
    format: 'yaml',
    edits: jobs.flatMap(job => job.edits),
    reason: reasonFor(path, jobs),
    createMode: undefined,
  }
}

function reasonFor(path: string, jobs: readonly DecidedJob[]): Reason {
  const secure = jobs.filter(job => job.kind === 'https')
  const plain = jobs.filter(job => job.kind === 'http')
  if (secure.length === 0)
    return because('upstream-plaintext', `targets of ${namesOf(plain)} in ${path} serve http`)
  const isOwn = secure.every(job => job.targets.every(target => target.kind === 'own'))
  return isOwn
    ? because('self-scrape', `${namesOf(secure)} in ${path} asks this server, which serves https`)
    : because('upstream-tls', `targets of ${namesOf(secure)} in ${path} serve https`)
}

function trustIntent(
  { estate, product }: ClientQuestion,
  jobs: readonly DecidedJob[],
): FileIntent | undefined {
  const isNeeded = jobs.some(
    job => job.kind === 'https' && job.targets.some(target => target.kind === 'upstream'),
  )
  if (!isNeeded) return undefined
  return upstreamTrustFile(upstreamTrustPath(product), estate.tls.upstreamTrust)
}

function loadOf(jobs: readonly DecidedJob[], seen: Seen): LoadIntent {
  return {
    name: 'scrape',
    value: jobs.map(job => `${job.name}: ${job.value}`).join('\n'),
    activation: seen.unit.canReload ? 'reload' : 'hangup',
    provenBy: 'ledger',
    reason: because('scrape-loaded', 'prometheus reads its jobs again on reload'),
  }
}

function upstreamsOf(jobs: readonly DecidedJob[], { tls }: Estate): readonly UpstreamIntent[] {
  const found = new Map<string, UpstreamIntent>()
  for (const target of jobs.flatMap(job => (job.kind === 'https' ? job.targets : []))) {
    if (target.kind === 'own') continue
    const { service, host, port } = target
    const name = `${service} https://${inUrl(host)}:${port}`
    const serverName = nameToVerify(target)
    found.set(name, { name, host, port, serverName, trust: tls.upstreamTrust })
  }
  return [...found.values()].slice(0, UPSTREAMS_MAX)
}

const NOTICES = {
  mixed: {
    code: 'scrape-job-mixed',
    what: 'has targets that do not all serve https of one CA; give those that do a job of their own with scheme https',
  },
  relabelled: {
    code: 'scrape-job-relabelled',
    what: 'rewrites the addresses of its targets; if it asks a server with TLS, change that to https',
  },
  discovered: {
    code: 'scrape-job-discovered',
    what: 'discovers its targets; if servers with TLS are among them, those must be asked with scheme https',
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
        `jobs in ${elsewhere.join(', ')} are left alone; those that ask servers with TLS need scheme https`,
      ),
    )
  return notices
}

function namesOf(jobs: readonly Job[]): string {
  return `scrape job ${jobs.map(job => job.name).join(', ')}`
}
