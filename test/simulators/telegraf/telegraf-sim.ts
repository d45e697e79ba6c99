// A stand-in for Telegraf of the version that SIM_VERSION names: its configuration, its InfluxDB outputs,
// what a reload does to it. SIM_STATUS_FILE counts the metrics, SIM_METRICS_PER_INTERVAL (1) says how
// many there are, SIM_CONNECT_RETRY_MS (15000) how long it waits before it gives up at a start.

import { execFile } from 'node:child_process'
import { appendFileSync, existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { isAtLeast } from '../version.ts'
import { createAgent, createOutputs } from './agent.ts'
import { type CommandLine, parseCommandLine, UsageError } from './command-line.ts'
import { type EnvHandling, findFiles, loadConfig, type TelegrafConfig } from './config-file.ts'
import type { Log, Output } from './output.ts'
import { ConfigError } from './plugins.ts'
import { createClient } from './client-tls.ts'
import { openStatus, type StatusFile } from './status.ts'

const version = process.env['SIM_VERSION'] ?? '1.38.0'
/** From here on variables count in strings only. */
const STRICT_SINCE = '1.38.0'
/** From here on the files of TLS are read while the configuration is. */
const EARLY_TLS_SINCE = '1.22.0'
/** From here on it tells systemd that it is ready. */
const NOTIFIES_SINCE = '1.22.0'
const WATCH_EVERY_MS = 200

let logFile = ''

const log: Log = (level, message) => {
  const line = `${new Date().toISOString().slice(0, 19)}Z ${level}! ${message}\n`
  if (logFile === '') process.stderr.write(line)
  else appendFileSync(logFile, line)
}

async function main(argv: readonly string[]): Promise<void> {
  try {
    const line = parseCommandLine(argv, version)
    switch (line.command) {
      case 'version':
        process.stdout.write(`Telegraf ${version} (git: HEAD@00000000)\n`)
        return
      case 'sample':
        process.stdout.write(readFileSync(join(import.meta.dirname, 'telegraf.conf'), 'utf8'))
        return
      case 'check':
        // Without a flag it does not handle variables as a start does, up to the newest version.
        load(line, line.env === 'strict' ? 'strict' : 'non-strict')
        return
      case 'test': {
        const { config } = load(line, handling(line))
        const agent = assemble(config, [], openStatus(undefined, version))
        for (const metric of agent.gather()) process.stdout.write(`> ${metric}\n`)
        return
      }
      case 'once': {
        const { config, outputs } = load(line, handling(line))
        const status = openStatus(process.env['SIM_STATUS_FILE'], version)
        const unsent = await assemble(config, outputs, status).once()
        for (const output of outputs) output.close()
        if (unsent > 0) throw new ConfigError(`output plugins unable to send ${unsent} metrics`)
        return
      }
      case 'run':
        return await run(line)
    }
  } catch (error) {
    if (!(error instanceof ConfigError) && !(error instanceof UsageError)) throw error
    logFile = ''
    log('E', error.message)
    process.exit(1)
  }
}

interface Loaded {
  readonly config: TelegrafConfig
  readonly outputs: readonly Output[]
}

function load(line: CommandLine, env: EnvHandling): Loaded {
  const files = findFiles(line.files, line.directories, process.env)
  for (const file of files) log('I', `Loading config: ${file}`)
  const config = loadConfig({ files, version, env, environment: process.env })
  if (isAtLeast(version, EARLY_TLS_SINCE)) {
    for (const { plugin, options } of config.outputs) {
      try {
        if (plugin.startsWith('influxdb')) createClient(options, version).close()
      } catch (error) {
        if (!(error instanceof ConfigError)) throw error
        throw new ConfigError(
          `loading config file ${files[0]} failed: error parsing ${plugin} array, ${error.message}`,
          { cause: error },
        )
      }
    }
  }
  const outputs = createOutputs(config, version, log)
  if (line.command !== 'test' && config.outputs.length === 0) {
    throw new ConfigError('no outputs found, probably invalid config file provided')
  }
  if (config.inputs.length === 0) {
    throw new ConfigError('no inputs found, probably invalid config file provided')
  }
  return { config, outputs }
}

function handling({ env }: CommandLine): EnvHandling {
  if (env !== 'default') return env
  return isAtLeast(version, STRICT_SINCE) ? 'strict' : 'non-strict'
}

function assemble(config: TelegrafConfig, outputs: readonly Output[], status: StatusFile) {
  return createAgent({
    config,
    outputs,
    version,
    status,
    log,
    random: Math.random,
    metricsPerInterval: Number(process.env['SIM_METRICS_PER_INTERVAL'] ?? 1),
    connectRetryMs: Number(process.env['SIM_CONNECT_RETRY_MS'] ?? 15_000),
  })
}

/** Until it is told to stop; a SIGHUP before it is ready ends it, as nothing handles it yet. */
async function run(line: CommandLine): Promise<void> {
  let loaded = load(line, handling(line))
  const status = openStatus(process.env['SIM_STATUS_FILE'], version)
  let round = new AbortController()
  let again = false
  const hangUp = () => {
    if (again) return
    log('I', 'Reloading Telegraf config')
    again = true
    round.abort()
  }
  const handle = () => {
    process.on('SIGHUP', hangUp)
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      process.on(signal, () => {
        again = false
        round.abort()
        stopped = true
      })
    }
  }
  let stopped = false
  if (line.pidFile !== undefined) writeFileSync(line.pidFile, `${process.pid}\n`)
  for (let first = true; ; first = false) {
    logFile = loaded.config.agent.logFile
    log('I', `Starting Telegraf ${version} brought to you by InfluxData the makers of InfluxDB`)
    log('I', `Loaded outputs: ${loaded.config.outputs.map(({ plugin }) => plugin).join(' ')}`)
    if (first) handle()
    status.status.loads++
    notifyReady()
    log('I', '[agent] Config: ready')
    const watcher = line.watch ? watch(line, hangUp) : undefined
    await assemble(loaded.config, loaded.outputs, status)
      .run(round.signal)
      .catch((error: unknown) => {
        if (!round.signal.aborted) throw inRun(error)
      })
    clearInterval(watcher)
    status.save()
    if (stopped || !again) process.exit(0)
    again = false
    round = new AbortController()
    try {
      loaded = load(line, handling(line))
    } catch (error) {
      throw inRun(error)
    }
  }
}

