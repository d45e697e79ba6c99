// Declares ca rotate, status, advance, resume, abort and taint.

import type { Command } from 'commander'
import type { RotationVerb } from '../client-rotations.ts'
import type { Act } from '../declaration.ts'

const VERBS: readonly (readonly [RotationVerb, string, boolean])[] = [
  ['advance', 'let a rotation go on to its next phase', true],
  ['resume', 'let a rotation that stopped go on', false],
  ['abort', 'take a rotation back, until its first node has dropped the old CA', true],
  ['taint', 'the CA that is left is compromised: no phase waits; also <id> of a CA', true],
]

/** Below `ca`. */
export function addRotate(ca: Command, act: Act): void {
  const load = () => import('../commands/rotate.ts')
  ca.command('rotate')
    .description('replace a CA, or the issuers of services, without anybody losing trust')
    .option('--identity', 'the CA of agents and not that of services')
    .option('--issuer', 'to the issuers of a fleet spec')
    .option('-f, --file <file>', 'with --issuer: the fleet spec; - is standard input')
    .option('--auto', 'no phase waits for an operator')
    .option('--step', 'every phase waits for `tlsfleet ca advance`')
    .option('--yes', 'do not ask')
    .option('--follow', 'until it ends or waits for an operator')
    .addHelpText('after', FOLLOW_CODES)
    .action(options => act(async session => (await load()).rotate(session, options)))
  ca.command('status')
    .description('the rotation that is under way, or the last one: where every node is')
    .option('--watch', 'until it ends or waits for an operator')
    .addHelpText('after', FOLLOW_CODES)
    .action(options => act(async session => (await load()).rotationStatus(session, options)))
  for (const [verb, description, asks] of VERBS) {
    const command = ca
      .command(`${verb} <id>`)
      .description(description)
      .option('--reason <text>', 'for the audit log')
    if (asks) command.option('--yes', 'do not ask')
    command.action((id: string, options) =>
      act(async session => (await load()).moveRotation(session, verb, id, options)),
    )
  }
}

const FOLLOW_CODES =
  '\nExit codes with --follow or --watch: 0 completed, 2 it waits for an operator, 3 taken back, 1 error'
