// A product that is only a client: no listener, no certificate. It reads its file at the start and
// dies of one that it does not like.

import type { Compilation, Driver, UpstreamIntent } from '../../agent/services/service.ts'
import type { ServiceTlsOf } from '../../shared/contract/service.ts'
import type { MemoryFiles } from './memory-files.ts'
import type { UnitOf } from './memory-node.ts'
import type { Product } from './memory-products.ts'

export const CLIENT_UNIT = 'telegraf.service'
export const CLIENT_CONF = '/etc/telegraf/telegraf.conf'
export const CLIENT_TRUST = '/etc/telegraf/tls/upstream-ca.pem'

const because = (code: string) => ({ code, message: `because of ${code}` })

export const clientDriver: Driver<'telegraf'> = {
  service: 'telegraf',
  units: [CLIENT_UNIT],
  inputs: () => [{ kind: 'file', path: CLIENT_CONF }],
  compile: tls => ({ kind: 'compiled', compiled: compile(tls) }),
}

function compile(
  tls: ServiceTlsOf<'telegraf'>,
): Extract<Compilation, { kind: 'compiled' }>['compiled'] {
  const isOn = tls.upstreams.some(upstream => upstream.tls === 'on')
  const trust = tls.upstreamTrust.join('')
  const upstreams = tls.upstreams.filter(upstream => upstream.tls === 'on').map(intentOf)
  return {
    version: '1.30.0',
    material: {
      isWanted: false,
      directory: '/etc/telegraf/tls',
      keyMode: 0o600,
      chainMode: 0o644,
      trustFile: '/etc/telegraf/tls/ca.pem',
      clientUse: false,
    },
    files: [
      {
        kind: 'content',
        path: CLIENT_TRUST,
        text: isOn && trust !== '' ? trust : undefined,
        reason: because('trust'),
        createMode: 0o644,
      },
      {
        kind: 'config',
        path: CLIENT_CONF,
        format: 'toml',
        edits: [
          { path: ['outputs', 'url'], value: isOn ? 'https://db:8086' : 'http://db:8086' },
          { path: ['outputs', 'tls_ca'], value: isOn ? CLIENT_TRUST : undefined },
        ],
        reason: because('upstream-tls'),
        createMode: undefined,
      },
    ],
    keystores: [],
    tools: [],
    validators: [],
    loads: [
      {
        name: 'outputs',
        value: `${isOn} ${trust}`,
        activation: 'restart',
        provenBy: 'ledger',
        reason: because('outputs-loaded'),
      },
    ],
    listeners: [],
    upstreams: upstreams.map(upstream => ({ ...upstream, trust: tls.upstreamTrust })),
    notices: [],
  }
}

function intentOf({ names, port }: ServiceTlsOf<'telegraf'>['upstreams'][number]): UpstreamIntent {
  const host = names.dns[0] ?? names.ip[0] ?? 'localhost'
  return { name: `influxdb https://${host}:${port}`, host, port, serverName: host, trust: [] }
}

export const clientProduct: Product = {
  port: 0,
  user: { uid: 104, gid: 104 },
  settings: CLIENT_CONF,
  version: '1.30.0',
  start(files) {
    const text = files.text(CLIENT_CONF) ?? ''
    const trust = /tls_ca = "([^"]+)"/.exec(text)?.[1]
    if (trust !== undefined && files.text(trust) === undefined) return undefined
    return { serve: () => ({ kind: 'dead' }) }
  },
}

export function layClient(files: MemoryFiles): void {
  files.put(CLIENT_CONF, '[outputs]\nurl = "http://db:8086"\npassword = "hunter2-in-clear"\n')
}

export const clientUnit: UnitOf = {
  product: clientProduct,
  program: '/usr/bin/telegraf',
  argv: [],
  user: 'telegraf',
  environmentFile: '/etc/default/telegraf',
}
