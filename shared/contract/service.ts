// What an operator can want for one product on one node. TLS intent only: no path, unit, command,
// template or script. Drivers know the paths.

import * as z from 'zod/mini'
import { Digest, DurationMs, Name, Names, Pem } from './schema.ts'

export const SERVICE_NAMES = [
  'alertmanager',
  'elasticsearch',
  'influxdb',
  'influxdb-meta',
  'kibana',
  'metricbeat',
  'node-exporter',
  'prometheus',
  'telegraf',
] as const
export const ServiceName = z.enum(SERVICE_NAMES)
export type ServiceName = z.infer<typeof ServiceName>

export const KeyType = z.enum(['ec-p256', 'rsa-2048', 'rsa-3072', 'rsa-4096'])
export type KeyType = z.infer<typeof KeyType>

/**
 * Where a leaf comes from. `internal`: the controller's service CA. `self-signed`: made on the
 * node. `provided`: key and chain that an operator has uploaded to the controller. `files`: placed on
 * the node by another tool; the node's own policy says where. `csr`: requested on the node, signed by
 * people outside, whose answers an operator uploads. `acme`: requested on the node, ordered by the
 * controller at a directory (RFC 8555). `local-ca`: a CA key on the node itself, only without a
 * controller.
 */
export const Issuer = z.enum([
  'internal',
  'self-signed',
  'provided',
  'files',
  'csr',
  'acme',
  'local-ca',
])
export type Issuer = z.infer<typeof Issuer>

export const CertificateSpec = z.strictObject({
  issuer: Issuer,
  /** Subject alternative names, normalized. For issuer `files` the names that the pair must cover. */
  names: Names,
  key: z._default(KeyType, 'ec-p256'),
  lifetimeMs: DurationMs,
  /** A renewal is due this long before the end, spread earlier by the serial. */
  renewBeforeMs: DurationMs,
  /** SHA-256 fingerprint of the CA certificate that must have issued the leaf (issuer `internal`): another one is a reason to reissue. */
  issuedBy: z.optional(Digest),
  /** Issuer `provided`: the pair that an operator has uploaded by this name, and the leaf of it that is wanted now. */
  provided: z.optional(z.strictObject({ name: Name, fingerprint: Digest })),
  /** Issuer `acme`: name of the directory in the controller's configuration. */
  directory: z.optional(Name),
})
export type CertificateSpec = Readonly<z.infer<typeof CertificateSpec>>

export const ClientAuth = z.enum(['none', 'optional', 'required'])
export type ClientAuth = z.infer<typeof ClientAuth>
export const TlsVersion = z.enum(['1.2', '1.3'])
export type TlsVersion = z.infer<typeof TlsVersion>

export const VerifyPolicy = z.strictObject({
  /** The service must stay active, with unchanged restart count, this long. */
  stableForMs: z._default(DurationMs, 5_000),
  /** Without proof before this time the previous state is put back. */
  deadlineMs: z._default(DurationMs, 300_000),
})
export type VerifyPolicy = Readonly<z.infer<typeof VerifyPolicy>>

/** `off` is a state like `on`: the product is brought to plaintext and kept there. */
export const TlsSwitch = z.enum(['on', 'off'])
export type TlsSwitch = z.infer<typeof TlsSwitch>

/** A listener that this product connects to as a client, as it is meant to be now. */
export const Upstream = z.strictObject({
  service: ServiceName,
  /** Of its node: a URL whose host is one of these, with this port, means it. */
  names: Names,
  port: z.int().check(z.minimum(1), z.maximum(65_535)),
  tls: TlsSwitch,
  /** It runs on the same node, so it is what `localhost` means there. */
  isLocal: z.optional(z.boolean()),
})
export type Upstream = Readonly<z.infer<typeof Upstream>>

// Self-signed certificates are trusted one by one, and for a while two of each listener.
const UPSTREAM_TRUST_MAX = 512

const common = {
  tls: z._default(TlsSwitch, 'on'),
  verify: z._default(VerifyPolicy, { stableForMs: 5_000, deadlineMs: 300_000 }),
  /** What it connects to. Addresses of the product's configuration that are none of these are left alone. */
  upstreams: z._default(z.array(Upstream).check(z.maxLength(4096)), []),
  /** CA certificates that issued what the upstreams serve, during a CA rotation old and new, and those that are self-signed. Empty: the roots of the platform. */
  upstreamTrust: z._default(z.array(Pem).check(z.maxLength(UPSTREAM_TRUST_MAX)), []),
}

/** Products with a listener of their own. With `tls: off` the certificate is what it would have. */
const server = {
  ...common,
  certificate: CertificateSpec,
  /** CA certificates that clients of this service must trust; during a CA rotation old and new. For `self-signed` what clients hold of its certificates: empty where nobody keeps count. */
  trust: z.array(Pem).check(z.maxLength(32)),
  clientAuth: z._default(ClientAuth, 'none'),
  minVersion: z._default(TlsVersion, '1.2'),
}

