// InfluxDB 1.x: the open source server, and data nodes of InfluxDB Enterprise.

import type { Reason } from '../../shared/contract/schema.ts'
import { type ServiceTlsOf, wantsClientUse } from '../../shared/contract/service.ts'
import type { ConfigValue } from '../formats/edit.ts'
import { splitWords } from '../formats/env-file.ts'
import { connectHost, isCovered, parseAddress, primaryName } from './addresses.ts'
import {
  commandLine,
  environmentInputs,
  flagsNamed,
  settingOf,
  type CommandLine,
  type Word,
} from './command-line.ts'
import { MTLS_SINCE } from './influxdb/client-auth.ts'
import { ownedKeys, type Keys, type Paths } from './influxdb/keys.ts'
import { activationInputs, certificateActivation, loadsFor } from './influxdb/loads.ts'
import { openTsdb, type OpenTsdb } from './influxdb/opentsdb.ts'
import {
  DATA_NODE,
  environmentIntents,
  isOn,
  judgePrinted,
  pathOf,
  settingsIn,
  type OwnedKey,
  type Settings,
} from './influxdb/settings.ts'
import { hasOthers, togetherReason } from './influxdb/scheme-change.ts'
import { NO_ROOTS, rootsInputs, systemRoots, type SystemRoots } from './influxdb/system-roots.ts'
import { baseOf, logicalPath } from './paths.ts'
import { because, refusal, type Refusal } from './reasons.ts'
import {
  STAGED_TOKEN,
  type Compilation,
  type Driver,
  type DriverContext,
  type FileIntent,
  type Input,
  type ListenerIntent,
  type MaterialIntent,
  type Seen,
} from './service.ts'
import { upstreamTrustFile } from './upstream-urls.ts'
import { isAtLeast, noVersion, versionIn, type Version } from './version.ts'
import { UNITS } from './units.ts'

export const influxdb: Driver<'influxdb'> = {
  service: 'influxdb',
  units: UNITS.influxdb,
  inputs,
  compile,
}

type Intent = ServiceTlsOf<'influxdb'>

const DIRECTORY = '/etc/influxdb/tls'
const UPSTREAM_TRUST = `${DIRECTORY}/upstream-ca.pem`
const DEFAULT_PROGRAM = '/usr/bin/influxd'
const DEFAULT_CONFIG = '/etc/influxdb/influxdb.conf'
// The start script of the vendor's packages from 1.8.7 on.
const WRAPPER = 'influxd-systemd-start.sh'
const DEFAULT_BIND = ':8086'
const VERSION = /\bInflux\S* (?:\S+ )??(v?\d+\.\d+\.\d+[^\s,()]*)/i
const CHECK_TIMEOUT_MS = 30_000

function inputs(seen: Seen, context: DriverContext): readonly Input[] {
  const wanted: Input[] = [...environmentInputs(seen, context)]
  const program = programOf(seen)
  if (program === undefined) return wanted
  wanted.push(versionInput(program))
  const version = seenVersion(program, seen)
  if (version !== undefined) wanted.push(...activationInputs(program, version, context))
  const line = commandLine(seen, context)
  if (line.kind === 'refusal') return wanted
  const path = configPath(line, seen, context)
  if (typeof path !== 'string') return wanted
  wanted.push({ kind: 'file', path })
  // Only members of a cluster connect to others.
  const isOss = version !== undefined && !isEnterprise(path, version, seen, context)
  return isOss ? wanted : [...wanted, ...rootsInputs('system')]
}

function isEnterprise(path: string, version: Version, seen: Seen, context: DriverContext): boolean {
  const settings = settingsIn(path, DATA_NODE, version.text, seen, context)
  return settings.kind === 'settings' && settings.isEnterprise
}

