// What people read after a backup, a check or a restore, whichever command it was.

import type { CheckedBackup } from './check.ts'
import type { Restored } from './restore.ts'

export interface BackupView {
  readonly file: string
  readonly fleet: string
  /** ISO 8601. */
  readonly createdAt: string
  /** 0: the controller was never restored. */
  readonly epoch: number
  readonly nodes: number
  readonly bytes: number
  /** Whether a passphrase was tried on the CA keys; one that does not open them is an error. */
  readonly keysOpened: boolean
}

export function backupView(
  file: string,
  { header, nodes, bytes }: CheckedBackup,
  keysOpened: boolean,
): BackupView {
  const { fleet, epoch = 0 } = header
  const createdAt = new Date(header.createdAtMs).toISOString()
  return { file, fleet, createdAt, epoch, nodes, bytes, keysOpened }
}

export function backupText(view: BackupView): string {
  const { file, fleet, createdAt, nodes, bytes } = view
  const keys = view.keysOpened
    ? 'The passphrase opens its CA keys.'
    : 'Its CA keys are sealed: keep the passphrase too, and apart from it.'
  return `${file} is whole: fleet ${fleet}, ${counted(nodes, 'node')}, ${Math.ceil(bytes / 1024)} KiB, of ${createdAt}.\n${keys}\n`
}

export interface RestoredView {
  readonly dataDir: string
  readonly fleet: string
  readonly createdAt: string
  readonly epoch: number
  readonly nodes: number
  readonly rollouts: readonly string[]
  readonly pin: string
}

export function restoredView(dataDir: string, restored: Restored): RestoredView {
  const { header, epoch, nodes, rollouts, pin } = restored
  const createdAt = new Date(header.createdAtMs).toISOString()
  return { dataDir, fleet: header.fleet, createdAt, epoch, nodes, rollouts, pin }
}

export function restoredText(view: RestoredView): string {
  const { dataDir, fleet, createdAt, epoch, nodes, rollouts, pin } = view
  const ended = rollouts.length === 0 ? 'none was under way' : `ended: ${rollouts.join(', ')}`
  return `Fleet ${fleet} is restored to ${dataDir} as of ${createdAt}.

  epoch       ${epoch}
  CA pin      ${pin}   (as before)
  documents   ${counted(nodes, 'node')}, prepared only: no node changes by itself
  rollouts    ${ended}
  tokens      enrolment tokens are void; API tokens and logins work as before

What was done after the backup is forgotten. Nodes removed or revoked since then are back: remove
them again. Then look, and bring the nodes under the fleet spec:
  tlsfleet status
  tlsfleet plan -f fleet.yaml
  tlsfleet apply -f fleet.yaml
`
}

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`
}
