// Debian's own Prometheus with node-exporter and alertmanager: the real programs, their stock
// configuration.

import type { Lab } from '../lab.ts'
import { edited, install, started, without } from './install.ts'

const ALERTMANAGER = '/etc/default/prometheus-alertmanager'

export async function installMonitoring(lab: Lab, node: string): Promise<void> {
  await install(lab, node, [
    without('influxdb'),
    // Gossip needs a private address, which a node of the lab does not have to itself.
    edited(ALERTMANAGER, ['s|^ARGS=""|ARGS="--cluster.listen-address="|']),
    edited('/etc/prometheus/prometheus.yml', [
      's|^  scrape_interval:     15s|  scrape_interval:     1s|',
      's|^    scrape_interval: 5s|    scrape_interval: 1s|',
      's|^    scrape_timeout: 5s|    scrape_timeout: 1s|',
    ]),
    started('prometheus-node-exporter', 'prometheus-alertmanager', 'prometheus'),
  ])
}
