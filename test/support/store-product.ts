// A product with everything that a driver can ask for: a PKCS#12 file whose password is in a store
// of secrets that only its own tool writes, a drop-in of its unit, a file that another tool works on.
// Its rules are Elasticsearch's: a secret without the setting that it is for keeps it from starting.

import { parse as parseYaml } from 'yaml'
import type { Compilation, Compiled, Driver, Seen } from '../../agent/services/service.ts'
import { RELEASE_TOKEN } from '../../agent/services/service.ts'
import type { CommandResult } from '../../agent/host.ts'
import type { ServiceTls } from '../../shared/contract/service.ts'
import { readPkcs12 } from '../../shared/pki/pkcs12-reader.ts'
import { Secret } from '../../shared/secret.ts'
import { decodeKeystore, encodeKeystore } from '../simulators/elasticsearch/keystore-format.ts'
import { type MemoryFiles, canRead } from './memory-files.ts'
import type { UnitOf } from './memory-node.ts'
import type { Product, Running } from './memory-products.ts'

export const STORE_UNIT = 'elasticsearch.service'
export const STORE_CONF = '/etc/elasticsearch/elasticsearch.yml'
export const KEYSTORE = '/etc/elasticsearch/elasticsearch.keystore'
export const KEYSTORE_TOOL = '/usr/share/elasticsearch/bin/elasticsearch-keystore'
export const CA_TOOL = '/usr/sbin/update-ca-certificates'
export const CA_FILE = '/usr/local/share/ca-certificates/tlsfleet-elasticsearch.crt'
export const CA_STORE = '/etc/ssl/certs/ca-certificates.crt'
export const DROP_IN = `/etc/systemd/system/${STORE_UNIT}.d/tlsfleet.conf`
export const MATERIAL = '/etc/elasticsearch/tls'
const PASSWORD_ENTRY = 'xpack.security.http.ssl.keystore.secure_password'
const ENABLED = 'xpack.security.http.ssl.enabled'
const USER = { uid: 103, gid: 103 }

/** A secret that the driver wants in the store: it must never be seen outside of it. */
export const BOOTSTRAP = 'bootstrap-pass-4711'

const because = (code: string) => ({ code, message: `because of ${code}` })

export const storeDriver: Driver<'elasticsearch'> = {
  service: 'elasticsearch',
  units: [STORE_UNIT],
  inputs: () => [
    { kind: 'file', path: STORE_CONF },
    { kind: 'keystore', path: KEYSTORE, format: 'elasticsearch' },
    { kind: 'directory', path: '/etc/elasticsearch' },
  ],
  compile: (tls, seen) => compile(tls.tls === 'on', seen),
}

function compile(isOn: boolean, seen: Seen): Compilation {
  const settings = seen.file(STORE_CONF)
  const isEnabled = settings?.kind === 'text' && settings.text.includes(`${ENABLED}: true`)
  const compiled: Compiled = {
    version: '8.19.0',
    material: {
      isWanted: isOn,
      directory: MATERIAL,
      keyMode: 0o640,
      chainMode: 0o644,
      trustFile: `${MATERIAL}/ca.pem`,
      clientUse: false,
      bundleMode: 0o640,
      store: { mode: 0o640, adopt: { keystore: KEYSTORE, entry: PASSWORD_ENTRY } },
    },
    files: [
      {
        kind: 'content',
        path: CA_FILE,
        text: isOn ? 'public CA\n' : undefined,
        reason: because('trust'),
        createMode: 0o644,
      },
      {
        kind: 'content',
        path: DROP_IN,
        text: isOn ? '[Service]\nEnvironment=ES_TLS=on\n' : undefined,
        reason: because('drop-in'),
        createMode: 0o644,
      },
      {
        kind: 'config',
        path: STORE_CONF,
        format: 'yaml-flat',
        edits: isOn
          ? [
              { path: ENABLED.split('.'), value: true },
              {
                path: 'xpack.security.http.ssl.keystore.path'.split('.'),
                value: 'tls/current/http.p12',
              },
            ]
          : isEnabled
            ? [{ path: ENABLED.split('.'), value: false }]
            : [],
        reason: because('tls-required'),
        createMode: undefined,
      },
    ],
    keystores: [
      {
        path: KEYSTORE,
        format: 'elasticsearch',
        tool: KEYSTORE_TOOL,
        environment: { ES_PATH_CONF: '/etc/elasticsearch' },
        entries: isOn
          ? [
              { kind: 'store-password', name: PASSWORD_ENTRY },
              { kind: 'value', name: 'bootstrap.password', value: new Secret(BOOTSTRAP) },
              { kind: 'absent', name: 'old.entry' },
            ]
          : [{ kind: 'absent', name: PASSWORD_ENTRY }],
        reason: because('secure-settings'),
      },
    ],
    tools: [
      {
        argv: [CA_TOOL],
        timeoutMs: 10_000,
        what: 'update-ca-certificates',
        after: [CA_FILE],
        isStale: false,
        reason: because('trust'),
      },
    ],
    validators: [],
    loads: [
      load('listener', isOn ? 'https' : 'http', 'handshake'),
      ...(isOn ? [load('certificate', RELEASE_TOKEN, 'handshake')] : []),
      load('environment', isOn ? 'ES_TLS=on' : '', 'ledger'),
    ],
    listeners: [
      {
        name: `${isOn ? 'https' : 'http'} :9200`,
        host: '127.0.0.1',
        port: 9200,
        serverName: 'localhost',
        healthPath: '/',
        healthyStatuses: [200],
        clientCertificate: false,
        scheme: isOn ? 'https' : 'http',
        advise: answer => [{ code: 'advice', message: `answered ${answer.status}` }],
      },
    ],
    upstreams: [],
    notices: [],
  }
  return { kind: 'compiled', compiled }
}

