// Every reason code that a driver gives. What each means is in shared/reasons/driver-*.ts, which an
// agent does not load; a test keeps both lists complete.

import type { Reason } from '../../shared/contract/schema.ts'

export const DRIVER_REASONS = [
  // Nothing is touched (Compilation `unsupported`).
  'version-unknown',
  'version-unsupported',
  'option-unsupported',
  'program-unknown',
  'names-missing',
  'client-trust-missing',
  'command-line-unclear',
  'flag-repeated',
  'flags-not-editable',
  'web-config-key-unknown',
  'listen-address-unclear',
  'listener-disabled',
  'path-not-allowed',
  'config-missing',
  'config-unreadable',
  'config-unparsable',
  'config-unexpected',
  'key-repeated',
  'max-version-too-low',
  'upstream-name-not-covered',
  'hostname-not-covered',
  'trust-store-unknown',
  'environment-missing',
  'keystore-override',
  'environment-fixed',
  'security-disabled',
  'coordinated-change',
  'transport-issuer',
  'transport-managed',
  'plaintext-impossible',
  'keystore-protected',
  'setting-on-command-line',

  // Why a file is changed.
  'tls-required',
  'tls-settings',
  'certificate-path-replaced',
  'inline-pem-replaced',
  'guide-home-path',
  'guide-variable-path',
  'plaintext-required',
  'guide-option-names',
  'trust-path-replaced',
  'trust-store',
  'upstream-variable',
  'upstream-tls',
  'upstream-plaintext',
  'module-settings',
  'module-enabled',
  'password-in-clear',
  'guide-relative-path',
  'guide-key-names',
  'guide-shared-directory',
  'environment-override',
  'upstream-trust',
  'flags-required',
  'flags-obsolete',
  'drop-in-required',
  'drop-in-obsolete',
  'self-scrape',
  'autoconfigured-store',
  'guide-store',
  'guide-flat-keys',
  'store-password',

  // What the process must have loaded.
  'listener-on',
  'listener-off',
  'flags-loaded',
  'certificate-loaded',
  'options-loaded',
  'scrape-loaded',
  'upstreams-loaded',
  'outputs-loaded',
  'environment-loaded',
  'meta-loaded',
  'cluster-loaded',
  'secret-loaded',

  // Notices: an operator should know.
  'guide-key-ignored',
  'beat-restart-panics',
  'kibana-unavailable',
  'fleet-fingerprint',
  'cluster-left-on',
  'output-mixed',
  'output-test-failed',
  'guide-table-ignored',
  'listener-not-managed',
  'subscriber-unverified',
  'raft-no-leader',
  'raft-no-peers',
  'member-without-version',
  'member-not-listed',
  'status-unreadable',
  'guide-leftover',
  'transport-plaintext',
  'transport-kept',
  'transport-no-way-back',
  'cluster-unseen',
  'open-without-credentials',
  'credentials-refused',
  'cluster-red',
  'enrollment-tokens',
  'pem-for-fips',
  'cluster-table-on-oss',
  'tls-minimum-unsupported',
  'stricter-minimum-kept',
  'scrape-job-mixed',
  'scrape-job-relabelled',
  'scrape-job-discovered',
  'scrape-config-elsewhere',
  'scrape-config-not-found',
  'gossip-tls-left',
  'external-url-not-editable',
] as const

export type ReasonCode = (typeof DRIVER_REASONS)[number]

export function because(code: ReasonCode, message: string): Reason {
  return { code, message }
}

/** A step of a driver that ends it: nothing is touched. */
export interface Refusal {
  readonly kind: 'refusal'
  readonly reason: Reason
}

export function refusal(code: ReasonCode, message: string): Refusal {
  return { kind: 'refusal', reason: because(code, message) }
}
