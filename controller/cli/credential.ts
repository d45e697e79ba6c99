// How a login shows who it is: a token in a header, or a client certificate of the connection.

import { readFileSync } from 'node:fs'
import { OperationalError } from '../../shared/errors.ts'
import type { Context } from './context.ts'

export function authorizationOf({ token }: Context): { readonly authorization?: string } {
  return token === undefined ? {} : { authorization: `Bearer ${token}` }
}

/** Read anew by every command: programs renew such certificates. Throws `file-unreadable`. */
export function clientCertificateOf({ certificate }: Context): {
  readonly cert?: Buffer
  readonly key?: Buffer
} {
  if (certificate === undefined) return {}
  return { cert: read(certificate.certFile), key: read(certificate.keyFile) }
}

function read(path: string): Buffer {
  try {
    return readFileSync(path)
  } catch (cause) {
    throw new OperationalError('file-unreadable', `could not read ${path} of this login`, { cause })
  }
}
