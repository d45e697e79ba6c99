// Runs in a mount namespace of its own: writes on a file system that is too small, read-only or
// broken, and prints what came of it as JSON.

import { closeSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createFiles } from '../../agent/edges/files.ts'
import { OperationalError } from '../../shared/errors.ts'

const [scenario = '', root = ''] = process.argv.slice(2)
const files = createFiles({ root })
const owner = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 }
const file = { ...owner, mode: 0o640, overwrite: true }
const KB = 1024

async function codeOf(act: Promise<void>): Promise<string> {
  try {
    await act
    return 'done'
  } catch (error) {
    if (!(error instanceof OperationalError)) throw error
    return error.retryable ? `${error.code}, retryable` : error.code
  }
}

const names = () => readdirSync(root).toSorted()
const create = (path: string, bytes: number) =>
  codeOf(files.create(path, { ...file, contents: Buffer.alloc(bytes, 'n') }))

/** A file of every size up to more than there is room for: it is complete, or it is not there. */
async function fill(): Promise<unknown> {
  writeFileSync(join(root, 'live'), 'old')
  const outcomes: Record<string, string> = {}
  for (let bytes = 8 * KB; bytes <= 128 * KB; bytes += 4 * KB + 1) {
    const code = await create('/next', bytes)
    const rest = names().filter(name => name !== 'live')
    const complete = rest.length === 1 && readFileSync(join(root, 'next')).length === bytes
    outcomes[bytes] =
      rest.length === 0 ? `${code}: nothing` : `${code}: ${complete ? 'all' : 'torn'}`
    rmSync(join(root, 'next'), { force: true })
  }
  const filler = join(root, 'filler')
  try {
    writeFileSync(filler, Buffer.alloc(512 * KB))
  } catch {
    // Full is what it should be.
  }
  const whenFull = [
    await create('/next', 40 * KB),
    await codeOf(files.switchLink('/link', 'live')),
    await codeOf(files.makeDirectory('/dir', { ...owner, mode: 0o755 })),
  ]
  rmSync(filler)
  const later = await create('/next', 40 * KB)
  return {
    outcomes: [...new Set(Object.values(outcomes))].toSorted(),
    whenFull,
    later,
    live: readFileSync(join(root, 'live'), 'utf8'),
  }
}

async function attempts(): Promise<unknown> {
  const codes = [
    await create('/next', 10),
    await codeOf(files.makeDirectory('/dir', { ...owner, mode: 0o755 })),
    await codeOf(files.switchLink('/link', 'live')),
    await codeOf(files.rename('/live', '/moved')),
    await codeOf(files.remove('/live')),
    await codeOf(files.setOwnership('/live', { ...owner, mode: 0o600 })),
  ]
  return { codes, names: names() }
}

async function descriptors(): Promise<unknown> {
  // Whatever is loaded late is loaded now.
  await create('/next', 10)
  rmSync(join(root, 'next'))
  const open: number[] = []
  try {
    for (;;) open.push(openSync('/dev/null', 'r'))
  } catch {
    // That was the last one.
  }
  const codes = [await create('/next', 10)]
  for (const fd of open) closeSync(fd)
  codes.push(await create('/next', 10))
  return { codes, names: names() }
}

const scenarios: Readonly<Record<string, () => Promise<unknown>>> = { fill, attempts, descriptors }
process.stdout.write(JSON.stringify(await scenarios[scenario]?.()))
