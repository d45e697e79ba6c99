// What an operator can want for one product on one node. TLS intent only: no path, unit, command,
// template or script. Drivers know the paths.

import * as z from 'zod/mini'
import { DurationMs, Names, Pem } from './schema.ts'

export const SERVICE_NAMES = ['influxdb', 'prometheus'] as const
export const ServiceName = z.enum(SERVICE_NAMES)
export type ServiceName = z.infer<typeof ServiceName>

export const KeyType = z.enum(['ec-p256', 'rsa-2048', 'rsa-3072', 'rsa-4096'])
export type KeyType = z.infer<typeof KeyType>

/**
 * Where a leaf comes from. `internal`: the controller's service CA. `self-signed`: made on the
 * node. `files`: placed on the node by another tool; the node's own policy says where. `local-ca`:
 * a CA key on the node itself, only without a controller.
 */
export const Issuer = z.enum(['internal', 'self-signed', 'files', 'local-ca'])
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
  issuedBy: z.optional(z.string().check(z.regex(/^[0-9a-f]{64}$/))),
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

const common = {
  certificate: CertificateSpec,
  /** CA certificates that clients of this service must trust; during a CA rotation old and new. May be empty for `self-signed`. */
  trust: z.array(Pem).check(z.maxLength(32)),
  clientAuth: z._default(ClientAuth, 'none'),
  minVersion: z._default(TlsVersion, '1.2'),
  verify: z._default(VerifyPolicy, { stableForMs: 5_000, deadlineMs: 300_000 }),
}

/** prometheus: `externalUrl` says whether a missing `--web.external-url` is set so that links in alerts are https. */
export const PrometheusOptions = z.strictObject({
  externalUrl: z._default(z.enum(['manage', 'leave']), 'manage'),
})
export type PrometheusOptions = Readonly<z.infer<typeof PrometheusOptions>>

/**
 * influxdb, Enterprise data nodes only (refused on OSS): `meta` is TLS towards the meta nodes
 * (`[meta] meta-tls-enabled`), `cluster` the RPC between data nodes (`[cluster] https-enabled`).
 * `leave` does not touch the keys. The insecure switch skips verification, for self-signed
 * certificates without an installable CA.
 */
export const InfluxdbOptions = z.strictObject({
  meta: z._default(z.enum(['leave', 'tls', 'tls-insecure']), 'leave'),
  cluster: z._default(z.enum(['leave', 'tls', 'tls-insecure']), 'leave'),
})
export type InfluxdbOptions = Readonly<z.infer<typeof InfluxdbOptions>>

export const ServiceTls = z.discriminatedUnion('service', [
  z.strictObject({
    service: z.literal('prometheus'),
    ...common,
    options: z._default(PrometheusOptions, { externalUrl: 'manage' }),
  }),
  z.strictObject({
    service: z.literal('influxdb'),
    ...common,
    options: z._default(InfluxdbOptions, { meta: 'leave', cluster: 'leave' }),
  }),
])
export type ServiceTls = Readonly<z.infer<typeof ServiceTls>>
/** The intent for one product, by its name. */
export type ServiceTlsOf<S extends ServiceName> = Extract<ServiceTls, { service: S }>
