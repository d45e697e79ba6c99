// What a process must have loaded.

import type { Explanations } from './explanation.ts'

export const DRIVER_LOADS: Explanations = {
  'listener-on': [
    'Switching TLS on needs a new process.',
    'Nothing: the service is restarted once, when its turn comes.',
  ],
  'listener-off': [
    'Switching TLS off needs a new process.',
    'Nothing: the service is restarted once, when its turn comes.',
  ],
  'flags-loaded': [
    'Flags are read when the process starts.',
    'Nothing: the service is restarted once, when its turn comes.',
  ],
  'certificate-loaded': [
    'The listener must serve the active certificate.',
    'Nothing: the service is reloaded or restarted, as the product needs it.',
  ],
  'options-loaded': [
    'The listener must use the wanted TLS options.',
    'Nothing: the service is reloaded or restarted, as the product needs it.',
  ],
  'scrape-loaded': ['Scrape jobs are read again on reload.', 'Nothing: Prometheus is reloaded.'],
  'upstreams-loaded': [
    'Addresses and CA files of other servers are read when the process starts.',
    'Nothing: the service is restarted once, when its turn comes.',
  ],
  'outputs-loaded': [
    'Outputs and their CA files are read again on reload.',
    'Nothing: the service is reloaded.',
  ],
  'environment-loaded': [
    'Variables are read when the process starts.',
    'Nothing: the service is restarted once, when its turn comes.',
  ],
  'meta-loaded': [
    'Connections to the meta nodes must use the wanted TLS options.',
    'Nothing: the service is restarted once, when its turn comes.',
  ],
  'cluster-loaded': [
    'Connections between data nodes must use the wanted TLS options.',
    'Nothing: the service is restarted once, when its turn comes.',
  ],
  'secret-loaded': [
    'Secrets are read when the process starts.',
    'Nothing: the service is restarted once, when its turn comes.',
  ],
}
