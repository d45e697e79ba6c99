// A stand-in for influxd of the version and build that SIM_VERSION and SIM_BUILD name: its
// configuration, its TLS listener, what SIGHUP does to it; points are counted in memory. Compared with
// the real OSS 1.6.7 in test/simulators/influxdb.test.ts.

import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { statSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { createGoServer, type GoTlsConfig, parseListenAddress } from '../go/server.ts'
import { GoError, type KeyPair, loadX509KeyPair } from '../go/x509-key-pair.ts'
import { isAtLeast } from '../version.ts'
import { type Build, type Config, formatConfig, readConfig, valueOf } from './config.ts'
import { createPoints, type Points } from './points.ts'

const version = process.env['SIM_VERSION'] ?? '1.6.7'
const build: Build = process.env['SIM_BUILD'] === 'Enterprise' ? 'Enterprise' : 'OSS'
/** From here on a certificate is read again on SIGHUP, and its files must not be too open. */
const RELOADS_SINCE = '1.12.3'
const BODY_BYTES_MAX = 25_000_000

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

/** `-config FILE`, with one or two hyphens, or INFLUXDB_CONFIG_PATH. */
function configFile(argv: readonly string[], command: string): string | undefined {
  const [flag = '', next] = argv
  if (flag === '') return process.env['INFLUXDB_CONFIG_PATH']
  const match = /^--?([\w-]+)(?:=(.*))?$/.exec(flag)
  if (match?.[1] === 'config') return match[2] ?? next
  const problem = `flag provided but not defined: -${match?.[1] ?? flag}`
  process.stderr.write(`${problem}\n${command}: ${problem}\n`)
  process.exit(1)
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
  // Before the handler below is set, and below 1.12.3 always, SIGHUP ends the process by its signal.
  log('info', 'Open store (start)', { service: 'store' })
  await sleep(Number(process.env['SIM_STORE_DELAY_MS'] ?? 0))
  log('info', 'Open store (end)', { service: 'store' })

  const secure = httpValue(config, 'https-enabled') === true
  let pair = secure ? failing('run: open server: open service', () => loadPair(config)) : undefined
  const points = createPoints()
  const server = createGoServer({
    handler: (request, response) => void answer(request, response, points),
    tls: pair === undefined ? undefined : () => tlsOf(config, pair),
    log: (message, remote) =>
      log('error', `http: TLS handshake error from ${remote}: ${message}`, {}),
  })
  server.prependListener('error', error => {
    process.stderr.write(`run: open server: open service: listen tcp: ${error.message}\n`)
    process.exit(1)
  })
  const bind = String(httpValue(config, 'bind-address'))
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
        pair = reload(file, secure)
        log('info', 'Successfully loaded TLS certificate', {})
      } catch (error) {
        log('error', 'Error reloading configuration, no changes applied', {
          error: error instanceof Error ? error.message : String(error),
        })
      }
    })
  }
  log('info', 'Listening for signals', {})
}

/** All or nothing: what throws leaves the pair that is served. */
function reload(file: string | undefined, secure: boolean): KeyPair | undefined {
  const config = load(file)
  if ((httpValue(config, 'https-enabled') === true) !== secure) {
    throw new GoError('httpd: can not change https-enabled on a running server')
  }
  if (!secure) return undefined
  try {
    return loadPair(config)
  } catch (error) {
    const paths = ['https-certificate', 'https-private-key'].map(key =>
      JSON.stringify(httpValue(config, key)),
    )
    const why = error instanceof Error ? error.message : String(error)
    throw new GoError(`httpd: error loading certificate at (${paths.join(', ')}): ${why}`)
  }
}

function loadPair(config: Config): KeyPair {
  const certFile = String(httpValue(config, 'https-certificate'))
  // An empty key setting: the key is in the file of the certificate.
  const keyFile = String(httpValue(config, 'https-private-key') || certFile)
  if (!isAtLeast(version, RELOADS_SINCE)) return loadX509KeyPair(certFile, keyFile)
  if (httpValue(config, 'https-insecure-certificate') !== true) {
    checkMode(certFile, 0o644)
    checkMode(keyFile, 0o600)
  }
  try {
    return loadX509KeyPair(certFile, keyFile)
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw new GoError(
      `error loading x509 key pair (${JSON.stringify(certFile)} / ${JSON.stringify(keyFile)}): ${why}`,
    )
  }
}

