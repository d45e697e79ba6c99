// Declares ca.

import type { Command } from 'commander'
import type { Act } from '../declaration.ts'

/** Gives the command that others declare theirs under. */
export function addAuthorities(program: Command, act: Act): Command {
  const ca = program.command('ca').description('the CAs of the fleet: which there are, rotation')
  ca.command('ls')
    .description('list CAs: state, dates, zones, where the root key is')
    .action(() =>
      act(async session => (await import('../commands/authorities.ts')).listAuthorities(session)),
    )
  return ca
}
