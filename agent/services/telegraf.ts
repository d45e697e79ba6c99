// Telegraf: its connections to InfluxDB.

import { sha256 } from '../../shared/digest.ts'
import type { Reason } from '../../shared/contract/schema.ts'
import type { ServiceTlsOf } from '../../shared/contract/service.ts'
import { environmentInputs, settingOf } from './command-line.ts'
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
  type Validator,
} from './service.ts'
import { optionNames } from './telegraf/options.ts'
import { outputsIn, type Outputs } from './telegraf/outputs.ts'
import { placeOf, type TelegrafPlace } from './telegraf/place.ts'
import { variableFiles } from './telegraf/variables.ts'
import { upstreamIntents, upstreamTrustFile } from './upstream-urls.ts'
import { isAtLeast, noVersion, versionIn, type Version } from './version.ts'
import { UNITS } from './units.ts'

export const telegraf: Driver<'telegraf'> = {
  service: 'telegraf',
  units: UNITS.telegraf,
  inputs,
  compile,
}

type Intent = ServiceTlsOf<'telegraf'>

const DIRECTORY = '/etc/telegraf/tls'
const TRUST_FILE = `${DIRECTORY}/upstream-ca.pem`
const VERSION = /\bTelegraf (v?\d+\.\d+\.\d+[^\s,()]*)/
const CHECKS_SINCE = '1.32.0'
const STRICT_SINCE = '1.38.0'
const CHECK_TIMEOUT_MS = 60_000
const INFLUXDB_PORT = 8086

function inputs(seen: Seen, context: DriverContext): readonly Input[] {
  const wanted: Input[] = [...environmentInputs(seen, context)]
  const place = placeOf(seen, context)
  if (place.kind === 'refusal') return wanted
  return [
    ...wanted,
    versionInput(place),
    ...place.directories.map((path): Input => ({ kind: 'directory', path })),
    ...place.files.map((path): Input => ({ kind: 'file', path })),
    { kind: 'file', path: TRUST_FILE },
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
  const { files, trust, isVerifying } = parts
  const outputs = files.map(file => file.outputs)
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
        ...files.flatMap(file => configIntent(file, isVerifying)),
        ...parts.environment,
      ],
      keystores: [],
      tools: [],
      validators: validatorsFor(parts, place, seen),
      loads: loadsFor(parts, place, seen),
      listeners: [],
      upstreams: isInsecure(tls)
        ? []
        : upstreamIntents(
            outputs.flatMap(({ urls }) => urls),
            INFLUXDB_PORT,
            trust === undefined ? [] : tls.upstreamTrust,
          ),
      notices: outputs.flatMap(({ notices }) => notices),
    },
  }
}

interface ConfigFile {
  readonly path: string
  readonly outputs: Outputs
}

interface Parts {
  readonly kind: 'parts'
  readonly version: Version
  readonly files: readonly ConfigFile[]
  readonly environment: readonly FileIntent[]
  readonly trust: FileIntent | undefined
  readonly isVerifying: boolean
}

function partsFor(
  tls: Intent,
  place: TelegrafPlace,
  version: Version | undefined,
  seen: Seen,
  context: DriverContext,
): Parts | Refusal {
  if (version === undefined) return noVersion(versionInput(place), seen)
  if (version.major !== 1)
    return refusal('version-unsupported', `telegraf ${version.text} is not of the 1.x line`)
  const hasTrust = tls.upstreamTrust.length > 0 && !isInsecure(tls)
  const files: ConfigFile[] = []
  for (const path of place.files) {
    const outputs = outputsIn({
      path,
      file: seen.file(path),
      upstreams: tls.upstreams,
      names: optionNames(version),
      trusted: hasTrust ? context.servicePath(TRUST_FILE) : undefined,
      isInsecure: isInsecure(tls),
      variable: name => settingOf(name, seen, context)?.value,
    })
    if (outputs.kind === 'refusal') return outputs
    files.push({ path, outputs })
  }
  const variables = new Map(files.flatMap(({ outputs }) => [...outputs.variables]))
  const environment = variableFiles(variables, seen, context)
  if ('kind' in environment) return environment
  const isVerifying = files.some(({ outputs }) => outputs.isVerifying)
  return {
    kind: 'parts',
    version,
    files,
    environment,
    trust: isVerifying && hasTrust ? upstreamTrustFile(TRUST_FILE, tls.upstreamTrust) : undefined,
    isVerifying,
  }
}

