// promtool check web-config FILE…, of the version that SIM_VERSION names.

import { existsSync } from 'node:fs'
import { GoError } from '../go/x509-key-pair.ts'
import { validateWebConfig } from './web-config.ts'

const version = process.env['SIM_VERSION'] ?? '2.42.0'
const [check, what, ...files] = process.argv.slice(2)

if (check === '--version') {
  process.stdout.write(`promtool, version ${version} (branch: simulator, revision: none)\n`)
} else if (check === 'check' && (what === 'web-config' || what === 'config')) {
  const missing = files.find(file => !existsSync(file))
  if (missing !== undefined) {
    process.stderr.write(`promtool: error: path '${missing}' does not exist, try --help\n`)
    process.exit(1)
  }
  for (const file of what === 'web-config' ? files : []) checkFile(file)
} else {
  process.stderr.write(`promtool: error: expected command but got "${check}", try --help\n`)
  process.exit(1)
}

function checkFile(file: string): void {
  try {
    validateWebConfig(file, version)
    process.stderr.write(`${file} SUCCESS\n`)
  } catch (error) {
    if (!(error instanceof GoError)) throw error
    process.stderr.write(`${file} FAILED: ${error.message}\n`)
    process.exitCode = 1
  }
}
