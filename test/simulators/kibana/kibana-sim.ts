// A stand-in for Kibana of the version that SIM_VERSION names: its configuration and keystore, its TLS
// listener, its connection to Elasticsearch, and what SIGHUP does to it. There is nothing behind it.

import { createServer as createHttpServer, type Server as HttpServer } from 'node:http'
import { createSecureServer, type Http2SecureServer } from 'node:http2'
import { createServer as createHttpsServer, type Server as HttpsServer } from 'node:https'
import { join } from 'node:path'
import { isAtLeast } from '../version.ts'
import { createElasticsearch, watchHealth } from './elasticsearch.ts'
import { KibanaFailure } from './failure.ts'
import { keystorePath, readKeystore } from './keystore.ts'
import { readRawConfig } from './raw-config.ts'
import { type Kibana, type Request, type Response, respond } from './routes.ts'
import { validateConfig } from './schema.ts'
import { type Settings, settingsOf } from './settings.ts'
import { clientOptions, readSslFiles, serverContext, type SslFiles } from './ssl-files.ts'

const version = process.env['SIM_VERSION'] ?? '8.15.0'
/** From here on SIGHUP reaches server.ssl. */
const RELOADS_TLS_SINCE = '8.11.2'

interface Arguments {
  readonly files: readonly string[]
  readonly overrides: Readonly<Record<string, string>>
}

function main(): void {
  const args = parseArguments(process.argv.slice(2))
  // Read once: what is added to it later is seen by the next start.
  const keystore = readKeystore(keystorePath(process.env), process.env)
  const read = () => {
    const raw = readRawConfig({ ...args, keystore, env: process.env, version })
    return () => {
      validateConfig(raw)
      const settings = settingsOf(raw, version)
      return { settings, files: readSslFiles(settings.ssl) }
    }
  }
  const { settings, files } = read()()
  log('INFO ', 'root', 'Kibana is starting')
  const elasticsearchFiles = readSslFiles(settings.elasticsearch.ssl)
  if (settings.monitoringSsl !== undefined) readSslFiles(settings.monitoringSsl)
  const { elasticsearch: target } = settings

  let ready = false
  let problem: string | undefined = 'Waiting for Elasticsearch'
  const elasticsearch = createElasticsearch(target, clientOptions(target, elasticsearchFiles))
  const kibana: Kibana = {
    version,
    settings,
    elasticsearch,
    isReady: () => ready,
    problem: () => problem,
  }
  const server = listen(settings, files, (request, response) => {
    void respond(request, response, kibana)
  })
  if (settings.ssl.enabled) redirect(settings)
  void watchHealth(elasticsearch, target.healthCheckMs, now => {
    problem = now
    if (now !== undefined) {
      const what = 'Unable to retrieve version information from Elasticsearch nodes.'
      return log('ERROR', 'elasticsearch-service', `${what} ${now}`)
    }
    if (!ready) log('INFO ', 'status', 'Kibana is now available')
    else log('INFO ', 'elasticsearch-service', 'Elasticsearch is available')
    ready = true
  })

  const reload = createReload({ settings, files, server, read })
  process.on('SIGHUP', () => ending(reload))
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      log('INFO ', 'root', `${signal} received - initiating shutdown`)
      log('INFO ', 'root', 'Kibana is shutting down')
      process.exit(0)
    })
  }
}

function parseArguments(argv: readonly string[]): Arguments {
  const files: string[] = []
  const overrides: Record<string, string> = {}
  for (let i = 0; i < argv.length; i++) {
    const [flag = '', ...rest] = (argv[i] ?? '').split('=')
    if (flag === '-c' || flag === '--config') files.push(rest.join('=') || (argv[++i] ?? ''))
    else if (flag.startsWith('--') && flag.includes('.')) overrides[flag.slice(2)] = rest.join('=')
    else if (flag !== '--allow-root') throw new KibanaFailure(`unknown option ${flag}`, 64)
  }
  const byDefault = join(process.env['KBN_PATH_CONF'] ?? '/etc/kibana', 'kibana.yml')
  return { files: files.length === 0 ? [byDefault] : files, overrides }
}

