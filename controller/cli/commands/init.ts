// `tlsfleet init`: a controller on this machine, and the login to it. The same as
// `tlsfleet-controller init`, but that the admin token goes into the login context and is not shown.

import { randomBytes } from 'node:crypto'
import { existsSync, writeFileSync } from 'node:fs'
import { isIPv6 } from 'node:net'
import { hostname } from 'node:os'
import { join, resolve } from 'node:path'
import { parseDuration } from '../../../shared/duration.ts'
import { OperationalError } from '../../../shared/errors.ts'
import { parseZones } from '../../../shared/pki/zones.ts'
import {
  type ControllerSettings,
  DATA_DIR_DEFAULT,
  configText,
  readSettings,
} from '../../config.ts'
import { initController } from '../../init.ts'
import { passphrasePath, readOrMakePassphrase } from '../../passphrase.ts'
import { rootPassphrase } from '../../root-passphrase.ts'
import { configPath, prepareConfig, storeContext } from '../context.ts'
import { EXIT, type ExitCode } from '../exit-codes.ts'
import { type Session, show } from '../output.ts'
import { type InitView, initText } from '../views/init.ts'

export interface InitOptions {
  readonly dir?: string
  readonly fleet: string
  readonly host?: readonly string[]
  readonly passphraseFile?: string
  readonly zone?: readonly string[]
  readonly ipRange?: readonly string[]
  readonly offlineRoot?: string
  readonly rootPassphraseFile?: string
  readonly tokenLifetime?: string
}

export async function init(session: Session, options: InitOptions): Promise<ExitCode> {
  const { fleet } = options
  const dataDir = resolve(options.dir ?? DATA_DIR_DEFAULT)
  const passphraseFile =
    options.passphraseFile === undefined ? undefined : resolve(options.passphraseFile)
  const settings = readSettings({ dataDir, publicNames: options.host, passphraseFile }, hostname())
  const url = operatorUrl(settings)
  const context = session.contextName ?? fleet
  const contexts = configPath(session.environment)
  // Before anything is made: the token is shown nowhere else, so there must be a place for it.
  checkContext(contexts, { name: context, url })

  const source = passphrasePath({
    file: settings.passphraseFile,
    credentialsDirectory: session.environment['CREDENTIALS_DIRECTORY'],
    dataDir,
  })
  const made = await initController({
    dataDir,
    fleet,
    passphrase: () => readOrMakePassphrase(source, randomBytes).passphrase,
    zones: parseZones(options.zone ?? [], options.ipRange ?? []),
    offlineRoot: offlineRootOf(session, options),
    tokenLifetimeMs: tokenLifetimeOf(options),
    nowMs: session.clock.now(),
    random: randomBytes,
  })
  storeContext(contexts, context, {
    url,
    token: made.adminToken.reveal(),
    ca: [made.identityRoot],
  })
  const configFile = join(dataDir, 'controller.toml')
  if (!existsSync(configFile)) writeFileSync(configFile, configText(settings), { mode: 0o644 })

  const view: InitView = {
    fleet,
    dataDir,
    configFile,
    passphraseFile: source,
    pin: made.pin,
    rootKeys: made.rootKeys.map(name => join(resolve(options.offlineRoot ?? ''), name)),
    url,
    context,
    loginEndsAt: new Date(made.adminTokenEndsAtMs).toISOString(),
    serve: [
      'tlsfleet-controller serve',
      ...(dataDir === DATA_DIR_DEFAULT ? [] : [`--data-dir ${dataDir}`]),
      ...(passphraseFile === undefined ? [] : [`--passphrase-file ${passphraseFile}`]),
    ].join(' '),
  }
  show(session, view, initText)
  return EXIT.ok
}

function offlineRootOf({ terminal }: Session, { offlineRoot, rootPassphraseFile }: InitOptions) {
  if (offlineRoot === undefined) return undefined
  const passphrase = () => rootPassphrase(rootPassphraseFile, terminal, { isNew: true })
  return { directory: resolve(offlineRoot), passphrase }
}

function tokenLifetimeOf({ tokenLifetime }: InitOptions): number | undefined {
  if (tokenLifetime === undefined) return undefined
  const lifetimeMs = parseDuration(tokenLifetime)
  if (lifetimeMs !== undefined) return lifetimeMs
  throw new OperationalError('usage', `could not read --token-lifetime ${tokenLifetime}`, {
    hint: 'give a time, for example --token-lifetime 30d',
  })
}

function operatorUrl({ publicNames: [name = 'localhost'], listen }: ControllerSettings): string {
  return `https://${isIPv6(name) ? `[${name}]` : name}:${listen.operator.port}`
}

function checkContext(
  path: string,
  { name, url }: { readonly name: string; readonly url: string },
): void {
  const config = prepareConfig(path)
  const other = Object.hasOwn(config.contexts, name) ? config.contexts[name] : undefined
  if (other === undefined || other.url === url) return
  throw new OperationalError('context-exists', `could not make a login context ${name}`, {
    cause: new Error(`it is the login to ${other.url}`),
    hint: 'choose another name for this one with --context, or another --fleet',
  })
}
