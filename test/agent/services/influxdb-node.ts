// Nodes with an influxd, as Debian and the vendor package it, and what stands in its file.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { readToml } from '../../../agent/formats/toml.ts'
import { fakeUnit, type FakeNode } from './fake-node.ts'

export const CONFIG = '/etc/influxdb/influxdb.conf'
export const ENVIRONMENT = '/etc/default/influxdb'
export const CERTIFICATE = '/etc/influxdb/tls/current/chain.pem'
export const KEY = '/etc/influxdb/tls/current/key.pem'
const STAT = '/usr/bin/stat -L -c %.3Z /usr/bin/influxd'
export const golden = (name: string) =>
  readFileSync(join(import.meta.dirname, 'golden', name), 'utf8')
export const STOCK = golden('influxdb-debian-1.6.7.conf')

export const DEBIAN_UNIT = fakeUnit({
  unit: 'influxdb.service',
  user: 'influxdb',
  execStart: ['/usr/bin/influxd', '-config', CONFIG, '$INFLUXD_OPTS'],
  environmentFiles: [{ path: ENVIRONMENT, optional: true }],
  fragmentPath: '/lib/systemd/system/influxdb.service',
})

// Vendor's packages from 1.8.7 on.
export const WRAPPED = {
  type: 'forking',
  execStart: ['/usr/lib/influxdb/scripts/influxd-systemd-start.sh'],
} as const

export interface Change {
  readonly version?: string
  readonly config?: string
  readonly environment?: string
  readonly unit?: Partial<FakeNode['unit']>
  readonly files?: FakeNode['files']
  /** When the program changed, in seconds. */
  readonly changedAt?: number
}

/** The Debian package with these changes. */
export function influxdbNode({
  version = '1.6.7~rc0',
  config = STOCK,
  ...change
}: Change = {}): FakeNode {
  return {
    unit: { ...DEBIAN_UNIT, ...change.unit },
    files: {
      [CONFIG]: config,
      ...(change.environment === undefined ? {} : { [ENVIRONMENT]: change.environment }),
      ...change.files,
    },
    commands: {
      '/usr/bin/influxd version': `InfluxDB v${version} (git: unknown unknown)\n`,
      ...(change.changedAt === undefined ? {} : { [STAT]: `${change.changedAt.toFixed(3)}\n` }),
    },
  }
}

export function valueIn(text: string, table: string, key: string): unknown {
  const result = readToml(text)
  if (result.kind === 'refused') throw new Error(result.problem.message)
  const found = result.value[table]
  return typeof found === 'object' && found !== null && !Array.isArray(found)
    ? Object.entries(found).find(([name]) => name === key)?.[1]
    : undefined
}
