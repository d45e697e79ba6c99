#!/usr/bin/env node
// `tlsfleet-controller`: init, serve, token, backup, restore, ca, openapi.

import '../shared/node-version.ts'
import { randomBytes } from 'node:crypto'
import { existsSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { parseDuration } from '../shared/duration.ts'
import { describeError, OperationalError } from '../shared/errors.ts'
import { createLogger } from '../shared/log.ts'
import { parseZones } from '../shared/pki/zones.ts'
import { describeOperatorApi } from './api/describe.ts'
import { runBackup, runCheck, runRestore } from './backup/commands.ts'
import { backupText, restoredText } from './backup/text.ts'
import {
  configText,
  type ControllerSettings,
  DATA_DIR_DEFAULT,
  publicUrl,
  readSettings,
} from './config.ts'
import { runCa } from './ca-commands.ts'
import { processTerminal } from './cli/output.ts'
import { createController } from './controller.ts'
import { addCredential } from './credentials.ts'
import { initController } from './init.ts'
import { passphrasePath, readOrMakePassphrase, readPassphrase } from './passphrase.ts'
import { rootPassphrase } from './root-passphrase.ts'
import { tellServiceManager } from './service-manager.ts'
import { ROLES } from './store/operators-store.ts'
import { VERSION } from './version.ts'

export const HELP = `tlsfleet-controller ${VERSION}: keeps the desired TLS state of a fleet and issues its certificates

usage
  tlsfleet-controller init --fleet NAME [--public-name NAME]…   make a data directory, CAs and an admin token
  tlsfleet-controller serve                                      run the controller
  tlsfleet-controller token NAME --role ROLE                     make another API token; the controller must be stopped
  tlsfleet-controller backup --out FILE                          back up to a new file, also while it runs
  tlsfleet-controller backup --check FILE                        is a backup whole, can it be restored?
  tlsfleet-controller restore --from FILE                        a new data directory from a backup
  tlsfleet-controller ca intermediate [--kind KIND]              another intermediate under the same root; the
                                                                 controller must be stopped
  tlsfleet-controller ca request --out FILE [--kind KIND]        ask for one where the roots are kept offline
  tlsfleet-controller ca sign --root DIR --request FILE --out FILE   there: sign it; needs no controller
  tlsfleet-controller ca import FILE                             take the answer
  tlsfleet-controller ca root --root DIR --fleet NAME            there: a new root, for a rotation
  tlsfleet-controller ca passphrase --new-passphrase-file FILE   seal all keys with another passphrase; the
                                                                 controller must be stopped
  tlsfleet-controller openapi                                    print the description of the operator API

options of init, serve, token, backup and restore
  --data-dir DIR           where everything is kept (${DATA_DIR_DEFAULT})
  --config FILE            settings (controller.toml in the data directory)
  --public-name NAME       DNS name or IP address that nodes and operators use; repeat for more,
                           the first one is in URLs (this machine's name)
  --listen-operator ADDR   operators and the tlsfleet command (0.0.0.0:8443)
  --listen-agent ADDR      agents, with client certificates (0.0.0.0:8444)
  --listen-enroll ADDR     agents that join (0.0.0.0:8445)
  --passphrase-file FILE   seals the CA keys; else the credential ca-passphrase of systemd, else the
                           file ca-passphrase beside the data directory, which init makes
  --log-level LEVEL        debug, info, warn, error, silent (info)

options of init
  --fleet NAME             name of the fleet: lower-case letters, digits, - and .
  --token-lifetime TIME    how long the admin token is good, at most 366d (90d)
  --json                   one JSON object instead of text

options of init and ca
  --zone ZONE              the service CA signs for names in this DNS zone only; repeat for more
  --ip-range CIDR          and for addresses in this range; without one, for none
  --offline-root DIR       init: root keys go there, encrypted, and are not in the store
  --root-passphrase-file FILE   opens the root keys that are kept offline; else it is asked for
  --kind KIND              ca: service or identity (service)
  --new-passphrase-file FILE    ca passphrase: has the next one, for its owner only

options of token
  --role ROLE              viewer, operator, approver or admin
  --lifetime TIME          how long it is good, at most 366d (90d)

options of backup and restore
  --json                   one JSON object instead of text
  --above-epoch NUMBER     restore: an epoch that agents say they have seen

  -h, --help               this text
  --version                the version
`

const OPTIONS = {
  'data-dir': { type: 'string' },
  config: { type: 'string' },
  'public-name': { type: 'string', multiple: true },
  'listen-operator': { type: 'string' },
  'listen-agent': { type: 'string' },
  'listen-enroll': { type: 'string' },
  'passphrase-file': { type: 'string' },
  'log-level': { type: 'string' },
  fleet: { type: 'string' },
  role: { type: 'string' },
  lifetime: { type: 'string' },
  'token-lifetime': { type: 'string' },
  out: { type: 'string' },
  check: { type: 'string' },
  from: { type: 'string' },
  'above-epoch': { type: 'string' },
  zone: { type: 'string', multiple: true },
  'ip-range': { type: 'string', multiple: true },
  'offline-root': { type: 'string' },
  'root-passphrase-file': { type: 'string' },
  kind: { type: 'string' },
  'new-passphrase-file': { type: 'string' },
  root: { type: 'string' },
  request: { type: 'string' },
  json: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
  version: { type: 'boolean' },
} as const

/** Standard output. */
type Print = (text: string) => void

type Values = ReturnType<typeof readArguments>['values']

/** Throws `usage`. */
export function readArguments(argv: readonly string[]) {
  try {
    return parseArgs({ args: [...argv], options: OPTIONS, allowPositionals: true })
  } catch (cause) {
    if (!(cause instanceof TypeError)) throw cause
    throw usage(cause.message)
  }
}

/** One command, to its end. Throws OperationalErrors; `usage` for what cannot be understood. */
export async function runCommand(argv: readonly string[], print: Print): Promise<void> {
  const { values, positionals } = readArguments(argv)
  const [command, ...rest] = positionals
  if (values.version === true) return print(`${VERSION}\n`)
  if (values.help === true) return print(HELP)
  if (command === undefined) throw usage(`a command is missing: ${COMMANDS}`)
  if (command === 'token') return token(values, rest, print)
  if (command === 'ca') return ca(values, rest, print)
  if (rest.length > 0) throw usage(`${rest[0]} is one argument too many`)
  switch (command) {
    case 'init':
      return init(values, print)
    case 'serve':
      return serve(values, print)
    case 'backup':
      return backup(values, print)
    case 'restore':
      return restore(values, print)
    case 'openapi':
      return print(`${JSON.stringify(await describeOperatorApi(VERSION), undefined, 2)}\n`)
    default:
      throw usage(`${command} is not a command: ${COMMANDS}`)
  }
}

const COMMANDS = 'init, serve, token, backup, restore, ca or openapi'

async function token(
  values: Values,
  [name, ...rest]: readonly string[],
  print: Print,
): Promise<void> {
  const role = ROLES.find(one => one === values.role)
  if (name === undefined || rest.length > 0 || role === undefined)
    throw usage(`token needs a name and --role ${ROLES.join('|')}`)
  const { dataDir } = settingsOf(values)
  const lifetimeMs = durationIn(values.lifetime)
  const made = await addCredential({
    dataDir,
    name,
    role,
    nowMs: Date.now(),
    random: randomBytes,
    ...(lifetimeMs === undefined ? {} : { lifetimeMs }),
  })
  print(`${made.reveal()}\n`)
}

function durationIn(text: string | undefined): number | undefined {
  const durationMs = text === undefined ? undefined : parseDuration(text)
  if (text !== undefined && durationMs === undefined)
    throw usage(`${text} is not a duration such as 30d`)
  return durationMs
}

async function ca(
  values: Values,
  [command, ...rest]: readonly string[],
  print: Print,
): Promise<void> {
  const controller = () => {
    const settings = settingsOf(values)
    const passphraseFile = passphraseOf(settings)
    const passphrase = readPassphrase(passphraseFile)
    return { dataDir: settings.dataDir, passphrase, passphraseFile }
  }
  const terminal = processTerminal()
  const edges = { controller, terminal, nowMs: Date.now(), random: randomBytes }
  print(await runCa(command, rest, values, edges))
}

function offlineRootOf(values: Values) {
  const { 'offline-root': directory, 'root-passphrase-file': file } = values
  if (directory === undefined) return undefined
  const terminal = processTerminal()
  return { directory, passphrase: () => rootPassphrase(file, terminal, { isNew: true }) }
}

async function init(values: Values, print: Print): Promise<void> {
  if (values.fleet === undefined) throw usage('init needs --fleet NAME')
  const settings = settingsOf(values)
  const path = passphraseOf(settings)
  let isNewPassphrase = false
  const made = await initController({
    dataDir: settings.dataDir,
    fleet: values.fleet,
    passphrase: () => {
      const { passphrase, isNew } = readOrMakePassphrase(path, randomBytes)
      isNewPassphrase = isNew
      return passphrase
    },
    zones: parseZones(values.zone ?? [], values['ip-range'] ?? []),
    offlineRoot: offlineRootOf(values),
    tokenLifetimeMs: durationIn(values['token-lifetime']),
    nowMs: Date.now(),
    random: randomBytes,
  })
  const configFile = values.config ?? join(settings.dataDir, 'controller.toml')
  if (!existsSync(configFile)) writeFileSync(configFile, configText(settings), { mode: 0o644 })

  const adminToken = made.adminToken.reveal()
  const adminTokenEndsAt = new Date(made.adminTokenEndsAtMs).toISOString()
  const { fleet, pin } = made
  const { dataDir } = settings
  if (values.json === true) {
    const facts = {
      fleet,
      dataDir: resolve(dataDir),
      configFile,
      passphraseFile: path,
      pin,
      rootKeys: made.rootKeys,
      adminToken,
      adminTokenEndsAt,
    }
    print(`${JSON.stringify(facts)}\n`)
    return
  }
  const url = publicUrl(settings.publicNames, settings.listen.operator.port)
  print(`The controller of fleet ${fleet} is ready in ${dataDir}.

  settings        ${configFile}
  CA passphrase   ${path}${isNewPassphrase ? ' (new)' : ''}
  CA pin          ${pin}${rootKeysText(values['offline-root'], made.rootKeys)}
  admin token     ${adminToken}   (shown this once)
  it ends         ${adminTokenEndsAt.slice(0, 10)}; before that: tlsfleet token create admin

The passphrase opens the CA keys. Keep a copy apart from the data directory; without it the CAs are
lost. With systemd, encrypt it to this machine and remove the file:
  systemd-creds encrypt --name=ca-passphrase ${path} /etc/credstore.encrypted/ca-passphrase

Next:
  tlsfleet-controller serve${values['data-dir'] === undefined ? '' : ` --data-dir ${dataDir}`}
  tlsfleet login --url ${url} --ca-pin ${pin} --token -
`)
}

function rootKeysText(directory: string | undefined, rootKeys: readonly string[]): string {
  if (directory === undefined) return ''
  return `\n  root keys       ${directory}: ${rootKeys.join(', ')}; put them away, and their passphrase elsewhere`
}

async function backup(values: Values, print: Print): Promise<void> {
  const { out, check, 'passphrase-file': passphraseFile } = values
  if ((out === undefined) === (check === undefined))
    throw usage('backup needs either --out FILE or --check FILE')
  const { dataDir } = settingsOf(values)
  const view =
    out === undefined
      ? await runCheck({ file: check ?? '', passphraseFile })
      : await runBackup({ dataDir, out, nowMs: Date.now() })
  print(values.json === true ? `${JSON.stringify(view)}\n` : backupText(view))
}

async function restore(values: Values, print: Print): Promise<void> {
  if (values.from === undefined) throw usage('restore needs --from FILE')
  const view = await runRestore({
    from: values.from,
    dataDir: values['data-dir'] ?? DATA_DIR_DEFAULT,
    passphraseFile: values['passphrase-file'],
    credentialsDirectory: process.env['CREDENTIALS_DIRECTORY'],
    aboveEpoch: values['above-epoch'],
    nowMs: Date.now(),
  })
  print(values.json === true ? `${JSON.stringify(view)}\n` : restoredText(view))
}

async function serve(values: Values, print: Print): Promise<void> {
  const settings = settingsOf(values)
  const log = createLogger({ name: 'controller', level: settings.logLevel })
  const passphrase = readPassphrase(passphraseOf(settings))
  const controller = await createController({ ...settings, passphrase, log })
  print(`operators  ${controller.urls.operator}\n`)
  print(`agents     ${controller.urls.agent}\n`)
  print(`enrolment  ${controller.urls.enroll}\n`)
  log.info({ fleet: controller.fleet, version: VERSION }, 'controller started')
  const silence = tellServiceManager({
    environment: process.env,
    failed: reason => log.warn({ reason }, 'could not tell the service manager'),
  })

  const signal = await new Promise<string>(stop => {
    for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, stop)
  })
  log.info({ signal }, 'controller stops')
  silence()
  await controller.close()
}

function settingsOf(values: Values): ControllerSettings {
  return readSettings(
    {
      config: values.config,
      dataDir: values['data-dir'],
      listenOperator: values['listen-operator'],
      listenAgent: values['listen-agent'],
      listenEnroll: values['listen-enroll'],
      publicNames: values['public-name'],
      logLevel: values['log-level'],
      passphraseFile: values['passphrase-file'],
    },
    hostname(),
  )
}

function passphraseOf({ dataDir, passphraseFile }: ControllerSettings): string {
  return passphrasePath({
    file: passphraseFile,
    credentialsDirectory: process.env['CREDENTIALS_DIRECTORY'],
    dataDir,
  })
}

function usage(message: string): OperationalError {
  return new OperationalError('usage', message, { hint: 'See tlsfleet-controller --help.' })
}

if (import.meta.main) {
  try {
    await runCommand(process.argv.slice(2), text => void process.stdout.write(text))
  } catch (error) {
    if (!(error instanceof OperationalError)) throw error
    process.stderr.write(`tlsfleet-controller: ${describeError(error)}\n`)
    if (error.hint !== undefined) process.stderr.write(`${error.hint}\n`)
    process.exitCode = error.code === 'usage' ? 2 : 1
  }
}
