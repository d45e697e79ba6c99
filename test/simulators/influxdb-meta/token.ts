// Who may speak to a meta node whose auth-enabled is true: tokens signed with a shared secret, or a
// name and password. Only what is signed is protected: the payload is readable without TLS.

import { createHmac, timingSafeEqual } from 'node:crypto'
import * as z from 'zod/mini'
import { parseAs } from './wire.ts'

const TOKEN_MS = 60_000

const Payload = z.object({ exp: z.number() })

/** HS256, as influxd-ctl and data nodes make one. */
export function signToken(secret: string, username: string, nowMs: number): string {
  const head = encode({ alg: 'HS256', typ: 'JWT' })
  const payload = encode({ username, exp: Math.floor((nowMs + TOKEN_MS) / 1_000) })
  return `${head}.${payload}.${signatureOf(secret, `${head}.${payload}`)}`
}

export function isTokenOf(secret: string, token: string, nowMs: number): boolean {
  const [head = '', payload = '', signature = ''] = token.split('.')
  const expected = Buffer.from(signatureOf(secret, `${head}.${payload}`))
  const given = Buffer.from(signature)
  if (secret === '' || given.length !== expected.length || !timingSafeEqual(given, expected)) {
    return false
  }
  const { exp = 0 } = parseAs(Payload, Buffer.from(payload, 'base64url').toString('utf8')) ?? {}
  return exp * 1_000 > nowMs
}

export interface Credentials {
  readonly secrets: readonly string[]
  readonly users: Readonly<Record<string, string>>
}

export type Judgement = 'allowed' | 'missing' | 'wrong'

/** Of an Authorization header. */
export function judge(
  header: string | undefined,
  { secrets, users }: Credentials,
  nowMs: number,
): Judgement {
  const [scheme = '', value = ''] = (header ?? '').split(' ')
  switch (scheme.toLowerCase()) {
    case 'bearer':
      return secrets.some(secret => isTokenOf(secret, value, nowMs)) ? 'allowed' : 'wrong'
    case 'basic': {
      const [name = '', ...password] = Buffer.from(value, 'base64').toString('utf8').split(':')
      return users[name] !== undefined && users[name] === password.join(':') ? 'allowed' : 'wrong'
    }
    default:
      return 'missing'
  }
}

function signatureOf(secret: string, text: string): string {
  return createHmac('sha256', secret).update(text).digest('base64url')
}

function encode(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}
