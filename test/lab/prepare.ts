// Brings a machine to where it can run labs: the host's packages, then the image of the nodes.

import { spawnSync } from 'node:child_process'
import { LAB_SCRIPT } from './availability.ts'

/**
 * Installs what is missing, as root on Linux only, naming it first; TLSFLEET_NO_SETUP=1 forbids it.
 * Failure is no error here: the tests that need the lab are then skipped with the reason.
 */
export function prepareLab(print: (line: string) => void): void {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return
  const missing = spawnSync('bash', [LAB_SCRIPT, 'packages'], { encoding: 'utf8' }).stdout.trim()
  if (missing !== '') {
    const names = missing.replaceAll('\n', ' ')
    if (process.env['TLSFLEET_NO_SETUP'] === '1') {
      print(`# the lab needs packages, and TLSFLEET_NO_SETUP forbids to install them: ${names}`)
      return
    }
    print(`# installing packages that the lab needs: ${names}`)
    run('setup')
  }
  run('image')
}

/** Runs a verb of lab.sh whose progress belongs on the terminal and whose result does not. */
function run(verb: string): void {
  spawnSync('bash', [LAB_SCRIPT, verb], { stdio: ['ignore', 'ignore', 'inherit'] })
}
