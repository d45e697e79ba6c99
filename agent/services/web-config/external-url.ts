// The address under which a program puts itself into links. Without the flag it calls itself http in
// every one of them, also with TLS.

import type { Names } from '../../../shared/contract/schema.ts'
import type { TlsSwitch } from '../../../shared/contract/service.ts'
import { inUrl, isOwnHost, publicName } from '../addresses.ts'
import type { Flags } from './flags.ts'

/** As it is to be; undefined where it is left as it is: not set, or the address of a proxy. */
export function externalUrl(
  tls: { readonly tls: TlsSwitch; readonly certificate: { readonly names: Names } },
  flags: Flags,
): string | undefined {
  const current = flags.externalUrl?.value ?? ''
  const { names } = tls.certificate
  const ports = flags.listenAddresses.map(address => address.port)
  if (current === '') {
    const host = tls.tls === 'on' ? publicName(names) : undefined
    return host === undefined ? undefined : `https://${inUrl(host)}:${ports[0]}/`
  }
  if (!/^https?:\/\//i.test(current) || !URL.canParse(current)) return undefined
  const url = new URL(current)
  const host = url.hostname.replace(/^\[|\]$/g, '')
  const isSecure = url.protocol === 'https:'
  const port = url.port === '' ? (isSecure ? 443 : 80) : Number(url.port)
  // Anything else is the address of a proxy in front of this server.
  if (!isOwnHost(host, names) || !ports.includes(port)) return undefined
  if (isSecure === (tls.tls === 'on')) return current
  const scheme = isSecure ? 'http' : 'https'
  // The port of the scheme goes without saying, but only of that scheme.
  const authority = /^https?:\/\/[^/?#]*/i.exec(current)?.[0] ?? ''
  const address = authority.replace(/^https?/i, scheme).replace(/:$/, '')
  return `${url.port === '' ? `${address}:${port}` : address}${current.slice(authority.length)}`
}
