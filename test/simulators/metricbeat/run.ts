// The Beat at work: modules tick, events are numbered and queued, a worker for each host publishes them;
// files of modules and certificates are watched as far as the version and the settings say so.

import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { connectionsOf, queueSettingsOf, work } from './output.ts'
import { type Beat, loadModules, type ModuleReload, modulesOf, openOutput } from './load.ts'
import { createLog } from './log.ts'
import { collect, type Module, type ModuleFile, moduleFiles } from './modules.ts'
import { createQueue, type Queue } from './queue.ts'
import { tlsFiles, type TlsSettings } from './tls.ts'
import { BeatError, isOn, numberAt, settingsAt, textAt } from './ucfg.ts'
import { panicsAtRestart } from './versions.ts'

const NUMBERED = 'sim-sequence'
const METRICS_EVERY_MS = 30_000

export function run(beat: Beat): void {
  const log = createLog('beat')
  const tlsLog = createLog('tls')
  const output = openOutput(beat, message => tlsLog('error', message))
  const { modules, files, reload } = loadModules(beat)
  const { version } = beat.options
  const queue = createQueue({ ...output.settings, ...queueSettingsOf(beat.settings) })
  const number = createNumbering(beat.flags.paths.data)
  const agent = { name: 'sim', type: 'metricbeat', version, ephemeral_id: String(process.pid) }
  const emit = (body: Readonly<Record<string, unknown>>) => {
    // A number that is used up by an event that finds no place is missed where it should have arrived.
    const sequence = number()
    queue.offer({ sequence, body: { ...body, agent, sim: { sequence } } })
  }
  log('info', `metricbeat start running.`)

  const running = new Map<string, readonly AbortController[]>()
  running.set('', startAll(modules, emit))
  if (reload !== undefined) void watchModules(beat, { reload, files, running, emit })
  const publisher = createLog('publisher_pipeline_output')
  for (const connection of connectionsOf(output.settings, output.tls)) {
    void work(connection, queue, { settings: output.settings, log: publisher })
  }
  const { tls } = output.settings
  if (tls?.restartEveryMs !== undefined) {
    void watchCertificates(beat, tls, { everyMs: tls.restartEveryMs, queue })
  }
  report(queue)
  serveStats(beat, queue)
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
    // What is in the queue is gone with it.
    process.on(signal, () => {
      noteGone(beat.flags.paths.data, queue)
      createLog('monitoring')('info', 'Total metrics', {
        monitoring: { metrics: metricsOf(queue) },
      })
      log('info', 'metricbeat stopped.')
      process.exit(0)
    })
  }
}

/** For a test that looks for its events: a line of each stop, the last number and those that went with the queue. */
function noteGone(directory: string, queue: Queue): void {
  const line = JSON.stringify({ last: readLast(directory), gone: queue.numbers() })
  appendFileSync(join(directory, 'sim-gone'), `${line}\n`)
}

/** Goes on where the last process stopped. */
function createNumbering(directory: string): () => number {
  mkdirSync(directory, { recursive: true })
  let last = readLast(directory)
  return () => {
    last++
    writeFileSync(join(directory, NUMBERED), String(last))
    return last
  }
}

/** 0: none was numbered yet. */
function readLast(directory: string): number {
  const file = join(directory, NUMBERED)
  return existsSync(file) ? Number(readFileSync(file, 'utf8')) : 0
}

type Emit = (body: Readonly<Record<string, unknown>>) => void

function startAll(modules: readonly Module[], emit: Emit): readonly AbortController[] {
  return modules.map(module => {
    const stop = new AbortController()
    void tick(module, emit, stop.signal)
    return stop
  })
}

async function tick(module: Module, emit: Emit, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const startMs = performance.now()
    for (const body of await collect(module)) if (!signal.aborted) emit(body)
    const restMs = Math.max(0, module.periodMs - (performance.now() - startMs))
    await sleep(restMs, undefined, { signal }).catch(() => {})
  }
  for (const connection of module.connections) connection.close()
}

interface ModuleWatch {
  readonly reload: ModuleReload
  readonly files: readonly ModuleFile[]
  readonly running: Map<string, readonly AbortController[]>
  readonly emit: Emit
}

/** A file that cannot be used any more stops its modules, and is said in the log. */
async function watchModules(
  beat: Beat,
  { reload, files, running, emit }: ModuleWatch,
): Promise<void> {
  const log = createLog('reload')
  let known = JSON.stringify(files)
  for (;;) {
    await sleep(reload.everyMs)
    const now = moduleFiles(reload.glob, beat.flags.paths.config)
    if (JSON.stringify(now) === known) continue
    known = JSON.stringify(now)
    log('info', 'Loading of config files starting.')
    for (const stops of running.values()) for (const stop of stops) stop.abort()
    running.clear()
    for (const { path } of now) {
      try {
        running.set(path, startAll(modulesOf(beat, path), emit))
      } catch (error) {
        if (!(error instanceof BeatError)) throw error
        log('error', `Error loading config from file '${path}', error ${error.message}`)
      }
    }
    log('info', 'Loading of config files completed.')
  }
}

/** The process is replaced by itself: same id, same unit, empty queue. */
async function watchCertificates(
  beat: Beat,
  tls: TlsSettings,
  { everyMs, queue }: { readonly everyMs: number; readonly queue: Queue },
): Promise<void> {
  const log = createLog('output.elasticsearch')
  const paths = tlsFiles(tls)
  const times = () =>
    JSON.stringify(paths.map(path => statSync(path, { throwIfNoEntry: false })?.mtimeMs))
  const before = times()
  do {
    await sleep(everyMs)
  } while (times() === before)
  log('info', "some of 'ssl' files have changed, restarting")
  if (panicsAtRestart(beat.options.version) && isOn(beat.settings, 'seccomp.enabled', true)) {
    process.stderr.write('runtime: eventfd failed with 1\nfatal error: runtime: eventfd failed\n')
    process.exit(2)
  }
  noteGone(beat.flags.paths.data, queue)
  const argv = [process.execPath, ...process.execArgv, ...process.argv.slice(1)]
  process.execve?.(process.execPath, argv, process.env)
}

function metricsOf(queue: Queue): Readonly<Record<string, unknown>> {
  const { published, queueFull, acked, failed, dropped, retry } = queue.counters()
  return {
    libbeat: {
      output: { type: 'elasticsearch', events: { acked, failed, dropped, active: queue.size() } },
      pipeline: {
        events: { published, failed: queueFull, dropped, retry },
        queue: { filled: { events: queue.size() } },
      },
    },
  }
}

function report(queue: Queue): void {
  const log = createLog('monitoring')
  setInterval(() => {
    const metrics = metricsOf(queue)
    log('info', 'Non-zero metrics in the last 30s', { monitoring: { metrics } })
  }, METRICS_EVERY_MS)
}

/** `http.enabled: true`: GET /stats. */
function serveStats({ settings }: Beat, queue: Queue): void {
  const http = settingsAt(settings, 'http')
  if (!isOn(http, 'enabled', false)) return
  const server = createServer((request, response) => {
    const found = (request.url ?? '').startsWith('/stats')
    response.writeHead(found ? 200 : 404, { 'content-type': 'application/json' })
    response.end(JSON.stringify(found ? metricsOf(queue) : {}))
  })
  server.listen(numberAt(http, 'port') ?? 5066, textAt(http, 'host') ?? 'localhost')
}
