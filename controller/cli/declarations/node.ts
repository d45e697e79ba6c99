// Declares the commands under `node`.

import type { Command } from 'commander'
import { type Act, labelFilter } from '../declaration.ts'

export function addNode(program: Command, act: Act): void {
  const node = program.command('node').description('add, list, show, revoke and remove nodes')
  const load = () => import('../commands/node.ts')
  node
    .command('add <name>')
    .description('add a node; prints the one line to paste on it')
    .option('--label <key=value...>', 'labels that the fleet spec selects nodes by')
    .option('--dns <name...>', 'DNS names for its certificates')
    .option('--ip <address...>', 'IP addresses for its certificates')
    .option(
      '--outside-zones',
      'also names that the service CA may not sign for: another issuer will',
    )
    .action((name: string, options) =>
      act(async session => (await load()).addNode(session, name, options)),
    )
  node
    .command('set <name>')
    .description('change the labels of a node, or the names that its certificates may have')
    .option('--label <key=value...>', 'labels to set; others stay')
    .option('--unlabel <key...>', 'labels to take away')
    .option('--dns <name...>', 'DNS names, in place of all that it has')
    .option('--ip <address...>', 'IP addresses, in place of all that it has')
    .option('--outside-zones', 'as with node add')
    .option('--reason <text>', 'for the audit log')
    .addHelpText(
      'after',
      '\nNothing moves on the node by it: `tlsfleet apply` does, with the next rollout.',
    )
    .action((name: string, options) =>
      act(async session => (await load()).changeNode(session, name, options)),
    )
  node
    .command('ls')
    .description('list nodes')
    .addOption(labelFilter())
    .action(options => act(async session => (await load()).listNodes(session, options)))
  node
    .command('show <name>')
    .description('everything about one node')
    .action((name: string) => act(async session => (await load()).showNode(session, name)))
  node
    .command('rm <name>')
    .description('remove a node and revoke its identity')
    .option('--yes', 'do not ask')
    .action((name: string, options) =>
      act(async session => (await load()).removeNode(session, name, options)),
    )
  node
    .command('revoke <name>')
    .description('lock a node out at once: its identity and its tokens are good for nothing')
    .option('--yes', 'do not ask')
    .action((name: string, options) =>
      act(async session => (await load()).revokeNode(session, name, options)),
    )
  node
    .command('token <name>')
    .description('a new enrollment token for a node')
    .action((name: string) => act(async session => (await load()).nodeToken(session, name)))
}