function compile(tls: Intent, seen: Seen, context: DriverContext): Compilation {
  const program = programOf(seen)
  const version = program === undefined ? undefined : seenVersion(program, seen)
  const unsupported = ({ reason }: Refusal): Compilation => ({
    kind: 'unsupported',
    reason,
    version: version?.text,
  })
  if (program === undefined)
    return unsupported(
      refusal('program-unknown', `unit ${seen.unit.unit} does not start influxd itself`),
    )
  if (version === undefined) return unsupported(noVersion(versionInput(program), seen))
  if (version.major !== 1)
    return unsupported(
      refusal(
        'version-unsupported',
        `influxd ${version.text} is not InfluxDB 1.x, which this is for`,
      ),
    )
  const line = commandLine(seen, context)
  if (line.kind === 'refusal') return unsupported(line)
  const path = configPath(line, seen, context)
  if (typeof path !== 'string') return unsupported(path)
  const settings = settingsIn(path, DATA_NODE, version.text, seen, context)
  if (settings.kind === 'refusal') return unsupported(settings)
  const listener = listenerOf(tls, settings)
  if ('kind' in listener) return unsupported(listener)
  const paths = pathsFor(context)
  const uncovered = uncoveredHostname(tls, settings)
  if (uncovered !== undefined) return unsupported(uncovered)
  const keys = ownedKeys({ tls, version, settings, paths })
  if (keys.kind === 'refusal') return unsupported(keys)
  const overrides = environmentIntents(keys.owned, settings, seen, context)
  if ('kind' in overrides) return unsupported(overrides)
  const roots = rootsFor(tls, version, keys, seen, context)
  if (roots.kind === 'refusal') return unsupported(roots)
  const tsdb = openTsdb(tls, settings, paths.bundle)
  const coordinated = coordinatedFor(tls, settings, keys.owned)
  return {
    kind: 'compiled',
    compiled: {
      ...(coordinated === undefined ? {} : { coordinated }),
      version: `${version.text} ${settings.isEnterprise ? 'Enterprise' : 'OSS'}`,
      material: materialFor(tls, tsdb),
      files: [
        ...roots.files,
        ...overrides,
        ...configIntents(settings, keys.owned, tsdb, tls, paths),
      ],
      keystores: [],
      tools: roots.tools,
      upstreams: [],
      validators: [
        {
          argv: [program, 'config', '-config', `${STAGED_TOKEN}${path}`],
          timeoutMs: CHECK_TIMEOUT_MS,
          what: 'influxd reads the configuration',
          judge: judgePrinted(keys.owned, settings, overrides),
        },
      ],
      loads: loadsFor(tls.tls, keys, tsdb, certificateActivation(program, version, seen, context)),
      listeners: [listener],
      notices: [...keys.notices, ...tsdb.notices, ...noticesOn(settings)],
    },
  }
}

// What runs, and with which file

function programOf(seen: Seen): string | undefined {
  const [program] = seen.unit.execStart
  if (program === undefined || !program.startsWith('/')) return undefined
  if (baseOf(program) === WRAPPER) return DEFAULT_PROGRAM
  return baseOf(program) === 'influxd' ? program : undefined
}

function configPath(line: CommandLine, seen: Seen, context: DriverContext): string | Refusal {
  const isWrapped = baseOf(line.program) === WRAPPER
  const words = isWrapped ? wrappedWords(seen, context) : line.words
  const flag = flagsNamed(words, 'config').at(-1)?.value ?? ''
  const fromEnvironment = isWrapped
    ? ''
    : (settingOf('INFLUXDB_CONFIG_PATH', seen, context)?.value ?? '')
  const path = flag === '' ? fromEnvironment : flag
  if (path === '') return DEFAULT_CONFIG
  if (!path.startsWith('/'))
    return refusal('command-line-unclear', `configuration path ${path} is not absolute`)
  return logicalPath(path, context)
}

// The script names the default file and then adds the words of this variable.
function wrappedWords(seen: Seen, context: DriverContext): readonly Word[] {
  const options = settingOf('INFLUXD_OPTS', seen, context)?.value ?? ''
  return splitWords(options).map(text => ({ text, variable: undefined }))
}

