// What an agent tells about its node. Everything in it is a claim of the node: it is shown and
// judged, never used to decide what the node may have.

import * as z from 'zod/mini'
import { ClusterView } from './cluster-view.ts'
import { Mode } from './desired-state.ts'
import { PlannedService } from './planned.ts'
import { Digest, Generation, Names, Pem, Reason, TimeMs, parser } from './schema.ts'
import { ServiceName } from './service.ts'

const Text = z.string().check(z.maxLength(512))

export const Activation = z.enum(['none', 'reload', 'restart'])
export type Activation = z.infer<typeof Activation>

/** One item of a plan, as people and programs see it. Never holds a secret. */
export const ChangeSummary = z.object({
  /** What is changed: a path, or `certificate`. */
  resource: z.string().check(z.maxLength(4096)),
  kind: z.enum([
    'certificate',
    'file',
    'config-file',
    'permissions',
    'directory',
    /** Entries of a product's own store of secrets. */
    'keystore',
    /** A program of the node that makes files from other files. */
    'tool',
    'activation',
  ]),
  action: z.enum(['create', 'update', 'remove']),
  /** One sentence. */
  summary: z.string().check(z.maxLength(1024)),
  reason: Reason,
  /** Unified diff of a text file. */
  diff: z.optional(z.string().check(z.maxLength(32 * 1024))),
})
export type ChangeSummary = Readonly<z.infer<typeof ChangeSummary>>

export const OutcomeKind = z.enum([
  'in-sync',
  'changed',
  'staged',
  'planned',
  'waiting',
  'restored',
  'failed',
  'unsupported',
])
export type OutcomeKind = z.infer<typeof OutcomeKind>

/** A certificate that a listener sent after its leaf. */
export const ServedIssuer = z.object({
  fingerprint: Digest,
  subject: Text,
  issuer: Text,
  notAfterMs: TimeMs,
})
export type ServedIssuer = Readonly<z.infer<typeof ServedIssuer>>

/** The certificate that a listener was seen serving, judged against the trust bundle. */
export const Served = z.object({
  listener: Text,
  /** True: TLS with the expected leaf, a chain the bundle trusts, and the right name; where TLS is off, an answer without TLS. */
  ok: z.boolean(),
  reason: Reason,
  fingerprint: z.optional(Digest),
  issuer: z.optional(Text),
  notAfterMs: z.optional(TimeMs),
  /** Of the leaf; of a foreign one as many as fit. */
  names: z.optional(Names),
  /** As sent, without the leaf. */
  chain: z.optional(z.array(ServedIssuer).check(z.maxLength(8))),
  protocol: z.optional(Text),
  /** What the product itself answered, for example `GET /ping 204`. */
  health: z.optional(Text),
  /** Where it listens. */
  port: z.optional(z.int().check(z.minimum(1), z.maximum(65_535))),
})
export type Served = Readonly<z.infer<typeof Served>>

export const ServiceReport = z.object({
  service: ServiceName,
  unit: z.optional(Text),
  /** Product version as the product prints it, and its edition where it has several. */
  version: z.optional(Text),
  outcome: OutcomeKind,
  reason: Reason,
  /** The node had converged to this content before: the changes correct drift. */
  corrective: z.boolean(),
  activation: Activation,
  activationReason: Reason,
  changes: z.array(ChangeSummary).check(z.maxLength(64)),
  served: z.array(Served).check(z.maxLength(32)),
  /** Findings that need no change, or that tlsfleet must not change. */
  notices: z.array(Reason).check(z.maxLength(32)),
  /** When the current leaf ends and when its renewal is due. */
  notAfterMs: z.optional(TimeMs),
  renewAtMs: z.optional(TimeMs),
  /** Issuer `self-signed`: what clients must trust, the certificate in use and the one that is prepared to follow it. */
  selfSigned: z.optional(z.object({ current: z.optional(Pem), next: z.optional(Pem) })),
  /** What the product says of the cluster that it is a member of, where the agent may ask. */
  cluster: z.optional(ClusterView),
  /** Restarts and reloads that the last pass made. */
  activations: z.int().check(z.nonnegative()),
  /** Neither the new state nor the old one is known to work, and nothing has mended that since. */
  broken: z.optional(z.boolean()),
  /** In answers to previews: what a plan holds the node to. */
  planned: z.optional(PlannedService),
})
export type ServiceReport = Readonly<z.infer<typeof ServiceReport>>

export const Report = z.object({
  /** Strictly increasing per node; survives restarts of the agent. */
  sequence: z.int().check(z.positive()),
  atMs: TimeMs,
  agentVersion: Text,
  /** Absent before the first desired state was accepted. */
  observedGeneration: z.optional(Generation),
  observedDigest: z.optional(Digest),
  mode: z.optional(Mode),
  services: z.array(ServiceReport).check(z.maxLength(32)),
  /** The newest document was refused, as `problem` says; the one before it stays in force. */
  refusedGeneration: z.optional(Generation),
  /** A problem of the agent itself, for example a refused desired state. */
  problem: z.optional(Reason),
  facts: z.record(z.string().check(z.maxLength(64)), Text),
  /** Of the agent: its certificate, the one that issued it, and the roots by which it trusts controllers. */
  identity: z.optional(
    z.object({
      fingerprint: Digest,
      issuer: z.optional(Digest),
      trust: z.array(Digest).check(z.maxLength(8)),
    }),
  ),
})
export type Report = Readonly<z.infer<typeof Report>>

export const parseReport = parser('report', Report, 'malformed-report')

/** An agent's answer to a preview: its plan for a content that nobody asked it to apply. */
export const PreviewAnswer = z.object({
  previewId: Text,
  services: z.array(ServiceReport).check(z.maxLength(32)),
  problem: z.optional(Reason),
})
export type PreviewAnswer = Readonly<z.infer<typeof PreviewAnswer>>
