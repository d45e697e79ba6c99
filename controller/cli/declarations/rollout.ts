// Declares the commands under `rollout`.

import type { Command } from 'commander'
import type { Act } from '../declaration.ts'

export function addRollout(program: Command, act: Act): void {
  const rollout = program.command('rollout').description('list, follow and steer rollouts')
  const load = () => import('../commands/rollout.ts')
  rollout
    .command('ls')
    .description('list rollouts')
    .action(() => act(async session => (await load()).listRollouts(session)))
  rollout
    .command('follow <id>')
    .description('follow a rollout to its end')
    .addHelpText('after', '\nExit codes: 0 succeeded, 3 the rollout did not succeed, 1 error')
    .action((id: string) => act(async session => (await load()).follow(session, id)))
  rollout
    .command('watch <id>')
    .description('a live screen of a rollout: batches, nodes, budgets, soak; plain lines elsewhere')
    .addHelpText('after', '\nExit codes: 0 succeeded, 3 the rollout did not succeed, 1 error')
    .action((id: string) =>
      act(async session => (await load()).follow(session, id, { screen: true })),
    )
  rollout
    .command('abort <id>')
    .description('stop a rollout; nodes that are done stay as they are')
    .option('--yes', 'do not ask')
    .action((id: string, options) =>
      act(async session => (await load()).abortRollout(session, id, options)),
    )
  addVerbs(rollout, act)
  addGroup(program, act)
}

function addGroup(program: Command, act: Act): void {
  const group = program
    .command('group')
    .description('groups of nodes that must not be down together')
  group
    .command('show [name]')
    .description('who is out, and who holds a lease: why nothing moves')
    .action((name: string | undefined) =>
      act(async session =>
        (await import('../commands/rollout-verbs.ts')).showGroups(session, name),
      ),
    )
  const load = () => import('../commands/debts.ts')
  group
    .command('debts')
    .description('settings of clusters that restarts have changed and that are not taken back yet')
    .action(() => act(async session => (await load()).listDebts(session)))
  group
    .command('forgive <debt>')
    .description('forget a debt: the setting was taken back by hand, or the cluster is gone')
    .requiredOption('--reason <text>', 'for the audit log')
    .action((debt: string, { reason }: { readonly reason: string }) =>
      act(async session => (await load()).forgiveDebt(session, debt, reason)),
    )
}

const VERBS = [
  ['approve', 'approve a rollout that another has made'],
  ['start', 'start a rollout that waits for it'],
  ['pause', 'permit no more nodes; those at work finish'],
  ['resume', 'go on'],
  ['promote', 'let the current batch pass, or acknowledge the downtime of a group'],
  ['supersede', 'end a rollout in favour of the next one'],
  ['rollback', 'bring back what the nodes of a rollout had before'],
  ['retry', 'try the nodes that failed once more'],
] as const

const NODE_VERBS = [
  ['skip', 'take a node out of a rollout'],
  ['force-release', 'take the lease of a node that will not give it back'],
] as const

function addVerbs(rollout: Command, act: Act): void {
  const load = () => import('../commands/rollout-verbs.ts')
  rollout
    .command('show <id>')
    .description('where a rollout is, and why each node waits')
    .option('--plan', 'its plan: batches, order, limits, and what each node said it would change')
    .option('--node <name>', 'with --plan: this node alone')
    .option('--no-diff', 'with --plan: without unified diffs')
    .action((id: string, options) =>
      act(async session => (await load()).showRollout(session, id, options)),
    )
  rollout
    .command('gates <id>')
    .description('how the gates of its batches were judged, and by what evidence')
    .action((id: string) => act(async session => (await load()).showGates(session, id)))
  for (const [verb, description] of VERBS) {
    const command = rollout.command(`${verb} <id>`).description(description)
    if (verb === 'rollback' || verb === 'retry') {
      const usual = verb === 'rollback' ? '5s' : '15s'
      const text = `how long to wait for what nodes say they would change (${usual}); 0s: ask nobody`
      command.option('--wait <time>', text)
    }
    command
      .option('--reason <text>', 'for the audit log')
      .option('--if-version <number>', 'only if it is still at this version (-o wide shows it)')
      .option('--yes', 'do not ask')
      .action((id: string, options) =>
        act(async session => (await load()).steer(session, { id, verb }, options)),
      )
  }
  for (const [verb, description] of NODE_VERBS)
    rollout
      .command(`${verb} <id> <node>`)
      .description(description)
      .option('--reason <text>', 'for the audit log')
      .option('--if-version <number>', 'only if it is still at this version (-o wide shows it)')
      .option('--yes', 'do not ask')
      .action((id: string, node: string, options) =>
        act(async session => (await load()).steer(session, { id, node, verb }, options)),
      )
}
