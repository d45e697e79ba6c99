// Whether a backup can be restored: every byte of it is read, and the database in it is opened as a
// controller would, on a copy that is thrown away.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { OperationalError } from '../../shared/errors.ts'
import type { Secret } from '../../shared/secret.ts'
import { openKey } from '../authorities.ts'
import { openAcmeKey } from '../ca/acme-key.ts'
import { openProvidedKey } from '../ca/provided-key.ts'
import { createSealing, type Sealing } from '../ca/sealed-key.ts'
import { verifyAudit } from '../store/audit-chain.ts'
import { openSqliteStore } from '../store/sqlite.ts'
import type { AuditRecord, AuthorityRecord, Store } from '../store/store.ts'
import { type Archive, type Header, openArchive } from './archive.ts'
import { writeSynced } from './synced-file.ts'

export interface CheckedBackup {
  readonly header: Header
  readonly nodes: number
  /** Bytes of all members. */
  readonly bytes: number
}

const BUSY_TIMEOUT_MS = 1_000
const PAGE = 500

/**
 * With a passphrase also whether it opens the CA keys. Throws what `openArchive` throws,
 * `backup-damaged` with the member in its details, `wrong-passphrase`, `store-too-new`.
 */
export async function checkBackup(path: string, passphrase?: Secret): Promise<CheckedBackup> {
  const archive = openArchive(path)
  const directory = mkdtempSync(join(tmpdir(), 'tlsfleet-check-'))
  try {
    await extract(archive, directory)
    const store = await openBackedUp(path, join(directory, 'controller.db'))
    try {
      return await inspect(path, archive.header, store, passphrase)
    } finally {
      await store.close()
    }
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

/** Writes every member into the directory, under its name and `suffix`; all of them are read, so all are checked. */
export async function extract(archive: Archive, directory: string, suffix = ''): Promise<void> {
  for (const member of archive.header.members) {
    await writeSynced(join(directory, `${member.name}${suffix}`), archive.read(member))
  }
}

/** Opens, and brings to this program's schema, the database of a backup. */
export async function openBackedUp(backup: string, path: string): Promise<Store> {
  try {
    return await openSqliteStore({ path, busyTimeoutMs: BUSY_TIMEOUT_MS })
  } catch (cause) {
    const isDamage = cause instanceof OperationalError && cause.code === 'store-corrupt'
    throw isDamage ? damagedDatabase(backup, 'it is not sound', cause) : cause
  }
}

/** The checksums hold; does the database say what a controller can work with? */
export async function inspect(
  backup: string,
  header: Header,
  store: Store,
  passphrase: Secret | undefined,
): Promise<CheckedBackup> {
  const { fleet } = header
  const sealing = passphrase === undefined ? undefined : createSealing(passphrase)
  await store.transaction(async tx => {
    if ((await tx.settings.get('fleet')) !== fleet)
      throw damagedDatabase(backup, `it is not of fleet ${fleet}`)
    for (const kind of ['identity', 'service'] as const) {
      if ((await tx.authorities.active(kind)) === undefined)
        throw damagedDatabase(backup, `the ${kind} CA is missing`)
      if (sealing !== undefined)
        for (const record of await tx.authorities.list(kind)) openAll(record, fleet, sealing)
    }
    if (sealing === undefined) return
    for (const pair of await tx.provided.list()) openProvidedKey(sealing, pair)
    for (const account of await tx.acme.accounts()) openAcmeKey(sealing, account)
  })
  await inspectAudit(backup, store)
  const bytes = header.members.reduce((sum, member) => sum + member.bytes, 0)
  return { header, nodes: await countNodes(store), bytes }
}

// Also of those that do not sign: a rotation may go back to them. A key that is kept offline is not here.
function openAll(record: AuthorityRecord, fleet: string, sealing: Sealing): void {
  for (const part of ['root', 'intermediate', 'former'] as const)
    openKey(record, part, fleet, sealing)
}

async function inspectAudit(backup: string, store: Store): Promise<void> {
  let previous: AuditRecord | undefined
  for (;;) {
    const after = previous?.sequence ?? 0
    const records = await store.transaction(tx => tx.audit.list({ after, limit: PAGE }))
    if (records.length === 0) return
    const verdict = verifyAudit(records, previous)
    if (verdict.kind === 'broken')
      throw damagedDatabase(backup, `the audit log is broken at entry ${verdict.sequence}`)
    previous = records.at(-1)
  }
}

async function countNodes(store: Store): Promise<number> {
  let count = 0
  let after = ''
  for (;;) {
    const page = { after, limit: PAGE }
    const nodes = await store.transaction(tx => tx.nodes.list(page))
    const last = nodes.at(-1)
    if (last === undefined) return count
    count += nodes.length
    after = last.name
  }
}

function damagedDatabase(backup: string, why: string, cause?: unknown): OperationalError {
  return new OperationalError('backup-damaged', `${backup} is damaged: controller.db: ${why}`, {
    hint: 'Use another backup; nothing of this one is restored.',
    details: { path: backup, member: 'controller.db' },
    cause,
  })
}
