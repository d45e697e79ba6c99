// Typed driver of lab.sh: several hosts with real systemd, a network of their own, and faults. One
// lab a test file, not a test: booting three nodes takes a second. The lab ends with this process.

import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { chmodSync, mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { LAB_SCRIPT } from './availability.ts'
import { describeOutcome, type Outcome, runCommand, type RunOptions } from './command.ts'

export { labUnavailable } from './availability.ts'
export { until } from './until.ts'

/** Where a node sees this checkout, read-only. */
export const PROJECT_IN_NODE = '/opt/tlsfleet'
const PROJECT = dirname(dirname(import.meta.dirname))

/**
 * Where programs of a node keep what Node has compiled of them, as NODE_COMPILE_CACHE: one directory of
 * this machine for the nodes of all labs, beside the other caches of the checkout.
 */
export const COMPILED_IN_NODE = '/var/cache/compiled'
const COMPILED = join(PROJECT, 'node_modules/.cache/compiled-in-labs')

// Booting five nodes takes two seconds; a machine with all cores busy elsewhere takes far longer.
const VERB_TIMEOUT_MS = 300_000
const EXEC_TIMEOUT_MS = 180_000
// Of one request. Who asks a node that is cut off names a shorter one.
const HTTP_TIMEOUT_MS = 30_000

export interface LabOptions {
  /** Booted as n1, n2 …; none but `ctl` when 0. */
  readonly nodes: number
  /** More read-only binds, `HOST_PATH:NODE_PATH`; the checkout is always bound. */
  readonly binds?: readonly string[]
  /** Size of a node's disk, as tmpfs takes it. */
  readonly disk?: string
}

export interface HttpRequest {
  readonly method?: string
  readonly body?: string
  readonly headers?: Readonly<Record<string, string>>
  /** Paths as the node that asks sees them. */
  readonly caFile?: string
  readonly certFile?: string
  readonly keyFile?: string
  readonly insecure?: boolean
  readonly timeoutMs?: number
}

export interface HttpAnswer {
  /** 0 where there was no answer; `error` then is what curl said. */
  readonly status: number
  readonly body: string
  readonly error: string
}

export interface SpawnOptions {
  readonly env?: NodeJS.ProcessEnv
  /** Nothing can be written to it if absent. */
  readonly stdin?: 'pipe'
}

export interface Lab {
  readonly id: string
  /** n1 …, without ctl. */
  readonly nodes: readonly string[]
  /** n1 = 10.77.0.11 …, ctl = 10.77.0.2; in the lab the names resolve. */
  address(node: string): string
  /** Runs as root in a node, or on ctl, which sees this machine's files and the lab's network. */
  exec(node: string, argv: readonly string[], options?: RunOptions): Promise<Outcome>
  /** The standard output, trimmed at its end; throws when the command fails. */
  output(node: string, argv: readonly string[], options?: RunOptions): Promise<string>
  /** A long-lived process; ends with this one at the latest. */
  spawn(node: string, argv: readonly string[], options?: SpawnOptions): ChildProcess
  http(from: string, url: string, request?: HttpRequest): Promise<HttpAnswer>
  put(file: string, node: string, path: string): Promise<void>
  get(node: string, path: string, file: string): Promise<void>
  readFile(node: string, path: string): Promise<string>
  /** Not atomic; directories are made, owner and mode as a shell of root would. */
  writeFile(node: string, path: string, contents: string): Promise<void>
  /** Drops its packets silently: all, or only those that it sends to `peer`. */
  cut(node: string, peer?: string): Promise<void>
  lag(node: string, delayMs: number, lossPercent?: number): Promise<void>
  /** Ends every cut and lag. */
  heal(): Promise<void>
  /** Power loss; the disk stays. */
  kill(node: string): Promise<void>
  start(node: string): Promise<void>
  stop(node: string): Promise<void>
  /** Every process of it hangs; TCP still connects. */
  freeze(node: string): Promise<void>
  thaw(node: string): Promise<void>
  fill(node: string): Promise<void>
  drain(node: string): Promise<void>
  readonly(node: string, directory: string): Promise<void>
  writable(node: string, directory: string): Promise<void>
  /** What each node's journal ends with, for a failed test. */
  journals(): Promise<string>
  down(): Promise<void>
}

export async function createLab({ nodes, binds = [], disk }: LabOptions): Promise<Lab> {
  const id = `t-${process.pid}-${randomBytes(3).toString('hex')}`
  const env = {
    ...process.env,
    LAB_ID: id,
    LAB_OWNER: String(process.pid),
    LAB_BIND: [`${bindable(PROJECT)}:${PROJECT_IN_NODE}`, ...binds].join('\n'),
    LAB_SHARE: `${bindable(COMPILED)}:${COMPILED_IN_NODE}`,
    ...(disk === undefined ? {} : { LAB_DISK: disk }),
  }
  const verb = async (...argv: readonly string[]): Promise<void> => {
    const options = { env, timeoutMs: VERB_TIMEOUT_MS }
    const outcome = await runCommand('bash', [LAB_SCRIPT, ...argv], options)
    if (outcome.code !== 0) throw new Error(describeOutcome(`lab.sh ${argv.join(' ')}`, outcome))
  }
  // Node keeps a directory for each user in it.
  mkdirSync(COMPILED, { recursive: true })
  chmodSync(COMPILED, 0o1777)
  await verb('up', String(nodes))

  const exec: Lab['exec'] = (node, argv, options = {}) =>
    runCommand('bash', [LAB_SCRIPT, 'exec', node, ...argv], {
      timeoutMs: EXEC_TIMEOUT_MS,
      ...options,
      env: { ...env, ...options.env },
    })
  const output: Lab['output'] = async (node, argv, options) => {
    const outcome = await exec(node, argv, options)
    if (outcome.code !== 0) throw new Error(describeOutcome(`${node}: ${argv.join(' ')}`, outcome))
    return outcome.stdout.trimEnd()
  }
  const names = Array.from({ length: nodes }, (_, index) => `n${index + 1}`)

  return {
    id,
    nodes: names,
    address: addressOf,
    exec,
    output,
    spawn: (node, argv, { env: more, stdin } = {}) =>
      spawn('bash', [LAB_SCRIPT, 'exec', node, ...argv], {
        env: { ...env, ...more },
        stdio: [stdin === 'pipe' ? 'pipe' : 'ignore', 'pipe', 'pipe'],
      }),
    http: async (from, url, request = {}) =>
      answerOf(await exec(from, curl(url, request), input(request))),
    put: (file, node, path) => verb('put', file, `${node}:${path}`),
    get: (node, path, file) => verb('get', `${node}:${path}`, file),
    readFile: async (node, path) => {
      const outcome = await exec(node, ['cat', '--', path])
      if (outcome.code !== 0) throw new Error(describeOutcome(`${node}: read ${path}`, outcome))
      return outcome.stdout
    },
    writeFile: async (node, path, contents) => {
      await output(node, ['mkdir', '-p', '--', dirname(path)])
      await output(node, ['sh', '-c', 'cat >"$1"', 'sh', path], { input: contents })
    },
    cut: (node, peer) => verb('cut', node, ...(peer === undefined ? [] : [peer])),
    lag: (node, delayMs, lossPercent = 0) =>
      verb('lag', node, String(delayMs), String(lossPercent)),
    heal: () => verb('heal'),
    kill: node => verb('kill', node),
    start: node => verb('start', node),
    stop: node => verb('stop', node),
    freeze: node => verb('freeze', node),
    thaw: node => verb('thaw', node),
    fill: node => verb('fill', node),
    drain: node => verb('drain', node),
    readonly: (node, directory) => verb('readonly', node, directory),
    writable: (node, directory) => verb('writable', node, directory),
    journals: async () => {
      const argv = ['journalctl', '-b', '-n', '50', '--no-pager', '-o', 'short-monotonic']
      const said = names.map(async node => {
        const outcome = await exec(node, argv, { timeoutMs: 60_000 })
        return `--- journal of ${node}\n${outcome.stdout}${outcome.stderr}`
      })
      return (await Promise.all(said)).join('\n')
    },
    down: () => verb('down'),
  }
}

function bindable(path: string): string {
  return path.replaceAll(':', '\\:')
}

function addressOf(node: string): string {
  return node === 'ctl' ? '10.77.0.2' : `10.77.0.${10 + Number(node.slice(1))}`
}

function curl(url: string, request: HttpRequest): readonly string[] {
  const option = (flag: string, value: string | undefined) =>
    value === undefined ? [] : [flag, value]
  const timeoutS = (request.timeoutMs ?? HTTP_TIMEOUT_MS) / 1000
  return [
    ...'curl --silent --show-error --noproxy *'.split(' '),
    ...option('--max-time', String(timeoutS)),
    ...option('--write-out', '\n%{http_code}'),
    ...option('--request', request.method),
    ...option('--cacert', request.caFile),
    ...option('--cert', request.certFile),
    ...option('--key', request.keyFile),
    ...(request.insecure === true ? ['--insecure'] : []),
    ...(request.body === undefined ? [] : ['--data-binary', '@-']),
    ...Object.entries(request.headers ?? {}).flatMap(([name, value]) => [
      '--header',
      `${name}: ${value}`,
    ]),
    url,
  ]
}

function input(request: HttpRequest): RunOptions {
  return request.body === undefined ? {} : { input: request.body }
}

function answerOf(outcome: Outcome): HttpAnswer {
  const end = outcome.stdout.lastIndexOf('\n')
  return {
    status: Number(outcome.stdout.slice(end + 1)),
    body: outcome.stdout.slice(0, Math.max(end, 0)),
    error: outcome.stderr.trim(),
  }
}
