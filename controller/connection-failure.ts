// Why a request got no answer, told apart by what a person has to do about it. Pure.

import { systemErrorCode } from '../shared/errors.ts'

export type ConnectionFailure =
  /** Nobody answered; `why` completes "… because". */
  | { readonly kind: 'unreachable'; readonly why: string }
  | { readonly kind: 'wrong-name' | 'expired' | 'not-yet-valid' | 'untrusted' }
  /** There is something, but no TLS to be had with it. */
  | { readonly kind: 'no-tls'; readonly code: string }
  | { readonly kind: 'other' }

export function connectionFailure(cause: unknown): ConnectionFailure {
  const code = systemErrorCode(cause) ?? ''
  if (isTimeout(cause)) return { kind: 'unreachable', why: 'no answer in time' }
  if (UNREACHABLE.has(code)) return { kind: 'unreachable', why: unreachableWhy(code) }
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') return { kind: 'wrong-name' }
  if (code === 'CERT_HAS_EXPIRED') return { kind: 'expired' }
  if (code === 'CERT_NOT_YET_VALID') return { kind: 'not-yet-valid' }
  if (UNTRUSTED.has(code)) return { kind: 'untrusted' }
  if (code === 'EPROTO' || code.startsWith('ERR_SSL_')) return { kind: 'no-tls', code }
  return { kind: 'other' }
}

const UNREACHABLE = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EPIPE',
  'ETIMEDOUT',
])

const UNTRUSTED = new Set([
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'CERT_SIGNATURE_FAILURE',
  'CERT_UNTRUSTED',
  'CERT_CHAIN_TOO_LONG',
  'INVALID_CA',
  'INVALID_PURPOSE',
  'PATH_LENGTH_EXCEEDED',
])

function unreachableWhy(code: string): string {
  switch (code) {
    case 'ECONNREFUSED':
      return 'nothing listens there'
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return 'the name is unknown'
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
      return 'there is no route to it'
    case 'ETIMEDOUT':
      return 'no answer in time'
    default:
      return 'the connection was closed'
  }
}

function isTimeout(cause: unknown): boolean {
  if (!(cause instanceof Error)) return false
  return cause.name === 'TimeoutError' || isTimeout(cause.cause)
}
