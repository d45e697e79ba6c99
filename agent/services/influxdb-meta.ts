// Meta nodes of InfluxDB Enterprise: TLS of the HTTP API and, from 1.7.3 on, of Raft. Facts:
// influx-telegraf-prometheus, section 2. The program is not public, so what only its documents say
// is marked there.

import type { Reason } from '../../shared/contract/schema.ts'
import { type ServiceTlsOf, wantsClientUse } from '../../shared/contract/service.ts'
import type { ConfigValue } from '../formats/edit.ts'
import { connectHost, isCovered, parseAddress, primaryName } from './addresses.ts'
import { commandLine, environmentInputs, flagsNamed } from './command-line.ts'
import { clusterAdvice } from './influxdb-meta/advice.ts'
import { raftView } from './influxdb-meta/cluster-view.ts'
import { ownedMetaKeys, type MetaKeys } from './influxdb-meta/keys.ts'
import { metaNodesIn, showInput, showNotices } from './influxdb-meta/show.ts'
import { activationInputs, certificateActivation, restartLoad } from './influxdb/loads.ts'
import { hasOthers, togetherReason } from './influxdb/scheme-change.ts'
import {
  environmentIntents,
  isOn,
  judgePrinted,
  META_NODE,
  pathOf,
  settingsIn,
  type Settings,
} from './influxdb/settings.ts'
import { NO_ROOTS, rootsInputs, systemRoots, type SystemRoots } from './influxdb/system-roots.ts'
import { baseOf, logicalPath } from './paths.ts'
import { because, refusal, type Refusal } from './reasons.ts'
import {
  RELEASE_TOKEN,
  STAGED_TOKEN,
  type Compilation,
  type Compiled,
  type Driver,
  type DriverContext,
  type FileIntent,
  type Input,
  type ListenerIntent,
  type LoadIntent,
  type Seen,
} from './service.ts'
import { upstreamTrustFile } from './upstream-urls.ts'
import { isAtLeast, noVersion, versionIn, type Version } from './version.ts'
import { UNITS } from './units.ts'

export const influxdbMeta: Driver<'influxdb-meta'> = {
  service: 'influxdb-meta',
  units: UNITS['influxdb-meta'],
  inputs,
  compile,
}

type Intent = ServiceTlsOf<'influxdb-meta'>

const DIRECTORY = '/etc/influxdb/tls-meta'
const UPSTREAM_TRUST = `${DIRECTORY}/upstream-ca.pem`
const DEFAULT_CONFIG = '/etc/influxdb/influxdb-meta.conf'
const DEFAULT_BIND = ':8091'
const DEFAULT_DIR = '/var/lib/influxdb/meta'
const VERSION = /\bInflux\S* (?:\S+ )*?(v?\d+\.\d+\.\d+[^\s,()]*)/i
const CHECK_TIMEOUT_MS = 30_000

function inputs(seen: Seen, context: DriverContext): readonly Input[] {
  const wanted: Input[] = [...environmentInputs(seen, context), ...rootsInputs('system')]
  const program = programOf(seen)
  if (program === undefined) return wanted
  wanted.push(versionInput(program))
  const version = seenVersion(program, seen)
  if (version !== undefined) wanted.push(...activationInputs(program, version, context))
  const path = configPath(seen, context)
  if (typeof path !== 'string') return wanted
  wanted.push({ kind: 'file', path })
  if (version === undefined || seen.file(path)?.kind !== 'text') return wanted
  const settings = settingsIn(path, META_NODE, version.text, seen, context)
  const show = settings.kind === 'refusal' ? undefined : showInput(program, settings)
  return show === undefined ? wanted : [...wanted, show]
}

function compile(tls: Intent, seen: Seen, context: DriverContext): Compilation {
  const program = programOf(seen)
  const version = program === undefined ? undefined : seenVersion(program, seen)
  const parts = partsFor(tls, program, version, seen, context)
  if (parts.kind === 'refusal')
    return { kind: 'unsupported', reason: parts.reason, version: version?.text }
  const { settings, keys, overrides, roots, trust } = parts
  const coordinated = coordinatedFor(tls, parts, seen)
  return {
    kind: 'compiled',
    compiled: {
      version: parts.version.text,
      ...(coordinated === undefined ? {} : { coordinated }),
      material: {
        isWanted: tls.tls === 'on',
        directory: DIRECTORY,
        // From 1.12.3 on looser modes are refused.
        keyMode: 0o600,
        chainMode: 0o644,
        trustFile: `${DIRECTORY}/ca.pem`,
        clientUse: wantsClientUse(tls),
      },
      files: [
        ...(trust === undefined ? [] : [trust]),
        ...roots.files,
        ...overrides,
        ...configIntents(settings, keys, tls),
      ],
      keystores: [],
      tools: roots.tools,
      validators: [
        {
          argv: [parts.program, 'config', '-config', `${STAGED_TOKEN}${settings.path}`],
          timeoutMs: CHECK_TIMEOUT_MS,
          what: 'influxd-meta reads the configuration',
          judge: judgePrinted(keys.owned, settings, overrides),
        },
      ],
      loads: loadsFor(
        tls,
        keys,
        certificateActivation(parts.program, parts.version, seen, context),
      ),
      listeners: [parts.listener],
      ...snapshotOf(settings, context),
      upstreams: [],
      notices: [
        ...keys.notices,
        ...strayNotices(settings),
        ...showNotices(showInput(parts.program, settings), settings, seen),
      ],
    },
  }
}

