// A stand-in for elasticsearch-keystore: its commands, prompts and exit codes. The configuration
// directory is ES_PATH_CONF; SIM_VERSION is the version of Elasticsearch, which decides on the format.

import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { decodeKeystore, hasPassword, KeystoreError } from './keystore-format.ts'
import {
  createSeed,
  EXIT,
  keystorePath,
  readKeystoreFile,
  saveKeystore,
  SEED,
  UserError,
} from './keystore-file.ts'

const directory = process.env['ES_PATH_CONF'] ?? '/etc/elasticsearch'
const version = process.env['SIM_VERSION'] ?? '8.15.0'
const MISSING = `Elasticsearch keystore not found at [${keystorePath(directory)}]. Use 'create' command to create one.`
const NAME = /^[A-Za-z0-9_\-.]+$/

interface Options {
  readonly names: readonly string[]
  readonly flag: (name: string) => boolean
  readonly output: string | undefined
}

/** What is open while a command runs. */
interface Opened {
  readonly entries: Map<string, Buffer>
  readonly password: string
}

function main(argv: readonly string[]): void {
  const [command = '', ...rest] = argv
  const run = COMMANDS[command]
  if (run === undefined) {
    throw new UserError(
      EXIT.usage,
      command === '' ? 'Missing command' : `Unknown command [${command}]`,
    )
  }
  run(parseOptions(rest))
}

const COMMANDS: Readonly<Record<string, (options: Options) => void>> = {
  add,
  'add-file': addFile,
  create,
  list: () => {
    const names = [...existing().entries.keys()].toSorted()
    process.stdout.write(names.map(name => `${name}\n`).join(''))
  },
  show,
  remove,
  'has-passwd': hasPasswd,
  passwd: () => {
    const { entries } = existing()
    save({ entries, password: newPassword() })
    say('Elasticsearch keystore password changed successfully.')
  },
  upgrade: () => {
    const opened = existing()
    if (!opened.entries.has(SEED)) opened.entries.set(SEED, createSeed())
    save(opened)
  },
}

function add(options: Options): void {
  const opened = existingOrNew(options)
  if (opened === undefined) return
  if (options.names.length === 0) {
    throw new UserError(EXIT.usage, 'the setting names can not be empty')
  }
  for (const name of options.names) {
    if (!mayOverwrite(opened, name, options)) return
    const prompt = options.flag('stdin') ? '' : `Enter value for ${name}: `
    const value = secret(prompt)
    checkName(name)
    opened.entries.set(name, Buffer.from(value))
  }
  save(opened)
}

function addFile(options: Options): void {
  const opened = existingOrNew(options)
  if (opened === undefined) return
  if (options.names.length === 0) throw new UserError(EXIT.usage, 'Missing setting name')
  if (options.names.length % 2 !== 0) {
    throw new UserError(EXIT.usage, 'settings and filenames must come in pairs')
  }
  for (let i = 0; i < options.names.length; i += 2) {
    const [name = '', file = ''] = options.names.slice(i, i + 2)
    if (!mayOverwrite(opened, name, options)) return
    if (!existsSync(file)) throw new UserError(EXIT.io, `File [${file}] does not exist`)
    checkName(name)
    opened.entries.set(name, readFileSync(file))
  }
  save(opened)
}

function mayOverwrite({ entries }: Opened, name: string, options: Options): boolean {
  if (!entries.has(name) || options.flag('force')) return true
  if (confirm(`Setting ${name} already exists. Overwrite?`)) return true
  say('Exiting without modifying keystore.')
  return false
}

function checkName(name: string): void {
  if (NAME.test(name)) return
  throw new UserError(
    EXIT.data,
    `Setting name [${name}] does not match the allowed setting name pattern [[A-Za-z0-9_\\-.]+]`,
  )
}

function create(options: Options): void {
  const password = options.flag('password') ? newPassword() : ''
  if (existsSync(keystorePath(directory))) {
    if (!confirm('An elasticsearch keystore already exists. Overwrite?')) {
      say('Exiting without creating keystore.')
      return
    }
  }
  save({ entries: new Map([[SEED, createSeed()]]), password })
  say(`Created elasticsearch keystore in ${keystorePath(directory)}`)
}

function show({ names, output }: Options): void {
  const { entries } = existing()
  const [name = '', ...more] = names
  if (name === '' || more.length > 0) {
    throw new UserError(EXIT.usage, 'Must provide a single setting name to show')
  }
  const value = entries.get(name)
  if (value === undefined) throw new UserError(EXIT.config, notThere(name))
  if (output !== undefined) {
    writeFileSync(output, value)
    chmodSync(output, 0o600)
    return
  }
  const text = value.toString('utf8')
  if (!Buffer.from(text).equals(value)) {
    process.stderr.write(
      `The value for the setting [${name}] is not a string and cannot be printed to the console\n`,
    )
    throw new UserError(EXIT.io, 'Please redirect binary output to a file instead')
  }
  process.stdout.write(`${text}\n`)
}

