// A node of paper with an Elasticsearch, and what the product itself would make of its files.

import { Secret } from '../../../shared/secret.ts'
import type { ServiceTlsOf } from '../../../shared/contract/service.ts'
import type { SeenKeystore } from '../../../agent/services/service.ts'
import { parseSettings } from '../../simulators/elasticsearch/yaml-settings.ts'
import { sslConfiguration } from '../../simulators/elasticsearch/ssl-configuration.ts'
import {
  applied,
  compiledOn,
  type FakeNode,
  fakeUnit,
  lineChanges,
  serverTls,
  textOf,
} from './fake-node.ts'

export const CONFIG = '/etc/elasticsearch/elasticsearch.yml'
export const KEYSTORE = '/etc/elasticsearch/elasticsearch.keystore'
export const HTTP = 'xpack.security.http.ssl'
export const TRANSPORT = 'xpack.security.transport.ssl'
export const PASSWORD = `${HTTP}.keystore.secure_password`

export type Intent = ServiceTlsOf<'elasticsearch'>

export interface NodeOptions {
  readonly version?: string
  readonly secrets?: Readonly<Record<string, string>> | SeenKeystore
  readonly unit?: FakeNode['unit']
  readonly files?: Readonly<Record<string, string>>
}

export function elasticsearchUnit(changes: Partial<FakeNode['unit']> = {}): FakeNode['unit'] {
  return fakeUnit({
    unit: 'elasticsearch.service',
    user: 'elasticsearch',
    group: 'elasticsearch',
    type: 'notify',
    execStart: [
      '/usr/share/elasticsearch/bin/systemd-entrypoint',
      '-p',
      '${PID_DIR}/elasticsearch.pid',
      '--quiet',
    ],
    environment: { ES_PATH_CONF: '/etc/elasticsearch', PID_DIR: '/var/run/elasticsearch' },
    environmentFiles: [{ path: '/etc/default/elasticsearch', optional: true }],
    ...changes,
  })
}

export function elasticsearchOn(config: string, options: NodeOptions = {}): FakeNode {
  const { version = '8.15.0', secrets = { [PASSWORD]: 'secret' } } = options
  const lib = '/usr/share/elasticsearch/lib'
  const jars = ['elasticsearch', 'elasticsearch-core', 'elasticsearch-geo', 'lucene-core']
  return {
    unit: options.unit ?? elasticsearchUnit(),
    files: {
      [CONFIG]: config,
      ...Object.fromEntries(jars.map(jar => [`${lib}/${jar}-${version}.jar`, ''])),
      ...options.files,
    },
    commands: {},
    keystores: { [KEYSTORE]: isSeen(secrets) ? secrets : openedWith(secrets) },
  }
}

function isSeen(secrets: Readonly<Record<string, string>> | SeenKeystore): secrets is SeenKeystore {
  return 'kind' in secrets
}

function openedWith(secrets: Readonly<Record<string, string>>): SeenKeystore {
  const entries = Object.entries(secrets).map(([name, value]) => [name, new Secret(value)] as const)
  return { kind: 'opened', entries: new Map(entries) }
}

export function intent(changes: Partial<Intent> = {}): Intent {
  return serverTls('elasticsearch', changes)
}

export interface Pass {
  readonly text: string
  readonly changes: readonly string[]
  readonly compiled: ReturnType<typeof compiledOn>
  readonly after: FakeNode
}

export function pass(tls: Intent, before: FakeNode): Pass {
  const compiled = compiledOn(tls, before)
  const after = applied(before, compiled)
  const text = textOf(after, CONFIG)
  return { text, changes: lineChanges(textOf(before, CONFIG), text), compiled, after }
}

/** The settings of a layer as the product counts them; throws where it would not start. */
export function counted(
  text: string,
  secrets: Readonly<Record<string, string>> = { [PASSWORD]: 'secret' },
  prefix: typeof HTTP | typeof TRANSPORT = HTTP,
): Readonly<Record<string, string | readonly string[]>> {
  const settings = parseSettings(text, {})
  sslConfiguration(prefix, {
    settings,
    secure: new Map(Object.entries(secrets).map(([name, value]) => [name, Buffer.from(value)])),
    files: { directory: '/etc/elasticsearch', fips: false },
    dropsCaKeys: true,
  })
  const own = [...settings].filter(([name]) => name.startsWith(`${prefix}.`))
  return Object.fromEntries(own.map(([name, value]) => [name.slice(prefix.length + 1), value]))
}
