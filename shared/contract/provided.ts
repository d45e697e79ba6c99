// Issuer `provided`, as the operator's API has it: pairs of key and chain that an operator uploads.
// The key goes in and never comes out again but to the nodes that the fleet spec selects.

import * as z from 'zod/mini'
import { Next } from './lists.ts'
import { Digest, Name, Pem, Reason, TimeMs } from './schema.ts'
import { ServiceName } from './service.ts'

/** Of any key that a service may use; the largest RSA key has 6.4 KB. */
export const PRIVATE_KEY_CHARACTERS_MAX = 16 * 1024

/** PUT provided/{name}. */
export const ProvidedUpload = z.strictObject({
  /** Leaf first, then its issuers. */
  certificateChain: Pem,
  /** Write-only: no answer and no other request has a field for a private key. */
  privateKey: z
    .string()
    .check(z.maxLength(PRIVATE_KEY_CHARACTERS_MAX), z.includes('-----BEGIN '))
    .register(z.globalRegistry, { writeOnly: true }),
  /** CA certificates of the private CA that has issued it; absent for a public CA. */
  trust: z.optional(z.array(Pem).check(z.maxLength(32))),
  /** For the audit log. */
  reason: z.optional(z.string().check(z.minLength(1), z.maxLength(1024))),
})
export type ProvidedUpload = Readonly<z.infer<typeof ProvidedUpload>>

/** A service of a node that has, or is to have, this version. */
export const ProvidedUse = z.object({
  node: Name,
  service: ServiceName,
  fingerprint: Digest,
})
export type ProvidedUse = Readonly<z.infer<typeof ProvidedUse>>

/** The current version of a pair; never its key. */
export const ProvidedView = z
  .object({
    name: Name,
    fingerprint: Digest,
    subject: z.string(),
    issuer: z.string(),
    names: z.object({ dns: z.array(z.string()), ip: z.array(z.string()) }),
    keyType: z.string(),
    notBeforeMs: TimeMs,
    notAfterMs: TimeMs,
    /** Its chain leads to a root of the public CAs, whose rules for lifetimes it follows. */
    isPublic: z.boolean(),
    uploadedAtMs: TimeMs,
    uploadedBy: z.string(),
    /** What keeps it from being used now. */
    problems: z.array(Reason),
    /** What somebody should see to. */
    warnings: z.array(Reason),
    /** Who has it by the desired states of today, in whatever version. */
    usedBy: z.array(ProvidedUse),
    /** Previous versions that are kept because somebody still uses them. */
    previous: z.array(z.object({ fingerprint: Digest, notAfterMs: TimeMs, uploadedAtMs: TimeMs })),
  })
  .register(z.globalRegistry, {
    examples: [
      {
        name: 'wildcard-example-org',
        fingerprint: '9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08',
        subject: 'CN=*.example.org',
        issuer: 'C=US, O=Example Trust, CN=Example Trust TLS CA 2',
        names: { dns: ['*.example.org', 'example.org'], ip: [] },
        keyType: 'rsa-2048',
        notBeforeMs: 1_795_305_600_000,
        notAfterMs: 1_812_585_599_000,
        isPublic: true,
        uploadedAtMs: 1_795_392_000_000,
        uploadedBy: 'ada',
        problems: [],
        warnings: [],
        usedBy: [
          {
            node: 'kibana-1',
            service: 'kibana',
            fingerprint: '9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08',
          },
        ],
        previous: [],
      },
    ],
  })
export type ProvidedView = Readonly<z.infer<typeof ProvidedView>>

/** By name. */
export const ProvidedList = z.object({ provided: z.array(ProvidedView), next: Next })
export type ProvidedList = Readonly<z.infer<typeof ProvidedList>>

/** Answer of PUT. Nothing reaches a node by itself: `outdated` have another version until a fleet spec is applied. */
export const ProvidedStored = z.object({
  provided: ProvidedView,
  /** It was the current version already. */
  isUnchanged: z.boolean(),
  outdated: z.array(ProvidedUse),
})
export type ProvidedStored = Readonly<z.infer<typeof ProvidedStored>>
