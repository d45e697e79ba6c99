// The desired state of one node as a file, for use without a controller: the words of the fleet
// spec, and beside them what only this node may say: where pairs and a local CA are.
//
//   version: 1
//   services:
//     - service: prometheus        # or another product with a listener of its own
//       tls: on                    # off: without TLS, and kept so
//       issuer: self-signed        # self-signed | local-ca | files
//       names: { dns: [prometheus.example.org], ip: [192.0.2.10] }
//       key: ec-p256               # ec-p256 | rsa-2048 | rsa-3072 | rsa-4096
//       lifetime: 90d
//       renewBefore: 30d           # a third of the lifetime when absent
//       minVersion: "1.2"          # or "1.3"
//       clientAuth: none           # none | optional | required
//       trust: [ PEM ]             # more CA certificates that clients trust
//       verify: { stableFor: 5s, deadline: 5m }
//       upstreams:                 # listeners of others that it connects to
//         - { service: alertmanager, names: { dns: [am.example.org] }, port: 9093, tls: on }
//       upstreamTrust: [ PEM ]     # CA certificates that issued what those serve
//       options: {}                # of the product
//     - service: telegraf          # only a client: no issuer, names, key …
//       upstreams: [ … ]
//   issuers:
//     files: { prometheus: { certificate: /path/chain.pem, privateKey: /path/key.pem } }
//     localCa: { certificate: /path/ca.pem, privateKey: /path/ca.key }

import * as z from 'zod/mini'
import { OperationalError } from '../shared/errors.ts'
import { parseDuration } from '../shared/duration.ts'
import { Names, Pem, parser } from '../shared/contract/schema.ts'
import {
  ClientAuth,
  Issuer,
  KeyType,
  SERVER_SERVICES,
  SERVICE_OPTIONS,
  type ServiceName,
  ServiceTls,
  TlsSwitch,
  TlsVersion,
  Upstream,
} from '../shared/contract/service.ts'
import { normalizeNames } from '../shared/pki/names.ts'
import type { LocalIssuers } from './issuers.ts'
import { plainJson } from './plain-json.ts'

const Duration = z.string().check(
  z.refine(text => (parseDuration(text) ?? 0) > 0, {
    error: 'is not a duration such as 90s, 5m, 12h or 30d',
  }),
)

const Path = z
  .string()
  .check(z.startsWith('/', { error: 'must be an absolute path' }), z.maxLength(4096))
const PairPaths = z.strictObject({ certificate: Path, privateKey: Path })

const ServerName = z.enum(SERVER_SERVICES)

export const LocalIssuersDocument = z.strictObject({
  files: z.optional(z.partialRecord(ServerName, PairPaths)),
  localCa: z.optional(PairPaths),
})

const AbsolutePath = z.string().check(z.startsWith('/'), z.maxLength(4096))
/** To this node's own product before it speaks TLS: never beyond the machine. */
const overPlaintext = z.optional(z.boolean())
/** Of products that tell more to whom they know; only these are asked. */
export const LocalCredentialsDocument = z.strictObject({
  elasticsearch: z.optional(
    z.union([
      z.strictObject({ apiKeyFile: AbsolutePath, overPlaintext }),
      z.strictObject({
        user: z.string().check(z.regex(/^[\x21-\x39\x3b-\x7e]{1,128}$/)),
        passwordFile: AbsolutePath,
        overPlaintext,
      }),
    ]),
  ),
})

const SomeNames = z.strictObject({
  dns: z.optional(Names.shape.dns),
  ip: z.optional(Names.shape.ip),
})

const common = {
  tls: z._default(TlsSwitch, 'on'),
  upstreams: z._default(
    z.array(z.strictObject({ ...Upstream.shape, names: SomeNames })).check(z.maxLength(512)),
    [],
  ),
  upstreamTrust: z._default(z.array(Pem).check(z.maxLength(32)), []),
  verify: z.optional(
    z.strictObject({ stableFor: z.optional(Duration), deadline: z.optional(Duration) }),
  ),
}

const certificate = {
  issuer: Issuer,
  names: SomeNames,
  key: z._default(KeyType, 'ec-p256'),
  lifetime: z._default(Duration, '90d'),
  renewBefore: z.optional(Duration),
  minVersion: z._default(TlsVersion, '1.2'),
  clientAuth: z._default(ClientAuth, 'none'),
  trust: z._default(z.array(Pem).check(z.maxLength(32)), []),
}

