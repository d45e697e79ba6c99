// What an ACME client signs: flattened JWS (RFC 7515) with an account key on P-256, and the external
// account binding with HMAC. Signing only; nothing signed is ever read here.

import { createHash, createHmac, createPrivateKey, createPublicKey, sign } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { assert } from '../../../shared/assert.ts'
import type { Secret } from '../../../shared/secret.ts'

export interface AccountKey {
  readonly privateKey: KeyObject
  /** Public part as a JWK, keys in the order that the thumbprint needs. */
  readonly jwk: {
    readonly crv: string
    readonly kty: string
    readonly x: string
    readonly y: string
  }
  /** RFC 7638. */
  readonly thumbprint: string
}

/** `pem`: PKCS#8 of a P-256 key. */
export function accountKey(pem: Secret): AccountKey {
  const privateKey = createPrivateKey(pem.reveal())
  const { crv, kty, x, y } = createPublicKey(privateKey).export({ format: 'jwk' })
  assert(crv === 'P-256' && kty === 'EC' && x !== undefined && y !== undefined, 'a P-256 key')
  const jwk = { crv, kty, x, y }
  const thumbprint = createHash('sha256').update(JSON.stringify(jwk)).digest('base64url')
  return { privateKey, jwk, thumbprint }
}

export interface Jws {
  readonly protected: string
  readonly payload: string
  readonly signature: string
}

/** `payload` undefined: POST-as-GET. `accountUrl` undefined: the key introduces itself. */
export function signJws(
  key: AccountKey,
  header: {
    readonly url: string
    readonly nonce: string
    readonly accountUrl: string | undefined
  },
  payload: object | undefined,
): Jws {
  const { url, nonce, accountUrl } = header
  const who = accountUrl === undefined ? { jwk: key.jwk } : { kid: accountUrl }
  const parts = encoded({ alg: 'ES256', ...who, nonce, url }, payload)
  const signature = sign('sha256', Buffer.from(`${parts.protected}.${parts.payload}`), {
    key: key.privateKey,
    dsaEncoding: 'ieee-p1363',
  })
  return { ...parts, signature: signature.toString('base64url') }
}

/** RFC 8555, 7.3.4: the account key, signed by the key that the CA gave to its customer. */
export function externalAccountBinding(
  key: AccountKey,
  options: { readonly url: string; readonly kid: string; readonly hmacKey: Secret },
): Jws {
  const parts = encoded({ alg: 'HS256', kid: options.kid, url: options.url }, key.jwk)
  const signature = createHmac('sha256', Buffer.from(options.hmacKey.reveal(), 'base64url'))
    .update(`${parts.protected}.${parts.payload}`)
    .digest('base64url')
  return { ...parts, signature }
}

/** What proves a challenge: the token, and who was given it. */
export function keyAuthorization(key: AccountKey, token: string): string {
  return `${token}.${key.thumbprint}`
}

/** Value of the TXT record (RFC 8555, 8.4). */
export function dnsValue(authorization: string): string {
  return createHash('sha256').update(authorization).digest('base64url')
}

function encoded(header: object, payload: object | undefined): Omit<Jws, 'signature'> {
  return {
    protected: Buffer.from(JSON.stringify(header)).toString('base64url'),
    payload:
      payload === undefined ? '' : Buffer.from(JSON.stringify(payload)).toString('base64url'),
  }
}
