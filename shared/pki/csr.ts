// Certificate signing requests (PKCS#10) for external CAs. Our own CA takes no such requests.

import { type KeyObject, createPublicKey, sign } from 'node:crypto'
import { type Subject, nameOf, signatureAlgorithm } from './certificate.ts'
import { bit, contextSeq, encode, int, oid, raw, seq, set } from './der.ts'
import { spkiOf } from './keys.ts'
import type { CertificateNames } from './names.ts'
import { OID } from './oids.ts'
import { pemOf } from './pem.ts'
import { alternativeNames, extension } from './profile.ts'

/**
 * PEM of a request, signed by the key. `subject` is for CAs that insist on one; `purposes` are object
 * identifiers of the extended key usage, for CAs that copy what is asked for.
 */
export function buildCsr(options: {
  readonly key: KeyObject
  readonly names: CertificateNames
  readonly subject?: Subject
  readonly purposes?: readonly string[]
}): string {
  const { key, names, subject = {}, purposes = [] } = options
  const extensions = seq(
    extension(OID.subjectAltName, false, alternativeNames({ names })),
    ...(purposes.length === 0
      ? []
      : [extension(OID.extendedKeyUsage, false, seq(...purposes.map(oid)))]),
  )
  const attributes = contextSeq(0, seq(oid(OID.extensionRequest), set(extensions)))
  const info = seq(int(0), nameOf(subject), raw(spkiOf(createPublicKey(key))), attributes)
  const signature = bit(sign('sha256', encode(info), key))
  return pemOf(encode(seq(info, signatureAlgorithm(key), signature)), 'CERTIFICATE REQUEST')
}