function server<S extends ServiceName>(service: S) {
  const options = z.optional(SERVICE_OPTIONS[service])
  return z.strictObject({ service: z.literal(service), ...common, ...certificate, options })
}

function client<S extends ServiceName>(service: S) {
  const options = z.optional(SERVICE_OPTIONS[service])
  return z.strictObject({ service: z.literal(service), ...common, options })
}

const ServiceEntry = z.discriminatedUnion('service', [
  server('alertmanager'),
  server('elasticsearch'),
  server('influxdb'),
  server('influxdb-meta'),
  server('kibana'),
  client('metricbeat'),
  server('node-exporter'),
  server('prometheus'),
  client('telegraf'),
])
type ServiceEntry = z.infer<typeof ServiceEntry>

export const DesiredFile = z.strictObject({
  version: z.literal(1),
  services: z.array(ServiceEntry).check(z.maxLength(32)),
  issuers: z.optional(LocalIssuersDocument),
  credentials: z.optional(LocalCredentialsDocument),
})
export type DesiredFile = z.infer<typeof DesiredFile>

const parseDocument = parser('desired state', DesiredFile, 'desired-file-invalid')
const parseService = parser('service', ServiceTls, 'desired-file-invalid')

export interface LocalDesired {
  readonly services: readonly ServiceTls[]
  readonly issuers: LocalIssuers
}

/** YAML or JSON text. Throws `desired-file-invalid` with every problem. */
export async function parseDesiredFile(text: string, name: string): Promise<LocalDesired> {
  const json = plainJson(text)
  const value =
    json === undefined ? (await import('./yaml-text.ts')).parseYamlText(text, name) : json.value
  const document = parseDocument(value)
  const names = document.services.map(entry => entry.service)
  const twice = names.find((service, index) => names.indexOf(service) !== index)
  if (twice !== undefined)
    throw new OperationalError('desired-file-invalid', `${name} lists ${twice} twice`)
  return { services: document.services.map(serviceOf), issuers: localIssuers(document) }
}

export function localIssuers({
  issuers,
  credentials,
}: {
  readonly issuers?: z.infer<typeof LocalIssuersDocument> | undefined
  readonly credentials?: z.infer<typeof LocalCredentialsDocument> | undefined
}): LocalIssuers {
  return {
    files: issuers?.files ?? {},
    localCa: issuers?.localCa,
    ...(credentials === undefined ? {} : { credentials }),
  }
}

function serviceOf(entry: ServiceEntry): ServiceTls {
  const { service, tls, upstreamTrust, verify, options } = entry
  return parseService({
    service,
    tls,
    ...('issuer' in entry ? certificateOf(entry) : {}),
    verify: {
      stableForMs: parseDuration(verify?.stableFor ?? '') ?? 5_000,
      deadlineMs: parseDuration(verify?.deadline ?? '') ?? 300_000,
    },
    upstreams: entry.upstreams.map(upstream => ({ ...upstream, names: normal(upstream.names) })),
    upstreamTrust,
    ...(options === undefined ? {} : { options }),
  })
}

// A request can wait for its signature; these have nothing to wait for.
const NEEDS_CONTROLLER: readonly Issuer[] = ['internal', 'provided']

function certificateOf(entry: Extract<ServiceEntry, { readonly issuer: Issuer }>) {
  const { service, issuer, key, trust, clientAuth, minVersion } = entry
  if (NEEDS_CONTROLLER.includes(issuer)) {
    throw new OperationalError(
      'desired-file-invalid',
      `could not use issuer "${issuer}" for ${service} without a controller`,
      {
        hint: 'use self-signed, local-ca or files',
      },
    )
  }
  const lifetimeMs = parseDuration(entry.lifetime) ?? 0
  const names = normal(entry.names)
  if (names.dns.length + names.ip.length === 0) {
    throw new OperationalError('desired-file-invalid', `${service} has no names`, {
      hint: 'clients check the names in a certificate: give at least one DNS name or IP address under `names`',
    })
  }
  return {
    certificate: {
      issuer,
      names,
      key,
      lifetimeMs,
      renewBeforeMs: parseDuration(entry.renewBefore ?? '') ?? Math.floor(lifetimeMs / 3),
    },
    trust,
    clientAuth,
    minVersion,
  }
}

function normal({ dns = [], ip = [] }: z.infer<typeof SomeNames>) {
  return normalizeNames({ dns, ip }, { wildcard: true })
}

/** JSON Schema (2020-12) of the file. */
export function desiredFileSchema(): object {
  return z.toJSONSchema(DesiredFile, { io: 'input', unrepresentable: 'any' })
}
