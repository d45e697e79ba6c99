import type { TokenAnswer } from '../../../shared/contract/operator-api.ts'
import { OperationalError } from '../../../shared/errors.ts'
import { EXIT, type ExitCode } from '../exit-codes.ts'
import { type Session, show } from '../output.ts'
import { confirm, withClient } from '../session.ts'
import { nodeText, nodesText } from '../views/nodes.ts'
import { roughDuration } from '../views/words.ts'

export interface NodeAddOptions {
  readonly label?: readonly string[]
  readonly dns?: readonly string[]
  readonly ip?: readonly string[]
}

export async function addNode(
  session: Session,
  name: string,
  options: NodeAddOptions,
): Promise<ExitCode> {
  const names = { dns: [...(options.dns ?? [])], ip: [...(options.ip ?? [])] }
  if (names.dns.length + names.ip.length === 0)
    throw new OperationalError('usage', `could not add node ${name}`, {
      cause: new Error('it has no name for its certificates'),
      hint: `give the names that clients use: tlsfleet node add ${name} --dns NAME --ip ADDR`,
    })
  const labels = Object.fromEntries((options.label ?? []).map(parseLabel))
  const added = await withClient(session, client => client.addNode({ name, labels, names }))
  if (!session.json) session.terminal.err(`node ${name} added\n`)
  show(session, added, shown => tokenText(session, name, shown.enrollment))
  return EXIT.ok
}

export async function nodeToken(session: Session, name: string): Promise<ExitCode> {
  const answer = await withClient(session, client => client.nodeToken(name))
  show(session, answer, shown => tokenText(session, name, shown))
  return EXIT.ok
}

// The line alone goes to standard output, so that it can be piped to the node.
function tokenText(session: Session, name: string, token: TokenAnswer): string {
  const leftMs = Math.max(0, token.expiresAtMs - session.clock.now())
  // The answer took a moment: an hour is shown as one.
  const left = roughDuration(Math.round(leftMs / 60_000) * 60_000)
  session.terminal.err(`paste this line on ${name}; it is shown once and ends in ${left}:\n`)
  return `${token.command}\n`
}

function parseLabel(text: string): readonly [string, string] {
  const at = text.indexOf('=')
  if (at > 0) return [text.slice(0, at), text.slice(at + 1)]
  throw new OperationalError('usage', `could not read the label ${text}`, {
    hint: 'a label is key=value, for example --label role=influxdb-data',
  })
}

export async function listNodes(
  session: Session,
  options: { readonly label?: readonly string[] },
): Promise<ExitCode> {
  const nodes = await withClient(session, client => client.nodes(options.label ?? []))
  show(session, { nodes }, shown => nodesText(shown.nodes, viewOptions(session)))
  return EXIT.ok
}

export async function showNode(session: Session, name: string): Promise<ExitCode> {
  const node = await withClient(session, client => client.node(name))
  show(session, node, shown => nodeText(shown, viewOptions(session)))
  return EXIT.ok
}

function viewOptions({ paint, width, clock }: Session) {
  return { paint, width, nowMs: clock.now() }
}

export async function removeNode(
  session: Session,
  name: string,
  options: { readonly yes?: boolean },
): Promise<ExitCode> {
  const isSure = await confirm(session, {
    attempt: `remove node ${name}`,
    text: `Remove node ${name}? Its identity is revoked for good; what is on the node stays.`,
    isGiven: options.yes === true,
  })
  if (!isSure) {
    session.terminal.err('nothing was removed\n')
    return EXIT.error
  }
  await withClient(session, client => client.removeNode(name))
  show(session, { removed: name }, shown => `node ${shown.removed} removed\n`)
  return EXIT.ok
}