function inRun(error: unknown): unknown {
  return error instanceof ConfigError
    ? new ConfigError(`[telegraf] Error running agent: ${error.message}`, { cause: error })
    : error
}

/** sd_notify for Type=notify; Node has no datagram sockets of its own. */
function notifyReady(): void {
  const socket = process.env['NOTIFY_SOCKET']
  if (socket === undefined || !isAtLeast(version, NOTIFIES_SINCE)) return
  const program = existsSync('/usr/bin/systemd-notify') ? '/usr/bin/systemd-notify' : undefined
  const argv = program === undefined ? ['-MSocket', '-e', NOTIFY] : ['--ready']
  execFile(program ?? 'perl', argv, { env: { NOTIFY_SOCKET: socket, LC_ALL: 'C' } }, error => {
    if (error !== null) log('W', `sd_notify: ${error.message}`)
  })
}

const NOTIFY = `socket(S, AF_UNIX, SOCK_DGRAM, 0); ($n = $ENV{NOTIFY_SOCKET}) =~ s/^@/\\0/;
  send(S, "READY=1", 0, pack_sockaddr_un($n))`

/** --watch-config: a changed file is a reload. */
function watch(line: CommandLine, changed: () => void): NodeJS.Timeout {
  const stamp = () => {
    try {
      const files = findFiles(line.files, line.directories, process.env)
      return files.map(file => `${file} ${statSync(file).mtimeMs} ${statSync(file).ino}`).join('\n')
    } catch {
      // In the middle of a replacement.
      return ''
    }
  }
  const before = stamp()
  return setInterval(() => {
    const now = stamp()
    if (now !== '' && now !== before) changed()
  }, WATCH_EVERY_MS)
}

await main(process.argv.slice(2))
