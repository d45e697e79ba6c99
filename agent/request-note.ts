// What a node has asked of those who sign elsewhere (issuers `csr` and `acme`): a note that stays with the
// key: a key that waits for its certificate is found again by what it was made for, and a
// certificate that came is told from one of another issuer. Pure.

import { digestOf } from '../shared/digest.ts'
import type { CertificateSpec } from '../shared/contract/service.ts'
import { normalizeNames } from '../shared/pki/names.ts'

/** Beside the key, in the directory of its release. */
export const REQUEST_FILE = 'request'

export interface RequestNote {
  /** Who is asked. */
  readonly origin: string
  /** For what, so that a request for something else is not taken for this one. */
  readonly question: string
}

/** Undefined: the certificate is not asked for elsewhere. */
export function requestNote(spec: CertificateSpec, clientUse: boolean): RequestNote | undefined {
  const origin = originOf(spec)
  if (origin === undefined) return undefined
  const { key } = spec
  const { dns, ip } = normalizeNames(spec.names, { wildcard: true })
  return { origin, question: digestOf({ origin, dns: [...dns], ip: [...ip], key, clientUse }) }
}

function originOf({ issuer, directory }: CertificateSpec): string | undefined {
  if (issuer === 'csr') return issuer
  return issuer === 'acme' ? `${issuer} ${directory ?? ''}` : undefined
}

export function noteText({ origin, question }: RequestNote): string {
  return `${origin}\n${question}\n`
}

/** Undefined for what is no such note, as a crash may leave one. */
export function readNote(bytes: Uint8Array | undefined): RequestNote | undefined {
  if (bytes === undefined) return undefined
  const [, origin, question] = /^([^\n]+)\n([0-9a-f]{64})\n$/.exec(textOf(bytes)) ?? []
  return origin === undefined || question === undefined ? undefined : { origin, question }
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('utf8')
}
