// Declares the commands under `freeze`.

import type { Command } from 'commander'
import type { Act } from '../declaration.ts'

export function addFreeze(program: Command, act: Act): void {
  const freeze = program.command('freeze').description('hold changes back for a while')
  const load = () => import('../commands/freeze.ts')
  freeze
    .command('ls')
    .description('list freezes')
    .action(() => act(async session => (await load()).listFreezes(session)))
  freeze
    .command('set <name>')
    .description('pause rollouts and hold back corrections; renewals go on')
    .requiredOption('--reason <text>', 'shown to everybody who is held up by it')
    .option('--node <name...>', 'only these nodes (all)')
    .action((name: string, options) =>
      act(async session => (await load()).freeze(session, name, options)),
    )
  freeze
    .command('rm <name>')
    .description('lift a freeze')
    .option('--yes', 'do not ask')
    .action((name: string, options) =>
      act(async session => (await load()).unfreeze(session, name, options)),
    )
}
