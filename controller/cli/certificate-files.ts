// Certificates in whatever files people bring them: PEM, one or many, DER, PKCS#7 and archives of such
// files. Only certificates are taken out; a private key that lies beside them goes nowhere.

import { X509Certificate } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import { OperationalError } from '../../shared/errors.ts'
import { expectTag, oidOf, readDer, TAG } from '../../shared/pki/der-reader.ts'
import { pemOf } from '../../shared/pki/pem.ts'

export interface FoundCertificate {
  /** The file, and which one of it. */
  readonly source: string
  readonly pem: string
  /** Of a CA; what cannot be read is none. */
  readonly isCa: boolean
}

export interface FoundCertificates {
  /** Each once. */
  readonly certificates: readonly FoundCertificate[]
  /** Files that should not hold what they hold, or hold nothing. */
  readonly warnings: readonly string[]
}

// Ten thousand chains of four certificates.
const FILE_BYTES_MAX = 128 * 1024 * 1024

export function readCertificates(paths: readonly string[]): FoundCertificates {
  const found = new Map<string, FoundCertificate>()
  const warnings: string[] = []
  for (const path of paths) {
    for (const { name, bytes } of filesIn(path)) {
      const text = bytes.toString('latin1')
      if (PRIVATE_KEY.test(text)) warnings.push(`${name} holds a private key, which is not sent`)
      const pems = certificatesOf(bytes, text)
      if (pems.length === 0 && !IS_REQUEST.test(text) && !NOTES.test(name))
        warnings.push(`${name} holds no certificate`)
      for (const [index, pem] of pems.entries()) {
        const source = pems.length === 1 ? name : `${name}#${index + 1}`
        if (!found.has(pem)) found.set(pem, { source: source.slice(-512), pem, isCa: isCa(pem) })
      }
    }
  }
  return { certificates: [...found.values()], warnings }
}

const PRIVATE_KEY = /-----BEGIN [A-Z ]*PRIVATE KEY-----/
const IS_REQUEST = /-----BEGIN (NEW )?CERTIFICATE REQUEST-----/
// What the archive of the requests holds beside them.
const NOTES = /\/(index\.csv|README\.txt)$/

interface NamedBytes {
  readonly name: string
  readonly bytes: Buffer
}

function filesIn(path: string): readonly NamedBytes[] {
  const bytes = read(path)
  return isTar(bytes) ? tarFiles(path, bytes) : [{ name: path, bytes }]
}

function read(path: string): Buffer {
  try {
    if (statSync(path).size > FILE_BYTES_MAX)
      throw new Error(`it is larger than ${FILE_BYTES_MAX / 1024 / 1024} MiB`)
    return readFileSync(path)
  } catch (cause) {
    throw new OperationalError('file-unreadable', `could not read ${path}`, { cause })
  }
}

const BLOCK = 512

function isTar(bytes: Buffer): boolean {
  return bytes.length >= BLOCK && bytes.toString('latin1', 257, 262) === 'ustar'
}

/** Plain files of an archive; whatever else is in it is passed over. */
function tarFiles(path: string, bytes: Buffer): readonly NamedBytes[] {
  const files: NamedBytes[] = []
  for (let at = 0; at < bytes.length && bytes[at] !== 0; ) {
    const size = Number.parseInt(bytes.toString('latin1', at + 124, at + 136), 8)
    const start = at + BLOCK
    if (!(size >= 0) || start + size > bytes.length)
      throw new OperationalError('file-unreadable', `could not read ${path}`, {
        cause: new Error('the archive is damaged'),
      })
    const name = bytes.toString('utf8', at, at + 100).replace(/\0.*$/s, '')
    const kind = bytes.toString('latin1', at + 156, at + 157)
    if (kind === '0' || kind === '\0')
      files.push({ name: `${path}/${name}`, bytes: bytes.subarray(start, start + size) })
    at = start + Math.ceil(size / BLOCK) * BLOCK
  }
  return files
}

const PEM_CERTIFICATE = /-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g
const PEM_PKCS7 = /-----BEGIN (PKCS7|CMS)-----([\s\S]*?)-----END \1-----/g

function certificatesOf(bytes: Buffer, text: string): readonly string[] {
  const bundles = [...text.matchAll(PEM_PKCS7)].flatMap(([, , body = '']) =>
    pkcs7Certificates(Buffer.from(body, 'base64')),
  )
  const pems = [...text.matchAll(PEM_CERTIFICATE)].map(([pem]) => plain(pem))
  if (pems.length + bundles.length > 0) return [...pems, ...bundles]
  if (bytes[0] !== TAG.sequence) return []
  const certificate = parsed(bytes)
  return certificate === undefined ? pkcs7Certificates(bytes) : [pemOf(certificate.raw)]
}

// One spelling, so that the same certificate in two files is one; what is broken is told by the server.
function plain(pem: string): string {
  const certificate = parsed(pem)
  return certificate === undefined ? pem : pemOf(certificate.raw)
}

function parsed(certificate: string | Buffer): X509Certificate | undefined {
  try {
    return new X509Certificate(certificate)
  } catch {
    // It is something else.
    return undefined
  }
}

function isCa(pem: string): boolean {
  return parsed(pem)?.ca === true
}

const SIGNED_DATA = '1.2.840.113549.1.7.2'
const CERTIFICATES_TAG = 0xa0
const PKCS7_BYTES_MAX = 1024 * 1024

/** Those that a `.p7b` holds; nothing is believed of its signature. None for anything else. */
function pkcs7Certificates(der: Buffer): readonly string[] {
  try {
    const [type, content] = expectTag(readDer(der, PKCS7_BYTES_MAX), TAG.sequence).children
    if (type === undefined || oidOf(type) !== SIGNED_DATA) return []
    const fields = expectTag(content?.children[0], TAG.sequence).children
    const list = fields.find(({ tag }) => tag === CERTIFICATES_TAG)
    return (list?.children ?? []).map(({ bytes }) => pemOf(bytes))
  } catch (error) {
    if (error instanceof OperationalError) return []
    throw error
  }
}
