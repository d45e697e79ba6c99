// Entries of a product's store of secrets, set and removed by the product's own tool: it knows its
// format best. Values go to its standard input, never into its arguments. What it made of them is
// read back natively.

import { unreachable } from '../shared/assert.ts'
import { OperationalError } from '../shared/errors.ts'
import { Secret } from '../shared/secret.ts'
import type { Files, Host, Ownership } from './host.ts'
import type { Journal, JournalKeystore } from './journal.ts'
import { ownershipOf } from './planned-ownership.ts'
import { observeKeystore, readPassphrase } from './resources/keystore-file.ts'
import { digestOf, putBack } from './switch.ts'

// It starts a Java or Node runtime each time.
const TOOL_TIMEOUT_MS = 120_000

/** Only what differs is set, so that a pass that was interrupted can go over it again. */
export async function setKeystores(host: Host, journal: Journal): Promise<void> {
  for (const keystore of journal.keystores ?? []) {
    const wanted = await wantedOf(host.files, keystore)
    const { todo, isMissing, isProtected } = await missingOf(host.files, keystore, wanted)
    const passphrase = isProtected
      ? await readPassphrase(host.files, keystore.passphraseFile)
      : undefined
    if (isMissing && todo.set.size > 0) await create(host, keystore)
    if (todo.set.size > 0) await add(host, keystore, todo.set, passphrase)
    if (todo.remove.length > 0) await remove(host, keystore, todo.remove, passphrase)
    await own(host.files, keystore)
    const left = (await missingOf(host.files, keystore, wanted)).todo
    const names = [...left.set.keys(), ...left.remove]
    if (names.length > 0)
      throw new OperationalError(
        'keystore-not-set',
        `${keystore.tool} ended without an error, but ${names.join(', ')} in ${keystore.path} is not as it was told`,
      )
  }
}

/** The store as it was before, whole: what the tool writes is never the same twice. */
export async function restoreKeystores({ files }: Host, journal: Journal): Promise<void> {
  for (const { path, staged, before } of journal.keystores ?? []) {
    await files.remove(staged)
    const found = await digestOf(files, path)
    if (found === before?.sha256) continue
    if (before === undefined) await files.remove(path)
    else await putBack(files, path, staged, before)
  }
}

type Values = ReadonlyMap<string, Secret>

async function wantedOf(files: Files, keystore: JournalKeystore): Promise<Values> {
  const wanted = new Map<string, Secret>()
  for (const { name, valueFile } of keystore.set) {
    const bytes = await files.read(valueFile)
    if (bytes === undefined)
      throw new OperationalError(
        'staged-file-lost',
        `could not set ${name} in ${keystore.path}: the prepared value is gone`,
      )
    wanted.set(name, new Secret(Buffer.from(bytes).toString('utf8')))
  }
  return wanted
}

async function missingOf(files: Files, keystore: JournalKeystore, wanted: Values) {
  const { seen, isProtected } = await observeKeystore(files, keystore)
  if (seen.kind === 'unreadable') throw new OperationalError(seen.reason.code, seen.reason.message)
  const entries: Values = seen.kind === 'opened' ? seen.entries : new Map()
  const set = [...wanted].filter(([name, value]) => entries.get(name)?.reveal() !== value.reveal())
  const remove = keystore.remove.filter(name => entries.has(name))
  return { todo: { set: new Map(set), remove }, isMissing: seen.kind === 'missing', isProtected }
}

async function create(host: Host, keystore: JournalKeystore): Promise<void> {
  switch (keystore.format) {
    // `add -f` makes it.
    case 'elasticsearch':
      return
    case 'kibana':
      return run(host, keystore, ['create'], [])
    case 'beats':
      return run(host, keystore, ['keystore', 'create'], [])
    default:
      return unreachable(keystore.format)
  }
}

async function add(
  host: Host,
  keystore: JournalKeystore,
  values: Values,
  passphrase: Secret | undefined,
): Promise<void> {
  switch (keystore.format) {
    case 'elasticsearch': {
      const lines = [...(passphrase === undefined ? [] : [passphrase]), ...values.values()]
      return run(host, keystore, ['add', '-x', '-f', ...values.keys()], lines)
    }
    case 'kibana':
      for (const [name, value] of values)
        await run(host, keystore, ['add', name, '-x', '-f'], [asKibanaReads(value)])
      return
    case 'beats':
      for (const [name, value] of values)
        await run(host, keystore, ['keystore', 'add', name, '--stdin', '--force'], [value])
      return
    default:
      return unreachable(keystore.format)
  }
}

async function remove(
  host: Host,
  keystore: JournalKeystore,
  names: readonly string[],
  passphrase: Secret | undefined,
): Promise<void> {
  switch (keystore.format) {
    case 'elasticsearch':
      return run(host, keystore, ['remove', ...names], passphrase === undefined ? [] : [passphrase])
    case 'kibana':
      for (const name of names) await run(host, keystore, ['remove', name], [])
      return
    case 'beats':
      for (const name of names) await run(host, keystore, ['keystore', 'remove', name], [])
      return
    default:
      return unreachable(keystore.format)
  }
}

// It trims what it reads and takes for JSON what looks so: 12345 would become a number.
function asKibanaReads(value: Secret): Secret {
  const text = value.reveal()
  try {
    JSON.parse(text)
  } catch {
    if (text === text.trim()) return value
  }
  return new Secret(JSON.stringify(text))
}

async function run(
  host: Host,
  { tool, path, environment, format }: JournalKeystore,
  args: readonly string[],
  lines: readonly Secret[],
): Promise<void> {
  // Beats take all that they read for the value, a last newline included.
  const end = format === 'beats' ? '' : '\n'
  const stdin = new Secret(lines.map(line => `${line.reveal()}${end}`).join(''))
  const result = await host.commands.run([tool, ...args], {
    timeoutMs: TOOL_TIMEOUT_MS,
    environment,
    stdin,
  })
  if (result.code === 0) return
  const said = lines.reduce(
    (text, line) => (line.reveal() === '' ? text : text.replaceAll(line.reveal(), '[secret]')),
    `${result.stderr}\n${result.stdout}`.trim(),
  )
  throw new OperationalError(
    'keystore-tool-failed',
    `${tool} could not ${args[0] === 'keystore' ? args[1] : args[0]} entries of ${path}: ${said.slice(0, 300)}`,
    { details: { code: result.code } },
  )
}

// It runs as root, and not every one of them keeps owner and mode.
async function own(files: Files, keystore: JournalKeystore): Promise<void> {
  const stat = await files.statFollowed(keystore.path)
  if (stat === undefined || isSame(ownershipOf(stat), keystore)) return
  const { mode, uid, gid } = keystore
  await files.setOwnership(keystore.path, { mode, uid, gid })
}

function isSame(a: Ownership, b: Ownership): boolean {
  return a.mode === b.mode && a.uid === b.uid && a.gid === b.gid
}
