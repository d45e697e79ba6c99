// Declares the commands under `context`.

import type { Command } from 'commander'
import type { Act } from '../declaration.ts'

export function addContext(program: Command, act: Act): void {
  const context = program
    .command('context')
    .description('controllers that this user is logged in to')
  const load = () => import('../commands/context.ts')
  context
    .command('ls')
    .description('list contexts; * marks the current one')
    .action(() => act(async session => (await load()).listContexts(session)))
  context
    .command('current')
    .description('print the name of the current context')
    .action(() => act(async session => (await load()).currentContext(session)))
  context
    .command('use <name>')
    .description('make it the current one')
    .action((name: string) => act(async session => (await load()).chooseContext(session, name)))
  context
    .command('rename <name> <new-name>')
    .description('give it another name')
    .action((from: string, to: string) =>
      act(async session => (await load()).rename(session, from, to)),
    )
  context
    .command('rm <name>')
    .description('forget a context and its token')
    .option('--yes', 'do not ask')
    .action((name: string, options) =>
      act(async session => (await load()).forget(session, name, options)),
    )
}
