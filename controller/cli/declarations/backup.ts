// Declares backup and restore.

import type { Command } from 'commander'
import type { Act } from '../declaration.ts'

export function addBackup(program: Command, act: Act): void {
  const load = () => import('../commands/backup.ts')
  program
    .command('backup')
    .description('back up the controller to a file here; no key and no token is in it in clear')
    .option('--out <file>', 'new file for the backup')
    .option('--check <file>', 'read a backup instead: is it whole, can it be restored?')
    .option('--passphrase-file <file>', 'also try whether this passphrase opens its CA keys')
    .action(options => act(async session => (await load()).backup(session, options)))
  program
    .command('restore')
    .description('make a controller on this machine from a backup')
    .requiredOption('--from <file>', 'the backup')
    .option('--dir <dir>', 'new or empty directory (/var/lib/tlsfleet/controller)')
    .option('--passphrase-file <file>', 'passphrase that the CA keys were sealed with')
    .option('--above-epoch <number>', 'an epoch that agents say they have seen')
    .action(options => act(async session => (await load()).restore(session, options)))
}
