// The address under which prometheus puts itself into alerts.

import type { Reason } from '../../shared/contract/schema.ts'
import type { ServiceTlsOf } from '../../shared/contract/service.ts'
import { inUrl, isOwnHost, publicName } from './addresses.ts'
import type { FileVariable } from './command-line.ts'
import { EXTERNAL_URL_FLAG, type Flags } from './prometheus-flags.ts'
import { because } from './reasons.ts'

type Intent = ServiceTlsOf<'prometheus'>

export interface ExternalUrl {
  /** As it is to be; undefined where prometheus makes it up. */
  readonly value: string | undefined
  /** Where it is written; undefined where it is left. */
  readonly variable: FileVariable | undefined
  readonly notices: readonly Reason[]
}

/** Without this flag prometheus calls itself http in every alert, also with TLS. */
export function externalUrl(tls: Intent, flags: Flags): ExternalUrl {
  const current = flags.externalUrl?.value
  const left: ExternalUrl = { value: current, variable: undefined, notices: [] }
  const wanted = tls.options.externalUrl === 'manage' ? wantedUrl(tls, flags) : undefined
  if (wanted === undefined) return left
  const variable = flags.externalUrl === undefined ? flags.room : flags.externalUrl.variable
  if (variable !== undefined) return { value: wanted, variable, notices: [] }
  if (wanted === current) return left
  const message = `set ${EXTERNAL_URL_FLAG}=${wanted} in the unit, so that links in alerts are https`
  return { ...left, notices: [because('external-url-not-editable', message)] }
}

function wantedUrl(tls: Intent, flags: Flags): string | undefined {
  const current = flags.externalUrl?.value ?? ''
  const { names } = tls.certificate
  const ports = flags.listenAddresses.map(address => address.port)
  if (current === '') {
    const host = publicName(names)
    return host === undefined ? undefined : `https://${inUrl(host)}:${ports[0]}/`
  }
  if (!/^https?:\/\//i.test(current) || !URL.canParse(current)) return undefined
  const url = new URL(current)
  const host = url.hostname.replace(/^\[|\]$/g, '')
  const isSecure = url.protocol === 'https:'
  const port = url.port === '' ? (isSecure ? 443 : 80) : Number(url.port)
  // Anything else is the address of a proxy in front of this server.
  if (!isOwnHost(host, names) || !ports.includes(port)) return undefined
  if (isSecure) return current
  // The port of the scheme goes without saying, but only of that scheme.
  return url.port === '' ? withPort(current, port) : `https${current.slice(4)}`
}

function withPort(current: string, port: number): string {
  const authority = /^http:\/\/[^/?#]*/i.exec(current)?.[0] ?? ''
  const bare = authority.replace(/:$/, '')
  return `https${bare.slice(4)}:${port}${current.slice(authority.length)}`
}
