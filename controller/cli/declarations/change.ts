// Declares plan, apply, trust and status.

import type { Command } from 'commander'
import { type Act, labelFilter } from '../declaration.ts'

export function addChange(program: Command, act: Act): void {
  const withSpec = (command: Command, isRequired: boolean) =>
    (isRequired
      ? command.requiredOption('-f, --file <file>', 'fleet spec; - is standard input')
      : command.option('-f, --file <file>', 'fleet spec; - is standard input')
    )
      .option('--wait <time>', 'how long to wait for the answers of nodes', '15s')
      .option('--no-diff', 'without unified diffs')
      .option(
        '--together <group...>',
        'groups to stop, change and start as a whole, in the order in which they start',
      )
  withSpec(program.command('plan').description('what applying the fleet spec would change'), true)
    .option('--out <file>', 'new file for the plan, to apply exactly it later')
    .addHelpText('after', '\nExit codes: 0 nothing would change, 2 something would, 1 error')
    .action(options =>
      act(async session => (await import('../commands/plan.ts')).plan(session, options)),
    )
  withSpec(program.command('apply').description('show the plan, roll it out and follow it'), false)
    .option('--plan <plan>', 'digest or file of a plan that was shown: exactly that one, or none')
    .option('--yes', 'do not ask')
    .option('--quiet', 'with --yes: without the plan')
    .option('--acknowledge-downtime', 'with --together: go on without asking once all are prepared')
    .option('--detach', 'start the rollout and do not follow it')
    .addHelpText('after', '\nExit codes: 0 succeeded, 3 the rollout did not succeed, 1 error')
    .action(options =>
      act(async session => (await import('../commands/apply.ts')).apply(session, options)),
    )
  program
    .command('trust')
    .description('the CA certificates that clients of the services must trust, as PEM')
    .option(
      '--controller',
      'those of the controller itself, for browsers and what reads its metrics',
    )
    .action(options =>
      act(async session => (await import('../commands/trust.ts')).trust(session, options)),
    )

  program
    .command('status')
    .description('the fleet: nodes, services, served certificates')
    .addOption(labelFilter())
    .action(options =>
      act(async session => (await import('../commands/status.ts')).status(session, options)),
    )
}
