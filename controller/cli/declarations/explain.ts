// Declares explain, and the topics of `help`.

import type { Command } from 'commander'
import type { Act } from '../declaration.ts'
import { TOPICS } from '../help-topics.ts'

export function addExplain(program: Command, act: Act): void {
  program
    .command('explain [code]')
    .description('what a reason or error code means, and what to do; without one, all of them')
    .action((code: string | undefined) =>
      act(async session => (await import('../commands/explain.ts')).explainCode(session, code)),
    )
  for (const [name, text] of Object.entries(TOPICS)) {
    const topic = program.command(name, { hidden: true })
    topic.helpInformation = () => `${text}\n`
    topic.action(() => topic.outputHelp())
  }
}
