// What a running prometheus must have loaded, and what it takes to load another version of it.

import { WEB_CONFIG_FLAG } from './prometheus-flags.ts'
import type { Scrape } from './prometheus-scrape.ts'
import type { ExternalUrl } from './prometheus-url.ts'
import type { WebConfig, WebConfigPlace } from './prometheus-web.ts'
import { because } from './reasons.ts'
import { RELEASE_TOKEN, type DriverContext, type LoadIntent, type Seen } from './service.ts'

export function loadsFor(
  seen: Seen,
  place: WebConfigPlace,
  web: WebConfig,
  scrape: Scrape,
  url: ExternalUrl,
  context: DriverContext,
): readonly LoadIntent[] {
  const loads: LoadIntent[] = [
    {
      name: 'listener',
      value: `https ${WEB_CONFIG_FLAG}=${context.servicePath(place.path)}`,
      activation: 'restart',
      // What is served says nothing about a flag that is only about to be written.
      provenBy: place.flagReason === undefined ? 'handshake' : 'ledger',
      reason: because('listener-on', 'prometheus switches TLS on only when it starts'),
    },
    {
      name: 'certificate',
      value: RELEASE_TOKEN,
      activation: 'none',
      provenBy: 'handshake',
      reason: because(
        'certificate-loaded',
        'prometheus reads certificate and key for every connection',
      ),
    },
    {
      name: 'options',
      value: web.options,
      activation: 'none',
      provenBy: 'ledger',
      reason: because(
        'options-loaded',
        'prometheus reads its web configuration for every connection',
      ),
    },
  ]
  if (url.variable !== undefined && url.value !== undefined)
    loads.push({
      name: 'external-url',
      value: url.value,
      activation: 'restart',
      provenBy: 'ledger',
      reason: because('flags-loaded', 'prometheus reads its flags only when it starts'),
    })
  if (scrape.file === undefined) return loads
  return [
    ...loads,
    {
      name: 'scrape',
      value: scrape.value,
      activation: seen.unit.canReload ? 'reload' : 'hangup',
      provenBy: 'ledger',
      reason: because('scrape-loaded', 'prometheus reads its scrape jobs again on reload'),
    },
  ]
}
