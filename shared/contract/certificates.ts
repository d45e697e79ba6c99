// The inventory of certificates, as the operator's API answers it: what listeners were seen serving,
// the identities of agents, and the CA certificates above them.

import * as z from 'zod/mini'
import { AuthorityState } from './authorities.ts'
import { Name, Reason, TimeMs } from './schema.ts'
import { ServedIssuer } from './report.ts'
import { Issuer, ServiceName } from './service.ts'

/**
 * `listener`: what it was seen serving, or what is in use on the node where nothing could be seen.
 * `identity`: the client certificate of an agent. `authority`: a CA certificate.
 */
export const CertificateKind = z.enum(['authority', 'identity', 'listener'])
export type CertificateKind = z.infer<typeof CertificateKind>

/**
 * `renewal-due`: its time has come. `overdue`: that was a while ago. `foreign`: served, and not what
 * is in use by tlsfleet. `unknown`: nothing was seen, so dates are what was issued or reported.
 */
export const CertificateState = z.enum([
  'ok',
  'renewal-due',
  'overdue',
  'expired',
  'foreign',
  'unknown',
])
export type CertificateState = z.infer<typeof CertificateState>

/** `trusted-only`: not one of ours, but clients of the fleet trust it. */
export const CertificateRole = z.enum([
  'identity-root',
  'identity-intermediate',
  'service-root',
  'service-intermediate',
  'trusted-only',
])
export type CertificateRole = z.infer<typeof CertificateRole>

/**
 * `trusts`: verifies with CA certificates among which the issuer is. `lacks-issuer`: it is not among
 * them. `platform`: verifies with the roots of its node. `insecure`: does not verify. `unmanaged`:
 * tlsfleet does not touch this connection.
 */
export const ClientTrust = z.enum(['trusts', 'lacks-issuer', 'platform', 'insecure', 'unmanaged'])
export type ClientTrust = z.infer<typeof ClientTrust>

/** Services that connect to a listener, or have a CA certificate among those that they trust. */
export const CertificateClients = z.object({
  service: ServiceName,
  trust: ClientTrust,
  count: z.int().check(z.positive()),
  /** The first of them, by name. */
  nodes: z.array(Name),
})
export type CertificateClients = Readonly<z.infer<typeof CertificateClients>>

export const CertificateView = z
  .object({
    kind: CertificateKind,
    /** Absent for authorities. */
    node: z.optional(Name),
    service: z.optional(ServiceName),
    /** Absent where no listener was seen. */
    listener: z.optional(z.string()),
    role: z.optional(CertificateRole),
    /** Which of our CAs, and how far it has come. */
    authority: z.optional(z.object({ id: z.string(), state: AuthorityState })),
    state: CertificateState,
    reason: Reason,
    notAfterMs: z.optional(TimeMs),
    renewAtMs: z.optional(TimeMs),
    /** Why nobody will renew it if nothing changes; absent: it is renewed in time. */
    unrenewed: z.optional(Reason),
    fingerprint: z.optional(z.string()),
    subject: z.optional(z.string()),
    issuer: z.optional(z.string()),
    /** Where the leaf is wanted from. */
    source: z.optional(Issuer),
    names: z.optional(z.object({ dns: z.array(z.string()), ip: z.array(z.string()) })),
    chain: z.optional(z.array(ServedIssuer)),
    clients: z.array(CertificateClients),
  })
  .register(z.globalRegistry, {
    examples: [
      {
        kind: 'listener',
        node: 'data-1',
        service: 'influxdb',
        listener: 'https 127.0.0.1:8086',
        state: 'ok',
        reason: { code: 'node-silent', message: 'not heard of since 2026-11-20T09:00:00Z' },
        notAfterMs: 1_797_000_000_000,
        renewAtMs: 1_796_136_000_000,
        unrenewed: { code: 'node-silent', message: 'not heard of since 2026-11-20T09:00:00Z' },
        fingerprint: '9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08',
        issuer: 'O=demo, CN=service intermediate 4c2f8a11',
        source: 'internal',
        names: { dns: ['data-1.example.org'], ip: ['192.0.2.21'] },
        chain: [],
        clients: [{ service: 'telegraf', trust: 'trusts', count: 2, nodes: ['app-1', 'app-2'] }],
      },
    ],
  })
export type CertificateView = Readonly<z.infer<typeof CertificateView>>

/**
 * In the order of nodes, CA certificates first. Pages: `?after=<next>&limit=`; `next` is absent on the
 * last one. Filters: `node`, `service`, `label=k=v` (repeatable), `expiringBefore` (milliseconds since
 * the epoch; without what has no known end), `unrenewed=true`, and `controller=down`: what is unrenewed
 * if the controller stays away from now on.
 */
export const CertificateList = z.object({
  certificates: z.array(CertificateView),
  next: z.optional(z.string()),
})
export type CertificateList = Readonly<z.infer<typeof CertificateList>>
