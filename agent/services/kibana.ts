// Kibana 7 to 9: its connection to Elasticsearch and its own server.

import { type ServiceTlsOf, wantsClientUse } from '../../shared/contract/service.ts'
import { connectHost, primaryName } from './addresses.ts'
import { environmentInputs, settingOf } from './command-line.ts'
import { flatSettingsIn, type FlatSettings } from './elastic/settings.ts'
import { elasticsearchClient, type ClientPart } from './kibana/client.ts'
import { overriddenBy } from './kibana/keystore.ts'
import { serverPart, type ServerPart } from './kibana/server.ts'
import { directoryOf, logicalPath } from './paths.ts'
import { changeInput, isOlderThanProcess } from './program-age.ts'
import { because, refusal, type Refusal } from './reasons.ts'
import type {
  Compilation,
  Driver,
  DriverContext,
  FileIntent,
  Input,
  ListenerIntent,
  Seen,
} from './service.ts'
import { isAtLeast, parseVersion, type Version } from './version.ts'
import { UNITS } from './units.ts'

export const kibana: Driver<'kibana'> = {
  service: 'kibana',
  units: UNITS.kibana,
  inputs,
  compile,
}

type Intent = ServiceTlsOf<'kibana'>

const DEFAULT_CONFIG_DIRECTORY = '/etc/kibana'
const DEFAULT_PORT = 5601
const STATUS_PATH = '/api/status'

function inputs(seen: Seen, context: DriverContext): readonly Input[] {
  const wanted: Input[] = [...environmentInputs(seen, context)]
  const program = programOf(seen)
  if (program === undefined) return wanted
  wanted.push(
    { kind: 'file', path: logicalPath(packagePath(program), context) },
    changeInput(packagePath(program), context),
  )
  const directory = configDirectory(seen, context)
  const path = configPath(seen, directory, context)
  if (typeof path !== 'string') return wanted
  return [
    ...wanted,
    { kind: 'file', path },
    { kind: 'keystore', path: `${directory}/kibana.keystore`, format: 'kibana' },
  ]
}

function compile(tls: Intent, seen: Seen, context: DriverContext): Compilation {
  const program = programOf(seen)
  const version = program === undefined ? undefined : versionOf(program, seen, context)
  const parts = partsFor(tls, program, version, seen, context)
  if (parts.kind === 'refusal')
    return { kind: 'unsupported', reason: parts.reason, version: version?.text }
  const { settings, server, client, directory } = parts
  const edits = [...client.edits, ...server.edits]
  const config: FileIntent = {
    kind: 'config',
    path: settings.path,
    format: 'yaml-flat',
    edits,
    reason: server.reason ?? client.reason,
    createMode: undefined,
  }
  return {
    kind: 'compiled',
    compiled: {
      version: parts.version.text,
      material: {
        isWanted: tls.tls === 'on' && tls.options.server === 'manage',
        directory,
        keyMode: 0o600,
        chainMode: 0o644,
        trustFile: `${directory}/ca.pem`,
        clientUse: wantsClientUse(tls),
      },
      files: [...client.files, ...(edits.length === 0 ? [] : [config])],
      keystores: [],
      tools: [],
      validators: [],
      loads: [...client.loads, ...server.loads],
      listeners: parts.listener === undefined ? [] : [parts.listener],
      upstreams: client.upstreams,
      notices: [...client.notices, ...server.notices],
    },
  }
}

interface Parts {
  readonly kind: 'parts'
  readonly version: Version
  readonly settings: FlatSettings
  readonly directory: string
  readonly client: ClientPart
  readonly server: ServerPart
  readonly listener: ListenerIntent | undefined
}

