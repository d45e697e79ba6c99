// A stand-in for Prometheus of the version that SIM_VERSION names: its flags, its web configuration
// (read for every connection and request, with nothing to fall back on), its self-scrape. It stores
// no samples. Compared with the real 2.42 in test/simulators/prometheus.test.ts.

import type { IncomingMessage, ServerResponse } from 'node:http'
import { resolve } from 'node:path'
import { createGoServer, parseListenAddress } from '../go/server.ts'
import { GoError } from '../go/x509-key-pair.ts'
import { type Flags, parseFlags, RepeatedFlag } from './flags.ts'
import { type Scraper, startScraping } from './scrape.ts'
import { readServerConfig } from './server-config.ts'
import { loadTls, readWebConfig, validateWebConfig } from './web-config.ts'

const version = process.env['SIM_VERSION'] ?? '2.42.0'
const USAGE = 'usage: prometheus [<flags>]\n\nThe Prometheus monitoring server\n'

function main(): void {
  const flags = readFlags(process.argv.slice(2))
  if (flags.switches.has('help')) process.stdout.write(USAGE)
  else if (flags.switches.has('version')) process.stdout.write(versionText())
  else serve(flags)
}

function readFlags(argv: readonly string[]): Flags {
  try {
    return parseFlags(argv)
  } catch (error) {
    if (!(error instanceof GoError)) throw error
    process.stderr.write(`Error parsing commandline arguments: ${error.message}\n`)
    if (error instanceof RepeatedFlag) process.stderr.write(USAGE)
    else process.stderr.write(`prometheus: error: ${error.message}\n`)
    process.exit(error instanceof RepeatedFlag ? 2 : 1)
  }
}

function versionText(): string {
  return (
    `prometheus, version ${version} (branch: simulator, revision: none)\n` +
    '  build user:       simulator\n  build date:       none\n  go version:       none\n  platform:         none\n'
  )
}

function serve(flags: Flags): void {
  const configFile = flags.values.get('config.file') ?? 'prometheus.yml'
  const webConfigFile = flags.values.get('web.config.file')
  const listen = flags.values.get('web.listen-address') ?? '0.0.0.0:9090'
  const address = failing(
    2,
    message => `parse external URL "": ${message}`,
    () => parseListenAddress(listen),
  )
  const loadConfig = () => startScraping(readServerConfig(configFile), resolve(configFile))
  let scraper = failing(
    2,
    message =>
      logLine('main.go:469', 'error', `Error loading config (--config.file=${configFile})`, {
        file: resolve(configFile),
        err: message,
      }),
    loadConfig,
  )
  log('main.go:551', 'info', 'Starting Prometheus Server', { mode: 'server', version })
  // Whether there is TLS is decided now; the files are read again for each connection.
  const secure = failing(
    1,
    message =>
      logLine('main.go:808', 'error', 'Unable to validate web configuration file', {
        err: message,
      }),
    () => {
      if (webConfigFile === undefined) return false
      validateWebConfig(webConfigFile, version)
      return readWebConfig(webConfigFile, version).tls !== undefined
    },
  )
  const reload = () => {
    try {
      const next = loadConfig()
      scraper.stop()
      scraper = next
      log('main.go:1229', 'info', 'Completed loading of configuration file', {
        filename: configFile,
      })
      return undefined
    } catch (error) {
      const err = error instanceof Error ? error.message : String(error)
      log('main.go:984', 'error', 'Error reloading config', { err })
      return err
    }
  }
  const server = createGoServer({
    handler: (request, response) => {
      if (readHeaders(webConfigFile, response)) route(request, response, { flags, reload, scraper })
    },
    tls: secure ? () => tlsNow(webConfigFile ?? '') : undefined,
    log: (msg, remote) =>
      log('stdlib.go:105', 'error', msg, {
        component: 'web',
        caller: `http: TLS handshake error from ${remote}`,
      }),
  })
  server.on('error', error => {
    log('main.go:1140', 'error', 'error starting web server', { err: error.message })
    process.exit(1)
  })
  server.listen(address.port, address.host, () => {
    const where = { component: 'web', address: listen }
    log('tls_config.go:232', 'info', 'Listening on', where)
    log('tls_config.go:235', 'info', secure ? 'TLS is enabled.' : 'TLS is disabled.', where)
    log('main.go:973', 'info', 'Server is ready to receive web requests.', {})
  })
  process.on('SIGHUP', reload)
  process.on('SIGTERM', () => {
    log('main.go:823', 'warn', 'Received SIGTERM, exiting gracefully...', {})
    process.exit(0)
  })
}

