// What a package leaves on a machine: the stock configuration, and the security that the first
// installation of 8.x and 9.x sets up.

import {
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  randomInt,
  X509Certificate,
} from 'node:crypto'
import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from 'node:fs'
import { hostname, networkInterfaces } from 'node:os'
import { join } from 'node:path'
import forge from 'node-forge'
import { serialNumber } from '../../../shared/pki/random.ts'
import { isAtLeast } from '../version.ts'
import { decodeKeystore } from './keystore-format.ts'
import { createSeed, readKeystoreFile, saveKeystore, SEED } from './keystore-file.ts'
import { writeP12 } from './p12-writer.ts'
import { hashPassword } from './security.ts'
import { booleanOf, listOf, readSettings, settingOf, type Settings } from './yaml-settings.ts'

export interface StockOptions {
  /** /etc/elasticsearch */
  readonly directory: string
  readonly version: string
  readonly data: string
  readonly logs: string
}

/** The files of the package, before anything is configured. Owners are the caller's. */
export function layOutStock({ directory, version, data, logs }: StockOptions): void {
  for (const path of [directory, data, logs]) mkdirSync(path, { recursive: true })
  chmodSync(directory, 0o2750)
  const stock = readFileSync(join(import.meta.dirname, 'stock-elasticsearch.yml'), 'utf8')
    .replace('path.data: /var/lib/elasticsearch', `path.data: ${data}`)
    .replace('path.logs: /var/log/elasticsearch', `path.logs: ${logs}`)
  writeMode(join(directory, 'elasticsearch.yml'), stock, 0o660)
  saveKeystore(new Map([[SEED, createSeed()]]), { directory, password: '', version })
}

/** The unit of the package, with what is simulated of it. */
export function stockUnit(options: {
  readonly command: string
  readonly directory: string
  readonly user: string
}): string {
  return `[Unit]
Description=Elasticsearch
Documentation=https://www.elastic.co
Wants=network-online.target
After=network-online.target

[Service]
Type=notify
NotifyAccess=all
Environment=ES_PATH_CONF=${options.directory}
Environment=ES_SD_NOTIFY=true
EnvironmentFile=-/etc/default/elasticsearch
User=${options.user}
ExecStart=${options.command}
StandardOutput=journal
StandardError=inherit
LimitNOFILE=65535
TimeoutStopSec=0
KillSignal=SIGTERM
KillMode=process
SendSIGKILL=no
SuccessExitStatus=143
TimeoutStartSec=900

[Install]
WantedBy=multi-user.target
`
}

export interface AutoconfigureOptions {
  readonly directory: string
  readonly version: string
  readonly nowMs: number
  /** Default: path.data of the file. */
  readonly data?: string
  /** The product: 4096. */
  readonly keyBits?: number
}

/** The tool ends with 80 and leaves everything as it is. */
export class NothingToConfigure extends Error {
  override readonly name = 'NothingToConfigure'
}

const BEGIN = '#----------------------- BEGIN SECURITY AUTO CONFIGURATION -----------------------'
const END = '#----------------------- END SECURITY AUTO CONFIGURATION -------------------------'
const YEAR_MS = 365 * 86_400_000
const TOKEN = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789'

