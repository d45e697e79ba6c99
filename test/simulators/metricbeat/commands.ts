// Sub-commands of metricbeat that end: tests, modules, keystore, export, setup.

import { globSync, renameSync } from 'node:fs'
import { basename, isAbsolute, join } from 'node:path'
import { connect as connectPlain } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { stringify } from 'yaml'
import { type Connection, createConnection, makeUrl } from './connection.ts'
import { type Beat, loading, loadModules, openOutput } from './load.ts'
import { collect } from './modules.ts'
import { connectionsOf, connectTo, credentialsOf } from './output.ts'
import { openTls, type Tls, tlsSettingsOf } from './tls.ts'
import { BeatError, settingsAt, textAt } from './ucfg.ts'

/** All that the start does before anything runs. */
export function testConfig(beat: Beat): void {
  openOutput(beat, () => {})
  loadModules(beat)
  print('Config OK')
}

/** Host by host; the first that fails ends it. */
export async function testOutput(beat: Beat): Promise<number> {
  const { settings, tls } = loading('Error initializing output', () => openOutput(beat, () => {}))
  for (const connection of connectionsOf(settings, tls)) {
    const failure = await testConnection(connection, tls, settings.tls?.mode ?? 'full')
    connection.close()
    if (failure !== undefined) {
      print(failure)
      return 1
    }
  }
  return 0
}

async function testConnection(
  connection: Connection,
  tls: Tls,
  mode: string,
): Promise<string | undefined> {
  const url = new URL(connection.url)
  const [host, port] = [url.hostname.replace(/^\[(.*)\]$/, '$1'), Number(url.port)]
  print(`elasticsearch: ${connection.url}...`)
  print('  parse url... OK\n  connection...\n    parse host... OK')
  const refused = await dialPlain(host, port)
  if (refused !== undefined) return `    dial up... ERROR ${refused}`
  print('    dns lookup... OK\n    dial up... OK')
  if (url.protocol === 'https:') {
    const verified = mode === 'none' ? 'disabled' : 'enabled'
    print(`  TLS...\n    security: server's certificate chain verification is ${verified}`)
    const { failure, protocol } = await shakeHands(tls, host, port)
    if (failure !== undefined) {
      // Worded by the connection, which is about to fail the same way.
      const why = await connectTo(connection).then(() => failure, messageOf)
      return `    handshake... ERROR ${why.replace(/^Get "[^"]*": /, '')}`
    }
    print(`    handshake... OK\n    TLS version: ${protocol}\n    dial up... OK`)
  } else {
    print('  TLS... WARN secure connection disabled')
  }
  try {
    const version = await connectTo(connection)
    print(`  talk to server... OK\n  version: ${version}`)
    return undefined
  } catch (error) {
    return `  talk to server... ERROR ${messageOf(error)}`
  }
}

function dialPlain(host: string, port: number): Promise<string | undefined> {
  return new Promise(resolve => {
    const socket = connectPlain(port, host, () => {
      socket.destroy()
      resolve(undefined)
    })
    socket.once('error', () => resolve(`dial tcp ${host}:${port}: connect: connection refused`))
  })
}

async function shakeHands(
  tls: Tls,
  host: string,
  port: number,
): Promise<{ readonly failure?: string; readonly protocol?: string }> {
  const options = await tls.connectionOptions(host, port)
  return await new Promise(resolve => {
    const socket = connectTls({ host, port, ...options })
    socket.once('secureConnect', () => {
      resolve({ protocol: socket.getProtocol() ?? '' })
      socket.destroy()
    })
    socket.once('error', error => resolve({ failure: error.message }))
  })
}

/** What a module cannot do is said, and is no failure of the command. */
export async function testModules(beat: Beat, only: readonly string[]): Promise<void> {
  for (const module of loadModules(beat).modules) {
    if (only.length > 0 && !only.includes(module.name)) continue
    print(`${module.name}...`)
    for (const body of await collect(module)) {
      const event = JSON.stringify(body)
      const problem = /"error":\{"message":"((?:\\.|[^"])*)"/.exec(event)?.[1]
      if (problem === undefined) print(`  ${module.metricsets[0]}...OK\n    result: ${event}`)
      else print(`  ${module.metricsets[0]}...\n    error... ERROR ${problem}`)
    }
    for (const connection of module.connections) connection.close()
  }
}

