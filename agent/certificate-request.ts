// The request for a certificate of which others than the controller make one (issuers `csr` and `acme`).
// Pure.

import type { CertificateSpec } from '../shared/contract/service.ts'
import { buildCsr } from '../shared/pki/csr.ts'
import { type KeyPair, parsePrivateKey } from '../shared/pki/keys.ts'
import { normalizeNames } from '../shared/pki/names.ts'
import { purposesOf } from '../shared/pki/profile.ts'

/** RFC 5280 allows no longer common name, and a part of a name would be the name of somebody else. */
const COMMON_NAME_MAX = 64

/** PKCS#10, PEM. People see the first name as subject; clients look at the alternative names. */
export function certificateRequest(
  spec: CertificateSpec,
  clientUse: boolean,
  keys: KeyPair,
): string {
  const names = normalizeNames(spec.names, { wildcard: true })
  const [name] = names.dns
  const hasSubject = name !== undefined && name.length <= COMMON_NAME_MAX
  return buildCsr({
    key: parsePrivateKey(keys.privateKeyPem),
    names,
    ...(hasSubject ? { subject: { commonName: name } } : {}),
    // ACME directories decide the usage themselves.
    ...(spec.issuer === 'csr'
      ? { purposes: purposesOf({ kind: 'server', names, clientAuth: clientUse }) }
      : {}),
  })
}
