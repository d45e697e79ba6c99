// `tlsfleet backup`: asks the controller for its backup and keeps it here, so that it is on another
// machine at once. `tlsfleet restore` works on the machine that shall become the controller.

import { resolve } from 'node:path'
import { OperationalError } from '../../../shared/errors.ts'
import { writeArchive } from '../../backup/backup.ts'
import { runCheck, runRestore } from '../../backup/commands.ts'
import { backupText, restoredText } from '../../backup/text.ts'
import { DATA_DIR_DEFAULT } from '../../config.ts'
import { EXIT, type ExitCode } from '../exit-codes.ts'
import { type Session, show } from '../output.ts'
import { withClient } from '../session.ts'

export interface BackupOptions {
  readonly out?: string
  readonly check?: string
  readonly passphraseFile?: string
}

export async function backup(session: Session, options: BackupOptions): Promise<ExitCode> {
  const { out, check, passphraseFile } = options
  if ((out === undefined) === (check === undefined))
    throw new OperationalError('usage', 'a backup is made with --out or looked at with --check', {
      hint: 'see tlsfleet backup --help',
    })
  const file = resolve(out ?? check ?? '')
  if (out !== undefined)
    await withClient(session, client => client.backup(content => writeArchive(file, content)))
  show(session, await runCheck({ file, passphraseFile }), backupText)
  return EXIT.ok
}

export interface RestoreOptions {
  readonly from: string
  readonly dir?: string
  readonly passphraseFile?: string
  readonly aboveEpoch?: string
}

export async function restore(session: Session, options: RestoreOptions): Promise<ExitCode> {
  const restored = await runRestore({
    from: resolve(options.from),
    dataDir: resolve(options.dir ?? DATA_DIR_DEFAULT),
    passphraseFile: options.passphraseFile,
    credentialsDirectory: session.environment['CREDENTIALS_DIRECTORY'],
    aboveEpoch: options.aboveEpoch,
    nowMs: session.clock.now(),
  })
  show(session, restored, restoredText)
  return EXIT.ok
}
