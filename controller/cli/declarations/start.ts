// Declares init and login.

import type { Command } from 'commander'
import type { Act } from '../declaration.ts'

export function addStart(program: Command, act: Act): void {
  program
    .command('init')
    .description('make a controller on this machine and log in to it')
    .option('--dir <dir>', 'where the controller keeps everything (/var/lib/tlsfleet/controller)')
    .option('--fleet <name>', 'name of the fleet', 'main')
    .option(
      '--host <name...>',
      'names and IP addresses that the controller is reached by (name of this machine)',
    )
    .option('--passphrase-file <file>', 'passphrase that seals the CA keys (one is made)')
    .option('--zone <zone...>', 'DNS zones that the service CA may sign for (all)')
    .option('--ip-range <cidr...>', 'IP addresses that it may sign for; with --zone alone: none')
    .option('--offline-root <dir>', 'keep the root keys there, encrypted, and not in the store')
    .option('--root-passphrase-file <file>', 'passphrase of those root keys (asked for)')
    .option('--token-lifetime <time>', 'how long the login is good, at most 366d (90d)')
    .action(options =>
      act(async session => (await import('../commands/init.ts')).init(session, options)),
    )
  program
    .command('login')
    .description('log in to a controller and remember it as a context')
    .requiredOption('--url <url>', 'operator port of the controller, https://host:8443')
    .option('--token-file <file>', 'file that holds the token')
    .option('--token <token>', '- reads the token from standard input')
    .option(
      '--cert <file>',
      'client certificate in place of a token; the file is read by every command',
    )
    .option('--key <file>', 'its key')
    .option('--ca-pin <pin>', 'sha256:… of the CA, as `tlsfleet init` printed it')
    .option('--ca-file <file>', 'PEM file with the CA, instead of a pin')
    .action(options =>
      act(async session => (await import('../commands/login.ts')).login(session, options)),
    )
  program
    .command('whoami')
    .description('name and role of this login, and when it ends')
    .action(() => act(async session => (await import('../commands/whoami.ts')).whoami(session)))
}
