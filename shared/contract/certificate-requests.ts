// Certificate requests as operators see them: what nodes have asked for and others are to sign.

import * as z from 'zod/mini'
import { Next } from './lists.ts'
import { Digest, DurationMs, Name, Names, Reason, TimeMs } from './schema.ts'
import { ServiceName } from './service.ts'

/** Media type of the answer of GET export. */
export const REQUEST_ARCHIVE_TYPE = 'application/x-tar'

export const RequestIssuerName = z.enum(['csr', 'acme'])

/** `withdrawn`: nobody wants the answer any more. */
export const RequestStateName = z.enum(['pending', 'signed', 'refused', 'withdrawn'])
export type RequestStateName = z.infer<typeof RequestStateName>

export const CertificateRequestView = z
  .object({
    id: z.string(),
    node: Name,
    service: ServiceName,
    issuer: RequestIssuerName,
    /** Issuer `acme`. */
    directory: z.optional(z.string()),
    state: RequestStateName,
    /** Why it was refused or withdrawn, or what a pending one waits for. */
    reason: z.optional(Reason),
    names: Names,
    keyType: z.string(),
    /** SHA-256 of the SubjectPublicKeyInfo: what an answer is matched by. */
    publicKeyDigest: Digest,
    /** The certificate must identify a client too. */
    clientUse: z.boolean(),
    /** What the fleet spec asks for; whoever signs decides. */
    lifetimeMs: DurationMs,
    createdAtMs: TimeMs,
    settledAtMs: z.optional(TimeMs),
  })
  .register(z.globalRegistry, {
    examples: [
      {
        id: '5f0c2a1e-6a52-4c0c-9d0f-1f6d3f1f2b11',
        node: 'data-1',
        service: 'influxdb',
        issuer: 'csr',
        state: 'pending',
        names: { dns: ['data-1.example.org'], ip: ['192.0.2.21'] },
        keyType: 'ec-p256',
        publicKeyDigest: '9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08',
        clientUse: false,
        lifetimeMs: 31_536_000_000,
        createdAtMs: 1_797_000_000_000,
      },
    ],
  })
export type CertificateRequestView = Readonly<z.infer<typeof CertificateRequestView>>

/** Oldest first. */
export const CertificateRequestList = z.object({
  requests: z.array(CertificateRequestView),
  next: Next,
})
export type CertificateRequestList = Readonly<z.infer<typeof CertificateRequestList>>

/** Certificates in one import; a client with more of them sends several. */
export const IMPORT_CERTIFICATES_MAX = 1_000

/**
 * Answers of whoever signs and the CA certificates above them, in any order, each with where it came
 * from. They are matched by key.
 */
export const CertificateImport = z.strictObject({
  certificates: z
    .array(
      z.strictObject({
        /** A file, and where in it: told again in the answer. */
        source: z.string().check(z.maxLength(512)),
        pem: z.string().check(z.maxLength(90_000)),
      }),
    )
    .check(z.minLength(1), z.maxLength(IMPORT_CERTIFICATES_MAX)),
})
export type CertificateImport = Readonly<z.infer<typeof CertificateImport>>

/**
 * `taken`: it answers a request, whose node gets it now. `known`: it was taken before. `issuer`: a CA
 * certificate, for the chains of the others. `refused`: it is not used, and why.
 */
export const ImportOutcome = z.enum(['taken', 'known', 'issuer', 'refused'])
export type ImportOutcome = z.infer<typeof ImportOutcome>

export const ImportedCertificate = z.object({
  source: z.string(),
  outcome: ImportOutcome,
  /** Everything that is wrong with a refused one. */
  reasons: z.array(Reason),
  subject: z.optional(z.string()),
  fingerprint: z.optional(Digest),
  notAfterMs: z.optional(TimeMs),
  /** The request with its key. */
  request: z.optional(z.string()),
  node: z.optional(Name),
  service: z.optional(ServiceName),
})
export type ImportedCertificate = Readonly<z.infer<typeof ImportedCertificate>>

/** In the order of what was sent. */
export const CertificateImportAnswer = z.object({ results: z.array(ImportedCertificate) })
export type CertificateImportAnswer = Readonly<z.infer<typeof CertificateImportAnswer>>

/** POST refuse: the node is told so, and asks no more before it gets another document. */
export const RequestRefusal = z.strictObject({
  reason: z.string().check(z.minLength(1), z.maxLength(1_000)),
})
export type RequestRefusal = Readonly<z.infer<typeof RequestRefusal>>
