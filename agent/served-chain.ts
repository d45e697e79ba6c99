// What a report says of the certificates that a listener sent: only looked at, whoever made them,
// and cut to what a report takes.

import { isIP } from 'node:net'
import type { Served } from '../shared/contract/report.ts'
import { type CertificateFacts, certificateFacts } from '../shared/pki/facts.ts'
import { createMemory } from '../shared/remember.ts'

type SeenChain = Pick<Served, 'issuer' | 'notAfterMs' | 'names' | 'chain'>

const chains = createMemory<SeenChain>()

/** Leaf first, as sent. Empty where the leaf cannot be read. */
export function servedChain(chainPem: readonly string[]): SeenChain {
  return chains(chainPem.join(''), () => describe(chainPem))
}

// Bounds of the contract: one member beyond them, and the controller would refuse the whole report.
const TEXT_LENGTH_MAX = 512
const NAMES_MAX = 64
const NAME_LENGTH_MAX = 253
const ISSUERS_MAX = 8

function describe([leafPem, ...issuerPems]: readonly string[]): SeenChain {
  const leaf = readable(leafPem)
  if (leaf === undefined) return {}
  const issuers = issuerPems.flatMap(pem => readable(pem) ?? [])
  return {
    issuer: clipped(leaf.issuer),
    notAfterMs: reportable(leaf.notAfterMs),
    names: {
      dns: leaf.dnsNames.filter(isReportable).slice(0, NAMES_MAX),
      ip: leaf.ipAddresses.filter(address => isIP(address) !== 0).slice(0, NAMES_MAX),
    },
    chain: issuers.slice(0, ISSUERS_MAX).map(({ fingerprint, subject, issuer, notAfterMs }) => ({
      fingerprint,
      subject: clipped(subject),
      issuer: clipped(issuer),
      notAfterMs: reportable(notAfterMs),
    })),
  }
}

function isReportable(name: string): boolean {
  return name.length > 0 && name.length <= NAME_LENGTH_MAX
}

// A certificate may have ended before the epoch.
function reportable(atMs: number): number {
  return Number.isSafeInteger(atMs) ? Math.max(0, atMs) : 0
}

function clipped(text: string): string {
  return text.slice(0, TEXT_LENGTH_MAX)
}

function readable(pem: string | undefined): CertificateFacts | undefined {
  if (pem === undefined) return undefined
  try {
    return certificateFacts(pem)
  } catch {
    // Certificates of others may be anything.
    return undefined
  }
}
