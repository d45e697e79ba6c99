// The fleet spec as people write it (`fleet.yaml`), key by key:
//
//   version: 1                 # of this format
//   fleet: demo                # must be the controller's fleet
//   defaults:                  # all optional; every entry may repeat any of them with its own value
//     tls: on                  # or off: brought to plaintext and kept there
//     issuer: internal         # internal | self-signed | provided | files | csr | acme
//     provided: wildcard       # issuer `provided`: the name that the pair was uploaded by
//     directory: corp          # issuer `acme`: [acme.corp] of the controller's configuration
//     key: ec-p256             # ec-p256 | rsa-2048 | rsa-3072 | rsa-4096
//     lifetime: 30d            # of a leaf; 90d for `self-signed`
//     lifetimeProfile: standard # in place of it: standard | public-47d | short-lived
//     renewBefore: 10d         # a third of the lifetime when absent
//     minVersion: "1.2"        # or "1.3"
//     clientAuth: none         # none | optional | required
//     verify: { stableFor: 5s, deadline: 5m }
//     trust: [ PEM ]           # issuers `provided`, `files`, `csr`, `acme`: what clients trust, the platform's roots if absent
//   services:
//     - service: prometheus
//       nodes: all             # or { labels: { role: monitoring }, names: [n1, n2] }: all conditions hold;
//                              # a label may list several values, one of which must be the node's
//       names: { dns: [prometheus.example.org] }   # only these of the names recorded for the node; all if absent
//                                                  # `names: dns`: its DNS names, and no IP address
//       lifetime: 7d           # any key of `defaults`
//       port: 9090                                 # of its listener, where clients find it; the product's own if absent
//       options: { externalUrl: manage }           # of the product
//     - service: telegraf      # products that are only clients get no certificate: telegraf, metricbeat
//       nodes: { labels: { role: app } }

import * as z from 'zod/mini'
import { IpAddress, DnsName, Name, Pem } from '../../shared/contract/schema.ts'
import {
  CLIENT_SERVICES,
  ClientAuth,
  Issuer,
  KeyType,
  SERVICE_OPTIONS,
  ServiceName,
  TlsSwitch,
  TlsVersion,
} from '../../shared/contract/service.ts'
import { parseDuration } from '../../shared/duration.ts'
import { LIFETIME_PROFILE_NAMES } from './lifetime-policy.ts'
import { KNOWN_ROLLOUT_KEYS, rolloutKeys } from './rollout-spec.ts'

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

// For parsers that read YAML 1.1, on and off are booleans; `yaml` leaves them words.
const clientSettings = {
  tls: z.optional(TlsSwitch),
  verify: z.optional(
    z.strictObject({ stableFor: z.optional(Duration), deadline: z.optional(Duration) }),
  ),
}

const settings = {
  ...clientSettings,
  issuer: z.optional(Issuer),
  provided: z.optional(Name),
  directory: z.optional(Name),
  key: z.optional(KeyType),
  lifetime: z.optional(Duration),
  lifetimeProfile: z.optional(z.enum(LIFETIME_PROFILE_NAMES)),
  renewBefore: z.optional(Duration),
  minVersion: z.optional(MinVersion),
  clientAuth: z.optional(ClientAuth),
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

const clientEntry = {
  nodes: z.union([z.literal('all'), NodeSelector]),
  ...clientSettings,
}

const serverEntry = {
  nodes: z.union([z.literal('all'), NodeSelector]),
  names: z.optional(z.union([z.literal('dns'), SubsetOfNames])),
  port: z.optional(z.int().check(z.minimum(1), z.maximum(65_535))),
  ...settings,
}

const ServiceEntry = z.discriminatedUnion('service', [
  z.strictObject({
    service: z.literal('alertmanager'),
    ...serverEntry,
    options: z.optional(SERVICE_OPTIONS.alertmanager),
  }),
  z.strictObject({
    service: z.literal('elasticsearch'),
    ...serverEntry,
    options: z.optional(SERVICE_OPTIONS.elasticsearch),
  }),
  z.strictObject({
    service: z.literal('influxdb'),
    ...serverEntry,
    options: z.optional(SERVICE_OPTIONS.influxdb),
  }),
  z.strictObject({
    service: z.literal('influxdb-meta'),
    ...serverEntry,
    options: z.optional(SERVICE_OPTIONS['influxdb-meta']),
  }),
  z.strictObject({
    service: z.literal('kibana'),
    ...serverEntry,
    options: z.optional(SERVICE_OPTIONS.kibana),
  }),
  z.strictObject({
    service: z.literal('metricbeat'),
    ...clientEntry,
    options: z.optional(SERVICE_OPTIONS.metricbeat),
  }),
  z.strictObject({
    service: z.literal('node-exporter'),
    ...serverEntry,
    options: z.optional(SERVICE_OPTIONS['node-exporter']),
  }),
  z.strictObject({
    service: z.literal('prometheus'),
    ...serverEntry,
    options: z.optional(SERVICE_OPTIONS.prometheus),
  }),
  z.strictObject({
    service: z.literal('telegraf'),
    ...clientEntry,
    options: z.optional(SERVICE_OPTIONS.telegraf),
  }),
])
export type ServiceEntry = z.infer<typeof ServiceEntry>
/** An entry of a product with a listener of its own. */
export type ServerEntry = Exclude<ServiceEntry, { readonly service: ClientService }>
type ClientService = (typeof CLIENT_SERVICES)[number]

const Defaults = z.strictObject(settings)
export type Defaults = z.infer<typeof Defaults>

export const FleetDocument = z.strictObject({
  version: z.literal(1),
  fleet: Name,
  defaults: z.optional(Defaults),
  services: z.array(ServiceEntry).check(z.maxLength(256)),
  ...rolloutKeys,
})
export type FleetDocument = z.infer<typeof FleetDocument>

/** Keys that are known at a place; none where any key may stand. `service` is the product of the entry. */
export function knownKeysAt(
  path: readonly (string | number)[],
  service: unknown,
): readonly string[] {
  const place = path.map(part => (typeof part === 'number' ? '*' : part)).join('.')
  const product = ServiceName.safeParse(service).data
  if (place === 'services.*.options')
    return product === undefined ? [] : Object.keys(SERVICE_OPTIONS[product].shape)
  if (place === 'services.*')
    return ['service', ...Object.keys(isClient(product) ? clientEntry : serverEntry), 'options']
  return KNOWN_KEYS.get(place) ?? []
}

export function isClient(service: ServiceName | undefined): service is ClientService {
  return CLIENT_SERVICES.some(one => one === service)
}

const KNOWN_KEYS: ReadonlyMap<string, readonly string[]> = new Map([
  ['', Object.keys(FleetDocument.shape)],
  ['defaults', Object.keys(settings)],
  ['defaults.verify', ['stableFor', 'deadline']],
  ['services.*.verify', ['stableFor', 'deadline']],
  ['services.*.nodes', Object.keys(NodeSelector.shape)],
  ['services.*.names', Object.keys(SubsetOfNames.shape)],
  ...KNOWN_ROLLOUT_KEYS,
])