// As the service user: in some installations that user owns the program.
function versionInput(program: string): Input & { readonly kind: 'command' } {
  return { kind: 'command', argv: [program, 'version'], asService: true, dependsOn: [program] }
}

function seenVersion(program: string, seen: Seen): Version | undefined {
  return versionIn(seen.command(versionInput(program).argv), VERSION)
}

// What should be there

function pathsFor(context: DriverContext): Paths {
  return {
    certificate: context.servicePath(`${DIRECTORY}/current/chain.pem`),
    key: context.servicePath(`${DIRECTORY}/current/key.pem`),
    bundle: context.servicePath(`${DIRECTORY}/current/bundle.pem`),
    trust: context.servicePath(`${DIRECTORY}/ca.pem`),
    upstreamTrust: context.servicePath(UPSTREAM_TRUST),
  }
}

// Other nodes of an Enterprise cluster: their CA in a file from 1.13 on, before in that of the node.
function rootsFor(
  tls: Intent,
  version: Version,
  keys: Keys,
  seen: Seen,
  context: DriverContext,
): SystemRoots | Refusal {
  const { meta, cluster } = tls.options
  const isVerifying = meta === 'tls' || cluster === 'tls'
  if (!isVerifying || (keys.meta ?? keys.cluster) === undefined) return NO_ROOTS
  if (isAtLeast(version, MTLS_SINCE)) {
    const file = upstreamTrustFile(UPSTREAM_TRUST, tls.upstreamTrust)
    return file === undefined ? NO_ROOTS : { ...NO_ROOTS, files: [file] }
  }
  const { trustStore: store } = tls.options
  const pems = tls.upstreamTrust
  return systemRoots({ service: 'influxdb', store, pems, directory: DIRECTORY, seen, context })
}

function coordinatedFor(
  { upstreams, options }: Intent,
  settings: Settings,
  owned: readonly OwnedKey[],
): Reason | undefined {
  const isSwitch = ({ table, key }: OwnedKey) => table === 'cluster' && key === 'https-enabled'
  const wanted = owned.find(isSwitch)?.value
  return togetherReason({
    settings,
    table: 'cluster',
    wanted: typeof wanted === 'boolean' ? wanted : undefined,
    hasPeers: hasOthers(upstreams, 'influxdb'),
    choice: options.schemeChange,
  })
}

function materialFor(tls: Intent, tsdb: OpenTsdb): MaterialIntent {
  const isBundleWanted = tls.options.layout === 'bundle' || tsdb.isServing
  return {
    isWanted: tls.tls === 'on',
    ...(isBundleWanted ? { bundleMode: 0o600 } : {}),
    directory: DIRECTORY,
    // From 1.12.3 on influxd refuses looser modes.
    keyMode: 0o600,
    chainMode: 0o644,
    trustFile: `${DIRECTORY}/ca.pem`,
    clientUse: wantsClientUse(tls),
  }
}

function configIntents(
  settings: Settings,
  owned: readonly OwnedKey[],
  tsdb: OpenTsdb,
  tls: Intent,
  paths: Paths,
): readonly FileIntent[] {
  const edits = [
    ...owned.map(({ table, key, value }) => ({ path: pathOf(table, key), value })),
    ...tsdb.edits,
  ]
  if (edits.length === 0) return []
  return [
    {
      kind: 'config',
      path: settings.path,
      format: 'toml-case-insensitive',
      edits,
      reason:
        tls.tls === 'off'
          ? because('plaintext-required', `${settings.path} is to serve without TLS`)
          : reasonFor(settings, paths),
      createMode: undefined,
    },
  ]
}

