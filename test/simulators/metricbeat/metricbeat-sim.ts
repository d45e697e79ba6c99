// A stand-in for Metricbeat of the version that SIM_VERSION names: its configuration, keystore and TLS, a
// queue in memory, and events that are numbered, so that what is lost can be counted where they arrive.

import {
  exportConfig,
  manageModules,
  setup,
  testConfig,
  testModules,
  testOutput,
} from './commands.ts'
import { parseFlags } from './flags.ts'
import { manageKeystore } from './keystore-commands.ts'
import { initialize } from './load.ts'
import { run } from './run.ts'
import { BeatError } from './ucfg.ts'

const version = process.env['SIM_VERSION'] ?? '8.15.0'

async function main(argv: readonly string[]): Promise<number | undefined> {
  const flags = parseFlags(argv)
  const [command = 'run', ...rest] = flags.words
  const beat = () => initialize(flags, { version, env: process.env })
  switch (command) {
    case 'version':
      process.stdout.write(
        `metricbeat version ${version} (amd64), libbeat ${version} [simulator]\n`,
      )
      return 0
    case 'run':
      run(beat())
      return undefined
    case 'test':
      return await test(rest)
    case 'modules':
      return manageModules(beat(), rest)
    case 'keystore':
      await manageKeystore(beat(), rest)
      return 0
    case 'export':
      if (rest[0] !== 'config') throw new BeatError('the simulator exports its configuration only')
      exportConfig(beat())
      return 0
    case 'setup':
      await setup(beat())
      return 0
    default:
      throw new BeatError(`unknown command "${command}" for "metricbeat"`)
  }

  async function test([what = '', ...names]: readonly string[]): Promise<number> {
    switch (what) {
      case 'config':
        testConfig(beat())
        return 0
      case 'output':
        return await testOutput(beat())
      case 'modules':
        await testModules(beat(), names)
        return 0
      default:
        throw new BeatError(`unknown command "${what}" for "metricbeat test"`)
    }
  }
}

try {
  const code = await main(process.argv.slice(2))
  if (code !== undefined) process.exit(code)
} catch (error) {
  if (!(error instanceof BeatError)) throw error
  process.stderr.write(`Exiting: ${error.message}\n`)
  process.exit(1)
}
