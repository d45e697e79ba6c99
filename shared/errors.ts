// The one class of expected failures. A bug is an assertion, an expected result is a value; what is
// left, a broken edge or a person's mistake, is an OperationalError with a stable code.

import { inspect } from 'node:util'

export interface OperationalErrorOptions {
  /** The loop may try again later without anyone having changed anything. */
  readonly retryable?: boolean
  /** What a person can do about it, one sentence. */
  readonly hint?: string
  /** Data for logs and programs; never a secret. */
  readonly details?: Readonly<Record<string, unknown>>
  readonly cause?: unknown
}

export class OperationalError extends Error {
  override readonly name = 'OperationalError'
  /** Kebab-case, stable, one of the codes that the documentation lists. */
  readonly code: string
  readonly retryable: boolean
  readonly hint: string | undefined
  readonly details: Readonly<Record<string, unknown>>

  /** `message` says what was attempted, on what; it never repeats the message of `cause`. */
  constructor(code: string, message: string, options: OperationalErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.retryable = options.retryable ?? false
    this.hint = options.hint
    this.details = options.details ?? {}
  }
}

export function isRetryable(error: unknown): boolean {
  return error instanceof OperationalError && error.retryable
}

/** The error and its causes as one line for people: `could not restart unit: timed out after 90 s`. */
export function describeError(error: unknown): string {
  const parts: string[] = []
  let current: unknown = error
  while (current !== undefined && parts.length < CAUSES_MAX) {
    parts.push(current instanceof Error ? current.message : inspect(current))
    current = current instanceof Error ? current.cause : undefined
  }
  return parts.join(': ')
}

// A chain of causes longer than this is a cycle or a bug, and nobody reads it.
const CAUSES_MAX = 8

/** The code of a Node.js system error (`ENOENT`, `ECONNREFUSED` …), else undefined. */
export function systemErrorCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined
  return typeof error.code === 'string' ? error.code : undefined
}
