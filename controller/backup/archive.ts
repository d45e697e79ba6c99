// The file of a backup: a line that says what it is, a line of JSON that lists its members, the
// checksum of both, and then the bytes of the members one after the other. Written and read as a
// stream, because a database may be larger than the memory that a controller should need.

import { createHash } from 'node:crypto'
import { closeSync, createReadStream, fstatSync, openSync, readSync } from 'node:fs'
import * as z from 'zod/mini'
import { Digest, Epoch, Name, parser, TimeMs } from '../../shared/contract/schema.ts'
import { sha256 } from '../../shared/digest.ts'
import { OperationalError } from '../../shared/errors.ts'

/** What a backup holds. Nothing in it is a secret without the passphrase, which is not in it. */
export const MEMBERS = ['controller.db', 'controller.toml'] as const
export type MemberName = (typeof MEMBERS)[number]

const Member = z.strictObject({
  name: z.enum(MEMBERS),
  bytes: z.int().check(z.nonnegative()),
  sha256: Digest,
})
export type Member = Readonly<z.infer<typeof Member>>

const Header = z.strictObject({
  fleet: Name,
  /** When the snapshot was taken: what came later is not in it. */
  createdAtMs: TimeMs,
  /** Of the program that made it. */
  version: z.string().check(z.maxLength(64)),
  epoch: z.optional(Epoch),
  members: z.array(Member).check(
    z.refine(list => new Set(list.map(({ name }) => name)).size === list.length, {
      error: 'a member may be listed once',
    }),
    z.refine(list => list.some(({ name }) => name === 'controller.db'), {
      error: 'the database is missing',
    }),
  ),
})
export type Header = Readonly<z.infer<typeof Header>>
const parseHeader = parser('header', Header)

const KIND = 'tlsfleet backup'
const VERSION = 1
// Two members take 300 bytes; what claims to need more is not ours.
const HEADER_BYTES_MAX = 16 * 1024

/** The archive, piece by piece. Throws `backup-changed` when a file is not what the header says of it. */
export async function* archiveOf(
  header: Header,
  pathOf: (name: MemberName) => string,
): AsyncGenerator<Buffer> {
  yield Buffer.from(headText(header))
  for (const member of header.members) yield* checkedBytes(member, pathOf(member.name))
}

async function* checkedBytes({ name, bytes, sha256 }: Member, path: string) {
  const measured = createHash('sha256')
  let count = 0
  for await (const chunk of chunksOf(path)) {
    count += chunk.length
    measured.update(chunk)
    yield chunk
  }
  if (count !== bytes || measured.digest('hex') !== sha256)
    throw new OperationalError('backup-changed', `${name} changed while it was written`)
}

function headText(header: Header): string {
  const lines = `${KIND} ${VERSION}\n${JSON.stringify(header)}\n`
  return `${lines}${sha256(lines)}\n`
}

export async function memberOf(name: MemberName, path: string): Promise<Member> {
  const measured = createHash('sha256')
  let bytes = 0
  for await (const chunk of chunksOf(path)) {
    bytes += chunk.length
    measured.update(chunk)
  }
  return { name, bytes, sha256: measured.digest('hex') }
}

export interface Archive {
  readonly header: Header
  /** The bytes of a member; throws `backup-damaged` at its end when they are not what was written. */
  read(member: Member): AsyncIterable<Buffer>
}

/** Throws `not-a-backup`, `backup-unsupported`, `backup-damaged`, `backup-unreadable`. */
export function openArchive(path: string): Archive {
  const { text, size } = readHead(path)
  const [first = '', second = '', checksum = ''] = text.split('\n', 3)
  const [, kind, version] = /^(.*) (\d{1,9})$/.exec(first) ?? []
  if (kind !== KIND) throw new OperationalError('not-a-backup', `${path} is not a backup`)
  if (Number(version) !== VERSION)
    throw new OperationalError('backup-unsupported', `${path} is a backup of version ${version}`, {
      hint: `This program reads version ${VERSION}; use the one that made the backup, or a later one.`,
    })
  const lines = Buffer.from(`${first}\n${second}\n`, 'latin1')
  if (sha256(lines) !== checksum) throw damaged(path, 'the header', 'its checksum does not match')
  const header = readHeader(path, second)

  const start = lines.length + checksum.length + 1
  const end = header.members.reduce((sum, { bytes }) => sum + bytes, start)
  // Too much is told at once; what is missing, when its member is read.
  if (size > end) throw damaged(path, 'the end', `${size - end} bytes are left over`)
  return { header, read: member => readMember(path, header, start, member) }
}

function readHeader(path: string, text: string): Header {
  try {
    return parseHeader(JSON.parse(Buffer.from(text, 'latin1').toString('utf8')))
  } catch (cause) {
    throw damaged(path, 'the header', 'it cannot be understood', cause)
  }
}

async function* readMember(path: string, header: Header, headBytes: number, member: Member) {
  const before = header.members.slice(0, header.members.indexOf(member))
  const start = before.reduce((sum, { bytes }) => sum + bytes, headBytes)
  const measured = createHash('sha256')
  let count = 0
  const range = { start, end: start + member.bytes - 1 }
  for await (const chunk of member.bytes === 0 ? [] : chunksOf(path, range)) {
    count += chunk.length
    measured.update(chunk)
    yield chunk
  }
  if (count !== member.bytes)
    throw damaged(path, member.name, `${member.bytes - count} bytes are missing`)
  if (measured.digest('hex') !== member.sha256)
    throw damaged(path, member.name, 'its checksum does not match')
}

function readHead(path: string): { readonly text: string; readonly size: number } {
  try {
    const file = openSync(path, 'r')
    try {
      const buffer = Buffer.alloc(HEADER_BYTES_MAX)
      const length = readSync(file, buffer, 0, HEADER_BYTES_MAX, 0)
      // One character a byte, so that lengths are positions.
      return { text: buffer.toString('latin1', 0, length), size: fstatSync(file).size }
    } finally {
      closeSync(file)
    }
  } catch (cause) {
    throw new OperationalError('backup-unreadable', `could not read ${path}`, { cause })
  }
}

async function* chunksOf(
  path: string,
  range: { readonly start?: number; readonly end?: number } = {},
): AsyncGenerator<Buffer> {
  try {
    for await (const chunk of createReadStream(path, range)) {
      if (Buffer.isBuffer(chunk)) yield chunk
    }
  } catch (cause) {
    throw new OperationalError('backup-unreadable', `could not read ${path}`, { cause })
  }
}

function damaged(path: string, part: string, why: string, cause?: unknown): OperationalError {
  return new OperationalError('backup-damaged', `${path} is damaged: ${part}: ${why}`, {
    hint: 'Use another backup; nothing of this one is restored.',
    details: { path, member: part },
    cause,
  })
}
