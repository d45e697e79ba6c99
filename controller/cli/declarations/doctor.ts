// Declares `doctor`.

import type { Command } from 'commander'
import type { Act } from '../declaration.ts'

export function addDoctor(program: Command, act: Act): void {
  program
    .command('doctor')
    .description('look for what is wrong between here and the fleet; each finding says what to do')
    .addHelpText(
      'after',
      '\nExit codes: 0 nothing failed (there may be warnings), 1 something did. On a node: tlsfleet-agent doctor',
    )
    .action(() => act(async session => (await import('../commands/doctor.ts')).doctor(session)))
}
