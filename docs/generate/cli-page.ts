// docs/reference/cli.md: every command of the three programs.

import { HELP as AGENT_HELP } from '../../agent/commands/options.ts'
import { HELP as CONTROLLER_HELP } from '../../controller/main.ts'
import { EXIT_CODES_HELP } from '../../controller/cli/exit-codes.ts'
import { TOPICS } from '../../controller/cli/help-topics.ts'
import { type CommandDoc, commandTree } from './command-tree.ts'
import { GENERATED, anchor, fence, type Page, page, table } from './markdown.ts'

export function cliPage(): Page {
  const root = commandTree()
  return page('docs/reference/cli.md', [
    '# Commands',
    GENERATED,
    'Three programs: [`tlsfleet`](#tlsfleet) for operators, [`tlsfleet-agent`](#tlsfleet-agent) on nodes, [`tlsfleet-controller`](#tlsfleet-controller). The same text is in their manual pages and behind `--help`.',
    '## tlsfleet',
    root.description,
    'These options go with every command:',
    optionsOf(root),
    fence('text', EXIT_CODES_HELP),
    `Topics of \`tlsfleet help\`, for where there is no web: ${Object.keys(TOPICS)
      .map(name => `\`${name}\``)
      .join(', ')}.`,
    table(
      ['command', 'what it does'],
      leavesOf(root).map(one => [`[\`${one.name}\`](#${anchor(one.name)})`, one.description]),
    ),
    ...leavesOf(root).flatMap(commandParts),
    '## tlsfleet-agent',
    fence('text', withoutVersion(AGENT_HELP)),
    '## tlsfleet-controller',
    fence('text', withoutVersion(CONTROLLER_HELP)),
  ])
}

function commandParts(command: CommandDoc): readonly string[] {
  return [
    `### ${command.name}`,
    `${capital(command.description)}.`,
    fence('text', command.usage),
    table(
      ['argument', ''],
      command.arguments
        .filter(({ description }) => description !== '')
        .map(({ name, description }) => [`\`${name}\``, description]),
    ),
    optionsOf(command),
    command.notes === '' ? '' : fence('text', command.notes),
  ]
}

function optionsOf({ options }: CommandDoc): string {
  return table(
    ['option', ''],
    options.map(({ flags, description }) => [`\`${flags}\``, description]),
  )
}

/** Commands that do something, groups left out. */
function leavesOf(command: CommandDoc): readonly CommandDoc[] {
  return command.commands.flatMap(one => (one.commands.length === 0 ? [one] : leavesOf(one)))
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1)
}

// The page is the same for the versions of one text.
function withoutVersion(help: string): string {
  return help.replace(/^(tlsfleet-\w+) \d+\.\d+\.\d+\S*:/, '$1:')
}
