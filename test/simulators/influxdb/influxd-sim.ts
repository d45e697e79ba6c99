// A stand-in for influxd of the version and build that SIM_VERSION and SIM_BUILD name: its
// configuration, its listeners, what SIGHUP does to it; points are counted. Compared with the real OSS
// 1.6.7 in test/simulators/influxdb.test.ts; what only an Enterprise data node does is in cluster.ts.

import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { createGoServer, parseListenAddress } from '../go/server.ts'
import { textOf } from '../go/toml-config.ts'
import { GoError, type KeyPair } from '../go/x509-key-pair.ts'
import { isAtLeast } from '../version.ts'
import { type DataNode, startDataNode } from './cluster.ts'
import { type Build, type Config, formatConfig, readConfig, valueOf } from './config.ts'
import { answer, type Store } from './http-api.ts'
import { clientSettings, loadPair, RELOADS_SINCE, versionLimits } from './listener.ts'
import { openPoints, type Points } from './points.ts'

const version = process.env['SIM_VERSION'] ?? '1.6.7'
const build: Build = process.env['SIM_BUILD'] === 'Enterprise' ? 'Enterprise' : 'OSS'
/** From here on SIGHUP does not end an Enterprise data node; certificates are another matter. */
const ENTERPRISE_HANDLES_SIGHUP_SINCE = '1.8.0'

async function main(argv: readonly string[]): Promise<void> {
  const [first = ''] = argv
  const command = first.startsWith('-') || first === '' ? 'run' : first
  const rest = command === first ? argv.slice(1) : argv
  switch (command) {
    case 'version':
      process.stdout.write(`InfluxDB v${version} (git: unknown unknown)\n`)
      return
    case 'config':
      return printConfig(configFile(rest, 'config'))
    case 'run':
      return await run(configFile(rest, 'run'))
    default:
      process.stderr.write(`unknown command "${command}"\nRun 'influxd help' for usage\n\n\n`)
      process.exit(1)
  }
}

/** `-config FILE`, with one or two hyphens, or one of the usual places. */
function configFile(argv: readonly string[], command: string): string | undefined {
  const [flag = '', next] = argv
  if (flag === '') return usualFile()
  const match = /^--?([\w-]+)(?:=(.*))?$/.exec(flag)
  if (match?.[1] === 'config') return match[2] ?? next
  const problem = `flag provided but not defined: -${match?.[1] ?? flag}`
  process.stderr.write(`${problem}\n${command}: ${problem}\n`)
  process.exit(1)
}

function usualFile(): string | undefined {
  const given = process.env['INFLUXDB_CONFIG_PATH']
  if (given !== undefined && given !== '') return given
  const places = [join(homedir(), '.influxdb/influxdb.conf'), '/etc/influxdb/influxdb.conf']
  return places.find(place => existsSync(place))
}

function printConfig(file: string | undefined): void {
  if (file !== undefined) process.stderr.write(`Merging with configuration at: ${file}\n`)
  const config = failing('config', () => load(file))
  process.stdout.write(formatConfig(config))
}

function load(file: string | undefined): Config {
  const config = readConfig(file, process.env, { version, build })
  for (const warning of config.warnings) {
    process.stderr.write(`${new Date().toISOString().slice(0, 19).replace('T', ' ')} ${warning}\n`)
  }
  return config
}