/** Mode bits only; the owner is not looked at. */
function checkMode(file: string, most: number): void {
  const stat = statSync(file, { throwIfNoEntry: false })
  if (stat === undefined) {
    const why = `open ${file}: no such file or directory`
    throw new GoError(`LoadCertificate: error opening ${JSON.stringify(file)} for reading: ${why}`)
  }
  const mode = stat.mode & 0o777
  if ((mode & ~most) === 0) return
  const [maximum, found] = [most, mode].map(bits => `0${bits.toString(8)}`)
  throw new GoError(
    `LoadCertificate: file permissions are too open: for ${JSON.stringify(file)}, maximum is ${maximum} but found ${found}`,
  )
}

function tlsOf(config: Config, pair: KeyPair | undefined): GoTlsConfig {
  if (pair === undefined) throw new GoError('TLS certificate is nil')
  const minVersion = VERSIONS[String(valueOf(config, 'tls', 'min-version') ?? '').toUpperCase()]
  const maxVersion = VERSIONS[String(valueOf(config, 'tls', 'max-version') ?? '').toUpperCase()]
  return {
    pair,
    clientAuth: 'NoClientCert',
    clientCa: undefined,
    // Without [tls], also TLS 1.0 is accepted.
    minVersion: minVersion ?? 'TLSv1',
    maxVersion: maxVersion ?? 'TLSv1.3',
  }
}

const VERSIONS: Readonly<Record<string, NonNullable<GoTlsConfig['minVersion']>>> = {
  'TLS1.0': 'TLSv1',
  'TLS1.1': 'TLSv1.1',
  'TLS1.2': 'TLSv1.2',
  'TLS1.3': 'TLSv1.3',
}

function httpValue(config: Config, key: string) {
  return valueOf(config, 'http', key)
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  points: Points,
): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://localhost')
  response.setHeader('X-Influxdb-Build', build)
  response.setHeader('X-Influxdb-Version', version)
  if (url.pathname === '/ping') {
    response.writeHead(204).end()
  } else if (url.pathname === '/health' && isAtLeast(version, '1.8.0')) {
    json(response, 200, {
      checks: [],
      message: 'ready for queries and writes',
      name: 'influxdb',
      status: 'pass',
      version,
    })
  } else if (url.pathname === '/write' && request.method === 'POST') {
    const error = points.write(url.searchParams.get('db') ?? '', await bodyOf(request))
    if (error === undefined) {
      response.writeHead(204).end()
    } else {
      response.setHeader('X-Influxdb-Error', error.message.replaceAll('\n', ' '))
      json(response, error.status, { error: error.message })
    }
  } else if (url.pathname === '/query') {
    const form = new URLSearchParams(request.method === 'POST' ? await bodyOf(request) : '')
    const query = url.searchParams.get('q') ?? form.get('q')
    const database = url.searchParams.get('db') ?? form.get('db') ?? ''
    if (query === null) json(response, 400, { error: 'missing required parameter "q"' })
    else
      json(response, 200, { results: [{ statement_id: 0, ...runQuery(points, database, query) }] })
  } else {
    response
      .writeHead(404, { 'Content-Type': 'text/plain; charset=utf-8' })
      .end('404 page not found\n')
  }
}

/** CREATE DATABASE, SHOW DATABASES, SELECT count(…) FROM m; nothing else. */
function runQuery(
  points: Points,
  database: string,
  query: string,
): Readonly<Record<string, unknown>> {
  const name = String.raw`"?([\w.-]+)"?`
  const created = new RegExp(`^\\s*CREATE\\s+DATABASE\\s+${name}`, 'i').exec(query)?.[1]
  if (created !== undefined) {
    points.create(created)
    return {}
  }
  if (/^\s*SHOW\s+DATABASES/i.test(query)) {
    const values = points.databases().map(found => [found])
    const series = {
      name: 'databases',
      columns: ['name'],
      ...(values.length > 0 ? { values } : {}),
    }
    return { series: [series] }
  }
  const counted = new RegExp(`^\\s*SELECT\\s+count\\(.*\\)\\s+FROM\\s+${name}`, 'i').exec(
    query,
  )?.[1]
  if (counted === undefined) return { error: 'the simulator cannot answer this query' }
  if (!points.databases().includes(database)) return { error: `database not found: ${database}` }
  const count = points.count(database, counted)
  if (count === undefined) return {}
  return {
    series: [
      { name: counted, columns: ['time', 'count'], values: [['1970-01-01T00:00:00Z', count]] },
    ],
  }
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  let body = ''
  for await (const chunk of request.setEncoding('utf8')) {
    body += String(chunk)
    if (body.length > BODY_BYTES_MAX) request.destroy()
  }
  return body
}

function json(response: ServerResponse, status: number, body: unknown): void {
  response
    .writeHead(status, { 'Content-Type': 'application/json' })
    .end(`${JSON.stringify(body)}\n`)
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
