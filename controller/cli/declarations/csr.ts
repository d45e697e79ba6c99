// Declares the commands under `csr`.

import { type Command, Option } from 'commander'
import { RequestStateName } from '../../../shared/contract/certificate-requests.ts'
import type { Act } from '../declaration.ts'

export function addRequests(program: Command, act: Act): void {
  const csr = program
    .command('csr')
    .description('certificate requests of nodes, which people outside sign')
  const load = () => import('../commands/csr.ts')
  csr
    .command('ls')
    .description('list requests; those that wait to be signed unless --state or --all')
    .addOption(new Option('--state <state>', 'in this state').choices(RequestStateName.options))
    .option('--all', 'in every state')
    .option('--node <name>', 'only of this node')
    .option('--service <name>', 'only of this service')
    .action(options => act(async session => (await load()).listRequests(session, options)))
  csr
    .command('export')
    .description('all that wait to be signed, as one archive (tar) for whoever signs')
    .requiredOption('--out <file>', 'new file for the archive')
    .action(options => act(async session => (await load()).exportRequests(session, options)))
  csr
    .command('import <files...>')
    .description(
      'take signed certificates, matched by key: PEM, DER, PKCS#7 or a tar of such files',
    )
    .addHelpText(
      'after',
      '\nExit codes: 0 done; 3 some were refused, the others were taken; 1 error',
    )
    .action((files: string[]) =>
      act(async session => (await load()).importCertificates(session, files)),
    )
  csr
    .command('refuse <id>')
    .description('tell a node that its request is not signed, and why')
    .requiredOption('--reason <text>', 'what the node and its operators are told')
    .action((id: string, options) =>
      act(async session => (await load()).refuseRequest(session, id, options)),
    )
}
