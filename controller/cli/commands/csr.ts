// `tlsfleet csr`: what waits to be signed goes out in one archive, and the answers come back in any
// order and in any number of files.

import { existsSync, renameSync, rmSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import {
  IMPORT_CERTIFICATES_MAX,
  type ImportedCertificate,
} from '../../../shared/contract/certificate-requests.ts'
import { OperationalError } from '../../../shared/errors.ts'
import { syncPath, writeSynced } from '../../backup/synced-file.ts'
import { type FoundCertificate, readCertificates } from '../certificate-files.ts'
import type { Client } from '../client.ts'
import { EXIT, type ExitCode } from '../exit-codes.ts'
import { type Session, show } from '../output.ts'
import { withClient } from '../session.ts'
import { importedText, requestsText } from '../views/csr.ts'

export interface ListOptions {
  readonly state?: string
  readonly all?: boolean
  readonly node?: string
  readonly service?: string
}

export async function listRequests(session: Session, options: ListOptions): Promise<ExitCode> {
  const state = options.state ?? (options.all === true ? undefined : 'pending')
  const filter = {
    ...(state === undefined ? {} : { state }),
    ...(options.node === undefined ? {} : { node: options.node }),
    ...(options.service === undefined ? {} : { service: options.service }),
  }
  const requests = await withClient(session, client => client.certificateRequests(filter))
  const { paint, width, clock } = session
  show(session, { requests }, shown =>
    requestsText(shown.requests, { paint, width, nowMs: clock.now() }),
  )
  return EXIT.ok
}

export async function exportRequests(
  session: Session,
  options: { readonly out: string },
): Promise<ExitCode> {
  const out = resolve(options.out)
  await withClient(session, client => client.exportRequests(content => writeNew(out, content)))
  show(session, { file: out }, shown => `${shown.file} written\n`)
  return EXIT.ok
}

// Under its name only when it is whole: half of it would look like all that there is to sign.
async function writeNew(path: string, content: AsyncIterable<Buffer>): Promise<void> {
  if (existsSync(path))
    throw new OperationalError('file-exists', `${path} exists and is left as it is`, {
      hint: 'name another file',
    })
  const part = join(dirname(path), `.${basename(path)}.${process.pid}.part`)
  try {
    await writeSynced(part, content)
    renameSync(part, path)
    syncPath(dirname(path))
  } catch (cause) {
    rmSync(part, { force: true })
    if (cause instanceof OperationalError) throw cause
    throw new OperationalError('file-unwritable', `could not write ${path}`, { cause })
  }
}

export async function importCertificates(
  session: Session,
  files: readonly string[],
): Promise<ExitCode> {
  const { certificates, warnings } = readCertificates(files)
  for (const warning of warnings) session.terminal.err(`${warning}\n`)
  if (certificates.length === 0)
    throw new OperationalError('no-certificates', 'could not find a certificate in what was given')
  const results = await withClient(session, client => importAll(client, certificates))
  const { paint, width, clock } = session
  show(session, { results }, shown =>
    importedText(shown.results, { paint, width, nowMs: clock.now() }),
  )
  return results.some(({ outcome }) => outcome === 'refused') ? EXIT.notSucceeded : EXIT.ok
}

// More CA certificates than this stand above no fleet.
const ISSUERS_MAX = 200

/** The CA certificates go with every part, because a chain may need any of them. */
async function importAll(
  client: Client,
  certificates: readonly FoundCertificate[],
): Promise<readonly ImportedCertificate[]> {
  const issuers = certificates.filter(({ isCa }) => isCa)
  if (issuers.length > ISSUERS_MAX)
    throw new OperationalError(
      'too-many-issuers',
      `could not import ${issuers.length} CA certificates; at most ${ISSUERS_MAX} go together`,
    )
  const leaves = certificates.filter(({ isCa }) => !isCa)
  const size = IMPORT_CERTIFICATES_MAX - issuers.length
  const results = new Map<string, ImportedCertificate>()
  for (let start = 0; start === 0 || start < leaves.length; start += size) {
    const part = [...leaves.slice(start, start + size), ...issuers]
    const sent = part.map(({ source, pem }) => ({ source, pem }))
    for (const one of await client.importCertificates(sent)) results.set(one.source, one)
  }
  return certificates.flatMap(({ source }) => results.get(source) ?? [])
}

export async function refuseRequest(
  session: Session,
  id: string,
  options: { readonly reason: string },
): Promise<ExitCode> {
  const refused = await withClient(session, client => client.refuseRequest(id, options.reason))
  show(
    session,
    refused,
    shown => `request ${shown.id} of ${shown.service} on ${shown.node} refused\n`,
  )
  return EXIT.ok
}
