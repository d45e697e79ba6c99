// How a product checks the certificates of those that it connects to, by what is desired of it. The
// controller's inventory and its check of trust must agree on it. Pure.

import { unreachable } from '../assert.ts'
import type { ServiceName, ServiceTls } from './service.ts'

/** `leave`: tlsfleet does not touch the connection. */
export type Verification = 'full' | 'insecure' | 'leave'

/** CA certificates, PEM. As the driver has it: without upstreams of another trust, its own is that of its peers. */
export function verifiesWith(tls: ServiceTls): readonly string[] {
  const isOwn = tls.service === 'influxdb' && tls.upstreamTrust.length === 0
  return isOwn ? tls.trust : tls.upstreamTrust
}

/** How the certificates of these upstreams are checked. */
export function verificationOf(tls: ServiceTls, upstream: ServiceName): Verification {
  switch (tls.service) {
    case 'telegraf':
      return tls.options.verification
    case 'influxdb':
      return upstream === 'influxdb-meta'
        ? switched(tls.options.meta)
        : switched(tls.options.cluster)
    case 'influxdb-meta':
      if (upstream === 'influxdb') return switched(tls.options.data)
      return tls.options.peers === 'insecure' ? 'insecure' : 'full'
    case 'kibana':
    case 'metricbeat':
    case 'prometheus':
      return 'full'
    case 'alertmanager':
    case 'elasticsearch':
    case 'node-exporter':
      return 'leave'
    default:
      return unreachable(tls)
  }
}

// With `off` the client is told to speak plaintext; that is not a way to verify.
function switched(option: 'leave' | 'tls' | 'tls-insecure' | 'off'): Verification {
  if (option === 'tls') return 'full'
  return option === 'tls-insecure' ? 'insecure' : 'leave'
}
