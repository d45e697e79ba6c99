// What a node must have loaded, and what it takes. Files at the same path are read again within
// seconds (facts 2(d)); settings and secrets are not.

import { sha256 } from '../../../shared/digest.ts'
import type { ServiceTlsOf } from '../../../shared/contract/service.ts'
import { because } from '../reasons.ts'
import { RELEASE_TOKEN, STORE_PASSWORD_TOKEN, type LoadIntent } from '../service.ts'
import type { HttpSsl } from './http-ssl.ts'
import type { NodeSettings } from './node-settings.ts'
import { STORE_PASSWORD } from './secrets.ts'
import type { Layout } from './ssl-leaves.ts'
import type { TransportSsl } from './transport-ssl.ts'

export interface LoadsInput {
  readonly settings: NodeSettings
  readonly layout: Layout
  readonly http: HttpSsl
  readonly transport: TransportSsl
}

export function loadsFor(
  intent: ServiceTlsOf<'elasticsearch'>,
  { settings, layout, http, transport }: LoadsInput,
): readonly LoadIntent[] {
  const { tls } = intent
  const between = transportLoads(intent, settings, transport)
  const listener: LoadIntent = {
    name: 'listener',
    value: tls === 'on' ? 'https' : 'http',
    activation: 'restart',
    provenBy: 'handshake',
    reason: because(
      tls === 'on' ? 'listener-on' : 'listener-off',
      'switching TLS on or off needs a new process',
    ),
  }
  // That it answers without TLS proves all there is to it.
  if (tls === 'off') return [listener, ...between]
  const certificate: LoadIntent = {
    name: 'certificate',
    value: RELEASE_TOKEN,
    activation: isWatched(settings) ? 'none' : 'restart',
    provenBy: 'handshake',
    reason: because('certificate-loaded', 'elasticsearch must serve the active certificate'),
  }
  const options: LoadIntent = {
    name: 'settings',
    value: sha256(http.loaded),
    activation: 'restart',
    provenBy: 'ledger',
    reason: because('options-loaded', 'elasticsearch reads its settings when it starts'),
  }
  const secret: LoadIntent = {
    name: 'secret',
    value: `${STORE_PASSWORD}=${STORE_PASSWORD_TOKEN}`,
    activation: 'restart',
    provenBy: 'ledger',
    reason: because('secret-loaded', 'elasticsearch reads its keystore when it starts'),
  }
  return [listener, certificate, options, ...(layout === 'pkcs12' ? [secret] : []), ...between]
}

/** Nobody can look at it from outside, so the ledger knows. None where the layer is not ours. */
function transportLoads(
  tls: ServiceTlsOf<'elasticsearch'>,
  settings: NodeSettings,
  { state, loaded }: TransportSsl,
): readonly LoadIntent[] {
  if (state === 'left' || state === 'kept') return []
  const layer: LoadIntent = {
    name: 'transport',
    value: sha256(loaded),
    activation: 'restart',
    provenBy: 'ledger',
    reason: because('options-loaded', 'elasticsearch reads its settings when it starts'),
  }
  if (state === 'off' || isWatched(settings)) return [layer]
  // During a CA rotation a node that does not trust the next CA in time would lose the others.
  const authorities: LoadIntent = {
    name: 'authorities',
    value: sha256(JSON.stringify(tls.trust)),
    activation: 'restart',
    provenBy: 'ledger',
    reason: because('options-loaded', 'elasticsearch reads ca.pem again only when it starts'),
  }
  return [layer, authorities]
}

// A renewal that would be seen later than this is not waited for.
const INTERVAL_MS_MAX = 60_000
const UNITS_MS = new Map([
  ['ms', 1],
  ['s', 1_000],
  ['m', 60_000],
  ['h', 3_600_000],
  ['d', 86_400_000],
])

function isWatched(settings: NodeSettings): boolean {
  if (settings.said('resource.reload.enabled') === false) return false
  const interval = settings.text('resource.reload.interval.high') ?? '5s'
  const [, count, unit] = /^(\d+)\s*([a-z]+)$/i.exec(interval) ?? []
  const unitMs = UNITS_MS.get(unit?.toLowerCase() ?? '')
  // What is not understood cannot be waited for either.
  return unitMs !== undefined && Number(count) * unitMs <= INTERVAL_MS_MAX
}
