// The second vantage: the controller asks an agent what it sees of another node's listener, or of the
// cluster that its own node is in. Nothing free-form crosses the wire: the product decides on the agent
// what is asked of it. What is expected is not told, so that whoever answers has to look.

import * as z from 'zod/mini'
import { ClusterKind, ClusterView } from './cluster-view.ts'
import { Digest, Pem, Reason, parser } from './schema.ts'
import { ServiceName, TlsSwitch } from './service.ts'

const Id = z.string().check(z.regex(/^[A-Za-z0-9-]{1,64}$/))
/** A DNS name or an IP address. */
const HostName = z.string().check(z.regex(/^[A-Za-z0-9._:-]{1,253}$/))

export const ListenerProbe = z.strictObject({
  kind: z.literal('listener'),
  probeId: Id,
  service: ServiceName,
  host: HostName,
  port: z.int().check(z.minimum(1), z.maximum(65_535)),
  /** The name that its certificate must carry. */
  serverName: HostName,
  /** Whether TLS is meant to be spoken there: what is asked for first. */
  tls: TlsSwitch,
  /** Clients must show a certificate: then the handshake is all that can be seen. */
  clientAuth: z.boolean(),
  /** CA certificates that clients trust. Empty: what is served is not verified, only told. */
  trust: z.array(Pem).check(z.maxLength(32)),
})
export type ListenerProbe = Readonly<z.infer<typeof ListenerProbe>>

export const ClusterProbe = z.strictObject({
  kind: z.literal('cluster'),
  probeId: Id,
  service: ClusterKind,
})
export type ClusterProbe = Readonly<z.infer<typeof ClusterProbe>>

export const ProbeRequest = z.discriminatedUnion('kind', [ListenerProbe, ClusterProbe])
export type ProbeRequest = Readonly<z.infer<typeof ProbeRequest>>

/** In one answer of the long poll. */
export const PROBES_MAX = 16

export const Sighting = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('tls'),
    /** SHA-256 of the leaf. */
    fingerprint: Digest,
    /** Undefined: chain and name verify, or no trust was given. */
    untrusted: z.optional(Reason),
    /** What is wrong with how the product answers; absent: nothing, or it was not asked. */
    unhealthy: z.optional(Reason),
  }),
  z.strictObject({ kind: z.literal('plaintext'), unhealthy: z.optional(Reason) }),
  z.strictObject({ kind: z.literal('unreachable'), reason: Reason }),
  z.strictObject({ kind: z.literal('cluster'), view: ClusterView }),
  /** This agent can say nothing of it, for example without credentials. */
  z.strictObject({ kind: z.literal('unknown'), reason: Reason }),
])
export type Sighting = Readonly<z.infer<typeof Sighting>>

/** POST probe. Counts only for a probe that this node was asked for. */
export const ProbeAnswer = z.strictObject({ probeId: Id, sighting: Sighting })
export type ProbeAnswer = Readonly<z.infer<typeof ProbeAnswer>>
export const parseProbeAnswer = parser('probe answer', ProbeAnswer)
