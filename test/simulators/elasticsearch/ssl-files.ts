// Files of TLS as Elasticsearch reads them: only under its configuration directory, with its words for
// what can go wrong.

import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import { existsSync, readFileSync, realpathSync, statSync } from 'node:fs'
import { resolve, sep } from 'node:path'
import { isPermission } from './keystore-file.ts'
import { P12Error, type P12Entry, readP12, type P12Passwords } from './p12.ts'
import { StartError } from './yaml-settings.ts'

export const KEY_TYPE = 'PEM private key'
export const CERTIFICATE_TYPE = 'PEM certificate'
export const AUTHORITIES_TYPE = 'PEM certificate_authorities'
const JKS_MAGIC = 0xfeedfeed

export interface StoreFile {
  /** As configured. */
  readonly path: string
  readonly type: string
  readonly passwords: P12Passwords
  /** As a truststore, the messages say so. */
  readonly trust: boolean
}

export interface FilesOptions {
  readonly directory: string
  /** Of a FIPS JVM: no kind of keystore can be read. */
  readonly fips: boolean
}

/** From the name only, never from what is inside. */
export function inferStoreType(path: string): string {
  return /\.(p12|pfx|pkcs12)$/i.test(path) ? 'PKCS12' : 'jks'
}

export function readStore(
  store: StoreFile,
  { directory, fips }: FilesOptions,
): readonly P12Entry[] {
  const { path, type, passwords, trust } = store
  const what = `[${type}] keystore${trust ? ' (as a truststore)' : ''}`
  const file = resolve(directory, path)
  if (fips) {
    // The words are those of the documentation; what a FIPS JVM itself says is not known here.
    throw new StartError(
      `cannot read configured ${what} [${file}] - Neither JKS, nor PKCS#12 keystores can be used in FIPS mode`,
    )
  }
  const bytes = read(file, what, directory)
  if (bytes.length >= 4 && bytes.readUInt32BE(0) === JKS_MAGIC) {
    throw new StartError(
      `cannot read configured ${what} [${file}] - the simulator reads PKCS12 only`,
    )
  }
  try {
    return readP12(bytes, passwords)
  } catch (error) {
    if (!(error instanceof P12Error)) throw error
    throw new StartError(explain(error, what, file, store))
  }
}

function explain(error: P12Error, what: string, file: string, store: StoreFile): string {
  const { passwords, trust } = store
  switch (error.problem) {
    case 'wrong-password': {
      const given =
        passwords.store === '' ? '(no password was provided)' : '(a keystore password was provided)'
      const more = trust ? `; ${given}` : ''
      return `cannot read configured ${what} [${file}] - this is usually caused by an incorrect password${more}`
    }
    case 'unrecoverable-key': {
      const same =
        passwords.key === passwords.store
          ? ' (we tried to access the key using the same password as the keystore)'
          : ''
      return `cannot load ${what} from [${file}] due to UnrecoverableKeyException (${error.message}); this is usually caused by an incorrect key-password${same}`
    }
    case 'not-a-store':
      return `cannot read configured ${what} [${file}] - ${error.message}`
  }
}

export function readPemKey(path: string, passphrase: string, directory: string): KeyObject {
  const file = resolve(directory, path)
  const pem = read(file, KEY_TYPE, directory).toString('utf8')
  if (!/-----BEGIN (RSA |EC |ENCRYPTED )?PRIVATE KEY-----/.test(pem)) {
    throw new StartError(
      `cannot read configured ${KEY_TYPE} [${file}] - error parsing Private Key [${file}], file does not contain a supported key format`,
    )
  }
  try {
    return createPrivateKey({ key: pem, passphrase })
  } catch {
    throw new StartError(
      `cannot load ${KEY_TYPE} from [${file}] due to GeneralSecurityException; this is usually caused by an incorrect password`,
    )
  }
}

export function readPemCertificates(
  path: string,
  what: string,
  directory: string,
): readonly X509Certificate[] {
  const file = resolve(directory, path)
  const text = read(file, what, directory).toString('utf8')
  const blocks = text.match(/-----BEGIN CERTIFICATE-----[^]*?-----END CERTIFICATE-----/g) ?? []
  try {
    const certificates = blocks.map(block => new X509Certificate(block))
    if (certificates.length > 0) return certificates
  } catch {
    // Answered below.
  }
  throw new StartError(
    `cannot load ${what} from [${file}] due to CertificateException (failed to parse any certificates from [${file}])`,
  )
}

function read(file: string, what: string, directory: string): Buffer {
  if (!isInside(file, directory)) {
    throw new StartError(
      `cannot read configured ${what} [${file}] because access to read the file is blocked; SSL resources should be placed in the [${directory}] directory`,
    )
  }
  if (!existsSync(file)) {
    throw new StartError(`cannot read configured ${what} [${file}] because the file does not exist`)
  }
  try {
    return readFileSync(file)
  } catch (error) {
    if (isPermission(error))
      throw new StartError(`not permitted to read the ${what} file [${file}]`)
    throw new StartError(
      `cannot read configured ${what} [${file}] - ${error instanceof Error ? error.message : ''}`,
    )
  }
}

/** Where the path leads matters too: a link out of the directory is blocked. */
function isInside(file: string, directory: string): boolean {
  const under = (path: string, root: string) => path.startsWith(`${root}${sep}`)
  if (!under(file, directory)) return false
  if (statSync(file, { throwIfNoEntry: false }) === undefined) return true
  return under(realpathSync(file), realpathSync(directory))
}
