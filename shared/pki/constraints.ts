// Name constraints of CA certificates (RFC 5280, 4.2.1.10), for the kinds of names that servers and
// agents have.

import { isIP } from 'node:net'
import type { AlternativeNames, NameConstraints, Subtree } from './extensions.ts'
import { ipBytes } from './names.ts'

/** The first name that the constraints do not allow, in words, or undefined. */
export function constraintViolation(
  names: AlternativeNames | undefined,
  constraints: NameConstraints,
): string | undefined {
  const all = [...constraints.permitted, ...constraints.excluded]
  // Go refuses a chain with constraints that it cannot check; so does this.
  if (all.some(subtree => subtree.kind === 'other')) return 'constraints of an unknown kind'
  if (names === undefined) return undefined
  const offered: readonly OfferedName[] = [
    ...names.dnsNames.map(text => ({ kind: 'dns', text }) as const),
    ...names.ipAddresses.map(text => ({ kind: 'ip', text }) as const),
    ...names.uris.map(text => ({ kind: 'uri', text }) as const),
  ]
  return offered.find(name => !isAllowed(name, constraints))?.text
}

interface OfferedName {
  readonly kind: 'dns' | 'ip' | 'uri'
  readonly text: string
}

function isAllowed(name: OfferedName, { permitted, excluded }: NameConstraints): boolean {
  // An address that has neither 4 nor 16 bytes is in no range, so no range could exclude it.
  if (name.kind === 'ip' && isIP(name.text) === 0) return false
  if (excluded.some(subtree => isInside(name, subtree))) return false
  const sameKind = permitted.filter(subtree => subtree.kind === name.kind)
  return sameKind.length === 0 || sameKind.some(subtree => isInside(name, subtree))
}

function isInside(name: OfferedName, subtree: Subtree): boolean {
  if (subtree.kind !== name.kind) return false
  switch (subtree.kind) {
    case 'dns':
      return isInZone(name.text.toLowerCase(), subtree.zone)
    case 'ip':
      return isInRange(name.text, subtree.bytes)
    case 'uri':
      return isUriOf(name.text, subtree.host)
    default:
      return false
  }
}

// A leading dot is not in the standard for DNS, but common: below the zone, not the zone itself.
function isInZone(name: string, zone: string): boolean {
  if (zone === '') return true
  return zone.startsWith('.') ? name.endsWith(zone) : name === zone || name.endsWith(`.${zone}`)
}

// For a URI a host without a dot in front means exactly this host.
function isUriOf(uri: string, host: string): boolean {
  const name = URL.parse(uri)?.hostname.toLowerCase() ?? ''
  return host.startsWith('.') ? name.endsWith(host) : name === host
}

function isInRange(address: string, range: Buffer): boolean {
  const bytes = ipBytes(address)
  if (range.length !== bytes.length * 2) return false
  return bytes.every((byte, index) => {
    const mask = range[bytes.length + index] ?? 0
    return (byte & mask) === ((range[index] ?? 0) & mask)
  })
}
