// A stand-in for kibana-keystore. Where the real one asks, and nobody answers, this one takes it for no.

import { existsSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { hasPassword, keystorePath, readKeystore, writeKeystore } from './keystore.ts'

const NOT_FOUND = "ERROR: Kibana keystore not found. Use 'create' command to create one."

const { values, positionals } = parseArgs({
  options: {
    force: { type: 'boolean', short: 'f', default: false },
    stdin: { type: 'boolean', short: 'x', default: false },
    silent: { type: 'boolean', short: 's', default: false },
    output: { type: 'string', short: 'o' },
  },
  allowPositionals: true,
})
const [command = '', key] = positionals
const path = keystorePath(process.env)

switch (command) {
  case 'create':
    create()
    break
  case 'add':
    await add(required(key))
    break
  case 'list':
    if (existsSync(path)) log(Object.keys(readKeystore(path, process.env)).join('\n'))
    else fail(NOT_FOUND)
    break
  case 'show':
    // Not 1: the real one ends with -1.
    process.exitCode = show(required(key)) ? 0 : 255
    break
  case 'remove': {
    // Also of what is not there, also without a keystore: it is written either way.
    const { [required(key)]: _, ...rest } = readKeystore(path, process.env)
    writeKeystore(path, rest, process.env)
    break
  }
  case 'has-passwd':
    process.exitCode = sayWhetherProtected() ? 0 : 1
    break
  default:
    fail(`unknown command ${command}`)
    process.exitCode = 64
}

function create(): void {
  if (existsSync(path)) {
    log('A Kibana keystore already exists. Overwrite? [y/N]')
    log('Exiting without modifying keystore.')
    return
  }
  writeKeystore(path, {}, process.env)
  log(`Created Kibana keystore in ${path}`)
}

/** That there is no keystore, or that the setting exists, is said and is no failure. */
async function add(name: string): Promise<void> {
  if (!existsSync(path)) return fail(NOT_FOUND)
  const entries = readKeystore(path, process.env)
  if (!values.force && Object.hasOwn(entries, name)) {
    return log(`Setting ${name} already exists, exiting without modifying keystore.`)
  }
  const text = values.stdin ? (await standardInput()).trim() : ''
  writeKeystore(path, { ...entries, [name]: parsed(text) }, process.env)
}

/** `12345` becomes a number, which no password may be. */
function parsed(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text)
    return value ?? text
  } catch {
    return text
  }
}

async function standardInput(): Promise<string> {
  let text = ''
  for await (const chunk of process.stdin.setEncoding('utf8')) text += String(chunk)
  return text
}

function show(name: string): boolean {
  if (!existsSync(path)) fail(NOT_FOUND)
  const value = readKeystore(path, process.env)[name]
  if (value === undefined) {
    if (existsSync(path)) fail("ERROR: Kibana keystore doesn't have requested key.")
    return false
  }
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  if (values.output === undefined) {
    log(text)
  } else if (existsSync(values.output)) {
    fail('ERROR: Output file already exists. Remove it before retrying.')
    return false
  } else {
    writeFileSync(values.output, text)
    log(`Writing output to file: ${values.output}`)
  }
  return true
}

function sayWhetherProtected(): boolean {
  if (!existsSync(path)) fail('Error: Keystore not found')
  else if (!hasPassword(path)) fail('Error: Keystore is not password protected')
  else log('Keystore is password-protected')
  return existsSync(path) && hasPassword(path)
}

function required(name: string | undefined): string {
  if (name !== undefined) return name
  fail("error: missing required argument 'key'")
  process.exit(1)
}

function log(text: string): void {
  if (!values.silent) process.stdout.write(`${text}\n`)
}

function fail(text: string): void {
  if (!values.silent) process.stderr.write(`${text}\n`)
}