// In the documents of 1.7.3 the switch is that of Raft as well; before, only the API changes sides.
const RAFT_TLS_SINCE = '1.7.3'

function coordinatedFor(
  { tls, upstreams, options }: Intent,
  { program, version, settings }: Parts,
  seen: Seen,
): Reason | undefined {
  if (!isAtLeast(version, RAFT_TLS_SINCE)) return undefined
  // Who is in its cluster is asked first: a node that has joined none yet has nobody to lose.
  const known = metaNodesIn(showInput(program, settings), seen)
  const hasPeers = known === undefined ? hasOthers(upstreams, 'influxdb-meta') : known > 1
  return togetherReason({
    settings,
    table: 'meta',
    wanted: tls === 'on',
    hasPeers,
    choice: options.schemeChange,
  })
}

interface Parts {
  readonly kind: 'parts'
  readonly program: string
  readonly version: Version
  readonly settings: Settings
  readonly keys: MetaKeys
  readonly overrides: readonly FileIntent[]
  readonly roots: SystemRoots
  readonly trust: FileIntent | undefined
  readonly listener: ListenerIntent
}

function partsFor(
  tls: Intent,
  program: string | undefined,
  version: Version | undefined,
  seen: Seen,
  context: DriverContext,
): Parts | Refusal {
  if (program === undefined)
    return refusal('program-unknown', `unit ${seen.unit.unit} does not start influxd-meta itself`)
  if (version === undefined) return noVersion(versionInput(program), seen)
  if (version.major !== 1)
    return refusal('version-unsupported', `influxd-meta ${version.text} is not of the 1.x line`)
  const path = configPath(seen, context)
  if (typeof path !== 'string') return path
  const settings = settingsIn(path, META_NODE, version.text, seen, context)
  if (settings.kind === 'refusal') return settings
  const listener = listenerOf(tls, settings)
  if ('kind' in listener) return listener
  const keys = ownedMetaKeys({ tls, version, settings, paths: pathsFor(context) })
  if (keys.kind === 'refusal') return keys
  const overrides = environmentIntents(keys.owned, settings, seen, context)
  if ('kind' in overrides) return overrides
  const roots =
    keys.trust === 'system'
      ? systemRoots({
          service: 'influxdb-meta',
          store: tls.options.trustStore,
          pems: tls.upstreamTrust,
          directory: DIRECTORY,
          seen,
          context,
        })
      : NO_ROOTS
  if (roots.kind === 'refusal') return roots
  const trust =
    keys.trust === 'file' ? upstreamTrustFile(UPSTREAM_TRUST, tls.upstreamTrust) : undefined
  return { kind: 'parts', program, version, settings, keys, overrides, roots, trust, listener }
}

// What runs, and with which file

function programOf(seen: Seen): string | undefined {
  const [program] = seen.unit.execStart
  const isIt = program?.startsWith('/') === true && baseOf(program) === 'influxd-meta'
  return isIt ? program : undefined
}

function configPath(seen: Seen, context: DriverContext): string | Refusal {
  const line = commandLine(seen, context)
  if (line.kind === 'refusal') return line
  const path = flagsNamed(line.words, 'config').at(-1)?.value ?? ''
  if (path === '') return DEFAULT_CONFIG
  if (!path.startsWith('/'))
    return refusal('command-line-unclear', `configuration path ${path} is not absolute`)
  return logicalPath(path, context)
}

function versionInput(program: string): Input & { readonly kind: 'command' } {
  return { kind: 'command', argv: [program, 'version'], asService: true, dependsOn: [program] }
}

function seenVersion(program: string, seen: Seen): Version | undefined {
  return versionIn(seen.command(versionInput(program).argv), VERSION)
}

function pathsFor(context: DriverContext) {
  return {
    certificate: context.servicePath(`${DIRECTORY}/current/chain.pem`),
    key: context.servicePath(`${DIRECTORY}/current/key.pem`),
    trust: context.servicePath(`${DIRECTORY}/ca.pem`),
    upstreamTrust: context.servicePath(UPSTREAM_TRUST),
  }
}

