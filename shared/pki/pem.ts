// PEM: text in, certificates out, always in one spelling.

import { X509Certificate } from 'node:crypto'
import { OperationalError } from '../errors.ts'
import { DER_BYTES_MAX } from './der-reader.ts'

const BEGIN = '-----BEGIN CERTIFICATE-----'
const END = '-----END CERTIFICATE-----'

/** The bundle of all public CAs has 140 certificates and 220 KB. */
const PEM_CHARACTERS_MAX = 2 * 1024 * 1024
const CERTIFICATES_MAX = 1024

/** Every certificate of a text, each as PEM of its own in canonical form; whatever stands between them is left out. */
export function splitPemCertificates(text: string): readonly string[] {
  return splitDerCertificates(text).map(der => pemOf(der))
}

function splitDerCertificates(text: string): readonly Buffer[] {
  if (text.length > PEM_CHARACTERS_MAX) throw unparsable('text of certificates is too large')
  const certificates: Buffer[] = []
  let position = text.indexOf(BEGIN)
  while (position !== -1) {
    const end = text.indexOf(END, position)
    if (end === -1) throw unparsable('certificate has no end line')
    certificates.push(decode(text.slice(position + BEGIN.length, end)))
    if (certificates.length > CERTIFICATES_MAX) throw unparsable('text holds too many certificates')
    position = text.indexOf(BEGIN, end)
  }
  return certificates
}

/** DER as PEM, 64 characters a line. */
export function pemOf(der: Uint8Array, label = 'CERTIFICATE'): string {
  const base64 = Buffer.from(der.buffer, der.byteOffset, der.byteLength).toString('base64')
  const lines = base64.match(/.{1,64}/g) ?? []
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`
}

/** Exactly one certificate. Throws `certificate-unparsable`. */
export function parseCertificate(pemOrDer: string | Uint8Array): X509Certificate {
  const der = typeof pemOrDer === 'string' ? onlyCertificate(pemOrDer) : pemOrDer
  if (der.length > DER_BYTES_MAX) throw unparsable('certificate is too large')
  const certificate = parseDer(der)
  // OpenSSL ignores what follows a certificate; nothing may travel there.
  if (!certificate.raw.equals(der)) throw unparsable('certificate is followed by other bytes')
  return certificate
}

export function unparsable(message: string, cause?: unknown): OperationalError {
  return new OperationalError('certificate-unparsable', message, { cause })
}

function parseDer(der: Uint8Array): X509Certificate {
  try {
    return new X509Certificate(der)
  } catch (cause) {
    throw unparsable('could not parse certificate', cause)
  }
}

function onlyCertificate(text: string): Buffer {
  const [first, second] = splitDerCertificates(text)
  if (first === undefined) throw unparsable('text holds no certificate')
  if (second !== undefined) throw unparsable('text holds several certificates where one belongs')
  return first
}

function decode(body: string): Buffer {
  const base64 = body.replaceAll(/\s/g, '')
  if (base64 === '' || !/^[A-Za-z0-9+/]*={0,2}$/.test(base64))
    throw unparsable('certificate is not base64')
  return Buffer.from(base64, 'base64')
}
