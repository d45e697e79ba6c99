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
  readonly outsideZones?: boolean
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
  const outside = options.outsideZones === true ? { outsideZones: true } : {}
  const added = await withClient(session, client =>
    client.addNode({ name, labels, names, ...outside }),
  )
  if (!session.json) session.terminal.err(`node ${name} added\n`)
  show(session, added, shown => tokenText(session, name, shown.enrollment))
  return EXIT.ok
}

export interface NodeSetOptions extends NodeAddOptions {
  readonly unlabel?: readonly string[]
  readonly reason?: string
}

export async function changeNode(
  session: Session,
  name: string,
  { label = [], unlabel = [], dns, ip, outsideZones, reason }: NodeSetOptions,
): Promise<ExitCode> {
  const taken = unlabel.map(key => [key, null] as const)
  const labels = Object.fromEntries([...label.map(parseLabel), ...taken])
  const names = { ...(dns && { dns: [...dns] }), ...(ip && { ip: [...ip] }) }
  const [hasLabels, hasNames] = [
    Object.keys(labels).length > 0,
    dns !== undefined || ip !== undefined,
  ]
  if (!hasLabels && !hasNames)
    throw new OperationalError('usage', `could not change node ${name}`, {
      cause: new Error('nothing is to be changed'),
      hint: 'give --label, --unlabel, --dns or --ip',
    })
  const node = await withClient(session, client =>
    client.changeNode(name, {
      ...(hasLabels ? { labels } : {}),
      ...(hasNames ? { names } : {}),
      ...(outsideZones === true ? { outsideZones } : {}),
      ...(reason === undefined ? {} : { reason }),
    }),
  )
  show(session, node, shown => nodeText(shown, viewOptions(session)))
  if (!session.json)
    session.terminal.err('to bring what follows to the nodes: tlsfleet plan, tlsfleet apply\n')
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

/** The node stays in the fleet, with all that is known of it, and comes back with a new token. */
export async function revokeNode(
  session: Session,
  name: string,
  options: { readonly yes?: boolean },
): Promise<ExitCode> {
  const isSure = await confirm(session, {
    attempt: `revoke node ${name}`,
    text: `Revoke node ${name}? Its agent is cut off until it is enrolled with a new token; services go on.`,
    isGiven: options.yes === true,
  })
  if (!isSure) {
    session.terminal.err('nothing was revoked\n')
    return EXIT.error
  }
  const node = await withClient(session, client => client.revokeNode(name))
  show(
    session,
    node,
    shown => `node ${shown.name} revoked; to take it back: tlsfleet node token ${shown.name}\n`,
  )
  return EXIT.ok
}
