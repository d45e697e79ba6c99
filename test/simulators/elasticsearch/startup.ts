// What happens before the node listens: its keystore, its settings, and all that stops it.

import { hostname } from 'node:os'
import { existsSync, readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { isAtLeast } from '../version.ts'
import { decodeKeystore, hasPassword, KeystoreError, keystoreFormatOf } from './keystore-format.ts'
import { createSeed, readKeystoreFile, saveKeystore, SEED } from './keystore-file.ts'
import { checkKnown } from './known-settings.ts'
import {
  booleanOf,
  listOf,
  readSettings,
  settingOf,
  type Settings,
  StartError,
} from './yaml-settings.ts'

export interface Started {
  readonly settings: Settings
  readonly secure: ReadonlyMap<string, Buffer>
  readonly security: boolean
  readonly fips: boolean
}

export interface StartOptions {
  readonly directory: string
  readonly version: string
  readonly environment: NodeJS.ProcessEnv
  /** From the command line, over what the file says. */
  readonly overrides: ReadonlyMap<string, string>
}

const FIPS_PASSWORD_BYTES_MIN = 14

/** Throws a StartError, or a UserError of the keystore. */
export function prepareStart({
  directory,
  version,
  environment,
  overrides,
}: StartOptions): Started {
  const password = passphrase(environment)
  const secure = openKeystore(directory, version, password)
  // The start script gives the node's name to the process.
  const named = { HOSTNAME: hostname(), ...environment }
  const settings = new Map([...readSettings(directory, named), ...overrides])
  checkKnown(settings, secure.keys())
  for (const name of secure.keys()) {
    if (settings.has(name))
      throw new StartError(`duplicate setting found in both keystore and yml: [${name}]`)
  }
  const fips = booleanOf(settings, 'xpack.security.fips_mode.enabled', false)
  if (fips && Buffer.byteLength(password ?? '') < FIPS_PASSWORD_BYTES_MIN) {
    // The rule is documented; the words for it are not.
    throw new StartError(
      `the elasticsearch keystore must be protected with a password of at least ${FIPS_PASSWORD_BYTES_MIN} bytes in FIPS mode`,
    )
  }
  const security = booleanOf(settings, 'xpack.security.enabled', isAtLeast(version, '8.0.0'))
  const single = settingOf(settings, 'discovery.type') === 'single-node'
  if (single && settings.has('cluster.initial_master_nodes')) {
    throw new StartError(
      'setting [cluster.initial_master_nodes] is not allowed when [discovery.type] is set to [single-node]',
    )
  }
  return { settings, secure, security, fips }
}

/** The first line of the file that the start script feeds to the node. */
function passphrase({ ES_KEYSTORE_PASSPHRASE_FILE: file }: NodeJS.ProcessEnv): string | undefined {
  if (file === undefined || file === '') return undefined
  if (!existsSync(file)) throw new StartError(`${file}: No such file or directory`)
  return readFileSync(file, 'utf8').split('\n')[0] ?? ''
}

/** Made where there is none, written anew in an older format or without a seed. */
function openKeystore(
  directory: string,
  version: string,
  password: string | undefined,
): ReadonlyMap<string, Buffer> {
  const bytes = readKeystoreFile(directory)
  if (bytes === undefined) {
    const entries = new Map([[SEED, createSeed()]])
    saveKeystore(entries, { directory, password: '', version })
    return entries
  }
  if (hasPassword(bytes) && password === undefined) {
    throw new StartError('Failed to read keystore password on standard input')
  }
  const used = hasPassword(bytes) ? (password ?? '') : ''
  const { format, entries } = decoded(bytes, used)
  const newest = keystoreFormatOf(version)
  if (format > newest) {
    throw new StartError(
      `The Elasticsearch keystore [${resolve(directory, 'elasticsearch.keystore')}] format is too new. Are you trying to downgrade? You should delete and recreate it in order to downgrade.`,
    )
  }
  if (format === newest && entries.has(SEED)) return entries
  const upgraded = new Map(entries)
  if (!upgraded.has(SEED)) upgraded.set(SEED, createSeed())
  saveKeystore(upgraded, { directory, password: used, version })
  return upgraded
}

function decoded(bytes: Buffer, password: string) {
  try {
    return decodeKeystore(bytes, password)
  } catch (error) {
    if (error instanceof KeystoreError) throw new StartError(error.message)
    throw error
  }
}

/** What is checked only where other machines can reach the transport port; empty: all is well. */
export function bootstrapFailures(
  { settings, security }: Pick<Started, 'settings' | 'security'>,
  { loopback, version }: { readonly loopback: boolean; readonly version: string },
): readonly string[] {
  const single = settingOf(settings, 'discovery.type') === 'single-node'
  if (loopback || single) return []
  const failures: string[] = []
  const discovery = [
    'discovery.seed_hosts',
    'discovery.seed_providers',
    'cluster.initial_master_nodes',
  ]
  if (!discovery.some(name => listOf(settings, name) !== undefined)) {
    failures.push(
      `the default discovery settings are unsuitable for production use; at least one of [${discovery.join(', ')}] must be configured`,
    )
  }
  // Before 8.0 a trial may do without it.
  const trial = settingOf(settings, 'xpack.license.self_generated.type') === 'trial'
  const needed = security && (isAtLeast(version, '8.0.0') || !trial)
  if (needed && !booleanOf(settings, 'xpack.security.transport.ssl.enabled', false)) {
    failures.push(
      'Transport SSL must be enabled if security is enabled. Please set [xpack.security.transport.ssl.enabled] to [true] or disable security by setting [xpack.security.enabled] to [false]',
    )
  }
  return failures
}
