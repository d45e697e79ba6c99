// A node says: this is my self-signed certificate. It becomes trust of others, so it must be good for
// nothing but the names that an operator has recorded for that node. Pure.

import type { Names, Reason } from '../../shared/contract/schema.ts'
import { OperationalError } from '../../shared/errors.ts'
import { BACKDATE_MS } from '../../shared/pki/certificate.ts'
import { certificateDetails } from '../../shared/pki/extensions.ts'
import { certificateFacts } from '../../shared/pki/facts.ts'
import { weakKeyReason } from '../../shared/pki/keys.ts'
import { missingNames, normalizeNames } from '../../shared/pki/names.ts'
import { KEY_USAGE, OID } from '../../shared/pki/oids.ts'
import { parseCertificate, pemOf } from '../../shared/pki/pem.ts'
import { LIFETIME_MS_MAX } from './lifetime-policy.ts'

export type JudgedClaim =
  | { readonly kind: 'good'; readonly pem: string }
  | { readonly kind: 'bad'; readonly reason: Reason }

/** `recorded`: names of the node record. The PEM that is given back is in canonical form, and nothing else is in it. */
export function judgeClaim(pem: string, recorded: Names, nowMs: number): JudgedClaim {
  try {
    return judge(pem, recorded, nowMs)
  } catch (error) {
    if (!(error instanceof OperationalError)) throw error
    return bad(error.code, error.message)
  }
}

function judge(pem: string, recorded: Names, nowMs: number): JudgedClaim {
  const certificate = parseCertificate(pem)
  const facts = certificateFacts(certificate)
  const details = certificateDetails(certificate)
  const names = { dns: facts.dnsNames, ip: facts.ipAddresses }
  const { keyUsage, extendedKeyUsage, basicConstraints } = details
  const weak = weakKeyReason(certificate.publicKey)
  const others = facts.uris.length + (details.names?.others ?? 0)
  const unrecorded = missingNames(normalizeNames(recorded, { wildcard: false }), {
    ...normalizeNames(names, { wildcard: false }),
  })
  const rules: readonly (readonly [isBroken: boolean, code: string, message: string])[] = [
    // The signature is verified with it: nobody can show another's certificate with names of his own.
    [!facts.selfSigned, 'not-self-signed', 'it is not signed by its own key'],
    [basicConstraints?.isCa !== false, 'is-a-ca', 'it does not say that it is no CA'],
    [
      keyUsage === undefined || keyUsage.bits.includes(KEY_USAGE.keyCertSign),
      'may-sign',
      'its key may sign certificates',
    ],
    [
      extendedKeyUsage?.includes(OID.serverAuth) !== true,
      'not-for-servers',
      'it is not for servers',
    ],
    [weak !== undefined, 'weak-key', weak?.message ?? ''],
    [details.unknownCritical.length > 0, 'unknown-extension', 'it has critical extensions'],
    [names.dns.length + names.ip.length === 0, 'names-missing', 'it is for no name'],
    [others > 0, 'names-unknown', 'it has names of other kinds'],
    [
      unrecorded.length > 0,
      'names-not-recorded',
      `it is for ${unrecorded.slice(0, 5).join(', ')}, which is not recorded for the node`,
    ],
    [facts.notAfterMs <= nowMs, 'expired', 'it has ended'],
    [facts.notBeforeMs > nowMs + BACKDATE_MS, 'not-yet-valid', 'it has not begun'],
    [
      facts.notAfterMs - facts.notBeforeMs > LIFETIME_MS_MAX,
      'lives-too-long',
      'it lives longer than clients accept',
    ],
  ]
  const broken = rules.find(([isBroken]) => isBroken)
  if (broken === undefined) return { kind: 'good', pem: pemOf(certificate.raw) }
  return bad(broken[1], broken[2])
}

function bad(code: string, message: string): JudgedClaim {
  return { kind: 'bad', reason: { code, message: message.slice(0, 512) } }
}
