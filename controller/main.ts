#!/usr/bin/env node
// `tlsfleet-controller`: init, serve, token, openapi.

import '../shared/node-version.ts'
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { describeError, OperationalError } from '../shared/errors.ts'
import { createLogger } from '../shared/log.ts'
import { describeOperatorApi } from './api/describe.ts'
import {
  configText,
  type ControllerSettings,
  DATA_DIR_DEFAULT,
  publicUrl,
  readSettings,
} from './config.ts'
import { createController } from './controller.ts'
import { addCredential } from './credentials.ts'
import { initController } from './init.ts'
import { passphrasePath, readOrMakePassphrase, readPassphrase } from './passphrase.ts'
import { VERSION } from './version.ts'

const HELP = `tlsfleet-controller ${VERSION}: keeps the desired TLS state of a fleet and issues its certificates

usage
  tlsfleet-controller init --fleet NAME [--public-name NAME]…   make a data directory, CAs and an admin token
  tlsfleet-controller serve                                      run the controller
  tlsfleet-controller token NAME --role ROLE                     make another API token; the controller must be stopped
  tlsfleet-controller openapi                                    print the description of the operator API

options of init, serve and token
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
  --json                   one JSON object instead of text

options of token
  --role ROLE              viewer, operator or admin

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
  json: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
  version: { type: 'boolean' },
} as const

/** Standard output. */
type Print = (text: string) => void

type Values = ReturnType<typeof readArguments>['values']

function readArguments(argv: readonly string[]) {
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
  if (rest.length > 0) throw usage(`${rest[0]} is one argument too many`)
  switch (command) {
    case 'init':
      return init(values, print)
    case 'serve':
      return serve(values, print)
    case 'openapi':
      return print(`${JSON.stringify(await describeOperatorApi(VERSION), undefined, 2)}\n`)
    default:
      throw usage(`${command} is not a command: ${COMMANDS}`)
  }
}

const COMMANDS = 'init, serve, token or openapi'

async function token(
  values: Values,
  [name, ...rest]: readonly string[],
  print: Print,
): Promise<void> {
  const role = ROLES.find(one => one === values.role)
  if (name === undefined || rest.length > 0 || role === undefined)
    throw usage(`token needs a name and --role ${ROLES.join('|')}`)
  const { dataDir } = settingsOf(values)
  const made = await addCredential({ dataDir, name, role, nowMs: Date.now(), random: randomBytes })
  print(`${made.reveal()}\n`)
}

const ROLES = ['viewer', 'operator', 'admin'] as const

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
    nowMs: Date.now(),
    random: randomBytes,
  })
  const configFile = values.config ?? join(settings.dataDir, 'controller.toml')
  if (!existsSync(configFile)) writeFileSync(configFile, configText(settings), { mode: 0o644 })

  const adminToken = made.adminToken.reveal()
  const { fleet, pin } = made
  const { dataDir } = settings
  if (values.json === true) {
    const facts = {
      fleet,
      dataDir: resolve(dataDir),
      configFile,
      passphraseFile: path,
      pin,
      adminToken,
    }
    print(`${JSON.stringify(facts)}\n`)
    return
  }
  const url = publicUrl(settings.publicNames, settings.listen.operator.port)
  print(`The controller of fleet ${fleet} is ready in ${dataDir}.

  settings        ${configFile}
  CA passphrase   ${path}${isNewPassphrase ? ' (new)' : ''}
  CA pin          ${pin}
  admin token     ${adminToken}   (shown this once)

The passphrase opens the CA keys. Keep a copy apart from the data directory; without it the CAs are
lost. With systemd, encrypt it to this machine and remove the file:
  systemd-creds encrypt --name=ca-passphrase ${path} /etc/credstore.encrypted/ca-passphrase

Next:
  tlsfleet-controller serve${values['data-dir'] === undefined ? '' : ` --data-dir ${dataDir}`}
  tlsfleet login --url ${url} --ca-pin ${pin} --token -
`)
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
  notifyReady(reason => log.warn({ reason }, 'could not tell the service manager'))

  const signal = await new Promise<string>(stop => {
    for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, stop)
  })
  log.info({ signal }, 'controller stops')
  await controller.close()
}

// Node has no datagram sockets of the unix family, so systemd's own program says it for us.
function notifyReady(failed: (reason: string) => void): void {
  const socket = process.env['NOTIFY_SOCKET']
  if (socket === undefined || socket === '') return
  const env = { NOTIFY_SOCKET: socket, LC_ALL: 'C' }
  const argv = ['--ready', `--pid=${process.pid}`]
  execFile('/usr/bin/systemd-notify', argv, { env, timeout: 5_000 }, error => {
    if (error !== null) failed(error.message)
  })
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
