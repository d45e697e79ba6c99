// Prometheus 2.24 and later: TLS of its own web interface and API.

import type { ServiceTlsOf } from '../../shared/contract/service.ts'
import { connectHost, primaryName } from './addresses.ts'
import { environmentInputs, type FileVariable } from './command-line.ts'
import { baseOf, directoryOf } from './paths.ts'
import {
  EXTERNAL_URL_FLAG,
  readFlags,
  routePrefix,
  WEB_CONFIG_FLAG,
  type Flags,
} from './prometheus-flags.ts'
import { loadsFor } from './prometheus-loads.ts'
import { externalUrl, type ExternalUrl } from './prometheus-url.ts'
import { scrapeIn, type Scrape, type ScrapePaths } from './prometheus-scrape.ts'
import {
  placeInputs,
  placeOf,
  webConfigAt,
  type WebConfig,
  type WebConfigPlace,
} from './prometheus-web.ts'
import { because, refusal, type Refusal } from './reasons.ts'
import {
  RELEASE_TOKEN,
  STAGED_TOKEN,
  type Compilation,
  type Driver,
  type DriverContext,
  type EnvironmentEdit,
  type FileIntent,
  type Input,
  type ListenerIntent,
  type MaterialIntent,
  type Seen,
  type Validator,
} from './service.ts'
import { hasTrustFile } from './trust.ts'
import { isAtLeast, noVersion, versionIn, type Version } from './version.ts'

export const prometheus: Driver<'prometheus'> = {
  service: 'prometheus',
  units: ['prometheus.service'],
  inputs,
  compile,
}

type Intent = ServiceTlsOf<'prometheus'>

const DIRECTORY = '/etc/prometheus/tls'
const TRUST_FILE = `${DIRECTORY}/ca.pem`
const VERSION = /\bprometheus, version (v?\d+\.\d+\.\d+[^\s,()]*)/
const WEB_CONFIG_SINCE = '2.24.0'
const SEVERAL_LISTENERS_SINCE = '2.55.0'
// In 2.33 or soon after; older ones are asked less.
const SYNTAX_ONLY_SINCE = '2.37.0'
const CHECK_TIMEOUT_MS = 30_000

function inputs(seen: Seen, context: DriverContext): readonly Input[] {
  const wanted: Input[] = [...environmentInputs(seen, context), { kind: 'file', path: TRUST_FILE }]
  const program = programOf(seen)
  if (program === undefined) return wanted
  wanted.push(versionInput(program))
  const flags = readFlags(seen, context, { severalListeners: true })
  if (flags.kind === 'refusal') return wanted
  const paths = [...placeInputs(flags, context)]
  if (flags.configFile !== undefined) paths.push(flags.configFile)
  for (const path of new Set(paths)) wanted.push({ kind: 'file', path })
  return wanted
}

function compile(tls: Intent, seen: Seen, context: DriverContext): Compilation {
  const program = programOf(seen)
  const version =
    program === undefined ? undefined : versionIn(seen.command(versionInput(program).argv), VERSION)
  const parts = partsFor(tls, program, version, seen, context)
  if (parts.kind === 'refusal')
    return { kind: 'unsupported', reason: parts.reason, version: version?.text }
  const { flags, place, web, scrape, url, listeners } = parts
  return {
    kind: 'compiled',
    compiled: {
      version: parts.version.text,
      material: materialFor(tls),
      files: [
        ...flagFiles(flags, place, url, context),
        ...(scrape.file === undefined ? [] : [scrape.file]),
        // Last: its rename is what makes a running prometheus use the new pair.
        web.file,
      ],
      validators: validatorsFor(tls, parts, seen),
      loads: loadsFor(seen, place, web, scrape, url, context),
      listeners,
      notices: [...place.notices, ...web.notices, ...url.notices, ...scrape.notices],
    },
  }
}

interface Parts {
  readonly kind: 'parts'
  readonly version: Version
  readonly flags: Flags
  readonly place: WebConfigPlace
  readonly web: WebConfig
  readonly scrape: Scrape
  readonly url: ExternalUrl
  readonly listeners: readonly ListenerIntent[]
}

function partsFor(
  tls: Intent,
  program: string | undefined,
  version: Version | undefined,
  seen: Seen,
  context: DriverContext,
): Parts | Refusal {
  if (program === undefined)
    return refusal('program-unknown', `unit ${seen.unit.unit} does not start prometheus itself`)
  if (version === undefined) return noVersion(versionInput(program), seen)
  if (!isAtLeast(version, WEB_CONFIG_SINCE))
    return refusal(
      'version-unsupported',
      `prometheus ${version.text} has no TLS; it came with ${WEB_CONFIG_SINCE}`,
    )
  const severalListeners = isAtLeast(version, SEVERAL_LISTENERS_SINCE)
  const flags = readFlags(seen, context, { severalListeners })
  if (flags.kind === 'refusal') return flags
  const serverName = primaryName(tls.certificate.names)
  if (serverName === undefined)
    return refusal('names-missing', 'the certificate is to have no name')
  const place = placeOf(flags, seen, context)
  if (place.kind === 'refusal') return place
  const web = webConfigAt(place.path, tls, seen, webPaths(context))
  if (web.kind === 'refusal') return web
  const { configFile: path, listenAddresses } = flags
  const scrape = scrapeIn({ path, tls, listenAddresses, paths: scrapePaths(tls, context) }, seen)
  if (scrape.kind === 'refusal') return scrape
  const url = externalUrl(tls, flags)
  const listeners = listenersFor(tls, flags, url.value, serverName, web.hasPasswords)
  return { kind: 'parts', version, flags, place, web, scrape, url, listeners }
}

