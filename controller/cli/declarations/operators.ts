// Declares operator and token.

import { type Command, Option } from 'commander'
import type { Act } from '../declaration.ts'

const ROLES = ['viewer', 'operator', 'approver', 'admin']

export function addOperators(program: Command, act: Act): void {
  addOperator(program, act)
  addToken(program, act)
}

function addOperator(program: Command, act: Act): void {
  const operator = program
    .command('operator')
    .description('people and programs that may use the controller, and what they may do')
  const load = () => import('../commands/operators.ts')
  operator
    .command('ls')
    .description('list operators')
    .action(() => act(async session => (await load()).listOperators(session)))
  operator
    .command('show <name>')
    .description('one operator, with tokens and certificates')
    .action((name: string) => act(async session => (await load()).showOperator(session, name)))
  operator
    .command('add <name>')
    .description('add an operator; `token create` lets it in, or a client certificate')
    .addOption(new Option('--role <role>', 'what it may do').choices(ROLES).makeOptionMandatory())
    .option(
      '--certificate <name...>',
      'URI or mail address in its client certificate, spiffe://corp.example/operator/ada',
    )
    .action((name: string, options) =>
      act(async session => (await load()).addOperator(session, name, options)),
    )
  operator
    .command('set <name>')
    .description('change the role, the names in certificates, or disable it')
    .addOption(new Option('--role <role>', 'what it may do').choices(ROLES))
    .option('--certificate <name...>', 'URIs or mail addresses in its client certificate')
    .option('--no-certificate', 'no client certificate speaks for it')
    .option('--disable', 'nothing of it is accepted, from now on')
    .option('--enable', 'its tokens and certificates are good again')
    .action((name: string, options) =>
      act(async session => (await load()).changeOperator(session, name, options)),
    )
  operator
    .command('deny <name> <serial>')
    .description('refuse one client certificate from now on; the others stay good')
    .action((name: string, serial: string) =>
      act(async session => (await load()).denyCertificate(session, name, serial)),
    )
  operator
    .command('rm <name>')
    .description('remove an operator with its tokens, at once')
    .option('--yes', 'do not ask')
    .action((name: string, options) =>
      act(async session => (await load()).removeOperator(session, name, options)),
    )
}

function addToken(program: Command, act: Act): void {
  const token = program.command('token').description('API tokens of operators')
  const load = () => import('../commands/tokens.ts')
  token
    .command('ls [operator]')
    .description('list tokens: role, end, last use; never the secret')
    .action((name: string | undefined) =>
      act(async session => (await load()).listTokens(session, name)),
    )
  token
    .command('create <operator>')
    .description('make a token; it is shown once')
    .addOption(new Option('--role <role>', 'less than its operator may do').choices(ROLES))
    .option('--lifetime <time>', 'how long it is good, at most 366d', '90d')
    .action((name: string, options) =>
      act(async session => (await load()).createToken(session, name, options)),
    )
  token
    .command('revoke <operator> <id>')
    .description('revoke a token; what it has under way is cut')
    .option('--yes', 'do not ask')
    .action((name: string, id: string, options) =>
      act(async session => (await load()).revokeToken(session, name, id, options)),
    )
}
