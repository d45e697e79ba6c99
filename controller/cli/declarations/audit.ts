// Declares audit.

import type { Command } from 'commander'
import type { Act } from '../declaration.ts'

export function addAudit(program: Command, act: Act): void {
  const audit = program
    .command('audit')
    .description('who did what: each record covers the ones before it with its hash')
  const load = () => import('../commands/audit.ts')
  audit
    .command('ls')
    .description('records, newest first')
    .option('--actor <name>', 'of this operator, node, or the controller')
    .option('--action <action>', 'of this kind, for example node-add')
    .option('--target <subject>', 'about this, and what is below it')
    .option('--since <time>', 'an age (2h, 7d) or a time (2026-01-31T12:00Z)')
    .option('--until <time>', 'likewise; the time itself is not in it')
    .option('--limit <number>', 'at most so many', '50')
    .action(options => act(async session => (await load()).listAudit(session, options)))
  audit
    .command('show <number>')
    .description('one record')
    .action((number: string) => act(async session => (await load()).showAudit(session, number)))
  audit
    .command('head')
    .description('number and hash of the newest record: keep it elsewhere, it shows a cut later')
    .action(() => act(async session => (await load()).auditHead(session)))
  audit
    .command('export')
    .description('the whole log, one record in JSON a line')
    .requiredOption('--out <file>', 'a new file')
    .action(options => act(async session => (await load()).exportAudit(session, options)))
  audit
    .command('verify')
    .description('is the log what was written? Without a file the controller looks')
    .option('--database <file>', "a controller's database, also while it runs: controller.db")
    .option('--export <file>', 'what `audit export` has written')
    .option('--head <head>', 'a head that was kept: NUMBER:HASH')
    .action(options => act(async session => (await load()).verifyAudit(session, options)))
}
