// promtool check web-config FILE… and check config [--syntax-only] FILE…, of the version that
// SIM_VERSION names.

import { existsSync } from 'node:fs'
import { GoError } from '../go/x509-key-pair.ts'
import { readServerConfig } from './server-config.ts'
import { validateWebConfig } from './web-config.ts'

const version = process.env['SIM_VERSION'] ?? '2.42.0'
const [check, what, ...rest] = process.argv.slice(2)

if (check === '--version') {
  process.stdout.write(`promtool, version ${version} (branch: simulator, revision: none)\n`)
} else if (check === 'check' && what === 'web-config') {
  for (const file of existing(rest)) checkWebConfig(file)
} else if (check === 'check' && what === 'config') {
  for (const file of existing(rest.filter(word => word !== '--syntax-only'))) checkConfig(file)
} else {
  fail(`promtool: error: expected command but got "${check}", try --help`)
  process.exit(1)
}

function existing(files: readonly string[]): readonly string[] {
  const missing = files.find(file => !existsSync(file))
  if (missing === undefined) return files
  fail(`promtool: error: path '${missing}' does not exist, try --help`)
  process.exit(1)
}

function checkWebConfig(file: string): void {
  const error = errorOf(() => validateWebConfig(file, version))
  if (error === undefined) process.stderr.write(`${file} SUCCESS\n`)
  else fail(`${file} FAILED: ${error}`)
}

function checkConfig(file: string): void {
  process.stdout.write(`Checking ${file}\n`)
  const error = errorOf(() => readServerConfig(file))
  if (error === undefined)
    process.stdout.write(` SUCCESS: ${file} is valid prometheus config file syntax\n\n`)
  else fail(`  FAILED: ${error}`)
}

function fail(text: string): void {
  process.stderr.write(`${text}\n`)
  process.exitCode = 1
}

function errorOf(run: () => void): string | undefined {
  try {
    run()
    return undefined
  } catch (error) {
    if (error instanceof GoError) return error.message
    throw error
  }
}
