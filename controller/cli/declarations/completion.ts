// Declares the completion of shells.

import { Argument, type Command } from 'commander'
import { SHELLS } from '../completion-scripts.ts'
import type { Act } from '../declaration.ts'

export function addCompletion(program: Command, act: Act): void {
  const load = () => import('../commands/completion.ts')
  program
    .command('completion')
    .addArgument(new Argument('<shell>', 'which shell').choices(SHELLS))
    .description('print what a shell needs to complete commands and names')
    .addHelpText(
      'after',
      '\nLoad it in every new shell:\n' +
        '  bash  echo "source <(tlsfleet completion bash)" >> ~/.bashrc\n' +
        '  zsh   echo "source <(tlsfleet completion zsh)" >> ~/.zshrc      # after compinit\n' +
        '  fish  tlsfleet completion fish > ~/.config/fish/completions/tlsfleet.fish\n',
    )
    .action((shell: string) => act(async session => (await load()).printCompletion(session, shell)))
  program
    .command('__complete [words...]', { hidden: true })
    .action((words: readonly string[]) =>
      act(async session => (await load()).answerShell(session, program, words)),
    )
}
