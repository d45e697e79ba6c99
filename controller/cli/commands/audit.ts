import { createWriteStream } from 'node:fs'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { AuditVerdict } from '../../../shared/contract/audit.ts'
import { parseDuration } from '../../../shared/duration.ts'
import { OperationalError } from '../../../shared/errors.ts'
import { logInDatabase, logInExport } from '../../audit/log-files.ts'
import { requireAnchor, verifyPieces } from '../../audit/verify.ts'
import type { Client } from '../client.ts'
import { EXIT, type ExitCode } from '../exit-codes.ts'
import { type Session, show } from '../output.ts'
import { withClient } from '../session.ts'
import { auditRecordText, auditText, verdictText } from '../views/audit.ts'

export interface AuditOptions {
  readonly actor?: string
  readonly action?: string
  readonly target?: string
  readonly since?: string
  readonly until?: string
  readonly limit: string
}

export async function listAudit(session: Session, options: AuditOptions): Promise<ExitCode> {
  const { actor, action, target, since, until } = options
  const limit = Number(options.limit)
  if (!Number.isInteger(limit) || limit < 1 || limit > 1_000)
    throw new OperationalError('usage', `could not read --limit ${options.limit}`, {
      hint: 'give a number from 1 to 1000; all of it: tlsfleet audit export',
    })
  const nowMs = session.clock.now()
  const query = { actor, action, target, since: timeOf(since, nowMs), until: timeOf(until, nowMs) }
  const list = await withClient(session, client => client.auditRecords({ ...query, limit }))
  const { paint, width } = session
  show(session, list, shown => auditText(shown, { paint, width }))
  return EXIT.ok
}

function timeOf(text: string | undefined, nowMs: number): number | undefined {
  if (text === undefined) return undefined
  const ageMs = parseDuration(text)
  const atMs = ageMs === undefined ? Date.parse(text) : Math.max(0, nowMs - ageMs)
  if (!Number.isNaN(atMs)) return atMs
  throw new OperationalError('usage', `could not read the time ${text}`, {
    hint: 'give an age such as 2h or 7d, or a time such as 2026-01-31T12:00Z',
  })
}

export async function showAudit(session: Session, number: string): Promise<ExitCode> {
  const record = await withClient(session, client => client.auditRecord(number))
  show(session, record, auditRecordText)
  return EXIT.ok
}

export async function auditHead(session: Session): Promise<ExitCode> {
  const head = await withClient(session, client => client.auditHead())
  show(session, head, ({ sequence, hash }) => `${sequence}:${hash}\n`)
  return EXIT.ok
}

export async function exportAudit(
  session: Session,
  { out }: { readonly out: string },
): Promise<ExitCode> {
  const written = { file: out, records: 0 }
  await withClient(session, async client => {
    const lines = linesOf(client, count => {
      written.records += count
    })
    try {
      await pipeline(Readable.from(lines), createWriteStream(out, { flags: 'wx', mode: 0o600 }))
    } catch (cause) {
      if (cause instanceof OperationalError) throw cause
      throw new OperationalError('file-unwritable', `could not write ${out}`, { cause })
    }
  })
  show(session, written, ({ file, records }) => `${records} records written to ${file}\n`)
  return EXIT.ok
}

async function* linesOf(client: Client, onPage: (count: number) => void): AsyncGenerator<string> {
  for await (const records of client.auditPages()) {
    yield records.map(record => `${JSON.stringify(record)}\n`).join('')
    onPage(records.length)
  }
}

export interface VerifyOptions {
  readonly database?: string
  readonly export?: string
  readonly head?: string
}

/** Exit code 1 for everything but an intact log. */
export async function verifyAudit(session: Session, options: VerifyOptions): Promise<ExitCode> {
  const verdict = await verdictOn(session, options)
  show(session, verdict, shown => verdictText(shown, session.paint))
  return verdict.verdict === 'intact' ? EXIT.ok : EXIT.error
}

async function verdictOn(session: Session, options: VerifyOptions): Promise<AuditVerdict> {
  const { database, export: file, head } = options
  if (database !== undefined && file !== undefined)
    throw new OperationalError('usage', 'could not verify the audit log', {
      cause: new Error('--database and --export exclude each other'),
    })
  const anchor = head === undefined ? undefined : requireAnchor(head)
  const pieces = database === undefined ? file && logInExport(file) : logInDatabase(database)
  if (pieces === undefined || pieces === '')
    return withClient(session, client => client.verifyAudit(head))
  const onProgress = progressOn(session)
  try {
    return await verifyPieces(pieces, { anchor, onProgress })
  } finally {
    onProgress(undefined)
  }
}

const TOLD_EVERY = 50_000

/** On a terminal only; at the end the line is wiped. */
function progressOn({ terminal, json }: Session): (records: number | undefined) => void {
  let told = 0
  return records => {
    if (json || !terminal.errorIsTerminal) return
    if (records === undefined) {
      if (told > 0) terminal.err('\r\x1b[K')
      return
    }
    if (records < told + TOLD_EVERY) return
    told = records
    terminal.err(`\r${records} records hold …`)
  }
}
