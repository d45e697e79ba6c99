// node_exporter 1.0 and later: TLS of its listener. There is nothing that checks its web
// configuration before it is used, and a SIGHUP ends it.

import type { Compilation, Driver, DriverContext, Seen } from './service.ts'
import type { ServiceTlsOf } from '../../shared/contract/service.ts'
import type { WebProduct } from './web-config/product.ts'
import { compiledWeb, webInputs, webOf } from './web-config/web.ts'
import { UNITS } from './units.ts'

export const nodeExporter: Driver<'node-exporter'> = {
  service: 'node-exporter',
  units: UNITS['node-exporter'],
  inputs: (seen, context) => webInputs(PRODUCT, seen, context),
  compile,
}

const PRODUCT: WebProduct = {
  label: 'node_exporter',
  isProgram: name => /node[-_]exporter/.test(name),
  version: /\bnode_exporter, version (v?\d+\.\d+\.\d+[^\s,()]*)/,
  tlsSince: '1.0.0',
  toolkits: [
    // Before there was a toolkit; the keys are the same.
    ['1.0.0', '0.1.0'],
    ['1.1.0', '0.5.1'],
    ['1.3.0', '0.7.0'],
    ['1.5.0', '0.8.2'],
    ['1.6.0', '0.10.0'],
    ['1.8.0', '0.11.0'],
    ['1.11.0', '0.16.0'],
    ['1.13.0', 'later'],
  ],
  severalListenersSince: '1.5.0',
  configFlagRenamedIn: '1.5.0',
  // Its own: /etc/prometheus need not be there, nor be readable for it where it is.
  directory: '/etc/node-exporter-tls',
  webConfig: '/etc/node-exporter-tls/web-config.yml',
  listen: '0.0.0.0:9100',
  // A page of links, or the metrics themselves with --web.telemetry-path=/. Cheaper than /metrics.
  healthPath: '/',
}

function compile(
  tls: ServiceTlsOf<'node-exporter'>,
  seen: Seen,
  context: DriverContext,
): Compilation {
  const web = webOf({ product: PRODUCT, tls, externalUrl: 'none', seen, context })
  return web.kind === 'unsupported' ? web : compiledWeb(web)
}