/** The password of `elastic`, which the package shows once. */
export function autoconfigure({
  directory,
  version,
  nowMs,
  data,
  keyBits = 2048,
}: AutoconfigureOptions): { readonly password: string } {
  const settings = readSettings(directory, { HOSTNAME: hostname(), ...process.env })
  checkWanted(settings, version, data ?? settingOf(settings, 'path.data'))

  const certs = join(directory, 'certs')
  if (existsSync(certs)) renameSync(certs, `${certs}.${nowMs}.orig`)
  mkdirSync(certs)
  chmodSync(certs, 0o750)
  const [httpPassword, transportPassword] = [randomToken(), randomToken()]
  const http = makeHttp(nowMs, keyBits)
  writeMode(join(certs, 'http.p12'), writeP12(http.entries, { password: httpPassword }), 0o660)
  writeMode(join(certs, 'http_ca.crt'), http.ca.certificate.toString(), 0o660)
  const transport = makeTransport(nowMs, keyBits)
  const transportStore = writeP12(transport, { password: transportPassword })
  writeMode(join(certs, 'transport.p12'), transportStore, 0o660)

  const present = readKeystoreFile(directory)
  const entries = new Map(present === undefined ? [] : decodeKeystore(present, '').entries)
  if (!entries.has(SEED)) entries.set(SEED, createSeed())
  const password = randomToken()
  const prefix = 'xpack.security'
  entries.set(`${prefix}.transport.ssl.keystore.secure_password`, Buffer.from(transportPassword))
  entries.set(`${prefix}.transport.ssl.truststore.secure_password`, Buffer.from(transportPassword))
  entries.set(`${prefix}.http.ssl.keystore.secure_password`, Buffer.from(httpPassword))
  entries.set('autoconfiguration.password_hash', Buffer.from(hashPassword(password)))
  saveKeystore(entries, { directory, password: '', version })

  const file = join(directory, 'elasticsearch.yml')
  if (!existsSync(file)) writeMode(file, '', 0o660)
  appendFileSync(file, `\n${block(settings, nowMs)}\n`)
  return { password }
}

function checkWanted(settings: Settings, version: string, data: string | undefined): void {
  const skip = (why: string): never => {
    throw new NothingToConfigure(`Skipping security auto configuration because ${why}`)
  }
  if (!isAtLeast(version, '8.0.0')) skip('this version does not do it')
  if (data !== undefined && existsSync(data) && readdirSync(data).length > 0) {
    skip('it appears that the node is not starting up for the first time')
  }
  if (settings.has('xpack.security.enabled')) skip('[xpack.security.enabled] is already configured')
  if ([...settings.keys()].some(name => /^xpack\.security\.(http|transport)\.ssl\./.test(name))) {
    skip('it appears that security is already configured')
  }
  if (!booleanOf(settings, 'xpack.security.autoconfiguration.enabled', true)) {
    skip('it is explicitly disabled by configuration')
  }
  const masters = listOf(settings, 'cluster.initial_master_nodes') ?? []
  const self = settingOf(settings, 'node.name') ?? hostname()
  const joins = (listOf(settings, 'discovery.seed_hosts') ?? []).length > 0
  if (joins || masters.some(name => name !== self)) {
    skip('the node is configured to bootstrap or to join a multi-node cluster')
  }
  const roles = listOf(settings, 'node.roles')
  if (roles !== undefined && !roles.includes('master')) {
    skip('the node is configured such that it cannot become master')
  }
}

function block(settings: Settings, nowMs: number): string {
  const [day = '', time = ''] = new Date(nowMs).toISOString().split(/[T.]/)
  const date = `${day.split('-').toReversed().join('-')} ${time}`
  const node = settingOf(settings, 'node.name') ?? '${HOSTNAME}'
  const enrollment = settingOf(settings, 'xpack.security.enrollment.enabled') !== 'false'
  const hosts = [...settings.keys()].some(name =>
    /^(network|http|transport)\.(bind_|publish_)?host$/.test(name),
  )
  return `${BEGIN}
#
# The following settings, TLS certificates, and keys have been automatically      
# generated to configure Elasticsearch security features on ${date}
#
# --------------------------------------------------------------------------------

# Enable security features
xpack.security.enabled: true
${enrollment ? '\nxpack.security.enrollment.enabled: true\n' : ''}
# Enable encryption for HTTP API client connections, such as Kibana, Logstash, and Agents
xpack.security.http.ssl:
  enabled: true
  keystore.path: certs/http.p12

# Enable encryption and mutual authentication between cluster nodes
xpack.security.transport.ssl:
  enabled: true
  verification_mode: certificate
  keystore.path: certs/transport.p12
  truststore.path: certs/transport.p12
# Create a new cluster with the current node only
# Additional nodes can still join the cluster later
cluster.initial_master_nodes: ["${node}"]
${hosts ? '' : HOST_LINES}
${END}`
}

