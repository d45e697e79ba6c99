// Certificates for the tests of simulators, made by openssl: nothing of what is under test.

import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

export interface TestCertificate {
  readonly certFile: string
  readonly keyFile: string
  readonly certPem: string
  readonly keyPem: string
}

export interface TestCa extends TestCertificate {
  readonly directory: string
}

const EC = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']
const RSA = ['-newkey', 'rsa:2048', '-nodes']

export function createCa(directory: string, name = 'ca'): TestCa {
  const extensions = ['basicConstraints=critical,CA:TRUE', 'keyUsage=critical,keyCertSign']
  const made = openssl(directory, name, [...EC, ...extensionsOf(extensions)])
  return { ...made, directory }
}

export interface LeafOptions {
  /** As openssl writes them: `DNS:localhost,IP:127.0.0.1`; empty: none. */
  readonly names?: string
  readonly usage?: 'serverAuth' | 'clientAuth'
  readonly rsa?: boolean
}

export function issue(ca: TestCa, name: string, options: LeafOptions = {}): TestCertificate {
  const { names = 'DNS:localhost,IP:127.0.0.1', usage = 'serverAuth', rsa = false } = options
  const extensions = [
    'basicConstraints=CA:FALSE',
    `extendedKeyUsage=${usage}`,
    ...(names === '' ? [] : [`subjectAltName=${names}`]),
  ]
  const signer = ['-CA', ca.certFile, '-CAkey', ca.keyFile]
  return openssl(ca.directory, name, [...(rsa ? RSA : EC), ...signer, ...extensionsOf(extensions)])
}

function extensionsOf(extensions: readonly string[]): readonly string[] {
  return extensions.flatMap(extension => ['-addext', extension])
}

function openssl(directory: string, name: string, options: readonly string[]): TestCertificate {
  const [certFile, keyFile] = [join(directory, `${name}.crt`), join(directory, `${name}.key`)]
  const argv = ['req', '-x509', '-batch', '-days', '10', '-subj', `/CN=${name}`, ...options]
  execFileSync('openssl', [...argv, '-keyout', keyFile, '-out', certFile], { stdio: 'pipe' })
  return {
    certFile,
    keyFile,
    certPem: readFileSync(certFile, 'utf8'),
    keyPem: readFileSync(keyFile, 'utf8'),
  }
}

/** The key encrypted, as PKCS#8. */
export function encryptKey(certificate: TestCertificate, file: string): void {
  const argv = ['pkcs8', '-topk8', '-in', certificate.keyFile, '-passout', 'pass:x', '-out', file]
  execFileSync('openssl', argv, { stdio: 'pipe' })
}

export function write(directory: string, name: string, contents: string): string {
  const file = join(directory, name)
  writeFileSync(file, contents)
  return file
}