function reasonFor(settings: Settings, paths: Paths): Reason {
  const { path } = settings
  const pair = ['https-certificate', 'https-private-key']
    .map(key => settings.effective('http', key))
    .filter(isFilled)
  const relative = pair.find(file => !file.startsWith('/'))
  if (relative !== undefined)
    return because(
      'guide-relative-path',
      `${relative} in ${path} is looked for in the directory of the process`,
    )
  if (pair.length === 0 && guideKeys(settings).length > 0)
    return because(
      'guide-key-names',
      `${path} has ${guideKeys(settings).join(' and ')}, which influxd ignores`,
    )
  const shared = pair.find(file => file.startsWith('/etc/ssl/'))
  if (shared !== undefined)
    return because(
      'guide-shared-directory',
      `${shared} is in a system directory, which is not for keys of a service`,
    )
  if (!isOn(settings.effective('http', 'https-enabled')))
    return because('tls-required', `${path} does not switch https on`)
  const ours = [paths.certificate, paths.key, paths.bundle]
  const foreign = pair.find(file => !ours.includes(file))
  if (foreign !== undefined)
    return because(
      'certificate-path-replaced',
      `${path} named ${foreign}, which is not kept up to date`,
    )
  return because('tls-settings', `the TLS settings of ${path} follow the desired state`)
}

function isFilled(value: ConfigValue | undefined): value is string {
  return typeof value === 'string' && value !== ''
}

function guideKeys(settings: Settings): readonly string[] {
  return ['http-certificate', 'http-private-key'].filter(
    key => settings.inFile('http', key) !== undefined,
  )
}

function listenerOf(tls: Intent, settings: Settings): ListenerIntent | Refusal {
  const enabled = settings.effective('http', 'enabled')
  if (enabled !== undefined && !isOn(enabled))
    return refusal('listener-disabled', `[http] enabled is false in ${settings.path}`)
  const bind = settings.effective('http', 'bind-address') ?? DEFAULT_BIND
  const address = typeof bind === 'string' ? parseAddress(bind) : undefined
  if (address === undefined)
    return refusal(
      'listen-address-unclear',
      `bind-address ${JSON.stringify(bind)} of [http] is not host:port`,
    )
  const serverName = primaryName(tls.certificate.names)
  if (serverName === undefined)
    return refusal('names-missing', 'the certificate is to have no name')
  const asksPing = isOn(settings.effective('http', 'ping-auth-enabled'))
  const scheme = tls.tls === 'on' ? 'https' : 'http'
  return {
    name: `${scheme} ${address.host}:${address.port}`,
    host: connectHost(address.host),
    port: address.port,
    serverName,
    healthPath: '/ping',
    healthyStatuses: asksPing ? [204, 401] : [204],
    clientCertificate: tls.tls === 'on' && tls.clientAuth === 'required',
    scheme,
  }
}

// Other members connect to the name that is configured.
function uncoveredHostname(tls: Intent, settings: Settings): Refusal | undefined {
  const hostname = settings.effective('', 'hostname')
  const isVerified = settings.isEnterprise && tls.options.cluster === 'tls'
  if (!isVerified || typeof hostname !== 'string' || hostname === '') return undefined
  return isCovered(hostname, tls.certificate.names)
    ? undefined
    : refusal(
        'hostname-not-covered',
        `hostname "${hostname}" of ${settings.path} is none of the names of the certificate: other nodes connect to it, so record it for this node`,
      )
}

// What an operator should know

function noticesOn(settings: Settings): readonly Reason[] {
  const notices: Reason[] = guideKeys(settings).map(key =>
    because(
      'guide-key-ignored',
      `influxd ignores ${key} in [http] of ${settings.path}; the keys are https-certificate and https-private-key`,
    ),
  )
  if (isOn(settings.effective('subscriber', 'insecure-skip-verify')))
    notices.push(
      because(
        'subscriber-unverified',
        `[subscriber] in ${settings.path} does not verify the servers that it sends to; it is left alone`,
      ),
    )
  if (settings.isEnterprise || !settings.hasTable('cluster')) return notices
  const message = `[cluster] in ${settings.path} belongs to InfluxDB Enterprise; here it is taken for [coordinator]`
  return [...notices, because('cluster-table-on-oss', message)]
}
