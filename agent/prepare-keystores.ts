// What a transaction needs for the stores of secrets: a copy of each as it was, and the values that
// are to be set, in files that only root can read and that are gone when it has ended.

import { OperationalError } from '../shared/errors.ts'
import { sha256 } from '../shared/digest.ts'
import type { Secret } from '../shared/secret.ts'
import type { Files, Host, Ownership } from './host.ts'
import {
  type JournalKeystore,
  type Target,
  previousDirectory,
  secretsDirectory,
} from './journal.ts'
import type { ActionablePlan } from './plan.ts'
import type { PlannedKeystore } from './planned-keystores.ts'
import { OWN } from './state-file.ts'

/** `password`: of the PKCS#12 file, for entries whose value was not known when it was planned. */
export async function prepareKeystores(
  { files }: Host,
  stateDirectory: string,
  plan: ActionablePlan,
  password: Secret | undefined,
): Promise<JournalKeystore[]> {
  const prepared: JournalKeystore[] = []
  for (const [index, keystore] of plan.keystores.entries()) {
    const { path, format, tool, environment, passphraseFile } = keystore.intent
    const copy = `${previousDirectory(stateDirectory)}/${plan.service}-keystore-${index}`
    const before = await keepCopy(files, { path, before: keystore.before, copy })
    const set = await keepValues(files, secretsDirectory(stateDirectory), keystore, password)
    prepared.push({
      path,
      staged: besidePath(path),
      format,
      tool,
      environment: { ...environment },
      ...(passphraseFile === undefined ? {} : { passphraseFile }),
      set,
      remove: [...keystore.remove],
      ...(before === undefined ? {} : { before }),
      ...keystore.ownership,
    })
  }
  return prepared
}

function besidePath(path: string): string {
  const slash = path.lastIndexOf('/')
  return `${path.slice(0, slash + 1)}.tlsfleet-${path.slice(slash + 1)}.new`
}

async function keepValues(
  files: Files,
  directory: string,
  { intent, set }: PlannedKeystore,
  password: Secret | undefined,
): Promise<JournalKeystore['set']> {
  const kept: JournalKeystore['set'] = []
  if (set.length > 0) await files.makeDirectory(directory, { mode: 0o700, ...OWN })
  for (const { name, value = password } of set) {
    // The tools take one line for one value.
    if (value === undefined || /[\n\r]/.test(value.reveal()))
      throw new OperationalError(
        'keystore-value-unusable',
        `could not set ${name} in ${intent.path}: its value is not one line`,
      )
    const valueFile = `${directory}/${sha256(`${intent.path} ${name}`).slice(0, 16)}`
    const contents = Buffer.from(value.reveal())
    await files.create(valueFile, { contents, mode: 0o600, ...OWN, overwrite: true })
    kept.push({ name, valueFile })
  }
  return kept
}

/** Copies what is about to be replaced. Throws `changed-meanwhile` when it is not what was planned with. */
export async function keepCopy(
  files: Files,
  {
    path,
    before,
    copy,
  }: {
    readonly path: string
    readonly before: { readonly sha256: string; readonly ownership: Ownership } | undefined
    readonly copy: string
  },
): Promise<Target['before']> {
  const bytes = await files.read(path)
  const found = bytes === undefined ? undefined : sha256(bytes)
  if (found !== before?.sha256) {
    throw new OperationalError(
      'changed-meanwhile',
      `could not switch ${path}: it was changed since it was planned`,
      { retryable: true },
    )
  }
  if (bytes === undefined || before === undefined) return undefined
  await files.create(copy, { contents: bytes, mode: 0o600, ...OWN, overwrite: true })
  return { sha256: before.sha256, copy, ...before.ownership }
}
