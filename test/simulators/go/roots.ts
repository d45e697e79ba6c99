// The roots a Go program of Linux trusts where it is told of no others: crypto/x509, root_unix.go.
// They are read once, so a root that is installed later is seen only after a restart.

import { X509Certificate } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** The first that can be read counts; SSL_CERT_FILE takes the place of the whole list. */
const FILES = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/ssl/ca-bundle.pem',
  '/etc/pki/tls/cacert.pem',
  '/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem',
  '/etc/ssl/cert.pem',
]
/** All of them count; SSL_CERT_DIR, separated by colons, takes the place of the list. */
const DIRECTORIES = ['/etc/ssl/certs', '/etc/pki/tls/certs']

let once: readonly string[] | undefined

/** Of this process. */
export function systemRoots(): readonly string[] {
  once ??= readRoots(process.env)
  return once
}

export function readRoots(environment: NodeJS.ProcessEnv): readonly string[] {
  const file = environment['SSL_CERT_FILE']
  const files = file === undefined || file === '' ? FILES : [file]
  const list = environment['SSL_CERT_DIR']
  const directories = list === undefined || list === '' ? DIRECTORIES : list.split(':')
  const roots = new Set<string>()
  const texts = [
    ...firstReadable(files),
    ...directories.flatMap(directory =>
      namesIn(directory).flatMap(name => read(join(directory, name))),
    ),
  ]
  for (const text of texts) for (const pem of certificatesIn(text)) roots.add(pem)
  return [...roots]
}

/** What AppendCertsFromPEM takes: other blocks and broken certificates are passed over. */
export function certificatesIn(text: string): readonly string[] {
  const blocks = text.match(/-----BEGIN CERTIFICATE-----[^]*?-----END CERTIFICATE-----/g) ?? []
  return blocks.filter(isCertificate)
}

function isCertificate(pem: string): boolean {
  try {
    return new X509Certificate(pem).raw.length > 0
  } catch {
    return false
  }
}

function firstReadable(files: readonly string[]): readonly string[] {
  for (const file of files) {
    const found = read(file)
    if (found.length > 0) return found
  }
  return []
}

/** Nothing where it cannot be read: Go does not complain either. */
function read(file: string): readonly string[] {
  try {
    return [readFileSync(file, 'latin1')]
  } catch {
    return []
  }
}

function namesIn(directory: string): readonly string[] {
  try {
    return readdirSync(directory)
  } catch {
    return []
  }
}
