// Metricbeat: its connections to Elasticsearch and Kibana.

import { sha256 } from '../../shared/digest.ts'
import type { Reason } from '../../shared/contract/schema.ts'
import type { ServiceTlsOf } from '../../shared/contract/service.ts'
import type { ConfigEdit } from '../formats/edit.ts'
import { environmentInputs } from './command-line.ts'
import { flatSettingsIn, isTrue, type FlatSettings } from './elastic/settings.ts'
import { endpointOf, type Endpoint, type EndpointShape } from './metricbeat/endpoint.ts'
import { moduleFiles, modulesIn, type Modules } from './metricbeat/modules.ts'
import {
  clearIn,
  createNames,
  inClear,
  keystoreFor,
  obstacleTo,
  toReference,
  type ClearPassword,
} from './metricbeat/passwords.ts'
import { placeOf, type BeatPlace } from './metricbeat/place.ts'
import { directoryOf } from './paths.ts'
import { because, refusal, type Refusal } from './reasons.ts'
import {
  STAGED_TOKEN,
  type Compilation,
  type Driver,
  type DriverContext,
  type FileIntent,
  type Input,
  type LoadIntent,
  type Seen,
} from './service.ts'
import { uncoveredHost, upstreamIntents, upstreamTrustFile } from './upstream-urls.ts'
import { isAtLeast, noVersion, versionIn, type Version } from './version.ts'
import { UNITS } from './units.ts'

export const metricbeat: Driver<'metricbeat'> = {
  service: 'metricbeat',
  units: UNITS.metricbeat,
  inputs,
  compile,
}

type Intent = ServiceTlsOf<'metricbeat'>

const DIRECTORY = '/etc/metricbeat/tls'
const TRUST_FILE = `${DIRECTORY}/upstream-ca.pem`
const VERSION = /\bmetricbeat version (v?\d+\.\d+\.\d+[^\s,()]*)/
const CHECK_TIMEOUT_MS = 30_000
// The first whose outputs take a new CA file at the next handshake unless told otherwise (elastic 1.4).
const RELOADS_SINCE = '9.5.0'
// Late patches of 8.19 know the setting (elastic 1.4); which is the first is not certain.
const RELOAD_KNOWN_SINCE = '8.19.0'
const RELOAD_KEY = 'output.elasticsearch.ssl.certificate_reload.enabled'
const RESTART_KEY = 'output.elasticsearch.ssl.restart_on_cert_change.enabled'

const OUTPUT: EndpointShape = {
  service: 'elasticsearch',
  prefix: ['output', 'elasticsearch'],
  hostsKey: 'hosts',
  defaultPort: 9200,
  defaultHosts: [],
}
const SETUP: EndpointShape = {
  service: 'kibana',
  prefix: ['setup', 'kibana'],
  hostsKey: 'host',
  defaultPort: 5601,
  defaultHosts: ['localhost:5601'],
}

const MONITORING: EndpointShape = {
  service: 'elasticsearch',
  prefix: ['monitoring', 'elasticsearch'],
  hostsKey: 'hosts',
  defaultPort: 9200,
  defaultHosts: [],
}

function inputs(seen: Seen, context: DriverContext): readonly Input[] {
  const wanted: Input[] = [...environmentInputs(seen, context)]
  const place = placeOf(seen, context)
  if (place.kind === 'refusal') return wanted
  return [
    ...wanted,
    versionInput(place),
    { kind: 'file', path: place.config },
    { kind: 'keystore', path: place.keystore, format: 'beats' },
    { kind: 'directory', path: place.modules },
    ...(seen.file(TRUST_FILE)?.kind === 'text' ? [testInput(place, context)] : []),
    { kind: 'file', path: TRUST_FILE },
    ...moduleFiles(seen, place.modules).map((path): Input => ({ kind: 'file', path })),
  ]
}

