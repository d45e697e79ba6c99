// Declares the commands under `provided`.

import type { Command } from 'commander'
import type { Act } from '../declaration.ts'

export function addProvided(program: Command, act: Act): void {
  const provided = program
    .command('provided')
    .description('pairs of key and certificate that you upload, for issuer `provided`')
  const load = () => import('../commands/provided.ts')
  provided
    .command('put <name>')
    .description('upload a pair, or its next version; nodes get it with the next apply')
    .requiredOption('--chain <file>', 'certificate, then its issuers')
    .requiredOption('--key <file>', 'private key as PEM, without passphrase; - is standard input')
    .option('--trust <file...>', 'CA certificates of a private CA; a public one needs none')
    .option('--yes', 'do not ask before another version is replaced')
    .action((name: string, options) =>
      act(async session => (await load()).putPair(session, name, options)),
    )
  provided
    .command('ls')
    .description('list uploaded pairs')
    .action(() => act(async session => (await load()).listPairs(session)))
  provided
    .command('show <name>')
    .description('a pair: its names and dates, what is wrong with it, who has it')
    .action((name: string) => act(async session => (await load()).showPair(session, name)))
  provided
    .command('rm <name>')
    .description('remove a pair that no node and no fleet spec needs')
    .option('--yes', 'do not ask')
    .action((name: string, options) =>
      act(async session => (await load()).removePair(session, name, options)),
    )
}
