// What a running program must have loaded of its flags and its web configuration.

import { because } from '../reasons.ts'
import { RELEASE_TOKEN, type LoadIntent } from '../service.ts'
import type { WebProduct } from './product.ts'

export function loadsOn(
  { label }: WebProduct,
  web: {
    /** `--web.config.file=…`, as the process gets it. */
    readonly flag: string
    /** The flag stands where the process finds it at its next start. */
    readonly isFlagDone: boolean
    readonly options: string
    /** Undefined: not ours. */
    readonly externalUrl: string | undefined
  },
): readonly LoadIntent[] {
  const loads: LoadIntent[] = [
    {
      name: 'listener',
      value: `https ${web.flag}`,
      activation: 'restart',
      // What is served says nothing about a flag that is only about to be written.
      provenBy: web.isFlagDone ? 'handshake' : 'ledger',
      reason: because('listener-on', `${label} switches TLS on only when it starts`),
    },
    {
      name: 'certificate',
      value: RELEASE_TOKEN,
      activation: 'none',
      provenBy: 'handshake',
      reason: because(
        'certificate-loaded',
        `${label} reads certificate and key for every connection`,
      ),
    },
    {
      name: 'options',
      value: web.options,
      activation: 'none',
      provenBy: 'ledger',
      reason: because(
        'options-loaded',
        `${label} reads its web configuration for every connection`,
      ),
    },
  ]
  if (web.externalUrl === undefined) return loads
  return [
    ...loads,
    {
      name: 'external-url',
      value: web.externalUrl,
      activation: 'restart',
      provenBy: 'ledger',
      reason: because('flags-loaded', `${label} reads its flags only when it starts`),
    },
  ]
}

/** The restart that ends TLS also brings the flags, so the listener alone has to be proven. */
export function loadsOff({ label }: WebProduct): readonly LoadIntent[] {
  return [
    {
      name: 'listener',
      value: 'http',
      activation: 'restart',
      provenBy: 'handshake',
      reason: because('listener-off', `${label} switches TLS off only when it starts`),
    },
  ]
}
