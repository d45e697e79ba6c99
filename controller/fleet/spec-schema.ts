// The fleet spec as people write it (`fleet.yaml`), key by key:
//
//   version: 1                 # of this format
//   fleet: demo                # must be the controller's fleet
//   defaults:                  # all optional; every entry may repeat any of them with its own value
//     issuer: internal         # internal | self-signed | files
//     key: ec-p256             # ec-p256 | rsa-2048 | rsa-3072 | rsa-4096
//     lifetime: 30d            # of a leaf
//     renewBefore: 10d         # a third of the lifetime when absent
//     minVersion: "1.2"        # or "1.3"
//     clientAuth: none         # none | optional | required
//     verify: { stableFor: 5s, deadline: 5m }
//     trust: [ PEM ]           # issuer `files` only: what clients trust, the platform's roots if absent
//   services:
//     - service: prometheus
//       nodes: all             # or { labels: { role: monitoring }, names: [n1, n2] }: all conditions hold;
//                              # a label may list several values, one of which must be the node's
//       names: { dns: [prometheus.example.org] }   # only these of the names recorded for the node; all if absent
//       lifetime: 7d           # any key of `defaults`
//       options: { externalUrl: manage }           # of the product

import * as z from 'zod/mini'
import { IpAddress, DnsName, Name, Pem } from '../../shared/contract/schema.ts'
import {
  ClientAuth,
  InfluxdbOptions,
  Issuer,
  KeyType,
  PrometheusOptions,
  TlsVersion,
} from '../../shared/contract/service.ts'
import { parseDuration } from '../../shared/duration.ts'

// The bounds of the contract: a millisecond to 20 years.
const DURATION_MS_MAX = 20 * 366 * 86_400_000

const Duration = z.pipe(
  z.string({ error: 'must be a duration such as 90s, 5m, 12h or 30d' }),
  z.transform((text, context) => {
    const durationMs = parseDuration(text)
    if (durationMs !== undefined && durationMs > 0 && durationMs <= DURATION_MS_MAX)
      return durationMs
    const message = `\`${text.slice(0, 40)}\` is not a duration such as 90s, 5m, 12h or 30d`
    context.issues.push({ code: 'custom', message, input: text })
    return z.NEVER
  }),
)

// Unquoted, YAML reads 1.2 as a number.
const MinVersion = z.pipe(
  z.union([TlsVersion, z.literal([1.2, 1.3])]),
  z.transform((version): TlsVersion => (Number(version) === 1.3 ? '1.3' : '1.2')),
)

const settings = {
  issuer: z.optional(Issuer),
  key: z.optional(KeyType),
  lifetime: z.optional(Duration),
  renewBefore: z.optional(Duration),
  minVersion: z.optional(MinVersion),
  clientAuth: z.optional(ClientAuth),
  verify: z.optional(
    z.strictObject({ stableFor: z.optional(Duration), deadline: z.optional(Duration) }),
  ),
  trust: z.optional(z.array(Pem).check(z.maxLength(32))),
}

const NodeSelector = z.strictObject({
  labels: z.optional(
    z.record(z.string(), z.union([z.string(), z.array(z.string()).check(z.minLength(1))])),
  ),
  names: z.optional(z.array(Name).check(z.minLength(1))),
})

const SubsetOfNames = z.strictObject({
  dns: z.optional(z.array(DnsName).check(z.maxLength(64))),
  ip: z.optional(z.array(IpAddress).check(z.maxLength(64))),
})

const entry = {
  nodes: z.union([z.literal('all'), NodeSelector]),
  names: z.optional(SubsetOfNames),
  ...settings,
}

const ServiceEntry = z.discriminatedUnion('service', [
  z.strictObject({
    service: z.literal('prometheus'),
    ...entry,
    options: z.optional(PrometheusOptions),
  }),
  z.strictObject({
    service: z.literal('influxdb'),
    ...entry,
    options: z.optional(InfluxdbOptions),
  }),
])
export type ServiceEntry = z.infer<typeof ServiceEntry>

const Defaults = z.strictObject(settings)
export type Defaults = z.infer<typeof Defaults>

export const FleetDocument = z.strictObject({
  version: z.literal(1),
  fleet: Name,
  defaults: z.optional(Defaults),
  services: z.array(ServiceEntry).check(z.maxLength(256)),
})
export type FleetDocument = z.infer<typeof FleetDocument>

/** Keys that are known at a place; none where any key may stand. `service` is the product of the entry. */
export function knownKeysAt(
  path: readonly (string | number)[],
  service: unknown,
): readonly string[] {
  const place = path.map(part => (typeof part === 'number' ? '*' : part)).join('.')
  if (place === 'services.*.options')
    return Object.keys((service === 'influxdb' ? InfluxdbOptions : PrometheusOptions).shape)
  return KNOWN_KEYS.get(place) ?? []
}

const KNOWN_KEYS: ReadonlyMap<string, readonly string[]> = new Map([
  ['', Object.keys(FleetDocument.shape)],
  ['defaults', Object.keys(settings)],
  ['defaults.verify', ['stableFor', 'deadline']],
  ['services.*', ['service', ...Object.keys(entry), 'options']],
  ['services.*.verify', ['stableFor', 'deadline']],
  ['services.*.nodes', Object.keys(NodeSelector.shape)],
  ['services.*.names', Object.keys(SubsetOfNames.shape)],
])
