// Every reason code that a driver gives, with its meaning in one sentence. Documentation is
// generated from this list, and a test keeps it complete.

import type { Reason } from '../../shared/contract/schema.ts'

export const DRIVER_REASONS = {
  // Nothing is touched (Compilation `unsupported`).
  'version-unknown': 'The product did not tell a version that could be understood.',
  'version-unsupported': 'This version of the product cannot do what is needed for TLS.',
  'option-unsupported': 'This version or edition of the product lacks a wanted option.',
  'program-unknown':
    'The unit starts another program than the product itself, so its arguments are not known.',
  'names-missing': 'The certificate has no name, so nothing could be verified.',
  'client-trust-missing':
    'Client certificates are to be verified, but no CA is given that could have issued them.',
  'command-line-unclear': 'The arguments that the program gets cannot be found out.',
  'flag-repeated': 'A flag that the product accepts only once is given several times.',
  'flags-not-editable':
    'A flag must be added or changed, but no environment file holds a variable for it.',
  'listen-address-unclear': 'The address that the product listens on cannot be found out.',
  'listener-disabled': 'The HTTP listener of the product is switched off.',
  'path-not-allowed':
    'A file lies where the service cannot read it reliably, and it cannot be replaced safely.',
  'config-missing': 'The configuration file of the product does not exist.',
  'config-unreadable': 'A configuration file could not be read.',
  'config-unparsable': 'A configuration file could not be parsed, so it is left alone.',
  'config-unexpected':
    'A key of a configuration file holds a value of another kind than the product takes.',
  'key-repeated': 'A key is there more than once, so nobody can say which of its values counts.',
  'max-version-too-low':
    'The highest TLS version in the configuration is lower than the wanted minimum.',
  'environment-fixed':
    'A variable in the unit itself overrides the configuration file with another value.',

  // Why a file is changed.
  'tls-required': 'TLS is wanted and was not configured.',
  'tls-settings': 'The TLS settings of the file are kept as the desired state says.',
  'certificate-path-replaced':
    'Certificate and key are taken from a directory of their own instead of another place.',
  'inline-pem-replaced':
    'Certificate and key stood in the configuration file itself and are taken from files instead.',
  'guide-home-path':
    'A guide puts files under a home directory, which the sandbox of the unit hides.',
  'guide-relative-path':
    'A guide gives a relative path, which is resolved against the directory of the process.',
  'guide-key-names': 'A guide names keys that the product ignores, so TLS had no certificate.',
  'guide-shared-directory':
    'A guide puts the key into a system directory, where only root can read it.',
  'environment-override':
    'A variable of an environment file overrides the configuration file with another value.',
  'flags-required':
    'The program needs flags that name its web configuration and its https address.',
  'self-scrape': 'The server scrapes itself, which must follow its own listener to https.',

  // What the process must have loaded.
  'listener-on': 'Switching TLS on needs a new process.',
  'flags-loaded': 'Flags are read when the process starts.',
  'certificate-loaded': 'The listener must serve the active certificate.',
  'options-loaded': 'The listener must use the wanted TLS options.',
  'scrape-loaded': 'Scrape jobs are read again on reload.',
  'meta-loaded': 'Connections to the meta nodes must use the wanted TLS options.',
  'cluster-loaded': 'Connections between data nodes must use the wanted TLS options.',

  // Notices: an operator should know.
  'guide-key-ignored': 'A key from a guide stands in the file, and the product ignores it.',
  'guide-leftover': 'A certificate or key from a guide is no longer used and can be removed.',
  'cluster-table-on-oss':
    'A table of the Enterprise edition stands in the file of the open source edition.',
  'tls-minimum-unsupported': 'This version cannot be told a lowest TLS version.',
  'stricter-minimum-kept': 'The file demands a higher TLS version than is wanted, and keeps it.',
  'scrape-job-mixed': 'A scrape job has this server and others as targets, so it is left alone.',
  'scrape-job-relabelled':
    'A scrape job rewrites addresses or schemes of its targets, so it is left alone.',
  'scrape-job-discovered':
    'The targets of a scrape job are discovered, so it is not known whether this server is one.',
  'scrape-config-elsewhere': 'Scrape jobs in other files are not looked at.',
  'scrape-config-not-found': 'The file with the scrape jobs was not found, so they are left alone.',
  'external-url-not-editable':
    'The external address should be https, but the flag stands where it cannot be edited.',
} as const

export type ReasonCode = keyof typeof DRIVER_REASONS

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