type Listener =
  | { readonly secure: false; readonly server: HttpServer }
  | { readonly secure: true; readonly server: HttpsServer | Http2SecureServer }

/** Whether there is TLS is decided here, once. Throws for a pair that does not match. */
function listen(
  settings: Settings,
  files: SslFiles,
  handle: (request: Request, response: Response) => void,
): Listener {
  const { ssl, host, port } = settings
  const listener = createListener()
  listener.server.on('error', error => {
    const taken = 'code' in error && error.code === 'EADDRINUSE'
    const why = `Port ${port} is already in use. Another instance of Kibana may be running!`
    fatal(taken ? new KibanaFailure(why) : error)
  })
  listener.server.listen(port, host, () => {
    const url = `${ssl.enabled ? 'https' : 'http'}://${host}:${port}`
    log('INFO ', 'http.server.Preboot', `http server running at ${url}`)
  })
  return listener

  function createListener(): Listener {
    if (!ssl.enabled) return { secure: false, server: createHttpServer(handle) }
    const options = {
      ...serverContext(ssl, files),
      requestCert: ssl.clientAuthentication !== 'none',
      rejectUnauthorized: ssl.clientAuthentication === 'required',
    }
    const server = settings.http2
      ? createSecureServer({ ...options, allowHTTP1: true }, handle)
      : createHttpsServer(options, handle)
    return { secure: true, server }
  }
}

/** Plain requests to another port are sent to this one. */
function redirect({ ssl, host, port }: Settings): void {
  if (ssl.redirectHttpFromPort === undefined) return
  const server = createHttpServer((request, response) => {
    const name = (request.headers.host ?? host).replace(/:\d+$/, '')
    const location = `https://${name}:${port}${request.url ?? '/'}`
    response.writeHead(302, { location }).end()
  })
  server.on('error', fatal)
  server.listen(ssl.redirectHttpFromPort, host)
}

interface Loaded {
  readonly settings: Settings
  readonly files: SslFiles
}

/** What throws here ends Kibana: YAML by its own decision, the rest because nobody catches it (inferred). */
function createReload({
  settings,
  files,
  server: listener,
  read,
}: Loaded & { readonly server: Listener; readonly read: () => () => Loaded }): () => void {
  let loaded: Loaded = { settings, files }
  return () => {
    const reason = '(reason: SIGHUP signal received).'
    log('INFO ', 'cli', `Reloading Kibana configuration ${reason}`)
    const evaluate = read()
    if (isAtLeast(version, RELOADS_TLS_SINCE)) {
      const next = evaluate()
      // Kibana does not look at it where TLS was off at the start: turning it on is not even logged.
      if (listener.secure) apply(next, listener.server)
      loaded = next
    }
    log('INFO ', 'cli', `Reloaded Kibana configuration ${reason}`)
  }

  function apply(next: Loaded, server: HttpsServer | Http2SecureServer): void {
    if (next.settings.ssl.enabled !== loaded.settings.ssl.enabled) {
      const what = 'Incompatible TLS config change detected'
      log(
        'WARN ',
        'http.server.Kibana',
        `${what} - TLS cannot be toggled without a full server reboot.`,
      )
      return
    }
    const before = JSON.stringify([loaded.settings.ssl, loaded.files])
    if (JSON.stringify([next.settings.ssl, next.files]) === before) return
    const what = 'TLS configuration change detected - reloading TLS configuration.'
    log('INFO ', 'http.server.Kibana', what)
    // For new connections only.
    server.setSecureContext(serverContext(next.settings.ssl, next.files))
  }
}

function ending(run: () => void): void {
  try {
    run()
  } catch (error) {
    fatal(error)
  }
}

function fatal(error: unknown): never {
  log('INFO ', 'root', 'Kibana is shutting down')
  const message = error instanceof Error ? error.message : String(error)
  log('FATAL', 'root', `Reason: ${message}`)
  process.stderr.write(`\n FATAL  Error: ${message}\n\n`)
  process.exit(error instanceof KibanaFailure ? error.exitCode : 1)
}

function log(level: string, logger: string, message: string): void {
  process.stdout.write(
    `[${new Date().toISOString().replace('Z', '+00:00')}][${level}][${logger}] ${message}\n`,
  )
}

ending(main)
