// Listen addresses, and which names and addresses are this server's own.

import { isIP } from 'node:net'
import type { Names } from '../../shared/contract/schema.ts'
import { nameMatches, normalizeIpAddress } from '../../shared/pki/names.ts'

export interface Address {
  /** Without brackets; empty where all addresses are meant. */
  readonly host: string
  readonly port: number
}

/** `host:port` as Go takes it; undefined for a service name, a port 0, or anything else. */
export function parseAddress(text: string): Address | undefined {
  const match = /^(?:\[([^\][]*)\]|([^:/\s]*)):(\d{1,5})$/.exec(text)
  if (match === null) return undefined
  const port = Number(match[3])
  return port < 1 || port > 65_535 ? undefined : { host: match[1] ?? match[2] ?? '', port }
}

/** Where to connect from this node to something that listens on `host`. */
export function connectHost(host: string): string {
  if (host === '' || host === '0.0.0.0') return '127.0.0.1'
  // Go listens on the IPv4 address of a name first.
  if (host.toLowerCase() === 'localhost') return '127.0.0.1'
  return host === '::' ? '::1' : host
}

export function isLoopback(host: string): boolean {
  const name = host.toLowerCase()
  return name === 'localhost' || name === '::1' || (isIP(name) === 4 && name.startsWith('127.'))
}

export function isCovered(host: string, names: Names): boolean {
  if (isIP(host) === 0) return names.dns.some(pattern => nameMatches(pattern, host))
  const address = normalizeIpAddress(host)
  return names.ip.some(ip => isIP(ip) !== 0 && normalizeIpAddress(ip) === address)
}

/**
 * Is this server meant by `host`? A wildcard does not count: it covers other machines as well.
 */
export function isOwnHost(host: string, names: Names): boolean {
  const exact = { dns: names.dns.filter(name => !name.startsWith('*.')), ip: names.ip }
  return isLoopback(host) || isCovered(host, exact)
}

/** A name that others can use: no wildcard, and localhost, behind which everybody finds another machine, only for want of a better one. */
export function publicName(names: Names): string | undefined {
  const exact = names.dns.filter(name => !name.startsWith('*.'))
  return exact.find(name => name !== 'localhost') ?? exact[0] ?? names.ip[0]
}

/** The name to verify: one that a client can ask for, so no wildcard. */
export function primaryName(names: Names): string | undefined {
  // Any label stands for the wildcard's.
  return publicName(names) ?? names.dns[0]?.replace(/^\*/, 'any')
}

export function inUrl(host: string): string {
  return isIP(host) === 6 ? `[${host}]` : host
}