function remove({ names }: Options): void {
  const opened = existing()
  if (names.length === 0)
    throw new UserError(EXIT.usage, 'Must supply at least one setting to remove')
  for (const name of names) {
    if (!opened.entries.delete(name)) throw new UserError(EXIT.config, notThere(name))
  }
  save(opened)
}

function notThere(name: string): string {
  return `Setting [${name}] does not exist in the keystore.`
}

function hasPasswd({ flag }: Options): void {
  const bytes = readKeystoreFile(directory)
  const protectedByOne = bytes !== undefined && hasPassword(bytes)
  if (!flag('silent')) {
    if (protectedByOne) say('Keystore is password-protected')
    else if (bytes === undefined) process.stderr.write('ERROR: Elasticsearch keystore not found\n')
    else process.stderr.write('ERROR: Keystore is not password-protected\n')
  }
  if (!protectedByOne) process.exitCode = 1
}

/** Opens it; a password is the first line of standard input, before anything else is looked at. */
function existing(): Opened {
  const bytes = readKeystoreFile(directory)
  if (bytes === undefined) throw new UserError(EXIT.data, MISSING)
  const password = hasPassword(bytes)
    ? secret('Enter password for the elasticsearch keystore : ')
    : ''
  return { entries: new Map(decodeKeystore(bytes, password).entries), password }
}

/** Undefined where there is none and nobody wants one. */
function existingOrNew(options: Options): Opened | undefined {
  if (existsSync(keystorePath(directory))) return existing()
  const wanted =
    options.flag('force') ||
    confirm('The elasticsearch keystore does not exist. Do you want to create it?')
  if (!wanted) {
    say('Exiting without creating keystore.')
    return undefined
  }
  const opened = { entries: new Map([[SEED, createSeed()]]), password: '' }
  save(opened)
  return opened
}

function save({ entries, password }: Opened): void {
  saveKeystore(entries, { directory, password, version })
}

function newPassword(): string {
  const first = secret(
    'Enter new password for the elasticsearch keystore (empty for no password): ',
  )
  const second = secret('Enter same password again: ')
  if (first !== second) throw new UserError(EXIT.data, 'Passwords are not equal, exiting.')
  return first
}

let lines: string[] | undefined

/** The next line of standard input; undefined at its end. */
function nextLine(): string | undefined {
  lines ??= readFileSync(0, 'utf8').split('\n')
  const line = lines.shift()
  // What follows the last line break is a line only where there is something.
  return lines.length === 0 && line === '' ? undefined : line?.replace(/\r$/, '')
}

function secret(prompt: string): string {
  process.stderr.write(prompt)
  const line = nextLine()
  if (line === undefined) {
    throw new Error(
      'unable to read from standard input; is standard input open and a tty attached?',
    )
  }
  return line
}

function confirm(question: string): boolean {
  for (;;) {
    process.stderr.write(`${question} [y/N]`)
    const answer = nextLine()?.toLowerCase() ?? ''
    if (answer === '' || answer === 'n') return false
    if (answer === 'y') return true
    say(`Did not understand answer '${answer}'`)
  }
}

function say(text: string): void {
  process.stdout.write(`${text}\n`)
}

function parseOptions(argv: readonly string[]): Options {
  try {
    const { values, positionals } = parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: {
        stdin: { type: 'boolean', short: 'x' },
        force: { type: 'boolean', short: 'f' },
        silent: { type: 'boolean', short: 's' },
        verbose: { type: 'boolean', short: 'v' },
        password: { type: 'boolean', short: 'p' },
        output: { type: 'string', short: 'o' },
      },
    })
    const set = new Set(Object.keys(values))
    return { names: positionals, flag: name => set.has(name), output: values.output }
  } catch (error) {
    throw new UserError(EXIT.usage, error instanceof Error ? error.message : String(error))
  }
}

try {
  main(process.argv.slice(2))
} catch (error) {
  if (error instanceof UserError) {
    process.stderr.write(`ERROR: ${error.message}\n`)
    process.exitCode = error.code
  } else if (error instanceof KeystoreError && error.sealed) {
    process.stderr.write(`ERROR: ${error.message}\n`)
    process.exitCode = EXIT.data
  } else {
    process.stderr.write(`Exception in thread "main" ${String(error)}\n`)
    process.exitCode = 1
  }
}
