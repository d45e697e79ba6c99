// CA certificates: the four of the controller, and those of others that services are told to trust.
// Nothing renews a CA certificate by itself. Pure.

import type { CertificateRole, CertificateView } from '../../shared/contract/certificates.ts'
import { type ClientGroup, holdersOf } from './clients.ts'
import { stateOf } from './state.ts'
import type { ContentSummary, TrustedAuthority } from './summary.ts'

export interface OwnAuthority extends TrustedAuthority {
  readonly role: Exclude<CertificateRole, 'trusted-only'>
  readonly authority: NonNullable<CertificateView['authority']>
}

/** Own ones first, then those of others by end; each certificate once. */
export function authorityCertificates(
  own: readonly OwnAuthority[],
  fleet: Iterable<ContentSummary>,
  { groups, nowMs }: { readonly groups: readonly ClientGroup[]; readonly nowMs: number },
): readonly CertificateView[] {
  const others = new Map<string, TrustedAuthority>()
  for (const { authorities } of fleet)
    for (const authority of authorities) others.set(authority.fingerprint, authority)
  for (const { fingerprint } of own) others.delete(fingerprint)
  const foreign = [...others.values()]
    .toSorted((a, b) => a.notAfterMs - b.notAfterMs || (a.fingerprint < b.fingerprint ? -1 : 1))
    .map(authority => ({ ...authority, role: 'trusted-only' as const }))
  return [...own, ...foreign].map(authority => authorityView(authority, groups, nowMs))
}

function authorityView(
  authority: TrustedAuthority & {
    readonly role: CertificateRole
    readonly authority?: CertificateView['authority']
  },
  groups: readonly ClientGroup[],
  nowMs: number,
): CertificateView {
  const { role, fingerprint, subject, issuer, notAfterMs } = authority
  const unrenewed =
    role === 'trusted-only'
      ? { code: 'ca-of-others', message: 'its owner renews it; the fleet spec names it as trust' }
      : { code: 'ca-not-renewed', message: 'a CA certificate is never renewed by itself' }
  return {
    kind: 'authority',
    role,
    ...(authority.authority === undefined ? {} : { authority: authority.authority }),
    ...stateOf({ notAfterMs, renewAtMs: undefined }, unrenewed, nowMs),
    notAfterMs,
    unrenewed,
    fingerprint,
    subject,
    issuer,
    clients: holdersOf(groups, fingerprint),
  }
}
