// What can be wrong with keys, certificates and chains. Findings are values: the caller decides
// which of them matter to it.

export const PKI_REASON_CODES = [
  'key-unparsable',
  'key-encrypted',
  'key-mismatch',
  'weak-key',
  'certificate-unparsable',
  'ca-as-leaf',
  'san-missing',
  'name-missing',
  'wrong-purpose',
  'expired',
  'not-yet-valid',
  'chain-order',
  'chain-incomplete',
  'untrusted',
  'not-a-ca',
  'path-too-long',
  'name-constraints',
  'critical-extension',
  'weak-signature',
  'pin-mismatch',
  'public-lifetime',
] as const

export type PkiReasonCode = (typeof PKI_REASON_CODES)[number]

export interface PkiReason {
  readonly code: PkiReasonCode
  readonly message: string
}
