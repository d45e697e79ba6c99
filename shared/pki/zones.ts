// Zones of a CA: which names its intermediate may sign for, as people write and read them.

import { constraintViolation } from './constraints.ts'
import { certificateDetails, type NameConstraints } from './extensions.ts'
import { type CertificateNames, ipText, normalizeDnsName } from './names.ts'
import { parseCertificate } from './pem.ts'
import { ipRangeBytes, type PermittedNames } from './profile.ts'

/** As they were typed: in one spelling and order, or undefined for none. Throws `name-invalid`. */
export function parseZones(
  dnsZones: readonly string[],
  ipRanges: readonly string[],
): PermittedNames | undefined {
  if (dnsZones.length + ipRanges.length === 0) return undefined
  return {
    dnsZones: sorted(
      dnsZones.map(zone => normalizeDnsName(zone.replace(/^\./, ''), { wildcard: false })),
    ),
    ipRanges: sorted(ipRanges.map(range => rangeText(ipRangeBytes(range)))),
  }
}

/** Of a CA certificate. */
export function constraintsOf(certificatePem: string): NameConstraints | undefined {
  return certificateDetails(parseCertificate(certificatePem)).nameConstraints
}

/** What is permitted, as text; of a kind without an entry nothing is. */
export function permittedNames(constraints: NameConstraints): {
  readonly dns: string[]
  readonly ip: string[]
} {
  const { permitted } = constraints
  return {
    dns: permitted.flatMap(one => (one.kind === 'dns' ? [one.zone] : [])),
    ip: permitted.flatMap(one => (one.kind === 'ip' ? [rangeText(one.bytes)] : [])),
  }
}

/** In words, why a CA may not sign for these names. Undefined: it may. */
export function outsideZones(
  { dns, ip }: CertificateNames,
  constraints: NameConstraints | undefined,
): string | undefined {
  if (constraints === undefined) return undefined
  const names = { dnsNames: dns, ipAddresses: ip, uris: [], others: 0, isCritical: false }
  const violation = constraintViolation(names, constraints)
  if (violation === undefined) return undefined
  const zones = permittedNames(constraints)
  return `${violation} is outside of the zones of the service CA (${[...zones.dns, ...zones.ip].join(', ')})`
}

function rangeText(bytes: Buffer): string {
  const half = bytes.length / 2
  const bits = [...bytes.subarray(half)].reduce((sum, byte) => sum + ones(byte), 0)
  return `${ipText(bytes.subarray(0, half))}/${bits}`
}

function ones(byte: number): number {
  return byte.toString(2).replaceAll('0', '').length
}

function sorted(texts: readonly string[]): readonly string[] {
  return [...new Set(texts)].toSorted()
}
