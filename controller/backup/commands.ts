// `tlsfleet-controller backup` and `restore`, from their options to their text.

import { resolve } from 'node:path'
import { OperationalError } from '../../shared/errors.ts'
import { passphrasePath, readPassphrase } from '../passphrase.ts'
import { VERSION } from '../version.ts'
import { writeBackup } from './backup.ts'
import { checkBackup } from './check.ts'
import { restoreBackup } from './restore.ts'
import { type BackupView, backupView, type RestoredView, restoredView } from './text.ts'

export interface CheckArguments {
  readonly file: string
  /** Without one, the CA keys are left closed. */
  readonly passphraseFile: string | undefined
}

export async function runCheck({ file, passphraseFile }: CheckArguments): Promise<BackupView> {
  const passphrase = passphraseFile === undefined ? undefined : readPassphrase(passphraseFile)
  const checked = await checkBackup(file, passphrase)
  return backupView(resolve(file), checked, passphrase !== undefined)
}

export async function runBackup(given: {
  readonly dataDir: string
  readonly out: string
  readonly nowMs: number
}): Promise<BackupView> {
  const checked = await writeBackup({ ...given, version: VERSION })
  return backupView(resolve(given.out), checked, false)
}

export interface RestoreArguments {
  readonly from: string
  readonly dataDir: string
  readonly passphraseFile: string | undefined
  readonly credentialsDirectory: string | undefined
  /** As it was typed. */
  readonly aboveEpoch: string | undefined
  readonly nowMs: number
}

export async function runRestore(given: RestoreArguments): Promise<RestoredView> {
  const { from, dataDir, passphraseFile: file, credentialsDirectory, nowMs } = given
  const aboveEpoch = readEpoch(given.aboveEpoch)
  const passphrase = readPassphrase(passphrasePath({ file, credentialsDirectory, dataDir }))
  const restored = await restoreBackup({ from, dataDir, passphrase, aboveEpoch, nowMs })
  return restoredView(resolve(dataDir), restored)
}

function readEpoch(text = '0'): number {
  const epoch = Number(text)
  if (/^\d{1,15}$/.test(text) && Number.isSafeInteger(epoch)) return epoch
  throw new OperationalError('usage', `${text} is not an epoch`, {
    hint: 'An epoch is a whole number, as agents name it in their refusals.',
  })
}