interface ModuleEntry {
  readonly name: string
  readonly path: string
  readonly enabled: boolean
}

const DISABLED = '.disabled'

export function manageModules(beat: Beat, [verb = '', ...names]: readonly string[]): number {
  const entries = moduleEntries(beat)
  switch (verb) {
    case 'list': {
      const listed = (enabled: boolean) =>
        entries.filter(entry => entry.enabled === enabled).map(({ name }) => `${name}\n`)
      process.stdout.write(
        `Enabled:\n${listed(true).join('')}\nDisabled:\n${listed(false).join('')}`,
      )
      return 0
    }
    case 'enable':
    case 'disable': {
      for (const name of names) {
        // Enabled ones come first: of a module with both files, that one counts.
        const entry = entries.find(found => found.name === name)
        if (entry === undefined) {
          process.stdout.write(`Module ${name} doesn't exist!\n`)
          return 1
        }
        if (entry.enabled === (verb === 'enable')) print(`Module ${name} is already ${verb}d`)
        else if (verb === 'enable') move(entry.path, entry.path.slice(0, -DISABLED.length))
        else move(entry.path, entry.path + DISABLED)
        if (entry.enabled !== (verb === 'enable'))
          print(`${verb === 'enable' ? 'En' : 'Dis'}abled ${name}`)
      }
      return 0
    }
    default:
      throw new BeatError(`unknown command "${verb}" for "metricbeat modules"`)
  }
}

function move(from: string, to: string): void {
  renameSync(from, to)
}

function moduleEntries({ settings, flags }: Beat): readonly ModuleEntry[] {
  const glob = textAt(settings, 'metricbeat.config.modules.path')
  const where = 'Error in modules manager'
  if (glob === undefined) {
    throw new BeatError(
      `${where}: modules management requires 'metricbeat.config.modules.path' setting`,
    )
  }
  if (!glob.endsWith('*.yml')) {
    const got = `it is expected to end with *.yml. Got: ${glob}`
    throw new BeatError(`${where}: wrong settings for config.modules.path, ${got}`)
  }
  const pattern = isAbsolute(glob) ? glob : join(flags.paths.config, glob)
  const found = (suffix: string) =>
    globSync(pattern + suffix)
      .toSorted()
      .map(path => ({
        name: basename(path).slice(0, -`.yml${suffix}`.length),
        path,
        enabled: suffix === '',
      }))
  return [...found(''), ...found(DISABLED)]
}

/** Secrets included. */
export function exportConfig({ settings, expand, flags }: Beat): void {
  process.stdout.write(stringify(expand(settings, flags.configFiles[0] ?? '')))
}

/** Elasticsearch and Kibana must answer; nothing is put there. */
export async function setup(beat: Beat): Promise<void> {
  const { settings: output, tls } = openOutput(beat, () => {})
  const errors: string[] = []
  for (const connection of connectionsOf(output, tls)) {
    const error = await connectTo(connection).then(() => undefined, messageOf)
    connection.close()
    if (error === undefined) break
    errors.push(`error connecting to Elasticsearch at ${connection.url}: ${error}`)
  }
  if (errors.length === output.urls.length) {
    const what = "couldn't connect to any of the configured Elasticsearch hosts"
    throw new BeatError(`${what}. Errors: [${errors.join(' ')}]`)
  }
  print('Index setup finished.\nLoading dashboards (Kibana must be running and reachable)')
  const kibana = settingsAt(beat.settings, 'setup.kibana')
  const own = credentialsOf(kibana)
  const url = makeUrl(
    textAt(kibana, 'host') ?? 'localhost',
    textAt(kibana, 'protocol') ?? 'http',
    textAt(kibana, 'path') ?? '',
    5601,
  )
  const trust = loading('error importing Kibana dashboards', () =>
    openTls(tlsSettingsOf(kibana, beat.options)),
  )
  const credentials = own.username === undefined ? output.credentials : own
  const connection = createConnection({ url, credentials, timeoutMs: 90_000 }, trust)
  try {
    await connection.request('GET', '/api/status')
  } catch (error) {
    const why = `HTTP GET request to ${url}/api/status fails: ${messageOf(error)}`
    throw new BeatError(`error connecting to Kibana: fail to get the Kibana version: ${why}`)
  } finally {
    connection.close()
  }
  print('Loaded dashboards')
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

function print(text: string): void {
  process.stdout.write(`${text}\n`)
}
