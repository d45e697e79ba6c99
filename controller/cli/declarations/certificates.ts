// Declares certs.

import type { Command } from 'commander'
import { type Act, labelFilter } from '../declaration.ts'

export function addCertificates(program: Command, act: Act): void {
  program
    .command('certs')
    .description('certificates: served ones, those of agents and of CAs; which end, and why')
    .option('--node <name>', 'only of this node')
    .option('--service <name>', 'only of this service')
    .addOption(labelFilter())
    .option('--expiring <time>', 'only what ends within this time, for example 14d')
    .option('--forecast', 'only what nobody renews if nothing changes (within 30d)')
    .option('--without-controller', 'forecast for a controller that stays away from now on')
    .option('--details', 'everything about each: names, chain, who trusts it')
    .addHelpText(
      'after',
      '\nExit codes: 0 done; with --expiring or --forecast: 2 something ends by then; 1 error',
    )
    .action(options =>
      act(async session => (await import('../commands/certs.ts')).certs(session, options)),
    )
}
