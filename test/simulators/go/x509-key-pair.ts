// crypto/tls.LoadX509KeyPair of Go, with its rules and its words: the first certificate must belong to
// the key; dates, names and the chain are not looked at.

import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'

export interface KeyPair {
  readonly certPem: string
  readonly keyPem: string
}

/** What a Go program prints, without any prefix. */
export class GoError extends Error {}

export function loadX509KeyPair(certFile: string, keyFile: string): KeyPair {
  return x509KeyPair(readGoFile(certFile), readGoFile(keyFile))
}

export function x509KeyPair(certInput: string, keyInput: string): KeyPair {
  const certificates = findCertificates(certInput)
  const keyPem = findKey(keyInput)
  const leaf = parseCertificate(certificates[0] ?? '')
  const key = parseKey(keyPem)
  if (leaf.publicKey.asymmetricKeyType !== key.asymmetricKeyType) {
    throw new GoError('tls: private key type does not match public key type')
  }
  if (!leaf.checkPrivateKey(key)) throw new GoError('tls: private key does not match public key')
  return { certPem: certificates.join('\n'), keyPem }
}

/** os.ReadFile, with its errors. */
export function readGoFile(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    if (code === 'ENOENT') throw new GoError(`open ${path}: no such file or directory`)
    if (code === 'EACCES') throw new GoError(`open ${path}: permission denied`)
    if (code === 'EISDIR') throw new GoError(`read ${path}: is a directory`)
    throw error
  }
}

const BLOCK = /-----BEGIN ([^-\n]+)-----\r?\n[^]*?-----END \1-----/g

function findCertificates(input: string): readonly string[] {
  const blocks = [...input.matchAll(BLOCK)]
  const found = blocks.filter(([, type]) => type === 'CERTIFICATE').map(([pem]) => pem)
  if (found.length > 0) return found
  const types = blocks.map(([, type = '']) => type)
  if (types.length === 0) {
    throw new GoError('tls: failed to find any PEM data in certificate input')
  }
  if (types.length === 1 && types[0]?.endsWith('PRIVATE KEY')) {
    throw new GoError(
      'tls: failed to find certificate PEM data in certificate input, but did find a private key; PEM inputs may have been switched',
    )
  }
  throw new GoError(
    `tls: failed to find "CERTIFICATE" PEM block in certificate input after skipping PEM blocks of the following types: [${types.join(' ')}]`,
  )
}

function findKey(input: string): string {
  const blocks = [...input.matchAll(BLOCK)]
  const found = blocks.find(
    ([, type = '']) => type === 'PRIVATE KEY' || type.endsWith(' PRIVATE KEY'),
  )
  if (found !== undefined) return found[0]
  const types = blocks.map(([, type = '']) => type)
  if (types.length === 0) throw new GoError('tls: failed to find any PEM data in key input')
  if (types.length === 1 && types[0] === 'CERTIFICATE') {
    throw new GoError('tls: found a certificate rather than a key in the PEM for the private key')
  }
  throw new GoError(
    `tls: failed to find PEM block with type ending in "PRIVATE KEY" in key input after skipping PEM blocks of the following types: [${types.join(' ')}]`,
  )
}

function parseCertificate(pem: string): X509Certificate {
  try {
    return new X509Certificate(pem)
  } catch {
    throw new GoError('x509: malformed certificate')
  }
}

/** An encrypted key is one that cannot be parsed: Go knows no passphrase. */
function parseKey(pem: string): KeyObject {
  try {
    return createPrivateKey(pem)
  } catch {
    throw new GoError('tls: failed to parse private key')
  }
}