function load(name: string, value: string, provenBy: 'handshake' | 'ledger') {
  return { name, value, activation: 'restart', provenBy, reason: because(name) } as const
}

export const storeTls = (tls: ServiceTls) => tls.service === 'elasticsearch'

export const storeProduct: Product = {
  port: 9200,
  user: USER,
  settings: STORE_CONF,
  version: '8.19.0',
  start(files, environment): Running | undefined {
    const settings: unknown = parseYaml(files.text(STORE_CONF) ?? '')
    const isOn = settingOf(settings, ENABLED) === true
    const secrets = secretsIn(files)
    const password = secrets.get(PASSWORD_ENTRY)?.toString('utf8')
    // A drop-in that the service manager has not read, a trust store that was not made again.
    const isTrusting = files.text(CA_STORE)?.includes('public CA') === true
    if (!isOn)
      return password === undefined && !isTrusting
        ? { serve: () => ({ kind: 'plaintext' }) }
        : undefined
    const path = `/etc/elasticsearch/${String(settingOf(settings, 'xpack.security.http.ssl.keystore.path'))}`
    const bytes = files.bytes(path)
    if (environment['ES_TLS'] !== 'on' || !isTrusting || bytes === undefined) return undefined
    if (password === undefined || !canRead(files.tree, path, USER)) return undefined
    if (!canRead(files.tree, KEYSTORE, USER)) return undefined
    const opened = readPkcs12(bytes, new Secret(password))
    const chainPem = opened.kind === 'opened' ? opened.keys[0]?.chainPem : undefined
    return chainPem === undefined ? undefined : { serve: () => ({ kind: 'tls', chainPem }) }
  },
}

function settingOf(settings: unknown, name: string): unknown {
  return typeof settings === 'object' && settings !== null
    ? Object.entries(settings).find(([key]) => key === name)?.[1]
    : undefined
}

export function secretsIn(files: MemoryFiles): ReadonlyMap<string, Buffer> {
  const bytes = files.bytes(KEYSTORE)
  return bytes === undefined ? new Map() : decodeKeystore(Buffer.from(bytes), '').entries
}

/** As a package leaves it. */
export function layStore(files: MemoryFiles, more: Readonly<Record<string, string>> = {}): void {
  files.put(STORE_CONF, 'cluster.name: test\n', { uid: 0, gid: 103, mode: 0o660 })
  files.put(CA_STORE, 'system CAs\n')
  files.put('/usr/local/share/ca-certificates/.keep', '')
  writeSecrets(files, { 'keystore.seed': 'seed', 'old.entry': 'old', ...more })
}

export function writeSecrets(files: MemoryFiles, secrets: Readonly<Record<string, string>>): void {
  const entries = new Map(
    Object.entries(secrets).map(([name, value]) => [name, Buffer.from(value)]),
  )
  const bytes = encodeKeystore(entries, { format: 5, password: '' })
  files.put(KEYSTORE, bytes, { uid: 0, gid: 103, mode: 0o660 })
}

export const storeUnit: UnitOf = {
  product: storeProduct,
  program: '/usr/share/elasticsearch/bin/systemd-entrypoint',
  argv: [],
  user: 'elasticsearch',
  environmentFile: '/etc/default/elasticsearch',
}

/** The tools of the node: the keystore's and the one that makes the store of CA certificates. */
export function runStoreTools(
  argv: readonly string[],
  stdin: string,
  files: MemoryFiles,
  change: () => void,
): CommandResult | undefined {
  const [program, verb, ...words] = argv
  const done = { code: 0, stdout: '', stderr: '' }
  if (program === CA_TOOL) {
    change()
    const ours = files.text(CA_FILE)
    files.put(CA_STORE, `system CAs\n${ours ?? ''}`)
    return done
  }
  if (program !== KEYSTORE_TOOL) return undefined
  const secrets = new Map(secretsIn(files))
  const names = words.filter(word => !word.startsWith('-'))
  const values = stdin.split('\n')
  for (const [index, name] of names.entries()) {
    if (verb === 'add') secrets.set(name, Buffer.from(values[index] ?? ''))
    else if (!secrets.delete(name))
      return { code: 78, stdout: '', stderr: `ERROR: Setting [${name}] does not exist` }
  }
  change()
  // Its owner rule is kept, its group comes from the directory; here it is lost, to be put right.
  files.put(KEYSTORE, encodeKeystore(secrets, { format: 5, password: '' }), {
    uid: 0,
    gid: 0,
    mode: 0o660,
  })
  return done
}
