// Nodes with a program of the Prometheus family, as packages and operators set them up: a variable of
// an environment file for the flags (Debian), or all of them in the unit (tarballs, roles).

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fakeUnit, type FakeNode } from './fake-node.ts'

const golden = (name: string) => readFileSync(join(import.meta.dirname, 'golden', name), 'utf8')

export const PRODUCTS = {
  alertmanager: {
    unit: 'prometheus-alertmanager.service',
    program: '/usr/bin/prometheus-alertmanager',
    upstream: '/opt/alertmanager/alertmanager',
    label: 'alertmanager',
    version: '0.25.0',
    port: 9093,
    web: '/etc/alertmanager-tls/web-config.yml',
    directory: '/etc/alertmanager-tls',
  },
  'node-exporter': {
    unit: 'prometheus-node-exporter.service',
    program: '/usr/bin/prometheus-node-exporter',
    upstream: '/usr/local/bin/node_exporter',
    label: 'node_exporter',
    version: '1.5.0',
    port: 9100,
    web: '/etc/node-exporter-tls/web-config.yml',
    directory: '/etc/node-exporter-tls',
  },
  prometheus: {
    unit: 'prometheus.service',
    program: '/usr/bin/prometheus',
    upstream: '/opt/prometheus/prometheus',
    label: 'prometheus',
    version: '2.42.0+ds',
    port: 9090,
    web: '/etc/prometheus/web-config.yml',
    directory: '/etc/prometheus/tls',
  },
} as const
export type WebService = keyof typeof PRODUCTS
export const WEB_SERVICES = ['alertmanager', 'node-exporter', 'prometheus'] as const

export const SCRAPE = '/etc/prometheus/prometheus.yml'

interface Change {
  readonly version?: string
  readonly files?: FakeNode['files']
  readonly unit?: Partial<FakeNode['unit']>
}

export function environmentOf(service: WebService): string {
  return `/etc/default/${PRODUCTS[service].unit.replace('.service', '')}`
}

/** The Debian package, which has the same environment file for all three. */
export function debianNode(
  service: WebService,
  { args, ...change }: Change & { readonly args?: string } = {},
): FakeNode {
  const product = PRODUCTS[service]
  const path = environmentOf(service)
  const environment = golden('default-prometheus-debian-2.42')
  return {
    unit: fakeUnit({
      unit: product.unit,
      user: 'prometheus',
      canReload: true,
      execStart: [product.program, '$ARGS'],
      environmentFiles: [{ path, optional: false }],
      fragmentPath: `/lib/systemd/system/${product.unit}`,
      ...change.unit,
    }),
    files: {
      [path]: args === undefined ? environment : environment.replace('ARGS=""', `ARGS="${args}"`),
      ...(service === 'prometheus' ? { [SCRAPE]: golden('prometheus-debian-2.42.yml') } : {}),
      ...change.files,
    },
    commands: versionOf(service, product.program, change.version),
  }
}

export const UNIT = '/etc/systemd/system/tarball.service'
export const DROP_IN = '/etc/systemd/system/tarball.service.d/50-tlsfleet.conf'

/** A unit that somebody wrote for a tarball: `exec` is its ExecStart as written. */
export function tarballNode(
  service: WebService,
  exec: string,
  {
    argv,
    dropIns = {},
    ...change
  }: Change & {
    /** As systemd tells it: words without their quotes. */
    readonly argv?: readonly string[]
    readonly dropIns?: Readonly<Record<string, string>>
  } = {},
): FakeNode {
  const { upstream } = PRODUCTS[service]
  return {
    unit: fakeUnit({
      unit: 'tarball.service',
      user: 'monitoring',
      execStart: argv ?? exec.replace(/^[-+!]+/, '').split(/[\s\\]+/),
      fragmentPath: UNIT,
      dropInPaths: Object.keys(dropIns),
      ...change.unit,
    }),
    files: {
      [UNIT]: `[Unit]\nDescription=by hand\n\n[Service]\nUser=monitoring\nExecStart=${exec}\n`,
      ...dropIns,
      ...change.files,
    },
    commands: versionOf(service, upstream, change.version),
  }
}

function versionOf(service: WebService, program: string, version?: string): FakeNode['commands'] {
  const { label, version: debian } = PRODUCTS[service]
  return {
    [`${program} --version`]: `${label}, version ${version ?? debian} (branch: HEAD, revision: 0)\n`,
  }
}