function compile(tls: Intent, seen: Seen, context: DriverContext): Compilation {
  const place = placeOf(seen, context)
  if (place.kind === 'refusal')
    return { kind: 'unsupported', reason: place.reason, version: undefined }
  const version = versionIn(seen.command(versionInput(place).argv), VERSION)
  const parts = partsFor(tls, place, version, seen, context)
  if (parts.kind === 'refusal')
    return { kind: 'unsupported', reason: parts.reason, version: version?.text }
  const { settings, endpoints, modules, clear, obstacle } = parts
  const moved = obstacle === undefined ? clear : []
  const trust = parts.isVerifying ? upstreamTrustFile(TRUST_FILE, tls.upstreamTrust) : undefined
  // The checker opens the CA file under its final name, which at first is yet to come.
  const isOpenable = trust === undefined || seen.file(TRUST_FILE)?.kind === 'text'
  const connections = [
    ...endpoints.flatMap(one => one.edits),
    ...reloadEdits(parts.version, endpoints),
  ]
  const edits = [...connections, ...moved.filter(isIn(place.config)).map(toReference)]
  const keystores = keystoreFor(moved, place)
  const config: FileIntent = {
    kind: 'config',
    path: place.config,
    format: 'yaml-flat',
    edits,
    reason: reasonFor(parts.isVerifying, keystores[0]?.reason),
    createMode: undefined,
  }
  return {
    kind: 'compiled',
    compiled: {
      version: parts.version.text,
      material: {
        isWanted: false,
        directory: DIRECTORY,
        keyMode: 0o600,
        chainMode: 0o644,
        trustFile: `${DIRECTORY}/ca.pem`,
        clientUse: false,
      },
      files: [
        ...(trust === undefined ? [] : [trust]),
        ...modules.files,
        ...(edits.length === 0 ? [] : [config]),
      ],
      keystores,
      tools: [],
      // With a password that is still to come the program would miss its variable.
      validators: keystores.length > 0 || !isOpenable ? [] : [checkOf(place, context)],
      loads: loadsFor(connections, trust, parts),
      listeners: [],
      upstreams: upstreamIntents(
        [...endpoints, modules].flatMap(({ urls }) => urls),
        9200,
        trust === undefined ? [] : tls.upstreamTrust,
      ),
      notices: [
        ...(obstacle === undefined || clear.length === 0 ? [] : [inClear(clear, obstacle)]),
        ...restartNotices(settings, parts.version),
        ...testNotices(place, seen, context),
      ],
    },
  }
}

interface Parts {
  readonly kind: 'parts'
  readonly version: Version
  readonly settings: FlatSettings
  readonly endpoints: readonly Endpoint[]
  readonly modules: Modules
  readonly isVerifying: boolean
  /** In all files. */
  readonly clear: readonly ClearPassword[]
  /** Why they stay. */
  readonly obstacle: string | undefined
}

function partsFor(
  tls: Intent,
  place: BeatPlace,
  version: Version | undefined,
  seen: Seen,
  context: DriverContext,
): Parts | Refusal {
  if (version === undefined) return noVersion(versionInput(place), seen)
  const settings = flatSettingsIn(place.config, seen.file(place.config))
  if (settings.kind === 'refusal') return explained(settings, seen.file(place.config))
  const trusted = tls.upstreamTrust.length === 0 ? undefined : context.servicePath(TRUST_FILE)
  const endpoints: Endpoint[] = []
  for (const shape of [OUTPUT, SETUP, MONITORING]) {
    const prefix = shape.prefix.join('.')
    if (!settings.has(prefix)) continue
    const value = (key: string) => settings.value(`${prefix}.${key}`)
    const endpoint = endpointOf({
      shape,
      value,
      upstreams: tls.upstreams,
      trusted,
      file: settings.path,
    })
    if (endpoint.kind === 'refusal') return endpoint
    const uncovered = uncoveredHost(endpoint.urls)
    if (uncovered !== undefined) return uncovered
    endpoints.push(endpoint)
  }
  const areMoved = tls.options.passwords === 'keystore' && tls.tls === 'on'
  const nameFor = createNames(place, seen)
  const obstacle = areMoved ? obstacleTo(place, seen) : undefined
  const modules = modulesIn({
    seen,
    directory: place.modules,
    upstreams: tls.upstreams,
    trusted,
    isWanted: tls.options.module === 'enable',
    nameFor: areMoved && obstacle === undefined ? nameFor : undefined,
  })
  if (modules.kind === 'refusal') return modules
  const uncovered = uncoveredHost(modules.urls)
  if (uncovered !== undefined) return uncovered
  const clear = areMoved ? [...clearIn(settings, nameFor), ...modules.clear] : []
  const isVerifying = modules.isVerifying || endpoints.some(one => one.isVerifying)
  return { kind: 'parts', version, settings, endpoints, modules, isVerifying, clear, obstacle }
}

function isIn(file: string): (one: ClearPassword) => boolean {
  return one => one.file === file
}

// The guide prints `setup.kibana` without its colon, after which nothing in the file can be read.
function explained(problem: Refusal, file: ReturnType<Seen['file']>): Refusal {
  const isGuide = file?.kind === 'text' && /^\s*setup\.kibana\s*$/m.test(file.text)
  if (problem.reason.code !== 'config-unparsable' || !isGuide) return problem
  return refusal(
    'config-unparsable',
    `${problem.reason.message}; the guide prints "setup.kibana" without its colon: write "setup.kibana:"`,
  )
}

