// Judges every certificate that a test's controller has issued, when the test is over: whatever the
// test was about, none may break the rules of its profile.

import { existsSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import * as z from 'zod/mini'
import { databasePath } from '../../controller/init.ts'
import { LIFETIME_MS_MAX } from '../../controller/fleet/lifetime-policy.ts'
import { BACKDATE_MS } from '../../shared/pki/certificate.ts'
import { certificateFacts } from '../../shared/pki/facts.ts'
import { lintCertificate } from '../../shared/pki/lint.ts'
import { OID } from '../../shared/pki/oids.ts'
import { parseCertificate, splitPemCertificates } from '../../shared/pki/pem.ts'
import type { CertificateProfile } from '../../shared/pki/profile.ts'

const DAY_MS = 86_400_000
const CA_LIFETIME_MS_MAX = 3650 * DAY_MS

const Issued = z.array(
  z.object({ chain: z.string(), issued_at_ms: z.number(), kind: z.enum(['leaf', 'identity']) }),
)
const Authorities = z.array(
  z.object({
    root_certificate: z.string(),
    intermediate_certificate: z.string(),
    former_intermediates: z.string(),
  }),
)

/** What is wrong with anything that it issued; empty when all is well. */
export function lintIssued(dataDir: string): readonly string[] {
  const path = databasePath(dataDir)
  // A test of restoring may have moved it away.
  if (!existsSync(path)) return []
  const database = new DatabaseSync(path, { readOnly: true })
  try {
    const authorities = Authorities.parse(database.prepare('select * from authorities').all())
    const issuers = authorities.flatMap(one =>
      splitPemCertificates(one.intermediate_certificate + one.former_intermediates),
    )
    const roots = authorities.map(one => one.root_certificate)
    return [...findingsOfCas(roots, issuers), ...findingsOfLeaves(database, issuers)]
  } finally {
    database.close()
  }
}

function findingsOfLeaves(database: DatabaseSync, issuers: readonly string[]): readonly string[] {
  const rows = Issued.parse(
    database
      .prepare(
        `select certificate_chain as chain, issued_at_ms, 'leaf' as kind from leaves
         union all
         select certificate_chain, issued_at_ms, 'identity' from identities`,
      )
      .all(),
  )
  return rows.flatMap(row => {
    const [pem = '', issuerPem = ''] = splitPemCertificates(row.chain)
    // Others sign too, and they have rules of their own.
    if (!issuers.includes(issuerPem)) return []
    return described(pem, {
      issuerPem,
      profile: profileOf(pem, row.kind),
      issuedAtMs: row.issued_at_ms,
      lifetimeMaxMs: LIFETIME_MS_MAX,
    })
  })
}

// Which names belong into it is known to other tests; here it is that nothing else is in it.
function profileOf(pem: string, kind: 'leaf' | 'identity'): CertificateProfile {
  const { dnsNames, ipAddresses, uris } = certificateFacts(pem)
  if (kind === 'identity') return { kind: 'client', uris }
  const clientAuth = parseCertificate(pem).keyUsage.includes(OID.clientAuth)
  return { kind: 'server', names: { dns: dnsNames, ip: ipAddresses }, clientAuth }
}

function findingsOfCas(
  roots: readonly string[],
  intermediates: readonly string[],
): readonly string[] {
  const issuerOf = (pem: string) => {
    const { issuer } = certificateFacts(pem)
    return roots.find(root => certificateFacts(root).subject === issuer) ?? pem
  }
  const judge = (pem: string, issuerPem: string, profile: CertificateProfile) =>
    described(pem, {
      issuerPem,
      profile,
      issuedAtMs: certificateFacts(pem).notBeforeMs + BACKDATE_MS,
      lifetimeMaxMs: CA_LIFETIME_MS_MAX,
    })
  return [
    ...roots.flatMap(pem => judge(pem, pem, { kind: 'root' })),
    ...intermediates.flatMap(pem => judge(pem, issuerOf(pem), { kind: 'intermediate' })),
  ]
}

function described(
  pem: string,
  expected: Parameters<typeof lintCertificate>[1],
): readonly string[] {
  const { subject, serial } = certificateFacts(pem)
  return lintCertificate(pem, expected).map(
    ({ code, message }) => `${subject} (${serial}): ${code}: ${message}`,
  )
}