async function run(file: string | undefined): Promise<void> {
  const config = failing('run', () => load(file))
  log('info', 'InfluxDB starting', { version, branch: 'unknown' })
  // Before the handler below is set, and in old versions always, SIGHUP ends the process by its signal.
  log('info', 'Open store (start)', { service: 'store' })
  await sleep(Number(process.env['SIM_STORE_DELAY_MS'] ?? 0))
  const points = failing('run: open server', () => openPoints(textOf(config, 'data', 'dir')))
  log('info', 'Open store (end)', { service: 'store' })

  const node = build === 'Enterprise' ? await joinCluster(config, points) : undefined
  const secure = httpValue(config, 'https-enabled') === true
  let served = failing('run: open server: open service', () => loadHttp(config, secure))
  const store = node?.store ?? loneStore(points)
  const server = createGoServer({
    handler: (request, response) => void answer(request, response, { version, build, store }),
    tls: secure ? () => ({ ...served, ...versionLimits(config) }) : undefined,
    log: (message, remote) =>
      log('error', `http: TLS handshake error from ${remote}: ${message}`, {}),
  })
  server.prependListener('error', error => {
    process.stderr.write(`run: open server: open service: listen tcp: ${error.message}\n`)
    process.exit(1)
  })
  const bind = textOf(config, 'http', 'bind-address')
  const address = failing('run: open server: open service', () => parseListenAddress(bind))
  if (httpValue(config, 'enabled') === true) {
    server.listen(address.port, address.host)
    await once(server, 'listening')
    log('info', 'Listening on HTTP', { service: 'httpd', addr: bind, https: String(secure) })
  }
  process.on('SIGTERM', () => {
    log('info', 'Signal received, initializing clean shutdown...', {})
    process.exit(0)
  })
  if (isAtLeast(version, RELOADS_SINCE)) {
    process.on('SIGHUP', () => {
      try {
        served = reload(file, secure, node)
        log('info', 'Successfully loaded TLS certificate', {})
      } catch (error) {
        log('error', 'Error reloading configuration, no changes applied', {
          error: error instanceof Error ? error.message : String(error),
        })
      }
    })
  } else if (build === 'Enterprise' && isAtLeast(version, ENTERPRISE_HANDLES_SIGHUP_SINCE)) {
    process.on('SIGHUP', () => log('info', 'Reloading configuration', {}))
  }
  log('info', 'Listening for signals', {})
}

async function joinCluster(config: Config, points: Points): Promise<DataNode> {
  try {
    return await startDataNode({
      config,
      version,
      points,
      log: (level, message) => log(level, message, {}),
    })
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    process.stderr.write(`run: open server: open cluster service: ${why}\n`)
    process.exit(1)
  }
}

/** Of OSS: nobody else is asked. */
function loneStore(points: Points): Store {
  return {
    createDatabase: database => Promise.resolve(points.create(database)).then(() => undefined),
    databases: () => points.databases(),
    count: (database, measurement) => points.count(database, measurement),
    statistics: () => ({}),
    write: (database, lines) => {
      const result = points.write(database, lines)
      return Promise.resolve('message' in result ? result : undefined)
    },
  }
}

type Served = { readonly pair: KeyPair } & ReturnType<typeof clientSettings>

/** What is served from now on; nothing is read where HTTPS is off. */
function loadHttp(config: Config, secure: boolean): Served {
  if (!secure) return { ...clientSettings(config, 'http'), pair: { certPem: '', keyPem: '' } }
  return { ...clientSettings(config, 'http'), pair: loadPair(config, 'http', version) }
}

/** All or nothing: what throws leaves what is served as it is. */
function reload(file: string | undefined, secure: boolean, node: DataNode | undefined): Served {
  const config = load(file)
  if ((httpValue(config, 'https-enabled') === true) !== secure) {
    throw new GoError('httpd: can not change https-enabled on a running server')
  }
  const applyCluster = node?.prepareReload(config)
  try {
    const served = loadHttp(config, secure)
    applyCluster?.()
    return served
  } catch (error) {
    const paths = ['https-certificate', 'https-private-key'].map(key =>
      JSON.stringify(httpValue(config, key)),
    )
    const why = error instanceof Error ? error.message : String(error)
    throw new GoError(`httpd: error loading certificate at (${paths.join(', ')}): ${why}`)
  }
}

function httpValue(config: Config, key: string) {
  return valueOf(config, 'http', key)
}

/** A GoError ends the program as a Go main does: what was attempted, then why. */
function failing<T>(what: string, run: () => T): T {
  try {
    return run()
  } catch (error) {
    if (!(error instanceof GoError)) throw error
    process.stderr.write(`${what}: ${error.message}\n`)
    process.exit(1)
  }
}

function log(level: string, msg: string, fields: Readonly<Record<string, string>>): void {
  const quoted = Object.entries({ msg, ...fields }).map(([key, value]) =>
    /[\s"=]/.test(value) ? `${key}=${JSON.stringify(value)}` : `${key}=${value}`,
  )
  process.stderr.write(`ts=${new Date().toISOString()} lvl=${level} ${quoted.join(' ')}\n`)
}

await main(process.argv.slice(2))
