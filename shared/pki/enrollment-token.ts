// The enrollment token: all that a new node needs to join, in one word that can be pasted. Both
// sides need the format; making and checking secrets is the controller's.

import { canonicalJson } from '../digest.ts'
import { OperationalError } from '../errors.ts'
import { Secret } from '../secret.ts'
import { isPin } from './pin.ts'

export interface EnrollmentToken {
  /** Public: names the token in the database, in logs and in the audit. */
  readonly id: string
  readonly secret: Secret
  /** `sha256:<hex>` of the key of the identity root. */
  readonly pin: string
  /** Base URL of the enrol listener. */
  readonly enrollUrl: string
}

const PREFIX = 'tfe1.'
const TOKEN_LENGTH_MAX = 2048
const URL_LENGTH_MAX = 512

export function formatToken({ id, secret, pin, enrollUrl }: EnrollmentToken): Secret {
  const json = canonicalJson({ id, pin, secret: secret.reveal(), url: enrollUrl })
  const token = new Secret(PREFIX + Buffer.from(json).toString('base64url'))
  parseToken(token.reveal())
  return token
}

/** Throws `token-malformed`, without a part of the token in the message. */
export function parseToken(text: string): EnrollmentToken {
  const token = text.trim()
  if (token.length > TOKEN_LENGTH_MAX) throw malformed('it is too long')
  if (!token.startsWith(PREFIX)) throw malformed(`it does not begin with ${PREFIX}`)
  const body = token.slice(PREFIX.length)
  if (!/^[A-Za-z0-9_-]+$/.test(body)) throw malformed('it is not base64url')

  const { id, pin, secret, url, ...unknown } = parseObject(
    Buffer.from(body, 'base64url').toString(),
  )
  if (Object.keys(unknown).length > 0) throw malformed('it has unknown parts')
  if (typeof id !== 'string' || !/^[0-9a-f]{16,64}$/.test(id)) throw malformed('it has no id')
  if (typeof secret !== 'string' || !/^[A-Za-z0-9_-]{43}$/.test(secret))
    throw malformed('it has no secret of 32 bytes')
  if (typeof pin !== 'string' || !isPin(pin)) throw malformed('it has no pin')
  if (typeof url !== 'string' || !isHttpsUrl(url)) throw malformed('it has no https URL')
  return { id, secret: new Secret(secret), pin, enrollUrl: url }
}

function parseObject(json: string): Readonly<Record<string, unknown>> {
  let value: unknown
  try {
    value = JSON.parse(json)
  } catch {
    // The cause is left out: it would quote the token.
    throw malformed('it is damaged')
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw malformed('it is damaged')
  return { ...value }
}

// No user, no query, no fragment: the URL says where to connect and nothing else.
function isHttpsUrl(text: string): boolean {
  if (text.length > URL_LENGTH_MAX) return false
  const url = URL.parse(text)
  return (
    url?.protocol === 'https:' && `${url.username}${url.password}${url.search}${url.hash}` === ''
  )
}

function malformed(what: string): OperationalError {
  return new OperationalError('token-malformed', `could not read enrollment token: ${what}`, {
    hint: 'Copy the whole token: it is one word.',
  })
}
