// A stand-in for influxd-ctl of the version that SIM_VERSION names; SIM_SHOW_LAYOUT (old, new) chooses
// how `show` looks. It ends with 1 and `Error: …` where something fails; the vendor's codes are not known.

import { createDialer, type Dialer, type GoAnswer } from '../go/dial.ts'
import { parseDurationMs } from '../go/duration.ts'
import { certificatesIn, systemRoots } from '../go/roots.ts'
import { GoError, loadX509KeyPair, readGoFile } from '../go/x509-key-pair.ts'
import { isAtLeast } from '../version.ts'
import { showTable } from './show-table.ts'
import { signToken } from './token.ts'
import { Failure, parseAs, ShowCluster, Status } from './wire.ts'

const version = process.env['SIM_VERSION'] ?? '1.11.8-c1.11.8'

/** name, whether it takes a value, first version. */
const FLAGS: readonly (readonly [string, boolean, string])[] = [
  ['bind', true, '1.0'],
  ['bind-tls', false, '1.0'],
  ['k', false, '1.0'],
  ['config', true, '1.0'],
  ['auth-type', true, '1.0'],
  ['secret', true, '1.0'],
  ['user', true, '1.0'],
  ['pwd', true, '1.0'],
  ['timeout', true, '1.12.3'],
  ['ca-cert', true, '1.13.0'],
  ['cert', true, '1.13.0'],
  ['key', true, '1.13.0'],
  ['client-cert', true, '1.13.0'],
  ['client-key', true, '1.13.0'],
  ['insecure-certificate', false, '1.13.0'],
  ['ignore-cert-sanity-checks', false, '1.13.0'],
]
const TIMEOUT_MS = 50_000
const REDIRECTS_MAX = 3

interface CommandLine {
  readonly flags: ReadonlyMap<string, string>
  readonly words: readonly string[]
}

async function main(argv: readonly string[]): Promise<void> {
  try {
    const { flags, words } = parse(argv)
    // Only that it can be read: what it would set is not documented.
    const file = flags.get('config')
    if (file !== undefined) readGoFile(file)
    await run(words, createClient(flags))
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    process.stderr.write(`Error: ${why}\n`)
    process.exitCode = 1
  }
}

/** Flags come before the command, with one hyphen or two. */
function parse(argv: readonly string[]): CommandLine {
  const known = FLAGS.filter(([, , since]) => isAtLeast(version, since))
  const flags = new Map<string, string>()
  for (let i = 0; i < argv.length; i++) {
    const word = argv[i] ?? ''
    const [, name = '', value] = /^--?([\w-]+)(?:=(.*))?$/.exec(word) ?? []
    if (name === '') return { flags, words: argv.slice(i) }
    const flag = known.find(([found]) => found === name)
    if (flag === undefined) throw new Error(`flag provided but not defined: -${name}`)
    flags.set(name, value ?? (flag[1] ? (argv[++i] ?? '') : 'true'))
  }
  return { flags, words: [] }
}

interface Client {
  get(path: string): Promise<string>
  post(path: string, addr: string): Promise<void>
}

function createClient(flags: ReadonlyMap<string, string>): Client {
  const secure = flags.get('bind-tls') === 'true'
  const base = `${secure ? 'https' : 'http'}://${flags.get('bind') ?? 'localhost:8091'}`
  const dialer = createDialer({ ...trust(flags), ...ownPair(flags) })
  const timeoutMs = parseDurationMs(flags.get('timeout') ?? '') ?? TIMEOUT_MS
  const send = async (method: string, url: string, body?: string): Promise<string> => {
    const call = { url, method, headers: credentials(flags), timeoutMs }
    const answer = await dial(dialer, body === undefined ? call : { ...call, body })
    if (answer.status === 401) {
      throw new Error(`${parseAs(Failure, answer.body)?.error ?? 'authorization failed'}.`)
    }
    if (answer.status >= 300) {
      throw new Error(parseAs(Failure, answer.body)?.error ?? answer.body.trim())
    }
    return answer.body
  }
  return {
    get: path => send('GET', `${base}${path}`),
    post: async (path, addr) =>
      void (await send('POST', `${base}${path}`, JSON.stringify({ addr }))),
  }
}

async function dial(dialer: Dialer, call: Parameters<Dialer['request']>[0]): Promise<GoAnswer> {
  const verb = call.method === 'POST' ? 'Post' : 'Get'
  let url = call.url
  try {
    for (let redirects = 0; ; redirects++) {
      const answer = await dialer.request({ ...call, url })
      const { location } = answer.headers
      if (answer.status !== 307 || location === undefined || redirects >= REDIRECTS_MAX)
        return answer
      url = location
    }
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw new Error(`${verb} ${JSON.stringify(url)}: ${why}`, { cause: error })
  } finally {
    dialer.close()
  }
}

/** `-k` counts with `-bind-tls` only, which it is without a meaning otherwise. */
function trust(flags: ReadonlyMap<string, string>) {
  const file = flags.get('ca-cert')
  return {
    insecureSkipVerify: flags.get('k') === 'true',
    roots: file === undefined ? systemRootsIfNeeded(flags) : certificatesIn(readGoFile(file)),
  }
}

function systemRootsIfNeeded(flags: ReadonlyMap<string, string>): readonly string[] {
  return flags.get('bind-tls') === 'true' && flags.get('k') !== 'true' ? systemRoots() : []
}

/** `-cert`/`-key` and `-client-cert`/`-client-key`: which is for what the manual does not say. */
function ownPair(flags: ReadonlyMap<string, string>) {
  const cert = flags.get('client-cert') ?? flags.get('cert')
  if (cert === undefined) return {}
  return { pair: loadX509KeyPair(cert, flags.get('client-key') ?? flags.get('key') ?? cert) }
}

function credentials(flags: ReadonlyMap<string, string>): Readonly<Record<string, string>> {
  const type = flags.get('auth-type') ?? 'none'
  const user = flags.get('user') ?? ''
  switch (type) {
    case 'none':
      return {}
    case 'basic': {
      const pair = Buffer.from(`${user}:${flags.get('pwd') ?? ''}`).toString('base64')
      return { Authorization: `Basic ${pair}` }
    }
    case 'jwt':
      return { Authorization: `Bearer ${signToken(flags.get('secret') ?? '', user, Date.now())}` }
    default:
      throw new GoError(`unknown auth-type ${JSON.stringify(type)}`)
  }
}

async function run(words: readonly string[], client: Client): Promise<void> {
  const [command = '', addr = ''] = words
  switch (command) {
    case 'show': {
      const cluster = parseAs(ShowCluster, await client.get('/show-cluster'))
      const status = parseAs(Status, await client.get('/status'))
      if (cluster === undefined || status === undefined) throw new Error('not a meta node')
      process.stdout.write(showTable(cluster, status, version, process.env['SIM_SHOW_LAYOUT']))
      return
    }
    case 'add-meta':
    case 'remove-meta':
    case 'add-data':
    case 'remove-data': {
      if (addr === '') throw new Error(`${command} requires an address`)
      await client.post(`/${command}`, addr)
      const [verb = '', what = ''] = command.split('-')
      const done = verb === 'add' ? 'Added' : 'Removed'
      process.stdout.write(`${done} ${what} node at ${addr}\n`)
      return
    }
    default:
      throw new Error(`unknown command ${JSON.stringify(command)}`)
  }
}

await main(process.argv.slice(2))
