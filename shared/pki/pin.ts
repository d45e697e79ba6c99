// Pins: a node that joins knows nothing of the fleet but one hash, of the key of the identity root.

import { type X509Certificate } from 'node:crypto'
import { isIP } from 'node:net'
import { OperationalError } from '../errors.ts'
import { certificateDetails } from './extensions.ts'
import { publicKeyOf } from './facts.ts'
import { publicKeyDigest } from './keys.ts'
import { missingNames } from './names.ts'
import { pathReasons, reason, show } from './path.ts'
import { parseCertificate } from './pem.ts'
import type { PkiReason } from './reason.ts'

/** `sha256:` and the hex digest of the SubjectPublicKeyInfo. */
export function spkiPin(certificatePem: string): string {
  return pinOf(parseCertificate(certificatePem))
}

export function isPin(text: string): boolean {
  return /^sha256:[0-9a-f]{64}$/.test(text)
}

/**
 * What keeps a presented chain from being that of the pinned CA, or undefined. The chain must hold
 * the pinned, self-signed CA and lead to it; nothing else is trusted. Never throws for a bad chain.
 */
export function verifyPinnedChain(
  chain: readonly (string | Uint8Array)[],
  pin: string,
  options: { readonly host: string; readonly nowMs: number },
): PkiReason | undefined {
  try {
    return judgeChain(chain.slice(0, CHAIN_LENGTH_MAX).map(parseCertificate), pin, options)
  } catch (error) {
    if (!(error instanceof OperationalError)) throw error
    return reason('certificate-unparsable', error.message)
  }
}

const CHAIN_LENGTH_MAX = 8

function judgeChain(
  [leaf, ...rest]: readonly X509Certificate[],
  pin: string,
  { host, nowMs }: { readonly host: string; readonly nowMs: number },
): PkiReason | undefined {
  if (leaf === undefined) return reason('certificate-unparsable', 'no certificate was presented')
  const pinned = rest.filter(certificate => certificate.ca && pinOf(certificate) === pin)
  if (pinned.length === 0)
    return reason('pin-mismatch', `no CA of the presented chain has the key with the pin ${pin}`)
  const [broken] = pathReasons({
    leaf,
    intermediates: rest,
    trust: pinned,
    purposes: ['server'],
    nowMs,
  })
  if (broken !== undefined) return broken
  if (leaf.ca) return reason('ca-as-leaf', `${show(leaf)} is a CA certificate`)
  return hostReason(leaf, host)
}

function hostReason(leaf: X509Certificate, host: string): PkiReason | undefined {
  const names = certificateDetails(leaf).names
  const bare = host.replace(/^\[(.*)\]$/, '$1')
  const isAddress = isIP(bare) !== 0
  const missing = missingNames(
    { dns: names?.dnsNames ?? [], ip: names?.ipAddresses ?? [] },
    { dns: isAddress ? [] : [bare], ip: isAddress ? [bare] : [] },
  )
  if (missing.length === 0 && bare !== '' && !bare.includes('*')) return undefined
  return reason('name-missing', `${show(leaf)} does not cover ${host}`)
}

function pinOf(certificate: X509Certificate): string {
  return `sha256:${publicKeyDigest(publicKeyOf(certificate))}`
}
