// What went wrong between this command and Elasticsearch or Kibana, in words that say what to do.

import * as z from 'zod/mini'
import { unreachable } from '../../shared/assert.ts'
import { OperationalError } from '../../shared/errors.ts'
import type { Secret } from '../../shared/secret.ts'
import { connectionFailure } from '../connection-failure.ts'

export type Product = 'Elasticsearch' | 'Kibana'

export interface Attempt {
  readonly product: Product
  readonly url: string
  /** Completes "could not …". */
  readonly attempt: string
}

/** A request that got no answer. */
export function noAnswerError(attempted: Attempt, cause: unknown): OperationalError {
  const { product, url } = attempted
  const failure = connectionFailure(cause)
  const notTrusted = (why: string, hint: string) =>
    errorOf(attempted, 'certificate-not-trusted', why, hint)
  switch (failure.kind) {
    case 'unreachable':
      return new OperationalError(`${product.toLowerCase()}-unreachable`, messageOf(attempted), {
        retryable: true,
        cause: new Error(failure.why),
        // That is how TLS listeners of both products answer to plain HTTP.
        hint: url.startsWith('http:')
          ? `check that ${product} runs; if TLS is on there already, write https://`
          : `check that ${product} runs, and that its address and port are open from here`,
      })
    case 'wrong-name':
      return notTrusted(
        `its certificate is not valid for ${new URL(url).hostname}`,
        'use one of the names in its certificate',
      )
    case 'expired':
      return notTrusted(
        'its certificate has expired',
        'renew it, or check the clock of this machine',
      )
    case 'not-yet-valid':
      return notTrusted('its certificate is not valid yet', 'check the clock of this machine')
    case 'untrusted':
      return notTrusted(
        'its certificate was issued by no CA that is trusted here',
        'give the CA with --ca-file; `tlsfleet trust` prints that of the fleet',
      )
    case 'no-tls':
      return errorOf(
        attempted,
        'tls-failed',
        `no TLS connection (${failure.code})`,
        `check that ${product} has TLS switched on at this port`,
      )
    case 'other':
      return new OperationalError(`${product.toLowerCase()}-unreachable`, messageOf(attempted), {
        retryable: true,
        cause,
      })
    default:
      return unreachable(failure)
  }
}

/** An answer that refuses. `password` is what was sent along: it must not come back as a message. */
export function refusalError(
  attempted: Attempt,
  { status, value }: { readonly status: number; readonly value: unknown },
  password: Secret | undefined,
): OperationalError {
  const { product } = attempted
  const said = reasonOf(value)
  if (status === 401)
    return errorOf(
      attempted,
      'credentials-refused',
      `${product} does not accept these credentials`,
      'check --user and the password, or the API key',
    )
  if (isSecurityDisabled(product, value)) return securityDisabledError(attempted)
  const isUnavailable = status === 429 || (status >= 502 && status <= 504)
  if (said === undefined && !isUnavailable)
    return notProductError(attempted, `an answer with status ${status}`)
  const words = said ?? `answer with status ${status}`
  const reason = password === undefined ? words : without(words, password.reveal())
  if (status === 403)
    return errorOf(
      attempted,
      'privilege-missing',
      reason,
      'this needs the cluster privileges monitor and manage_security, as the user elastic has them',
    )
  if (isUnavailable)
    return new OperationalError(`${product.toLowerCase()}-unavailable`, messageOf(attempted), {
      retryable: true,
      cause: new Error(reason),
      hint: `try again when ${product} is healthy`,
    })
  return errorOf(attempted, 'request-refused', `${reason} (status ${status})`)
}

// An error may quote the request, and in it the password as JSON writes it.
function without(text: string, secret: string): string {
  const written = JSON.stringify(secret).slice(1, -1)
  return text.replaceAll(written, '[secret]').replaceAll(secret, '[secret]')
}

export function notProductError(attempted: Attempt, why: string): OperationalError {
  const { product } = attempted
  return errorOf(
    attempted,
    `not-${product.toLowerCase()}`,
    `${why} that is not from ${product}`,
    `check that the URL is that of ${product} itself`,
  )
}

export function errorOf(
  attempted: Attempt,
  code: string,
  why: string,
  hint?: string,
): OperationalError {
  return new OperationalError(code, messageOf(attempted), {
    cause: new Error(why),
    ...(hint === undefined ? {} : { hint }),
  })
}

function messageOf({ product, url, attempt }: Attempt): string {
  return `could not ${attempt} at ${product} ${url}`
}

function securityDisabledError(attempted: Attempt): OperationalError {
  return errorOf(
    attempted,
    'security-disabled',
    'security is switched off in Elasticsearch',
    'set xpack.security.enabled: true on every node first; without it there are neither users nor roles',
  )
}

// Without security its routes do not exist. How Elasticsearch says that depends on the version: as a
// route that nobody handles, as an index with an impossible name, or in plain words.
function isSecurityDisabled(product: Product, value: unknown): boolean {
  return product === 'Elasticsearch' && NO_SECURITY.test(reasonOf(value) ?? '')
}

const NO_SECURITY =
  /no handler found for uri \[\/_security|Invalid index name \[_security\]|Security must be explicitly enabled|\/_security\/\S+\] does not support having a body/

const ElasticsearchError = z.object({
  error: z.union([z.string(), z.object({ reason: z.nullish(z.string()), type: z.string() })]),
})
const KibanaError = z.object({ message: z.string() })

/** Why, in the words of the product; undefined when this is no error of its making. */
function reasonOf(value: unknown): string | undefined {
  const kibana = KibanaError.safeParse(value)
  if (kibana.success) return kibana.data.message
  const elasticsearch = ElasticsearchError.safeParse(value)
  if (!elasticsearch.success) return undefined
  const { error } = elasticsearch.data
  return typeof error === 'string' ? error : (error.reason ?? error.type)
}
