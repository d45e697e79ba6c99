// Alertmanager 0.22 and later: TLS of its web interface and API. Not of its gossip, which has a
// configuration of its own that must be changed on all members at once.

import type { ServiceTlsOf } from '../../shared/contract/service.ts'
import type { Reason } from '../../shared/contract/schema.ts'
import { flagsNamed } from './command-line.ts'
import { because } from './reasons.ts'
import type { Compilation, Driver, DriverContext, Seen } from './service.ts'
import type { WebProduct } from './web-config/product.ts'
import type { Web } from './web-config/parts.ts'
import { compiledWeb, webInputs, webOf } from './web-config/web.ts'
import { UNITS } from './units.ts'

export const alertmanager: Driver<'alertmanager'> = {
  service: 'alertmanager',
  units: UNITS.alertmanager,
  inputs: (seen, context) => webInputs(PRODUCT, seen, context),
  compile,
}

const PRODUCT: WebProduct = {
  label: 'alertmanager',
  isProgram: name => name.includes('alertmanager'),
  version: /\balertmanager, version (v?\d+\.\d+\.\d+[^\s,()]*)/,
  tlsSince: '0.22.0',
  toolkits: [
    ['0.22.0', '0.5.1'],
    ['0.23.0', '0.6.1'],
    ['0.24.0', '0.7.1'],
    ['0.25.0', '0.8.2'],
    ['0.26.0', '0.10.0'],
    ['0.27.0', '0.11.0'],
    ['0.30.0', '0.15.0'],
    ['0.35.0', 'later'],
  ],
  severalListenersSince: '0.25.0',
  // Its own, not below /etc/prometheus, where Debian has its file and Prometheus its pair: the users of
  // the two need not be the same, and /etc/prometheus need not be there.
  directory: '/etc/alertmanager-tls',
  webConfig: '/etc/alertmanager-tls/web-config.yml',
  listen: '0.0.0.0:9093',
  healthPath: '/-/ready',
}

function compile(
  tls: ServiceTlsOf<'alertmanager'>,
  seen: Seen,
  context: DriverContext,
): Compilation {
  const { externalUrl } = tls.options
  const web = webOf({ product: PRODUCT, tls, externalUrl, seen, context })
  return web.kind === 'unsupported' ? web : compiledWeb(web, { notices: gossipNotices(web) })
}

function gossipNotices({ flags }: Web): readonly Reason[] {
  return flagsNamed(flags.line.words, 'cluster.tls-config').map(({ value }) =>
    because(
      'gossip-tls-left',
      `${value} encrypts the gossip between alertmanagers; it is left alone, with its certificates`,
    ),
  )
}
