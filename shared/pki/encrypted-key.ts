// Private keys in files of their own, encrypted with a passphrase: PKCS#8 with PBES2, scrypt and AES-256
// (RFC 7914), which `openssl pkey` opens as well. A key that is kept for ten years must not need the
// program that wrote it.

import { createCipheriv, createPrivateKey, scryptSync } from 'node:crypto'
import { OperationalError } from '../errors.ts'
import { Secret } from '../secret.ts'
import { encode, int, octet, oid, seq } from './der.ts'
import { parsePrivateKey } from './keys.ts'
import { OID } from './oids.ts'
import { pemOf } from './pem.ts'
import type { RandomBytes } from './random.ts'

// As hard as OpenSSL accepts: it gives scrypt 32 MiB and not a byte more.
const COST = { N: 2 ** 14, r: 8, p: 5 } as const
const SALT_BYTES = 16
const KEY_BYTES = 32
const BLOCK_BYTES = 16
const LABEL = 'ENCRYPTED PRIVATE KEY'

/** PEM. */
export function encryptKey(key: Secret, passphrase: Secret, random: RandomBytes): string {
  const salt = Buffer.from(random(SALT_BYTES))
  const iv = Buffer.from(random(BLOCK_BYTES))
  const secret = scryptSync(passwordOf(passphrase), salt, KEY_BYTES, COST)
  const cipher = createCipheriv('aes-256-cbc', secret, iv)
  const plain = parsePrivateKey(key).export({ type: 'pkcs8', format: 'der' })
  const text = Buffer.concat([cipher.update(plain), cipher.final()])
  const derivation = seq(
    oid(OID.scrypt),
    seq(octet(salt), int(COST.N), int(COST.r), int(COST.p), int(KEY_BYTES)),
  )
  const algorithm = seq(oid(OID.pbes2), seq(derivation, seq(oid(OID.aes256Cbc), octet(iv))))
  return pemOf(encode(seq(algorithm, octet(text))), LABEL)
}

/** PKCS#8 as PEM. `what` is named where it fails. Throws `wrong-passphrase`, `key-unparsable`. */
export function decryptKey(pem: string, passphrase: Secret, what: string): Secret {
  if (!pem.includes(`-----BEGIN ${LABEL}-----`))
    throw new OperationalError('key-unparsable', `${what} is not an encrypted private key`)
  try {
    const key = createPrivateKey({ key: pem, format: 'pem', passphrase: passwordOf(passphrase) })
    return new Secret(key.export({ type: 'pkcs8', format: 'pem' }).toString())
  } catch (cause) {
    // A damaged file and a wrong passphrase look alike to OpenSSL.
    throw new OperationalError('wrong-passphrase', `could not open ${what}`, {
      cause,
      hint: 'The passphrase is not the one that it was encrypted with, or the file is damaged.',
    })
  }
}

// One spelling of what a keyboard can write in two.
function passwordOf(passphrase: Secret): string {
  return passphrase.reveal().normalize('NFC')
}