/** Products that are only clients: nothing to issue, their addresses and trust are kept. */
const client = { ...common }

/** `externalUrl` says whether a missing `--web.external-url` is set so that links in alerts are https. */
export const PrometheusOptions = z.strictObject({
  externalUrl: z._default(z.enum(['manage', 'leave']), 'manage'),
})
export type PrometheusOptions = Readonly<z.infer<typeof PrometheusOptions>>

/** As for prometheus. */
export const AlertmanagerOptions = PrometheusOptions
export type AlertmanagerOptions = PrometheusOptions

export const NodeExporterOptions = z.strictObject({})
export type NodeExporterOptions = Readonly<z.infer<typeof NodeExporterOptions>>

const Verification = z.enum(['leave', 'tls', 'tls-insecure', 'off'])
/**
 * Where a product without a key for CA certificates learns a private CA: `system` is the CA store
 * of the node, `unit` only the environment of the product, `leave` is for CAs that are known already.
 */
export const TrustStore = z.enum(['system', 'unit', 'leave'])
export type TrustStore = z.infer<typeof TrustStore>

/**
 * How nodes of one cluster go from plaintext to TLS and back where those on different sides cannot
 * talk: all stopped and changed at once, which an operator has to ask for, or one by one.
 */
export const SchemeChange = z.enum(['together', 'rolling'])
export type SchemeChange = z.infer<typeof SchemeChange>

/**
 * influxdb, Enterprise data nodes only (refused on OSS): `meta` is TLS towards the meta nodes
 * (`[meta] meta-tls-enabled`), `cluster` the RPC between data nodes (`[cluster] https-enabled`).
 * `leave` does not touch the keys. The insecure switch skips verification, for self-signed
 * certificates without an installable CA. `schemeChange` is about `cluster`.
 * `opentsdb` is the listener of that name, `layout` whether key and chain are two files or one.
 */
export const InfluxdbOptions = z.strictObject({
  meta: z._default(Verification, 'leave'),
  cluster: z._default(Verification, 'leave'),
  opentsdb: z._default(z.enum(['leave', 'tls', 'off']), 'leave'),
  layout: z._default(z.enum(['pair', 'bundle']), 'pair'),
  trustStore: z._default(TrustStore, 'system'),
  schemeChange: z._default(SchemeChange, 'together'),
})
export type InfluxdbOptions = Readonly<z.infer<typeof InfluxdbOptions>>

/**
 * influxdb-meta: `peers` is how meta nodes verify each other, `data` TLS towards the data nodes
 * (`data-use-tls`), `schemeChange` how several go from plaintext to TLS and back.
 */
export const InfluxdbMetaOptions = z.strictObject({
  peers: z._default(z.enum(['verify', 'insecure']), 'verify'),
  data: z._default(Verification, 'leave'),
  trustStore: z._default(TrustStore, 'system'),
  schemeChange: z._default(SchemeChange, 'together'),
})
export type InfluxdbMetaOptions = Readonly<z.infer<typeof InfluxdbMetaOptions>>

/** telegraf: `insecure` gives up the identity of the server, for certificates without an installable CA. */
export const TelegrafOptions = z.strictObject({
  verification: z._default(z.enum(['full', 'insecure']), 'full'),
})
export type TelegrafOptions = Readonly<z.infer<typeof TelegrafOptions>>

/**
 * elasticsearch: `layout` of the key material. `transport` is TLS between the nodes of the cluster:
 * `require` demands that their operator has set it up, `manage` has it follow `tls` with the
 * certificate of the HTTP layer. Switching it takes the whole cluster down, so no node does it alone.
 * `leave` touches nothing but what `manage` has set up, which is taken back.
 */
export const ElasticsearchOptions = z.strictObject({
  layout: z._default(z.enum(['pkcs12', 'pem']), 'pkcs12'),
  transport: z._default(z.enum(['leave', 'require', 'manage']), 'leave'),
})
export type ElasticsearchOptions = Readonly<z.infer<typeof ElasticsearchOptions>>

/** kibana: `server: leave` manages only its connection to Elasticsearch. */
export const KibanaOptions = z.strictObject({
  server: z._default(z.enum(['manage', 'leave']), 'manage'),
  publicBaseUrl: z._default(z.enum(['manage', 'leave']), 'manage'),
})
export type KibanaOptions = Readonly<z.infer<typeof KibanaOptions>>

/** metricbeat: `module` is elasticsearch-xpack; `passwords: keystore` moves passwords in clear out of its files. */
export const MetricbeatOptions = z.strictObject({
  module: z._default(z.enum(['leave', 'enable']), 'leave'),
  passwords: z._default(z.enum(['leave', 'keystore']), 'keystore'),
})
export type MetricbeatOptions = Readonly<z.infer<typeof MetricbeatOptions>>

