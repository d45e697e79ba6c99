// The desired state of one node as a file, for use without a controller: the words of the fleet
// spec, and beside them what only this node may say: where pairs and a local CA are.
//
//   version: 1
//   services:
//     - service: prometheus        # or influxdb
//       issuer: self-signed        # self-signed | local-ca | files
//       names: { dns: [prometheus.example.org], ip: [192.0.2.10] }
//       key: ec-p256               # ec-p256 | rsa-2048 | rsa-3072 | rsa-4096
//       lifetime: 90d
//       renewBefore: 30d           # a third of the lifetime when absent
//       minVersion: "1.2"          # or "1.3"
//       clientAuth: none           # none | optional | required
//       trust: [ PEM ]             # more CA certificates that clients trust
//       verify: { stableFor: 5s, deadline: 5m }
//       options: {}                # of the product
//   issuers:
//     files: { prometheus: { certificate: /path/chain.pem, privateKey: /path/key.pem } }
//     localCa: { certificate: /path/ca.pem, privateKey: /path/ca.key }

import * as z from 'zod/mini'
import { OperationalError } from '../shared/errors.ts'
import { parseDuration } from '../shared/duration.ts'
import { Names, Pem, parser } from '../shared/contract/schema.ts'
import {
  ClientAuth,
  InfluxdbOptions,
  Issuer,
  KeyType,
  PrometheusOptions,
  ServiceTls,
  TlsVersion,
} from '../shared/contract/service.ts'
import { normalizeNames } from '../shared/pki/names.ts'
import type { LocalIssuers } from './issuers.ts'

const Duration = z.string().check(
  z.refine(text => (parseDuration(text) ?? 0) > 0, {
    error: 'is not a duration such as 90s, 5m, 12h or 30d',
  }),
)

const Path = z
  .string()
  .check(z.startsWith('/', { error: 'must be an absolute path' }), z.maxLength(4096))
const PairPaths = z.strictObject({ certificate: Path, privateKey: Path })

export const LocalIssuersDocument = z.strictObject({
  files: z.optional(
    z.strictObject({ influxdb: z.optional(PairPaths), prometheus: z.optional(PairPaths) }),
  ),
  localCa: z.optional(PairPaths),
})

const settings = {
  issuer: Issuer,
  names: z.strictObject({ dns: z.optional(Names.shape.dns), ip: z.optional(Names.shape.ip) }),
  key: z._default(KeyType, 'ec-p256'),
  lifetime: z._default(Duration, '90d'),
  renewBefore: z.optional(Duration),
  minVersion: z._default(TlsVersion, '1.2'),
  clientAuth: z._default(ClientAuth, 'none'),
  trust: z._default(z.array(Pem).check(z.maxLength(32)), []),
  verify: z.optional(
    z.strictObject({ stableFor: z.optional(Duration), deadline: z.optional(Duration) }),
  ),
}

const ServiceEntry = z.discriminatedUnion('service', [
  z.strictObject({
    service: z.literal('prometheus'),
    ...settings,
    options: z.optional(PrometheusOptions),
  }),
  z.strictObject({
    service: z.literal('influxdb'),
    ...settings,
    options: z.optional(InfluxdbOptions),
  }),
])
type ServiceEntry = z.infer<typeof ServiceEntry>

export const DesiredFile = z.strictObject({
  version: z.literal(1),
  services: z.array(ServiceEntry).check(z.maxLength(32)),
  issuers: z.optional(LocalIssuersDocument),
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
  const document = parseDocument((await import('./yaml-text.ts')).parseYamlText(text, name))
  const names = document.services.map(entry => entry.service)
  const twice = names.find((service, index) => names.indexOf(service) !== index)
  if (twice !== undefined)
    throw new OperationalError('desired-file-invalid', `${name} lists ${twice} twice`)
  return { services: document.services.map(serviceOf), issuers: localIssuers(document.issuers) }
}

export function localIssuers(
  document: z.infer<typeof LocalIssuersDocument> | undefined,
): LocalIssuers {
  const { influxdb, prometheus } = document?.files ?? {}
  return {
    files: {
      ...(influxdb === undefined ? {} : { influxdb }),
      ...(prometheus === undefined ? {} : { prometheus }),
    },
    localCa: document?.localCa,
  }
}

function serviceOf(entry: ServiceEntry): ServiceTls {
  const { service, issuer, names, key, trust, clientAuth, minVersion, options } = entry
  if (issuer === 'internal') {
    throw new OperationalError(
      'desired-file-invalid',
      `could not use issuer "internal" for ${service} without a controller`,
      {
        hint: 'use self-signed, local-ca or files',
      },
    )
  }
  const lifetimeMs = parseDuration(entry.lifetime) ?? 0
  const normal = normalizeNames({ dns: names.dns ?? [], ip: names.ip ?? [] }, { wildcard: true })
  if (normal.dns.length + normal.ip.length === 0) {
    throw new OperationalError('desired-file-invalid', `${service} has no names`, {
      hint: 'clients check the names in a certificate: give at least one DNS name or IP address under `names`',
    })
  }
  return parseService({
    service,
    certificate: {
      issuer,
      names: normal,
      key,
      lifetimeMs,
      renewBeforeMs: parseDuration(entry.renewBefore ?? '') ?? Math.floor(lifetimeMs / 3),
    },
    trust,
    clientAuth,
    minVersion,
    verify: {
      stableForMs: parseDuration(entry.verify?.stableFor ?? '') ?? 5_000,
      deadlineMs: parseDuration(entry.verify?.deadline ?? '') ?? 300_000,
    },
    ...(options === undefined ? {} : { options }),
  })
}

/** JSON Schema (2020-12) of the file. */
export function desiredFileSchema(): object {
  return z.toJSONSchema(DesiredFile, { io: 'input', unrepresentable: 'any' })
}
