// PKCS#12 as Kibana reads it, by the same library: RSA keys only, exactly one of them, one password for
// store and key; what does not belong to the key is a CA certificate.

import { createPrivateKey, X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import forge from 'node-forge'
import { KibanaFailure } from './failure.ts'

export interface Pkcs12 {
  readonly key: string | undefined
  readonly cert: string | undefined
  readonly ca: readonly string[]
}

const { asn1, pkcs12, pki } = forge

/** An undefined password is another one than an empty one. */
export function readPkcs12(path: string, password: string | undefined): Pkcs12 {
  const der = asn1.fromDer(readFileSync(path, 'latin1'))
  const store = pkcs12.pkcs12FromAsn1(der, password)
  const bagsOf = (type: string) => store.getBags({ bagType: type })[type] ?? []
  const oids = pki.oids
  const keys = [...bagsOf(oids['keyBag'] ?? ''), ...bagsOf(oids['pkcs8ShroudedKeyBag'] ?? '')]
  if (keys.length > 1) throw new KibanaFailure('Keystore contains multiple private keys.')
  // A key or a certificate that is not RSA is there, and is nothing.
  const key = keys[0]?.key ? pki.privateKeyToPem(keys[0].key) : undefined
  const certificates = bagsOf(oids['certBag'] ?? '').flatMap(({ cert }) =>
    cert ? [pki.certificateToPem(cert)] : [],
  )
  const own = certificates.find(pem => key !== undefined && belongs(pem, key))
  return { key, cert: own, ca: certificates.filter(pem => key === undefined || !belongs(pem, key)) }
}

function belongs(certPem: string, keyPem: string): boolean {
  return new X509Certificate(certPem).checkPrivateKey(createPrivateKey(keyPem))
}
