// systemctl as a function: the one way to the service manager. What it prints is parsed here.

import { OperationalError } from '../../shared/errors.ts'
import { assert } from '../../shared/assert.ts'
import type { CommandResult } from '../host.ts'
import { PLAIN_ENVIRONMENT, runProgram } from './run-program.ts'

// It talks to PID 1 only; longer means that PID 1 or the bus hangs. No call here waits for a job.
const TIMEOUT_MS = 10_000

export interface SystemctlOptions {
  /** Absolute path; a stand-in where services are not run by systemd. */
  readonly systemctl: string
  /** `user`: the caller's own service manager. */
  readonly scope?: 'system' | 'user'
}

export interface Systemctl {
  /** Throws `service-manager-unreachable` only; a refusal is a result with its code. */
  (argv: readonly string[]): Promise<CommandResult>
}

export function createSystemctl({ systemctl, scope = 'system' }: SystemctlOptions): Systemctl {
  const prefix = scope === 'user' ? [systemctl, '--user'] : [systemctl]
  const environment = scope === 'user' ? userEnvironment() : PLAIN_ENVIRONMENT
  return async argv => {
    let result: CommandResult
    try {
      result = await runProgram([...prefix, ...argv], { timeoutMs: TIMEOUT_MS, environment })
    } catch (cause) {
      throw unreachableManager(argv, {}, cause)
    }
    if (result.code !== 0 && UNREACHABLE.test(result.stderr))
      throw unreachableManager(argv, { stderr: firstLine(result.stderr) })
    return result
  }
}

const UNREACHABLE =
  /Failed to (connect to bus|get D-Bus connection)|not been booted with systemd|Transport endpoint is not connected|Connection (timed out|reset by peer)/i

export function unreachableManager(
  argv: readonly string[],
  details: Readonly<Record<string, unknown>>,
  cause?: unknown,
): OperationalError {
  return new OperationalError(
    'service-manager-unreachable',
    `could not run systemctl ${argv[0] ?? ''}`,
    { retryable: true, details: { argv, ...details }, cause },
  )
}

// Only the caller's own manager needs to be found; its address is no secret.
function userEnvironment(): Readonly<Record<string, string>> {
  const directory = process.env['XDG_RUNTIME_DIR']
  return directory === undefined
    ? PLAIN_ENVIRONMENT
    : { ...PLAIN_ENVIRONMENT, XDG_RUNTIME_DIR: directory }
}

/** Unit names come from drivers and from the node's own policy; none may be taken for an option or a pattern. */
export function checkUnitName(unit: string): void {
  assert(/^[A-Za-z0-9:_][A-Za-z0-9:_.@\\-]*$/.test(unit), `not the name of a unit: ${unit}`)
}

/** Output of `systemctl show`; a property that is listed several times has several values. */
export type Properties = ReadonlyMap<string, readonly string[]>

export function parseProperties(output: string): Properties {
  const properties = new Map<string, string[]>()
  for (const line of output.split('\n')) {
    const equals = line.indexOf('=')
    if (equals <= 0) continue
    const name = line.slice(0, equals)
    const values = properties.get(name)
    if (values === undefined) properties.set(name, [line.slice(equals + 1)])
    else values.push(line.slice(equals + 1))
  }
  return properties
}

/** Words of a list as systemd prints it: `A=1 "B=two words" "C=a\"b"`. */
export function splitQuoted(text: string): readonly string[] {
  const words: string[] = []
  for (const [, quoted, plain = ''] of text.matchAll(/"((?:[^"\\]|\\.)*)"|(\S+)/gs))
    words.push(quoted === undefined ? unescape(plain) : unescape(quoted))
  return words
}

function unescape(text: string): string {
  if (!text.includes('\\')) return text
  return text.replaceAll(/\\(x[0-9a-fA-F]{2}|[0-7]{3}|.)/gs, (_, escape: string) => {
    if (/^x..$/.test(escape)) return String.fromCharCode(Number.parseInt(escape.slice(1), 16))
    if (/^[0-7]{3}$/.test(escape)) return String.fromCharCode(Number.parseInt(escape, 8))
    return ESCAPES[escape] ?? escape
  })
}

const ESCAPES: Readonly<Record<string, string>> = {
  a: '\u0007',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
  s: ' ',
}

export function firstLine(text: string): string {
  return text.trim().split('\n', 1)[0] ?? ''
}