function isInsecure({ options }: Intent): boolean {
  return options.verification === 'insecure'
}

function versionInput({ program }: TelegrafPlace): Input & { readonly kind: 'command' } {
  return { kind: 'command', argv: [program, 'version'], asService: true, dependsOn: [program] }
}

function configIntent({ path, outputs }: ConfigFile, isVerifying: boolean): readonly FileIntent[] {
  if (outputs.edits.length === 0) return []
  return [
    {
      kind: 'config',
      path,
      format: 'toml-variables',
      edits: outputs.edits,
      reason: reasonFor(path, outputs, isVerifying),
      createMode: undefined,
    },
  ]
}

function reasonFor(path: string, outputs: Outputs, isVerifying: boolean): Reason {
  if (outputs.hasOldNames)
    return because(
      'guide-option-names',
      `${path} has TLS options under names that this version refuses`,
    )
  if (outputs.hasOtherTrust)
    return because('trust-path-replaced', `${path} trusts a file that is not kept up to date`)
  return isVerifying
    ? because('upstream-tls', `the servers that ${path} writes to speak TLS`)
    : because('upstream-plaintext', `the servers that ${path} writes to speak plaintext`)
}

// All files in one call, each where it is prepared: a directory would be read with the old ones.
function validatorsFor(
  { version, environment, trust }: Parts,
  place: TelegrafPlace,
  seen: Seen,
): readonly Validator[] {
  // It would read the variables of before.
  if (!isAtLeast(version, CHECKS_SINCE) || environment.length > 0) return []
  // It opens the CA file under its final name, which at first is yet to come.
  if (trust !== undefined && seen.file(TRUST_FILE)?.kind !== 'text') return []
  const files = place.files.flatMap(path => ['--config', `${STAGED_TOKEN}${path}`])
  // The checker is not strict by itself, although the start is.
  const isStrict = isAtLeast(version, STRICT_SINCE) && !place.isNonStrict
  const strict = isStrict ? ['--strict-env-handling'] : []
  return [
    {
      argv: [place.program, 'config', 'check', ...strict, ...files],
      timeoutMs: CHECK_TIMEOUT_MS,
      what: 'telegraf accepts the configuration',
    },
  ]
}

function environmentLoad(variables: readonly object[]): LoadIntent {
  return {
    name: 'environment',
    value: sha256(JSON.stringify(variables)),
    activation: 'restart',
    provenBy: 'ledger',
    reason: because('environment-loaded', 'variables are read when the process starts'),
  }
}

// A reload is a stop and a start inside of the process, which also reads the CA file again; only the
// environment belongs to the process (4(d)).
function loadsFor(
  { files, trust, environment }: Parts,
  { isWatching }: TelegrafPlace,
  seen: Seen,
): readonly LoadIntent[] {
  const reload = seen.unit.canReload ? 'reload' : 'restart'
  const trustText = trust?.kind === 'content' ? (trust.text ?? '') : ''
  const edits = files.map(({ outputs }) => outputs.edits)
  const variables = environment.map(file => (file.kind === 'environment' ? file.edits : []))
  return [
    {
      name: 'outputs',
      value: sha256(JSON.stringify(edits)),
      activation: isWatching ? 'none' : reload,
      provenBy: 'ledger',
      reason: because('outputs-loaded', 'telegraf reads its files when it is reloaded'),
    },
    {
      name: 'trust',
      value: sha256(trustText),
      activation: reload,
      provenBy: 'ledger',
      reason: because('outputs-loaded', 'telegraf reads CA files when it is reloaded'),
    },
    ...(variables.length === 0 ? [] : [environmentLoad(variables)]),
  ]
}
