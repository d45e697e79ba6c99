// Root CAs that are kept apart from the controller: a directory, on a medium that lies in a safe, with a
// certificate and an encrypted key for each.

import { chmodSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { OperationalError } from '../../shared/errors.ts'
import { decryptKey, encryptKey } from '../../shared/pki/encrypted-key.ts'
import { certificateFacts, type CertificateFacts } from '../../shared/pki/facts.ts'
import { parsePrivateKey } from '../../shared/pki/keys.ts'
import { parseCertificate } from '../../shared/pki/pem.ts'
import type { RandomBytes } from '../../shared/pki/random.ts'
import type { Secret } from '../../shared/secret.ts'
import { writePrivateFile } from './private-file.ts'
import type { CaCredential } from './authority.ts'
import type { AuthorityKind } from '../store/store.ts'

export interface KeptRoot {
  readonly certificateFile: string
  readonly keyFile: string
}

/** New files, 0600; what is there is never replaced. Throws `root-directory-unusable`. */
export function keepRoot(
  directory: string,
  root: CaCredential,
  { passphrase, random }: { readonly passphrase: Secret; readonly random: RandomBytes },
): KeptRoot {
  const name = nameOf(root)
  const kept = { certificateFile: `${name}.pem`, keyFile: `${name}.key` }
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    if ((statSync(directory).mode & 0o077) !== 0) chmodSync(directory, 0o700)
    // The key first: a certificate without its key would pass for a root that is there.
    writePrivateFile(join(directory, kept.keyFile), encryptKey(root.keyPem, passphrase, random))
    writePrivateFile(join(directory, kept.certificateFile), root.certificatePem)
    return kept
  } catch (cause) {
    throw unusable(`could not keep the ${root.kind} root in ${resolve(directory)}`, cause)
  }
}

/** Of an init that came to nothing. */
export function forgetRoot(directory: string, { certificateFile, keyFile }: KeptRoot): void {
  for (const name of [certificateFile, keyFile]) rmSync(join(directory, name), { force: true })
}

/** A part of the fingerprint tells the roots of several rotations apart. */
function nameOf({ kind, certificatePem }: CaCredential): string {
  return `${kind}-root-${certificateFacts(certificatePem).fingerprint.slice(0, 8)}`
}

export interface RootQuestion {
  readonly fleet: string
  readonly kind: AuthorityKind
  readonly passphrase: () => Promise<Secret>
}

/** The newest root of this kind and fleet, opened. Throws `root-missing`, `wrong-passphrase`. */
export async function openRoot(
  directory: string,
  { fleet, kind, passphrase }: RootQuestion,
): Promise<CaCredential> {
  const newest = rootsIn(directory, kind)
    .filter(({ facts }) => facts.subject.startsWith(`O=${fleet.slice(0, 64)}, `))
    .toSorted((a, b) => a.facts.notBeforeMs - b.facts.notBeforeMs)
    .at(-1)
  if (newest === undefined)
    throw new OperationalError(
      'root-missing',
      `there is no ${kind} root of fleet ${fleet} in ${resolve(directory)}`,
      { hint: `Files are named ${kind}-root-….pem and ${kind}-root-….key.` },
    )
  const keyFile = join(directory, newest.name.replace(/\.pem$/, '.key'))
  const keyPem = decryptKey(read(keyFile), await passphrase(), keyFile)
  const { certificatePem } = newest
  if (!parseCertificate(certificatePem).checkPrivateKey(parsePrivateKey(keyPem)))
    throw unusable(`${keyFile} does not belong to ${newest.name}`)
  return { kind, fleet, certificatePem, keyPem }
}

interface FoundRoot {
  readonly name: string
  readonly certificatePem: string
  readonly facts: CertificateFacts
}

function rootsIn(directory: string, kind: AuthorityKind): readonly FoundRoot[] {
  let names: readonly string[]
  try {
    names = readdirSync(directory)
  } catch (cause) {
    throw unusable(`could not read ${resolve(directory)}`, cause)
  }
  return names
    .filter(name => name.startsWith(`${kind}-root-`) && name.endsWith('.pem'))
    .map(name => {
      const certificatePem = read(join(directory, name))
      return { name, certificatePem, facts: certificateFacts(certificatePem) }
    })
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    throw unusable(`could not read ${path}`, cause)
  }
}

function unusable(what: string, cause?: unknown): OperationalError {
  return new OperationalError('root-directory-unusable', what, { cause })
}
