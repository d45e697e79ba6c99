// The file of a backup: whole, or refused with the part that is not.

import { appendFileSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import fc from 'fast-check'
import t from 'tap'
import {
  archiveOf,
  type Header,
  memberOf,
  openArchive,
} from '../../../controller/backup/archive.ts'
import { writeArchive } from '../../../controller/backup/backup.ts'
import { sha256 } from '../../../shared/digest.ts'
import { OperationalError } from '../../../shared/errors.ts'

const DATABASE = Buffer.from(Array.from({ length: 3_000 }, (_, index) => index % 251))
const SETTINGS = Buffer.from('publicNames = ["münchen.example"]\n')
const directory = t.testdir({ 'controller.db': DATABASE, 'controller.toml': SETTINGS })
const pathOf = (name: string) => join(directory, name)

const header: Header = {
  fleet: 'demo',
  createdAtMs: 1_700_000_000_000,
  version: '1.2.3-ä',
  members: [
    await memberOf('controller.db', pathOf('controller.db')),
    await memberOf('controller.toml', pathOf('controller.toml')),
  ],
}
const whole = pathOf('whole.backup')
await writeArchive(whole, archiveOf(header, pathOf))
const bytes = readFileSync(whole)

async function readAll(path: string): Promise<Record<string, Buffer>> {
  const archive = openArchive(path)
  const found: Record<string, Buffer> = {}
  for (const member of archive.header.members)
    found[member.name] = await buffer(archive.read(member))
  return found
}

/** What reading these bytes comes to: the code of the refusal and the part that it names. */
async function verdict(content: Uint8Array): Promise<string> {
  const path = pathOf('tried.backup')
  writeFileSync(path, content)
  try {
    await readAll(path)
    return 'whole'
  } catch (error) {
    if (!(error instanceof OperationalError)) throw error
    const member = error.details['member']
    return typeof member === 'string' ? `${error.code}: ${member}` : error.code
  }
}

function flipped(offset: number, bit = 0): Buffer {
  const copy = Buffer.from(bytes)
  copy[offset] = (copy[offset] ?? 0) ^ (1 << bit)
  return copy
}

await t.test('what was written is read again, byte for byte', async t => {
  const found = await readAll(whole)

  t.strictSame(openArchive(whole).header, header)
  t.ok(found['controller.db']?.equals(DATABASE))
  t.ok(found['controller.toml']?.equals(SETTINGS))
  t.equal(statSync(whole).mode & 0o777, 0o600)
  t.match(bytes.toString('latin1'), /^tlsfleet backup 1\n\{"fleet":"demo"/)
})

await t.test('a damaged backup is refused, and the damaged part is named', async t => {
  const start = bytes.length - DATABASE.length - SETTINGS.length
  const inSettings = start + DATABASE.length + 3

  t.equal(await verdict(flipped(30)), 'backup-damaged: the header')
  t.equal(await verdict(flipped(start - 10)), 'backup-damaged: the header', 'of its checksum')
  t.equal(await verdict(flipped(start + 17)), 'backup-damaged: controller.db')
  t.equal(await verdict(flipped(inSettings)), 'backup-damaged: controller.toml')
  t.equal(await verdict(bytes.subarray(0, -1)), 'backup-damaged: controller.toml')
  t.equal(await verdict(bytes.subarray(0, start + 5)), 'backup-damaged: controller.db')
  t.equal(await verdict(bytes.subarray(0, 40)), 'backup-damaged: the header')
  t.equal(await verdict(Buffer.concat([bytes, Buffer.from('x')])), 'backup-damaged: the end')
})

await t.test('what is no backup, or of another version, is told as that', async t => {
  const later = bytes.toString('latin1').replace('backup 1', 'backup 2')

  t.equal(await verdict(Buffer.from('')), 'not-a-backup')
  t.equal(await verdict(Buffer.from('SQLite format 3\0')), 'not-a-backup')
  t.equal(await verdict(Buffer.alloc(100_000)), 'not-a-backup')
  t.equal(await verdict(Buffer.from(later, 'latin1')), 'backup-unsupported')
  t.throws(() => openArchive(pathOf('nothing')), { code: 'backup-unreadable' })
})

await t.test('no header makes a path, a second member or a missing one of its own', async t => {
  const [database, settings] = header.members
  for (const members of [
    [{ ...database, name: '../../etc/passwd' }],
    [database, database],
    [settings],
    [{ ...database, bytes: -1 }],
    [],
  ]) {
    const lines = `tlsfleet backup 1\n${JSON.stringify({ ...header, members })}\n`
    t.equal(await verdict(Buffer.from(`${lines}${sha256(lines)}\n`)), 'backup-damaged: the header')
  }
})

await t.test('no flipped bit goes unseen', async t => {
  const offset = fc.integer({ min: 0, max: bytes.length - 1 })
  await fc.assert(
    fc.asyncProperty(offset, fc.integer({ min: 0, max: 7 }), async (at, bit) => {
      return (await verdict(flipped(at, bit))) !== 'whole'
    }),
    { numRuns: 150 },
  )
  t.pass()
})

await t.test('a backup that cannot be completed leaves nothing', async t => {
  const out = pathOf('new.backup')
  const fails = async function* () {
    yield Buffer.from('tlsfleet')
    throw new OperationalError('interrupted', 'interrupted')
  }

  await t.rejects(writeArchive(out, fails()), { code: 'interrupted' })
  await t.rejects(writeArchive(pathOf('no/such/directory'), archiveOf(header, pathOf)), {
    code: 'backup-unwritable',
  })
  await t.rejects(writeArchive(whole, archiveOf(header, pathOf)), { code: 'backup-exists' })
  appendFileSync(pathOf('controller.toml'), '# edited meanwhile')
  await t.rejects(writeArchive(out, archiveOf(header, pathOf)), {
    code: 'backup-changed',
    message: /controller\.toml/,
  })

  t.throws(() => statSync(out))
  t.ok(readFileSync(whole).equals(bytes))
  truncateSync(pathOf('controller.toml'), SETTINGS.length)
})