/** Throws, and with it ends the handshake, where the TLS section or its files are not in order. */
function tlsNow(file: string) {
  const { tls } = readWebConfig(file, version)
  if (tls === undefined) throw new GoError('TLS config is not present')
  return loadTls(file, tls)
}

/** The toolkit reads the file for every request, too: also on open connections, also without TLS. */
function readHeaders(file: string | undefined, response: ServerResponse): boolean {
  if (file === undefined) return true
  try {
    const config = readWebConfig(file, version)
    for (const [name, value] of Object.entries(config.headers)) response.setHeader(name, value)
    if (Object.keys(config.users).length === 0) return true
    // No password can be right here: the simulator knows no bcrypt.
    response.setHeader('WWW-Authenticate', 'Basic')
    answer(response, 401, 'Unauthorized\n')
  } catch (error) {
    log('stdlib.go:105', 'error', 'Unable to parse configuration', { err: String(error) })
    answer(response, 500, 'Internal Server Error\n')
  }
  return false
}

interface Context {
  readonly flags: Flags
  readonly reload: () => string | undefined
  readonly scraper: Scraper
}

function route(
  request: IncomingMessage,
  response: ServerResponse,
  { flags, reload, scraper }: Context,
): void {
  const path = (request.url ?? '/').replace(/\?.*/, '')
  switch (path) {
    case '/-/healthy':
      return answer(response, 200, 'Prometheus Server is Healthy.\n')
    case '/-/ready':
      return answer(response, 200, 'Prometheus Server is Ready.\n')
    case '/-/reload': {
      if (request.method !== 'POST' && request.method !== 'PUT') {
        return answer(response, 405, 'Only POST or PUT requests allowed')
      }
      if (!flags.switches.has('web.enable-lifecycle')) {
        return answer(response, 403, 'Lifecycle API is not enabled.')
      }
      const error = reload()
      return error === undefined
        ? answer(response, 200, '')
        : answer(response, 500, `failed to reload config: ${error}\n`)
    }
    case '/metrics':
      return answer(response, 200, `prometheus_build_info{version="${version}"} 1\n`)
    case '/api/v1/targets':
      return success(response, {
        activeTargets: scraper.targets().map(activeTarget),
        droppedTargets: [],
      })
    case '/api/v1/query':
      return success(response, { resultType: 'vector', result: scraper.targets().map(upSample) })
    case '/api/v1/status/buildinfo':
      return success(response, {
        version,
        revision: '',
        branch: '',
        buildUser: '',
        buildDate: '',
        goVersion: '',
      })
    default:
      return answer(response, 404, '404 page not found\n')
  }
}

function activeTarget(target: ReturnType<Scraper['targets']>[number]) {
  return {
    labels: { instance: target.address, job: target.job },
    scrapePool: target.job,
    scrapeUrl: target.scrapeUrl,
    globalUrl: target.scrapeUrl,
    lastError: target.lastError,
    lastScrape: new Date(target.lastScrapeMs ?? 0).toISOString(),
    health: target.health,
  }
}

/** Every query is taken for `up`. */
function upSample(target: ReturnType<Scraper['targets']>[number]) {
  return {
    metric: { __name__: 'up', instance: target.address, job: target.job },
    value: [Date.now() / 1000, target.health === 'up' ? '1' : '0'],
  }
}

function success(response: ServerResponse, data: unknown): void {
  response.setHeader('Content-Type', 'application/json')
  response.end(JSON.stringify({ status: 'success', data }))
}

function answer(response: ServerResponse, status: number, body: string): void {
  response.writeHead(status, { 'Content-Type': 'text/plain; charset=utf-8' })
  response.end(body)
}

/** Runs a step of the start; a GoError ends the program with `code`, after what `say` makes of it. */
function failing<T>(code: number, say: (message: string) => string, run: () => T): T {
  try {
    return run()
  } catch (error) {
    if (!(error instanceof GoError)) throw error
    process.stderr.write(`${say(error.message)}\n`)
    process.exit(code)
  }
}

function log(
  caller: string,
  level: string,
  msg: string,
  fields: Readonly<Record<string, string>>,
): void {
  process.stderr.write(`${logLine(caller, level, msg, fields)}\n`)
}

function logLine(
  caller: string,
  level: string,
  msg: string,
  fields: Readonly<Record<string, string>>,
): string {
  const quoted = Object.entries({ msg, ...fields }).map(([key, value]) =>
    /[\s"=]/.test(value) ? `${key}=${JSON.stringify(value)}` : `${key}=${value}`,
  )
  return `ts=${new Date().toISOString()} caller=${caller} level=${level} ${quoted.join(' ')}`
}

main()
