// The manual pages of the three programs, from what `--help` says.

import { HELP as AGENT_HELP } from '../../agent/commands/options.ts'
import { EXIT_CODES_HELP } from '../../controller/cli/exit-codes.ts'
import { TOPICS } from '../../controller/cli/help-topics.ts'
import { HELP as CONTROLLER_HELP } from '../../controller/main.ts'
import { type CommandDoc, commandTree } from './command-tree.ts'
import {
  escaped,
  item,
  manual,
  type ManualPage,
  paragraph,
  section,
  subsection,
  verbatim,
} from './roff.ts'

export interface Edition {
  readonly date: string
  readonly version: string
}

export const MANUALS = {
  tlsfleet: { file: 'man1/tlsfleet.1', text: tlsfleetManual },
  'tlsfleet-agent': { file: 'man8/tlsfleet-agent.8', text: agentManual },
  'tlsfleet-controller': { file: 'man8/tlsfleet-controller.8', text: controllerManual },
} as const

function tlsfleetManual(edition: Edition): string {
  const root = commandTree()
  const topics = Object.entries(TOPICS).filter(([name]) => name !== 'exit-codes')
  return manual({
    ...edition,
    name: 'tlsfleet',
    section: '1',
    summary: 'command line of the operators of a tlsfleet controller',
    body: [
      ...section('Synopsis', ['.B tlsfleet', escaped('[options] [command]')]),
      ...section('Description', [escaped(root.description), ...optionItems(root)]),
      ...section('Commands', root.commands.flatMap(commandLines)),
      ...section('Exit status', verbatim(EXIT_CODES_HELP)),
      ...topics.flatMap(([name, text]) => section(name.replaceAll('-', ' '), verbatim(text))),
      ...seeAlso('tlsfleet-agent(8), tlsfleet-controller(8)'),
    ],
  })
}

function commandLines(command: CommandDoc): readonly string[] {
  if (command.commands.length > 0) return command.commands.flatMap(commandLines)
  return subsection(command.usage, [
    escaped(command.description),
    ...command.arguments
      .filter(({ description }) => description !== '')
      .flatMap(({ name, description }) => item(name, description)),
    ...optionItems(command),
    ...(command.notes === '' ? [] : verbatim(command.notes)),
  ])
}

function optionItems({ options }: CommandDoc): readonly string[] {
  return options.flatMap(({ flags, description }) => item(flags, description))
}

function agentManual(edition: Edition): string {
  return programManual({
    ...edition,
    name: 'tlsfleet-agent',
    section: '8',
    summary: 'keeps the TLS of the services on this node as it should be',
    help: AGENT_HELP,
    files: [
      ['/etc/tlsfleet/agent.toml', 'settings; never written by tlsfleet'],
      ['/var/lib/tlsfleet/agent', 'identity, ledger and journal of the agent'],
    ],
    also: 'tlsfleet(1), tlsfleet-controller(8), systemctl(1)',
  })
}

function controllerManual(edition: Edition): string {
  return programManual({
    ...edition,
    name: 'tlsfleet-controller',
    section: '8',
    summary: 'keeps the desired TLS state of a fleet and issues its certificates',
    help: CONTROLLER_HELP,
    files: [
      ['/var/lib/tlsfleet/controller', 'database of the fleet, with its sealed CA keys'],
      ['/var/lib/tlsfleet/controller/controller.toml', 'settings'],
    ],
    also: 'tlsfleet(1), tlsfleet-agent(8), systemd-creds(1)',
  })
}

interface Program extends Omit<ManualPage, 'body'> {
  readonly help: string
  readonly files: readonly (readonly [path: string, what: string])[]
  readonly also: string
}

function programManual({ help, files, also, ...page }: Program): string {
  return manual({
    ...page,
    body: [
      ...section('Synopsis', [`.B ${escaped(page.name)}`, 'COMMAND [OPTIONS]']),
      ...helpSections(help),
      ...section(
        'Files',
        files.flatMap(([path, what]) => item(path, what)),
      ),
      ...seeAlso(also),
    ],
  })
}

function seeAlso(names: string): readonly string[] {
  return section('See also', [escaped(names)])
}

/** Headings stand at the margin, what belongs to them is indented; terms and texts are columns. */
function helpSections(help: string): readonly string[] {
  const [, ...blocks] = help.trim().split('\n\n')
  return blocks.flatMap(block => {
    const [title = '', ...lines] = block.split('\n')
    if (title.startsWith(' ')) return helpLines(block.split('\n'))
    if (title.startsWith('Usage:')) return []
    return titled(title, lines)
  })
}

function titled(title: string, lines: readonly string[]): readonly string[] {
  if (lines.length === 0) return paragraph(title)
  return section(title.replace(/^usage$/i, 'commands'), helpLines(lines))
}

function helpLines(lines: readonly string[]): readonly string[] {
  const items: [term: string, text: string][] = []
  for (const line of lines) {
    const [, term = '', text = ''] = /^ {2}(\S.*?)(?: {2,}(?!-)(.*))?$/.exec(line) ?? []
    const last = items.at(-1)
    if (term !== '') items.push([term, text])
    else if (last !== undefined) last[1] = `${last[1]} ${line.trim()}`.trim()
  }
  return items.flatMap(([term, text]) => item(term, text))
}