// The Raft store: megabytes, and at rest while no meta node runs.
function snapshotOf(settings: Settings, context: DriverContext): Pick<Compiled, 'snapshot'> {
  const directory = settings.effective('meta', 'dir') ?? DEFAULT_DIR
  if (typeof directory !== 'string' || !directory.startsWith('/')) return {}
  return { snapshot: { directories: [logicalPath(directory, context)] } }
}

// What should be there

function configIntents(settings: Settings, keys: MetaKeys, tls: Intent): readonly FileIntent[] {
  if (keys.owned.length === 0) return []
  return [
    {
      kind: 'config',
      path: settings.path,
      format: 'toml-case-insensitive',
      edits: keys.owned.map(({ table, key, value }) => ({ path: pathOf(table, key), value })),
      reason: reasonFor(settings, tls),
      createMode: undefined,
    },
  ]
}

function reasonFor(settings: Settings, tls: Intent): Reason {
  const { path } = settings
  if (tls.tls === 'off') return because('plaintext-required', `${path} is to serve without TLS`)
  const pair = ['https-certificate', 'https-private-key']
    .map(key => settings.effective('meta', key))
    .filter(isFilled)
  const relative = pair.find(file => !file.startsWith('/'))
  if (relative !== undefined)
    return because(
      'guide-relative-path',
      `${relative} in ${path} is looked for in the directory of the process`,
    )
  if (pair.length === 0 && settings.hasTable('http'))
    return because(
      'guide-key-names',
      `${path} has a table [http], which influxd-meta does not know: the keys belong to [meta]`,
    )
  if (!isOn(settings.effective('meta', 'https-enabled')))
    return because('tls-required', `${path} does not switch https on`)
  return because('tls-settings', `the TLS settings of ${path} follow the desired state`)
}

function isFilled(value: ConfigValue | undefined): value is string {
  return typeof value === 'string' && value !== ''
}

// They are somebody's work that has no effect: told, and left for that somebody.
function strayNotices(settings: Settings): readonly Reason[] {
  const table = settings.hasTable('http')
    ? [
        because(
          'guide-table-ignored',
          `influxd-meta ignores [http] in ${settings.path}; its TLS settings are in [meta]`,
        ),
      ]
    : []
  const keys = ['http-certificate', 'http-private-key']
    .filter(key => settings.inFile('meta', key) !== undefined)
    .map(key =>
      because(
        'guide-key-ignored',
        `influxd-meta ignores ${key} in [meta] of ${settings.path}; the keys are https-certificate and https-private-key`,
      ),
    )
  return [...table, ...keys]
}

function loadsFor(
  tls: Intent,
  keys: MetaKeys,
  activation: LoadIntent['activation'],
): readonly LoadIntent[] {
  const listener: LoadIntent = {
    name: 'listener',
    value: tls.tls === 'on' ? 'https' : 'http',
    activation: 'restart',
    provenBy: 'handshake',
    reason: because('listener-on', 'influxd-meta switches https on and off only when it starts'),
  }
  const options = restartLoad('options', keys.options, 'options-loaded')
  if (tls.tls === 'off') return [listener, options]
  return [
    listener,
    {
      name: 'certificate',
      value: RELEASE_TOKEN,
      activation,
      provenBy: 'handshake',
      reason: because('certificate-loaded', 'the listeners must serve the active certificate'),
    },
    options,
  ]
}

// Peers and data nodes connect to the name that is configured, so that is what must be covered.
function listenerOf(tls: Intent, settings: Settings): ListenerIntent | Refusal {
  const bind = settings.effective('meta', 'http-bind-address') ?? DEFAULT_BIND
  const address = typeof bind === 'string' ? parseAddress(bind) : undefined
  if (address === undefined)
    return refusal(
      'listen-address-unclear',
      `http-bind-address ${JSON.stringify(bind)} of [meta] is not host:port`,
    )
  const hostname = settings.effective('', 'hostname')
  const isNamed = typeof hostname === 'string' && hostname !== ''
  if (tls.tls === 'on' && isNamed && !isCovered(hostname, tls.certificate.names))
    return refusal(
      'hostname-not-covered',
      `hostname "${hostname}" of ${settings.path} is none of the names of the certificate: other nodes connect to it, so record it for this node`,
    )
  const serverName = isNamed ? hostname : primaryName(tls.certificate.names)
  if (serverName === undefined)
    return refusal('names-missing', 'the certificate is to have no name')
  const scheme = tls.tls === 'on' ? 'https' : 'http'
  return {
    name: `${scheme} ${address.host}:${address.port}`,
    host: connectHost(address.host),
    port: address.port,
    serverName,
    healthPath: '/status',
    // With authentication the question itself is refused, by a node that works.
    healthyStatuses: [200, 401, 403],
    clientCertificate: tls.tls === 'on' && tls.clientAuth === 'required',
    scheme,
    advise: clusterAdvice,
    cluster: { read: raftView },
  }
}