// What runs

function programOf(seen: Seen): string | undefined {
  const [program] = seen.unit.execStart
  const isIt = program?.startsWith('/') === true && baseOf(program).startsWith('prometheus')
  return isIt ? program : undefined
}

// As the service user: in some installations that user owns the program.
function versionInput(program: string): Input & { readonly kind: 'command' } {
  return { kind: 'command', argv: [program, '--version'], asService: true, dependsOn: [program] }
}

// Files

function materialFor(tls: Intent): MaterialIntent {
  return {
    directory: DIRECTORY,
    keyMode: 0o600,
    chainMode: 0o644,
    trustFile: TRUST_FILE,
    clientUse: tls.clientAuth === 'required',
  }
}

// Certificate and key are opened for every connection. Behind one symlink a connection could see one
// of each release; named by release they change together, with the file that names them.
function webPaths(context: DriverContext) {
  const release = `${DIRECTORY}/releases/${RELEASE_TOKEN}`
  return {
    certificate: context.servicePath(`${release}/chain.pem`),
    key: context.servicePath(`${release}/key.pem`),
    trust: context.servicePath(TRUST_FILE),
  }
}

function scrapePaths(tls: Intent, context: DriverContext): ScrapePaths {
  return {
    trust: hasTrustFile(tls) ? context.servicePath(TRUST_FILE) : undefined,
    certificate: context.servicePath(`${DIRECTORY}/current/chain.pem`),
    key: context.servicePath(`${DIRECTORY}/current/key.pem`),
  }
}

function flagFiles(
  flags: Flags,
  place: WebConfigPlace,
  url: ExternalUrl,
  context: DriverContext,
): readonly FileIntent[] {
  const edits: { readonly variable: FileVariable; readonly edit: EnvironmentEdit }[] = []
  const add = (variable: FileVariable | undefined, flag: string, value: string) => {
    if (variable === undefined) return
    edits.push({ variable, edit: { kind: 'flag', variable: variable.name, flag, value } })
  }
  // Ours for as long as it is there: a flag that stands right is named too, so drift is seen.
  if (place.flagReason !== undefined || flags.webConfig?.variable !== undefined)
    add(
      flags.webConfig === undefined ? flags.room : flags.webConfig.variable,
      WEB_CONFIG_FLAG,
      place.flagReason === undefined
        ? (flags.webConfig?.value ?? '')
        : context.servicePath(place.path),
    )
  if (url.value !== undefined) add(url.variable, EXTERNAL_URL_FLAG, url.value)
  const reason =
    place.flagReason ??
    because('flags-required', 'prometheus is told its web configuration and address by flags')
  const paths = new Set(edits.map(({ variable }) => variable.path))
  return [...paths].map(path => ({
    kind: 'environment',
    path,
    edits: edits.filter(({ variable }) => variable.path === path).map(({ edit }) => edit),
    reason,
    createMode: 0o644,
  }))
}

// Checks, loads, listeners

function validatorsFor(
  tls: Intent,
  { version, flags, place, scrape }: Parts,
  seen: Seen,
): readonly Validator[] {
  const promtool = `${directoryOf(flags.program).replace(/\/$/, '')}/promtool`
  const validators: Validator[] = []
  const check = (args: readonly string[], path: string, what: string) =>
    validators.push({
      argv: [promtool, 'check', ...args, `${STAGED_TOKEN}${path}`],
      timeoutMs: CHECK_TIMEOUT_MS,
      what,
    })
  // It wants to find the CA of clients, which is put there together with the file that names it.
  if (tls.clientAuth === 'none' || seen.file(TRUST_FILE)?.kind === 'text')
    check(['web-config'], place.path, 'promtool accepts the web configuration')
  // An agent takes other keys, and the option that says so is younger than agents.
  if (scrape.file === undefined || flags.isAgent) return validators
  // Beyond the syntax it wants to find the pair for scrapes under its final name, which is yet to come.
  if (isAtLeast(version, SYNTAX_ONLY_SINCE))
    check(['config', '--syntax-only'], scrape.file.path, 'promtool accepts the scrape jobs')
  else if (tls.clientAuth !== 'required')
    check(['config'], scrape.file.path, 'promtool accepts the scrape jobs')
  return validators
}

function listenersFor(
  tls: Intent,
  flags: Flags,
  url: string | undefined,
  serverName: string,
  hasPasswords: boolean,
): readonly ListenerIntent[] {
  return flags.listenAddresses.map(address => ({
    name: `https ${address.host}:${address.port}`,
    host: connectHost(address.host),
    port: address.port,
    serverName,
    healthPath: `${routePrefix(flags, url)}/-/ready`,
    // With passwords the question itself is refused, by a server that works.
    healthyStatuses: hasPasswords ? [200, 401] : [200],
    clientCertificate: tls.clientAuth === 'required',
  }))
}
