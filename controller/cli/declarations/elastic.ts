// Declares the commands under `elastic`.

import type { Command } from 'commander'
import type { Act } from '../declaration.ts'

export function addElastic(program: Command, act: Act): void {
  const elastic = program.command('elastic').description('what Metricbeat needs at Elasticsearch')
  elastic
    .command('users')
    .description('make the four roles and users of Metricbeat, or bring them up to date')
    .requiredOption('--elasticsearch <url>', 'any node of the cluster, https://host:9200')
    .option('--kibana <url>', 'writes the role of readers; without it they are skipped')
    .option('--ca-file <file...>', 'PEM files with the CAs, instead of those of this machine')
    .option('--user <name>', 'user that may manage users and roles', 'elastic')
    .option('--password-file <file>', 'its password; - is standard input (asked for)')
    .option('--api-key-file <file>', 'an API key instead of user and password')
    .option('--passwords-dir <dir>', 'passwords of the four users, a file each; new ones go there')
    .option('--password-file-for <name=file...>', 'password that one of the users shall have')
    .option('--only <name...>', 'only these of the four')
    .option('--rotate <name...>', 'give these users new passwords')
    .option('--allow-plaintext', 'http:// also to other hosts than this one')
    .option('--plan', 'only show what would change')
    .option('--yes', 'do not ask')
    .addHelpText('after', '\nExit codes: 0 done; with --plan: 2 something would change; 1 error')
    .action(options =>
      act(async session => (await import('../commands/elastic.ts')).users(session, options)),
    )
}
