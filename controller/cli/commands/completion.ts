import type { Command } from 'commander'
import { unreachable } from '../../../shared/assert.ts'
import { OperationalError } from '../../../shared/errors.ts'
import { type Client, createClient } from '../client.ts'
import { type Kind, type Names, complete } from '../completion.ts'
import { FILES, SHELLS, completionScript } from '../completion-scripts.ts'
import { configPath, readConfig, selectContext } from '../context.ts'
import { EXIT, type ExitCode } from '../exit-codes.ts'
import { type Session, printableText } from '../output.ts'

// Longer than this is no help to whoever waits at a prompt.
const PATIENCE_MS = 1_500
const CANDIDATES_MAX = 1_000

export function printCompletion(session: Session, name: string): ExitCode {
  const shell = SHELLS.find(one => one === name)
  if (shell === undefined)
    throw new OperationalError('usage', `there is no completion for ${name}`, {
      hint: `there is one for ${SHELLS.join(', ')}`,
    })
  session.terminal.out(completionScript(shell))
  return EXIT.ok
}

/** Asked by the scripts; says nothing rather than something wrong. */
export async function answerShell(
  session: Session,
  program: Command,
  words: readonly string[],
): Promise<ExitCode> {
  const candidates = await complete(program, words, namesFrom(session, words))
  const text =
    candidates === undefined
      ? `${FILES}\n`
      : candidates
          .slice(0, CANDIDATES_MAX)
          .map(({ value, description }) => `${printableText(value)}\t${description}\n`)
          .join('')
  session.terminal.out(text)
  return EXIT.ok
}

function namesFrom(session: Session, words: readonly string[]): Names {
  return async kind => {
    try {
      const config = readConfig(configPath(session.environment))
      if (kind === 'context') return Object.keys(config.contexts).toSorted()
      const at = words.indexOf('--context')
      const context = selectContext(config, at < 0 ? session.contextName : words[at + 1])
      const signal = AbortSignal.any([session.signal, AbortSignal.timeout(PATIENCE_MS)])
      const client = createClient(context, signal)
      return await namesOf(kind, client).finally(() => client.close())
    } catch (error) {
      if (error instanceof OperationalError) return []
      throw error
    }
  }
}

async function namesOf(kind: Exclude<Kind, 'context'>, client: Client): Promise<readonly string[]> {
  switch (kind) {
    case 'node':
      return (await client.nodes([])).map(({ name }) => name)
    case 'rollout':
      return (await client.rollouts()).rollouts.map(({ id }) => id)
    case 'rotation':
      return (await client.rotations()).rotations.map(({ id }) => id)
    case 'group':
      return (await client.groups()).groups.map(({ name }) => name)
    case 'freeze':
      return (await client.freezes()).freezes.map(({ name }) => name)
    case 'pair':
      return (await client.providedPairs()).map(({ name }) => name)
    default:
      return unreachable(kind)
  }
}
