// The TLS client of a plugin: its files are read when it is made, at a load or reload, and not again.

import { createDialer, type Dialer } from '../go/dial.ts'
import { certificatesIn } from '../go/roots.ts'
import { GoError, readGoFile, x509KeyPair } from '../go/x509-key-pair.ts'
import { isAtLeast } from '../version.ts'
import { type Block, ConfigError, textOption } from './plugins.ts'

/** Throws a ConfigError. */
export function createClient(options: Block, version: string): Dialer {
  const text = (...keys: readonly string[]) =>
    keys.map(key => textOption(options, key)).find(found => found !== '') ?? ''
  const ca = text('tls_ca', 'ssl_ca')
  const [cert, key] = [text('tls_cert', 'ssl_cert'), text('tls_key', 'ssl_key')]
  const serverName = text('tls_server_name')
  const disabled = options['tls_enable'] === false
  return createDialer({
    // Before, whatever the Go of its time took.
    minVersion: isAtLeast(version, '1.24.0') ? 'TLSv1.2' : 'TLSv1',
    ...(disabled || ca === '' ? {} : { roots: readPool(ca) }),
    ...(disabled || cert === '' || key === '' ? {} : { pair: readPair(cert, key) }),
    ...(disabled ? {} : { insecureSkipVerify: options['insecure_skip_verify'] === true }),
    ...(disabled || serverName === '' ? {} : { serverName }),
  })
}

function readPool(file: string): readonly string[] {
  const found = certificatesIn(reading('could not read certificate', file))
  if (found.length > 0) return found
  throw new ConfigError(`could not parse any PEM certificates ${JSON.stringify(file)}: <nil>`)
}

function readPair(cert: string, key: string) {
  const [certPem, keyPem] = [
    reading('could not load certificate', cert),
    reading('could not load private key', key),
  ]
  try {
    return x509KeyPair(certPem, keyPem)
  } catch (error) {
    if (error instanceof GoError)
      throw new ConfigError(`could not load keypair ${cert}:${key}: ${error.message}`)
    throw error
  }
}

function reading(what: string, file: string): string {
  try {
    return readGoFile(file)
  } catch (error) {
    if (!(error instanceof GoError)) throw error
    throw new ConfigError(`${what} ${JSON.stringify(file)}: ${error.message}`)
  }
}
