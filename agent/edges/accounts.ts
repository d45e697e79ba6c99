// Users and groups by name: from the files, which are read again when they change, and from the
// name service only for names that the files do not have.

import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { Accounts } from '../host.ts'
import { runProgram } from './run-program.ts'

export interface AccountsOptions {
  /** Accounts of the tree below it come first, then this machine's own: services of a sandbox run here. */
  readonly root?: string | undefined
  /** Those of the tree are all there are: its services never run on this machine. */
  readonly isOffline?: boolean
  /** Of the C library; undefined: the files are all there is. */
  readonly getent?: string | undefined
}

export interface AccountDatabase extends Accounts {
  /** Name of the primary group of a user. */
  primaryGroup(user: string): Promise<string | undefined>
}

/** name:password:id:… as passwd(5) and group(5) have it. */
type Entry = readonly string[]

interface Database {
  find(field: number, value: string): Promise<Entry | undefined>
}

const NAME = 0
const ID = 2
const PRIMARY_GROUP = 3

export function createAccounts({
  root,
  isOffline = false,
  getent,
}: AccountsOptions = {}): AccountDatabase {
  const own = root === undefined || root === '/' ? [] : [root]
  const roots = isOffline ? own : [...own, '/']
  const names = isOffline ? undefined : getent
  const passwd = createDatabase('passwd', roots, names)
  const group = createDatabase('group', roots, names)

  return {
    async user(name) {
      const entry = await passwd.find(fieldOf(name), name)
      const uid = idOf(entry, ID)
      const gid = idOf(entry, PRIMARY_GROUP)
      return uid === undefined || gid === undefined ? undefined : { uid, gid }
    },
    group: async name => idOf(await group.find(fieldOf(name), name), ID),
    async primaryGroup(user) {
      const entry = await passwd.find(fieldOf(user), user)
      const gid = entry?.[PRIMARY_GROUP]
      return gid === undefined ? undefined : (await group.find(ID, gid))?.[NAME]
    },
  }
}

// A unit may name a user by its number.
function fieldOf(name: string): number {
  return /^\d+$/.test(name) ? ID : NAME
}

function idOf(entry: Entry | undefined, field: number): number | undefined {
  const text = entry?.[field] ?? ''
  return /^\d+$/.test(text) ? Number(text) : undefined
}

function createDatabase(
  name: 'passwd' | 'group',
  roots: readonly string[],
  getent: string | undefined,
): Database {
  const files = roots.map(root => createFile(join(root, 'etc', name)))
  // What the name service answered, for as long as the files stay as they are.
  const known = new Map<string, Entry>()
  let version = ''

  return {
    async find(field, value) {
      const read = files.map(file => file())
      for (const { entries } of read) {
        const entry = entries.find(one => one[field] === value)
        if (entry !== undefined) return entry
      }
      if (getent === undefined) return undefined
      const current = read.map(file => file.version).join(' ')
      if (current !== version) known.clear()
      version = current
      const key = `${field}:${value}`
      const entry = known.get(key) ?? (await ask(getent, name, field, value))
      // Unknown names are asked for again: an account can be made elsewhere at any time.
      if (entry !== undefined) known.set(key, entry)
      return entry
    },
  }
}

interface AccountFile {
  readonly version: string
  readonly entries: readonly Entry[]
}

const MISSING: AccountFile = { version: 'missing', entries: [] }

function createFile(path: string): () => AccountFile {
  let last = MISSING
  return () => {
    const stat = statSync(path, { bigint: true, throwIfNoEntry: false })
    if (stat === undefined) return MISSING
    const version = `${stat.ino}:${stat.size}:${stat.mtimeNs}:${stat.ctimeNs}`
    if (version !== last.version)
      last = { version, entries: parseEntries(readFileSync(path, 'utf8')) }
    return last
  }
}

function parseEntries(text: string): readonly Entry[] {
  return text
    .split('\n')
    .filter(line => line !== '' && !line.startsWith('#'))
    .map(line => line.split(':'))
}

// A directory service that does not answer must not hold up a pass for long.
const GETENT_TIMEOUT_MS = 5_000

async function ask(
  getent: string,
  database: string,
  field: number,
  value: string,
): Promise<Entry | undefined> {
  const { code, stdout } = await runProgram([getent, database, '--', value], {
    timeoutMs: GETENT_TIMEOUT_MS,
  })
  if (code !== 0) return undefined
  // getent takes a number for an id as well, so the answer must be for what was asked.
  return parseEntries(stdout).find(entry => entry[field] === value)
}
