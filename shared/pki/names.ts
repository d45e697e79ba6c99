// Names in certificates: one spelling for each, so that sets of them can be compared.

import { isIP } from 'node:net'
import { domainToASCII, domainToUnicode } from 'node:url'
import { OperationalError } from '../errors.ts'

/** The names of a server, as in `Names` of the contract. */
export interface CertificateNames {
  readonly dns: readonly string[]
  readonly ip: readonly string[]
}

export interface NameOptions {
  /** Accept `*.zone`: one whole label, in front of a zone of two labels or more. */
  readonly wildcard: boolean
}

const NAME_LENGTH_MAX = 253
const LABEL_LENGTH_MAX = 63

/** Lower case, punycode, no trailing dot. Throws `name-invalid`. */
export function normalizeDnsName(name: string, options: NameOptions): string {
  const isWildcard = options.wildcard && name.startsWith('*.')
  const host = toAscii(isWildcard ? name.slice(2) : name).replace(/\.$/, '')
  const labels = host.split('.')
  const full = isWildcard ? `*.${host}` : host

  if (full.length > NAME_LENGTH_MAX)
    throw invalid(name, `is longer than ${NAME_LENGTH_MAX} characters`)
  for (const label of labels) checkLabel(name, label)
  // A resolver takes a name with a numeric last label for an IPv4 address, in several spellings.
  if (isIP(host) !== 0 || /^(\d+|0x[0-9a-f]*)$/.test(labels.at(-1) ?? ''))
    throw invalid(name, 'looks like an IP address')
  // OpenSSL and Node match no wildcard in front of a single label.
  if (isWildcard && labels.length < 2)
    throw invalid(name, 'is a wildcard for a whole top-level zone')
  return full
}

/** Canonical text: dotted IPv4, compressed lower-case IPv6; an IPv4-mapped address becomes IPv4. Throws `name-invalid`. */
export function normalizeIpAddress(address: string): string {
  return ipText(ipBytes(address))
}

/** Sorted and without duplicates. Throws `name-invalid`. */
export function normalizeNames(names: CertificateNames, options: NameOptions): CertificateNames {
  return {
    dns: sortedSet(names.dns.map(name => normalizeDnsName(name, options))),
    ip: sortedSet(names.ip.map(normalizeIpAddress)),
  }
}

/** Do two lists hold the same names, whatever their order? Both must be normalized. */
export function sameNames(a: CertificateNames, b: CertificateNames): boolean {
  return sameSet(a.dns, b.dns) && sameSet(a.ip, b.ip)
}

export function sameSet(a: readonly string[], b: readonly string[]): boolean {
  const left = new Set(a)
  const right = new Set(b)
  return left.size === right.size && left.isSubsetOf(right)
}

/** RFC 6125: a wildcard stands for exactly one whole label, the leftmost. Never true for IP addresses. */
export function nameMatches(pattern: string, name: string): boolean {
  const wanted = name.toLowerCase().replace(/\.$/, '')
  const offered = pattern.toLowerCase().replace(/\.$/, '')
  if (wanted === '' || isIP(wanted) !== 0 || wanted.includes('*')) return false
  if (!offered.startsWith('*.')) return offered === wanted
  const dot = wanted.indexOf('.')
  const zone = offered.slice(2)
  return dot > 0 && zone.includes('.') && !zone.includes('*') && wanted.slice(dot + 1) === zone
}

/** Wanted names that a certificate with the names `offered` does not cover. */
export function missingNames(
  offered: CertificateNames,
  wanted: CertificateNames,
): readonly string[] {
  const addresses = new Set(offered.ip)
  return [
    ...wanted.dns.filter(name => !offered.dns.some(pattern => coversName(pattern, name))),
    ...wanted.ip.filter(address => !addresses.has(ipTextOr(address))),
  ]
}

// A wanted wildcard needs that very wildcard.
function coversName(pattern: string, name: string): boolean {
  return name.includes('*')
    ? pattern.toLowerCase() === name.toLowerCase()
    : nameMatches(pattern, name)
}

/** The 4 or 16 bytes of an address as they stand in a certificate. Throws `name-invalid`. */
export function ipBytes(address: string): Buffer {
  const version = isIP(address)
  if (version === 0 || address.includes('%')) throw invalid(address, 'is not an IP address')
  if (version === 4) return Buffer.from(address.split('.').map(Number))
  const bytes = ipv6Bytes(address)
  return bytes.subarray(0, 12).equals(MAPPED_PREFIX) ? bytes.subarray(12) : bytes
}

/** Text of an address of 4 or 16 bytes; hex for any other length, which no real address equals. */
export function ipText(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join('.')
  if (bytes.length !== 16) return `0x${Buffer.from(bytes).toString('hex')}`
  if (MAPPED_PREFIX.equals(bytes.subarray(0, 12))) return bytes.subarray(12).join('.')
  const groups = Buffer.from(bytes).toString('hex').match(/.{4}/g) ?? []
  return new URL(`http://[${groups.join(':')}]/`).hostname.slice(1, -1)
}

const MAPPED_PREFIX = Buffer.from('00000000000000000000ffff', 'hex')

function ipTextOr(address: string): string {
  return isIP(address) === 0 ? address : normalizeIpAddress(address)
}

// The URL parser has the compression and the embedded IPv4 form; isIP has accepted the text before.
function ipv6Bytes(address: string): Buffer {
  const text = new URL(`http://[${address}]/`).hostname.slice(1, -1)
  const [head = '', tail] = text.split('::')
  const left = groupsOf(head)
  const right = tail === undefined ? [] : groupsOf(tail)
  const zeros = Array.from({ length: 8 - left.length - right.length }, () => 0)
  const bytes = Buffer.alloc(16)
  for (const [index, group] of [...left, ...zeros, ...right].entries())
    bytes.writeUInt16BE(group, index * 2)
  return bytes
}

function groupsOf(text: string): readonly number[] {
  return text === '' ? [] : text.split(':').map(group => Number.parseInt(group, 16))
}

// ASCII is not sent through domainToASCII, which would decode percent signs and turn 0x7f.1 into an address.
function toAscii(name: string): string {
  if (/^[\x20-\x7e]*$/.test(name)) return name.toLowerCase()
  // Blanks and control characters, which the conversion might drop, and percent signs.
  if (/[^\x21-\uffff]|[\x7f%]/.test(name))
    throw invalid(name, 'has characters that no name may have')
  const ascii = domainToASCII(name)
  if (ascii === '') throw invalid(name, 'is not an international domain name')
  return ascii
}

function checkLabel(name: string, label: string): void {
  if (label === '') throw invalid(name, 'has an empty label')
  if (label.length > LABEL_LENGTH_MAX)
    throw invalid(name, `has a label longer than ${LABEL_LENGTH_MAX} characters`)
  // Underscores are no host names, but internal networks have them and every TLS library accepts them.
  if (!/^[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?$/.test(label))
    throw invalid(name, 'has characters that no name may have')
  if (label.startsWith('xn--') && !isPunycode(label))
    throw invalid(name, 'has a label with broken punycode')
}

// Versions of Node differ in what they call an error; that a label survives both ways does not change.
function isPunycode(label: string): boolean {
  const unicode = domainToUnicode(label)
  return unicode !== label && domainToASCII(unicode) === label
}

function invalid(name: string, what: string): OperationalError {
  const shown = JSON.stringify(name.slice(0, NAME_LENGTH_MAX))
  return new OperationalError('name-invalid', `name ${shown} ${what}`)
}

function sortedSet(values: readonly string[]): readonly string[] {
  return [...new Set(values)].toSorted()
}
