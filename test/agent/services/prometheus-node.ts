// A node with the Prometheus that Debian packages: its flags, its scrape jobs, its web configuration.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fakeUnit, type FakeNode } from './fake-node.ts'

export const ENVIRONMENT = '/etc/default/prometheus'
export const SCRAPE = '/etc/prometheus/prometheus.yml'
export const WEB = '/etc/prometheus/web-config.yml'
export const golden = (name: string) =>
  readFileSync(join(import.meta.dirname, 'golden', name), 'utf8')

const DEBIAN_UNIT = fakeUnit({
  unit: 'prometheus.service',
  user: 'prometheus',
  canReload: true,
  execStart: ['/usr/bin/prometheus', '$ARGS'],
  environmentFiles: [{ path: ENVIRONMENT, optional: false }],
})

/** The Debian package with these changes. */
export function prometheusNode(
  change: {
    readonly version?: string
    readonly args?: string
    readonly web?: string
    readonly scrape?: string
    readonly unit?: Partial<FakeNode['unit']>
    readonly files?: FakeNode['files']
  } = {},
): FakeNode {
  const version = change.version ?? '2.42.0+ds'
  const environment = golden('default-prometheus-debian-2.42')
  return {
    unit: { ...DEBIAN_UNIT, ...change.unit },
    files: {
      [ENVIRONMENT]:
        change.args === undefined ? environment : environment.replace('ARGS=""', change.args),
      [SCRAPE]: change.scrape ?? golden('prometheus-debian-2.42.yml'),
      ...(change.web === undefined ? {} : { [WEB]: change.web }),
      ...change.files,
    },
    commands: {
      '/usr/bin/prometheus --version': `prometheus, version ${version} (branch: debian/sid, revision: ${version})\n  go version: go1.19.8\n`,
    },
  }
}
