// Command lines that people copy from the documents are understood by the programs as they stand.

import { globSync } from 'node:fs'
import { dirname } from 'node:path'
import type { Command } from 'commander'
import t from 'tap'
import { parseOptions } from '../../agent/commands/options.ts'
import { readArguments } from '../../controller/main.ts'
import { tlsfleetProgram } from '../../docs/generate/command-tree.ts'
import { CHAPTERS } from '../../shared/reasons/explain.ts'
import { readText } from './tables.ts'

const ROOT = dirname(dirname(import.meta.dirname))
const DOCUMENTS = globSync('{README.md,docs/**/*.md,examples/**/README.md}', { cwd: ROOT })
const AGENT_COMMANDS = /^(run|enroll|status|metrics|plan|apply|renew|verify|doctor|schema|facts)$/
/** Words that may stand before a program. */
const BEFORE = new Set(['sudo', 'time'])
const CONTROLLER_COMMANDS = /^(init|serve|token|backup|restore|ca|openapi)$/

await t.test('command lines of the documents are understood', async t => {
  let seen = 0
  for (const path of DOCUMENTS.toSorted())
    for (const argv of commandLinesIn(readText(path))) {
      seen += 1
      t.equal(await problemOf(argv), undefined, `${path}: ${argv.join(' ')}`)
    }
  t.ok(seen > 60, `${seen} of them`)
})

await t.test('commands that explanations of codes name exist', async t => {
  const texts = CHAPTERS.flatMap(({ codes }) => Object.entries(codes))
  for (const [code, [meaning, action]] of texts)
    for (const [, line = ''] of `${meaning} ${action}`.matchAll(/`(tlsfleet[^`]*)`/g))
      t.equal(unknownIn(line.split(' ')), undefined, `${code}: ${line}`)
})

await t.test('a line that no program understands is found', async t => {
  const text = '```sh\nsudo tlsfleet nod ls   # x\ntlsfleet node add --dsn a b\n```'
  const lines = commandLinesIn(text)
  t.strictSame(lines[0], ['tlsfleet', 'nod', 'ls'])
  for (const argv of lines) t.type(await problemOf(argv), 'string')
  t.type(await problemOf(['tlsfleet-agent', 'plan', '--desierd', 'x']), 'string')
  t.equal(unknownIn(['tlsfleet', 'node', 'retry']), 'retry')
  t.equal(unknownIn(['tlsfleet', 'certs', '--detials']), '--detials')
})

/** Undefined: it is understood. Nothing is done. */
async function problemOf([program, ...argv]: readonly string[]): Promise<string | undefined> {
  try {
    if (program === 'tlsfleet') await parsed(argv)
    else if (program === 'tlsfleet-agent') {
      const { command = '', help } = parseOptions(argv)
      if (!help && !AGENT_COMMANDS.test(command)) return `${command} is no command`
    } else {
      const { positionals, values } = readArguments(argv)
      if (values.help !== true && !CONTROLLER_COMMANDS.test(positionals[0] ?? ''))
        return `${positionals[0]} is no command`
    }
    return undefined
  } catch (error) {
    const isHelp = error instanceof Error && 'exitCode' in error && error.exitCode === 0
    return isHelp ? undefined : String(error)
  }
}

async function parsed(argv: readonly string[]): Promise<void> {
  const program = tlsfleetProgram()
  withoutActions(program)
  await program.parseAsync([...argv], { from: 'user' })
}

function withoutActions(command: Command): void {
  if (command.commands.length === 0) command.action(() => {})
  for (const one of command.commands) withoutActions(one)
}

/** The first word of a line in running text that is neither a command nor an option of it. */
function unknownIn([program, ...words]: readonly string[]): string | undefined {
  if (program !== 'tlsfleet') return undefined
  let command = tlsfleetProgram()
  for (const word of words) {
    const next = command.commands.find(one => one.name() === word)
    if (next !== undefined) command = next
    else if (word.startsWith('--')) {
      if (!command.options.some(({ long }) => long === word)) return word
    } else if (command.commands.length > 0) return word
  }
  return undefined
}

function commandLinesIn(text: string): readonly (readonly string[])[] {
  const blocks = [...text.matchAll(/^```sh\n([^]*?)^```/gm)].map(([, block = '']) => block)
  return blocks
    .flatMap(block => block.replaceAll(/\\\n\s*/g, ' ').split('\n'))
    .flatMap(line => commandsOf(wordsOf(line)))
    .filter(([program = '']) => /^tlsfleet(-agent|-controller)?$/.test(program))
}

/** Words of a shell, as far as documents use it: quotes, comments, and signs between commands. */
function wordsOf(line: string): readonly string[] {
  const words: string[] = []
  for (const [word] of line.matchAll(/'[^']*'|"[^"]*"|&&|\|\||[|;<>]|[^\s'"|;<>&]+/g)) {
    if (word.startsWith('#')) break
    words.push(word.replaceAll(/^['"]|['"]$/g, ''))
  }
  return words
}

function commandsOf(words: readonly string[]): readonly (readonly string[])[] {
  const commands: string[][] = [[]]
  for (const [index, word] of words.entries()) {
    if (/^[<>]$/.test(words[index - 1] ?? '')) continue
    if (/^(&&|\|\||[|;])$/.test(word)) commands.push([])
    else if (!/^[<>]$/.test(word)) commands.at(-1)?.push(word)
  }
  return commands.map(command => {
    const start = command.findIndex(word => !BEFORE.has(word) && !/^[A-Z_]+=/.test(word))
    return start === -1 ? [] : command.slice(start)
  })
}