/** Options of each product, as the fleet spec and the file of a node take them too. */
export const SERVICE_OPTIONS = {
  alertmanager: AlertmanagerOptions,
  elasticsearch: ElasticsearchOptions,
  influxdb: InfluxdbOptions,
  'influxdb-meta': InfluxdbMetaOptions,
  kibana: KibanaOptions,
  metricbeat: MetricbeatOptions,
  'node-exporter': NodeExporterOptions,
  prometheus: PrometheusOptions,
  telegraf: TelegrafOptions,
} as const

/** Products that are only clients: they have no listener and get no certificate. */
export const CLIENT_SERVICES = ['metricbeat', 'telegraf'] as const satisfies readonly ServiceName[]
const clients: readonly ServiceName[] = CLIENT_SERVICES

/** The others: each of them can have a certificate. */
export const SERVER_SERVICES: readonly ServiceName[] = SERVICE_NAMES.filter(
  name => !clients.includes(name),
)

/** Port that a listener has unless its configuration says another. */
export const DEFAULT_PORTS: Readonly<Record<ServiceName, number | undefined>> = {
  alertmanager: 9093,
  elasticsearch: 9200,
  influxdb: 8086,
  'influxdb-meta': 8091,
  kibana: 5601,
  metricbeat: undefined,
  'node-exporter': 9100,
  prometheus: 9090,
  telegraf: undefined,
}

export const ServiceTls = z.discriminatedUnion('service', [
  z.strictObject({
    service: z.literal('alertmanager'),
    ...server,
    options: z.prefault(AlertmanagerOptions, {}),
  }),
  z.strictObject({
    service: z.literal('elasticsearch'),
    ...server,
    options: z.prefault(ElasticsearchOptions, {}),
  }),
  z.strictObject({
    service: z.literal('influxdb'),
    ...server,
    options: z.prefault(InfluxdbOptions, {}),
  }),
  z.strictObject({
    service: z.literal('influxdb-meta'),
    ...server,
    options: z.prefault(InfluxdbMetaOptions, {}),
  }),
  z.strictObject({
    service: z.literal('kibana'),
    ...server,
    options: z.prefault(KibanaOptions, {}),
  }),
  z.strictObject({
    service: z.literal('metricbeat'),
    ...client,
    options: z.prefault(MetricbeatOptions, {}),
  }),
  z.strictObject({
    service: z.literal('node-exporter'),
    ...server,
    options: z.prefault(NodeExporterOptions, {}),
  }),
  z.strictObject({
    service: z.literal('prometheus'),
    ...server,
    options: z.prefault(PrometheusOptions, {}),
  }),
  z.strictObject({
    service: z.literal('telegraf'),
    ...client,
    options: z.prefault(TelegrafOptions, {}),
  }),
])
export type ServiceTls = Readonly<z.infer<typeof ServiceTls>>
/** The intent for one product, by its name. */
export type ServiceTlsOf<S extends ServiceName> = Extract<ServiceTls, { service: S }>
/** The intent for a product with a listener of its own. */
export type ServerTls = Extract<ServiceTls, { readonly certificate: CertificateSpec }>

/**
 * Is TLS between the nodes of an Elasticsearch cluster ours? Only then may their certificates be
 * shown as a client's: whoever has one of the same CA that may be can talk to the transport layer.
 */
export function managesTransport(tls: ServiceTls): boolean {
  return tls.service === 'elasticsearch' && tls.tls === 'on' && tls.options.transport === 'manage'
}

/** Is it a product whose nodes change sides as a whole unless `schemeChange` says otherwise? */
export function hasSchemeChange({ service }: Pick<ServiceTls, 'service'>): boolean {
  return service === 'influxdb' || service === 'influxdb-meta'
}

/**
 * Who may issue certificates that nodes of an Elasticsearch cluster show each other. Whatever such an
 * issuer has signed with clientAuth is let in, so it is none but ours, of which that is known: a public
 * CA (`acme`), or that of a company (`csr`, `provided`, `files`), signs for others as well.
 */
export const TRANSPORT_ISSUERS: readonly Issuer[] = ['internal', 'local-ca']

/**
 * Is the leaf shown as a client certificate too? By the agent's own probe where clients must show
 * one, and by members of an InfluxDB or Elasticsearch cluster to each other. Controller and agent must
 * agree on it.
 */
export function wantsClientUse(tls: ServerTls): boolean {
  if (tls.clientAuth === 'required' || managesTransport(tls)) return true
  const isMember = tls.service === 'influxdb' || tls.service === 'influxdb-meta'
  return isMember && tls.clientAuth !== 'none'
}

export function isServer(tls: ServiceTls): tls is ServerTls {
  return 'certificate' in tls
}
