// Log lines of controller and agent: JSON, one object a line, written before the call returns, so
// that the last words of a dying process arrive. Three nets for secrets: the Secret type prints
// `[secret]`, known field names are redacted, and no line with a private key leaves.

import { type DestinationStream, pino } from 'pino'
import { describeError, OperationalError } from './errors.ts'

/** A constant message, data in fields; an error goes into the field `err`. */
export interface LogLine {
  (fields: Readonly<Record<string, unknown>>, message: string): void
  (message: string): void
}

export interface Logger {
  readonly debug: LogLine
  readonly info: LogLine
  readonly warn: LogLine
  readonly error: LogLine
  child(bindings: Readonly<Record<string, unknown>>): Logger
}

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const

export interface LogOptions {
  /** Which program: `controller`, `agent`. */
  readonly name: string
  readonly level: (typeof LOG_LEVELS)[number]
  /** Takes whole lines; stderr when absent. */
  readonly destination?: { write(line: string): void }
}

/** Says nothing, for tests and tools. */
export const silentLog: Logger = {
  debug() {},
  info() {},
  warn() {},
  error() {},
  child: () => silentLog,
}

export function createLogger(options: LogOptions): Logger {
  return pino(
    {
      level: options.level,
      base: { name: options.name },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: label => ({ level: label }) },
      redact: { paths: REDACTED_PATHS, censor: '[secret]' },
      serializers: { err: errorFields },
    },
    withoutKeys(options.destination ?? pino.destination({ dest: 2, sync: true })),
  )
}

const SECRET_FIELDS = [
  'authorization',
  'passphrase',
  'password',
  'privateKey',
  'privateKeyPem',
  'secret',
  'token',
  'tokenSecret',
]

// pino redacts exact paths only; two levels are what log calls here have.
const REDACTED_PATHS = SECRET_FIELDS.flatMap(field => [field, `*.${field}`, `*.*.${field}`])

/** What a log line says about an error: the chain of messages, the code, a stack only for bugs. */
function errorFields(error: unknown): Record<string, unknown> {
  if (error instanceof OperationalError)
    return { code: error.code, message: describeError(error), details: error.details }
  if (error instanceof Error)
    return { type: error.name, message: describeError(error), stack: error.stack }
  return { message: String(error) }
}

function withoutKeys(destination: { write(line: string): void }): DestinationStream {
  return { write: line => destination.write(line.replace(PRIVATE_KEY, '[private key]')) }
}

// PEM as it stands in JSON: line ends are escaped. An unfinished block goes to the end of the line.
const PRIVATE_KEY =
  /-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----(?:[\s\S]*?-----END [A-Z0-9 ]*PRIVATE KEY-----|[^"\n]*)/g