function partsFor(
  tls: Intent,
  program: string | undefined,
  version: Version | undefined,
  seen: Seen,
  context: DriverContext,
): Parts | Refusal {
  if (program === undefined)
    return refusal('program-unknown', `unit ${seen.unit.unit} does not start kibana itself`)
  if (version === undefined)
    return refusal('version-unknown', `${packagePath(program)} tells no version`)
  if (!isAtLeast(version, '7.0.0'))
    return refusal('version-unsupported', `kibana ${version.text} is older than 7.0.0`)
  const configDirectoryPath = configDirectory(seen, context)
  const path = configPath(seen, configDirectoryPath, context)
  if (typeof path !== 'string') return path
  const argument = seen.unit.execStart.find(word => /^--(?:server|elasticsearch)\./.test(word))
  if (argument !== undefined)
    return refusal('setting-on-command-line', `${argument} goes before ${path}: write it there`)
  const settings = flatSettingsIn(path, seen.file(path))
  if (settings.kind === 'refusal') return settings
  const directory = `${configDirectoryPath}/tls`
  const canHangUp =
    isOlderThanProcess(packagePath(program), seen, context) &&
    hasAllVariables(settings, seen, context)
  const client = elasticsearchClient({ tls, settings, directory, context })
  if (client.kind === 'refusal') return client
  const server = serverPart({ tls, settings, version, canHangUp, directory, context })
  if (server.kind === 'refusal') return server
  const override = overriddenBy(
    seen.keystore(`${configDirectoryPath}/kibana.keystore`),
    [...client.edits, ...server.edits].map(edit => edit.path.join('.')),
  )
  if (override !== undefined) return override
  const listener = tls.options.server === 'leave' ? undefined : listenerOf(tls, settings)
  if (listener !== undefined && 'kind' in listener) return listener
  return { kind: 'parts', version, settings, directory, client, server, listener }
}

// A reload with a variable that the process does not have ends it.
function hasAllVariables(settings: FlatSettings, seen: Seen, context: DriverContext): boolean {
  const text = JSON.stringify(settings.leaves)
  return [...text.matchAll(/\$\{(\w+)\}/g)].every(
    ([, name = '']) => settingOf(name, seen, context) !== undefined,
  )
}

// What runs, and with which file

function programOf(seen: Seen): string | undefined {
  const [program] = seen.unit.execStart
  return program?.startsWith('/') === true && program.endsWith('/kibana') ? program : undefined
}

// `bin/kibana` starts node; its package.json is read in place of running it. As the service sees it.
function packagePath(program: string): string {
  return `${directoryOf(directoryOf(program))}/package.json`
}

function versionOf(program: string, seen: Seen, context: DriverContext): Version | undefined {
  const file = seen.file(logicalPath(packagePath(program), context))
  const match = file?.kind === 'text' ? /"version"\s*:\s*"([^"]+)"/.exec(file.text) : null
  return match?.[1] === undefined ? undefined : parseVersion(match[1])
}

function configDirectory(seen: Seen, context: DriverContext): string {
  const path = settingOf('KBN_PATH_CONF', seen, context)?.value ?? ''
  return path.startsWith('/') ? logicalPath(path, context) : DEFAULT_CONFIG_DIRECTORY
}

// With several files the later one wins, key by key: which of them to edit cannot be told.
function configPath(seen: Seen, directory: string, context: DriverContext): string | Refusal {
  const words = seen.unit.execStart.slice(1)
  const paths = words.flatMap((word, index) => {
    const inline = /^(?:-c|--config)=(.+)$/.exec(word)?.[1]
    if (inline !== undefined) return [inline]
    return word === '-c' || word === '--config' ? [words[index + 1] ?? ''] : []
  })
  const [path = `${directory}/kibana.yml`, ...more] = paths
  if (more.length > 0 || !path.startsWith('/'))
    return refusal(
      'command-line-unclear',
      `kibana is started with the configuration files ${paths.join(', ')}; one with an absolute path can be managed`,
    )
  return logicalPath(path, context)
}

function listenerOf(tls: Intent, settings: FlatSettings): ListenerIntent | Refusal {
  const host = settings.text('server.host') ?? 'localhost'
  const port = Number(settings.value('server.port') ?? DEFAULT_PORT)
  if (!Number.isInteger(port) || host.includes('$'))
    return refusal(
      'listen-address-unclear',
      `server.host and server.port of ${settings.path} hold variables`,
    )
  const serverName = primaryName(tls.certificate.names)
  if (serverName === undefined)
    return refusal('names-missing', 'the certificate is to have no name')
  const scheme = tls.tls === 'on' ? 'https' : 'http'
  const base =
    settings.value('server.rewriteBasePath') === true ? settings.text('server.basePath') : ''
  return {
    name: `${scheme} ${host}:${port}`,
    host: connectHost(host),
    port,
    serverName,
    healthPath: `${base ?? ''}${STATUS_PATH}`,
    // 503: it serves, but does not reach Elasticsearch, which is another's change to finish.
    healthyStatuses: [200, 401, 503],
    clientCertificate: tls.tls === 'on' && tls.clientAuth === 'required',
    scheme,
    advise: ({ status }) =>
      status === 503
        ? [because('kibana-unavailable', 'kibana answers, but does not reach Elasticsearch')]
        : [],
  }
}
