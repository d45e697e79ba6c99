// Declares acme.

import type { Command } from 'commander'
import type { Act } from '../declaration.ts'

export function addAcme(program: Command, act: Act): void {
  const acme = program.command('acme').description('certificates ordered at ACME directories')
  acme
    .command('ls')
    .description('directories with their accounts, and orders that are not done, with the reason')
    .action(() => act(async session => (await import('../commands/acme.ts')).acmeList(session)))
}