const HOST_LINES = `
# Allow HTTP API connections from anywhere
# Connections are encrypted and require user authentication
http.host: 0.0.0.0

# Allow other nodes to join the cluster from anywhere
# Connections are encrypted and mutually authenticated
#transport.host: 0.0.0.0
`

interface Made {
  readonly key: KeyObject
  readonly certificate: X509Certificate
}

/** The CA's key stands in the file of the node: it enrolls others. */
function makeHttp(nowMs: number, bits: number) {
  const name = 'Elasticsearch security auto-configuration HTTP CA'
  const ca = issue({ name, years: 3, nowMs, bits })
  const node = issue({ name: hostname(), years: 2, nowMs, bits, issuer: ca, names: ownNames() })
  const entries = [
    { kind: 'key', alias: 'http_ca', key: ca.key, chain: [ca.certificate] },
    { kind: 'key', alias: 'http', key: node.key, chain: [node.certificate, ca.certificate] },
  ] as const
  return { ca, entries }
}

function makeTransport(nowMs: number, bits: number) {
  const name = 'Elasticsearch security auto-configuration transport CA'
  const ca = issue({ name, years: 99, nowMs, bits })
  const node = issue({ name: hostname(), years: 99, nowMs, bits, issuer: ca })
  return [
    { kind: 'key', alias: 'transport', key: node.key, chain: [node.certificate, ca.certificate] },
    { kind: 'trusted', alias: 'transport_ca', certificate: ca.certificate },
  ] as const
}

/** By node-forge, which has nothing to do with what is under test. */
function issue(wanted: {
  readonly name: string
  readonly years: number
  readonly nowMs: number
  readonly bits: number
  /** Undefined: a CA, signed by itself. */
  readonly issuer?: Made
  readonly names?: readonly {
    readonly type: number
    readonly value?: string
    readonly ip?: string
  }[]
}): Made {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: wanted.bits })
  const pem = privateKey.export({ format: 'pem', type: 'pkcs1' })
  const own = forge.pki.privateKeyFromPem(String(pem))
  const certificate = forge.pki.createCertificate()
  certificate.publicKey = forge.pki.rsa.setPublicKey(own.n, own.e)
  certificate.serialNumber = Buffer.from(serialNumber(randomBytes)).toString('hex')
  certificate.validity.notBefore = new Date(wanted.nowMs)
  certificate.validity.notAfter = new Date(wanted.nowMs + wanted.years * YEAR_MS)
  certificate.setSubject([{ shortName: 'CN', value: wanted.name }])
  const { issuer } = wanted
  if (issuer === undefined) {
    certificate.setIssuer(certificate.subject.attributes)
    certificate.setExtensions([{ name: 'basicConstraints', cA: true, critical: true }])
    certificate.sign(own, forge.md.sha256.create())
  } else {
    const signer = forge.pki.certificateFromPem(issuer.certificate.toString())
    certificate.setIssuer(signer.subject.attributes)
    certificate.setExtensions([
      { name: 'basicConstraints', cA: false },
      ...(wanted.names === undefined
        ? []
        : [
            { name: 'subjectAltName', altNames: [...wanted.names] },
            { name: 'extKeyUsage', serverAuth: true },
          ]),
    ])
    const key = issuer.key.export({ format: 'pem', type: 'pkcs1' })
    certificate.sign(forge.pki.privateKeyFromPem(String(key)), forge.md.sha256.create())
  }
  return {
    key: privateKey,
    certificate: new X509Certificate(forge.pki.certificateToPem(certificate)),
  }
}

function ownNames() {
  const addresses = Object.values(networkInterfaces())
    .flatMap(found => found ?? [])
    .map(({ address }) => address.replace(/%.*$/, ''))
  return [
    ...[...new Set(['localhost', hostname()])].map(value => ({ type: 2, value })),
    ...addresses.map(ip => ({ type: 7, ip })),
  ]
}

function randomToken(): string {
  return Array.from({ length: 22 }, () => TOKEN[randomInt(TOKEN.length)]).join('')
}

function writeMode(file: string, contents: string | Buffer, mode: number): void {
  writeFileSync(file, contents)
  chmodSync(file, mode)
}