function versionInput({ program }: BeatPlace): Input & { readonly kind: 'command' } {
  return { kind: 'command', argv: [program, 'version'], asService: true, dependsOn: [program] }
}

// What was wrong at the other side may be right by then.
const TEST_MAX_AGE_MS = 600_000

/** A real connection with all that it is told: run when one of these files has changed, once TLS is there. */
function testInput(place: BeatPlace, context: DriverContext): Input & { readonly kind: 'command' } {
  return {
    kind: 'command',
    argv: [
      place.program,
      'test',
      'output',
      '-c',
      context.servicePath(place.config),
      ...pathsOf(place, context),
    ],
    asService: true,
    dependsOn: [place.config, place.keystore, TRUST_FILE],
    maxAgeMs: TEST_MAX_AGE_MS,
  }
}

// The other side may be what is wrong, so it is told and nothing is undone.
function testNotices(place: BeatPlace, seen: Seen, context: DriverContext): readonly Reason[] {
  const test = seen.command(testInput(place, context).argv)
  if (test?.kind !== 'ran' || test.code === 0) return []
  const [line = ''] = `${test.stderr}\n${test.stdout}`
    .split('\n')
    .filter(text => /error/i.test(text))
  return [because('output-test-failed', `metricbeat test output: ${line.trim().slice(0, 300)}`)]
}

function pathsOf({ config, keystore }: BeatPlace, context: DriverContext): readonly string[] {
  return [
    '--path.config',
    context.servicePath(directoryOf(config)),
    '--path.data',
    context.servicePath(directoryOf(keystore)),
  ]
}

function checkOf(place: BeatPlace, context: DriverContext) {
  return {
    argv: [
      place.program,
      'test',
      'config',
      '-c',
      `${STAGED_TOKEN}${place.config}`,
      ...pathsOf(place, context),
    ],
    timeoutMs: CHECK_TIMEOUT_MS,
    what: 'metricbeat accepts the configuration',
  }
}

// Said explicitly where it is known, because its default differs between releases.
function reloadEdits(version: Version, [output]: readonly Endpoint[]): readonly ConfigEdit[] {
  if (output?.isVerifying !== true || !isAtLeast(version, RELOADS_SINCE)) return []
  return [{ path: RELOAD_KEY.split('.'), value: true }]
}

// A password that moves into the keystore is the same for the process: nothing is owed for it.
function loadsFor(
  connections: readonly ConfigEdit[],
  trust: FileIntent | undefined,
  { settings, version, modules }: Parts,
): readonly LoadIntent[] {
  // Outputs read it again; whether modules do is not known.
  const isTold = isAtLeast(version, RELOAD_KNOWN_SINCE) && isTrue(settings.value(RELOAD_KEY))
  const isReloaded = (isAtLeast(version, RELOADS_SINCE) || isTold) && !modules.isVerifying
  return [
    {
      name: 'connections',
      value: sha256(JSON.stringify([connections, modules.edits])),
      activation: 'restart',
      provenBy: 'ledger',
      reason: because('upstreams-loaded', 'metricbeat reads its files when it starts'),
    },
    {
      name: 'trust',
      value: sha256(trust?.kind === 'content' ? (trust.text ?? '') : ''),
      activation: isReloaded ? 'none' : 'restart',
      provenBy: 'ledger',
      reason: because('upstreams-loaded', 'metricbeat must trust the CA certificates in use'),
    },
  ]
}

function reasonFor(isVerifying: boolean, password: Reason | undefined): Reason {
  if (password !== undefined && !isVerifying) return password
  return isVerifying
    ? because('upstream-tls', 'the servers that metricbeat connects to speak TLS')
    : because('upstream-plaintext', 'the servers that metricbeat connects to speak plaintext')
}

// Versions whose restart on a new certificate ends in a panic of seccomp (elastic 1.4).
const PANICS: readonly (readonly [from: VersionOf, below: VersionOf])[] = [
  ['8.16.6', '8.17.0'],
  ['8.17.3', '8.18.0'],
  ['8.18.0', '8.18.7'],
  ['8.19.0', '8.19.4'],
  ['9.0.0', '9.0.7'],
  ['9.1.0', '9.1.4'],
]
type VersionOf = `${number}.${number}.${number}`

function restartNotices(settings: FlatSettings, version: Version): readonly Reason[] {
  if (!isTrue(settings.value(RESTART_KEY))) return []
  const isBroken = PANICS.some(
    ([from, below]) => isAtLeast(version, from) && !isAtLeast(version, below),
  )
  if (!isBroken) return []
  const message = `metricbeat ${version.text} panics when ${RESTART_KEY} makes it restart`
  return [because('beat-restart-panics', message)]
}
