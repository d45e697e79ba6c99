// Object identifiers of PKCS#12 (RFC 7292), of the parts of PKCS#5, #7 and #9 it is made of, and of
// the ciphers that products have used in it.

export const P12 = {
  // Content of a part: as it is, or encrypted with a password.
  data: '1.2.840.113549.1.7.1',
  encryptedData: '1.2.840.113549.1.7.6',

  // Bags.
  keyBag: '1.2.840.113549.1.12.10.1.1',
  shroudedKeyBag: '1.2.840.113549.1.12.10.1.2',
  certificateBag: '1.2.840.113549.1.12.10.1.3',
  x509Certificate: '1.2.840.113549.1.9.22.1',

  // Attributes of a bag.
  friendlyName: '1.2.840.113549.1.9.20',
  localKeyId: '1.2.840.113549.1.9.21',
  /** Java trusts a certificate only where this stands with it; its value is the purposes. */
  trustedKeyUsage: '2.16.840.1.113894.746875.1.1',
  anyExtendedKeyUsage: '2.5.29.37.0',

  // Encryption by PKCS#5: what is written today.
  pbes2: '1.2.840.113549.1.5.13',
  pbkdf2: '1.2.840.113549.1.5.12',
  hmacSha256: '1.2.840.113549.2.9',
  aes256Cbc: '2.16.840.1.101.3.4.1.42',

  sha256: '2.16.840.1.101.3.4.2.1',
} as const
