// What operators do with a rollout that there is, and why nothing moves.

import { OperationalError } from '../../../shared/errors.ts'
import { EXIT, type ExitCode } from '../exit-codes.ts'
import { type Session, show } from '../output.ts'
import { confirm, withClient } from '../session.ts'
import { rolloutPlanText, unheldText } from '../views/rollout-plan.ts'
import { parseWait } from './plan.ts'
import { gatesText, groupsText, stepsText } from '../views/rollout-verbs.ts'

export interface Steering {
  readonly id: string
  readonly node?: string
  readonly verb: string
}

// What cannot be taken back by the opposite verb.
const ASKED: Readonly<Record<string, string>> = {
  supersede: 'It ends; nodes that are done stay as they are.',
  rollback: 'Its nodes get back what they had before, within the budgets of their groups.',
  skip: 'The node keeps what it has.',
  'force-release':
    'Its lease is given to others. A machine that was only asleep may still finish its switch.',
}

export async function steer(
  session: Session,
  { id, node, verb }: Steering,
  options: {
    readonly reason?: string
    readonly yes?: boolean
    readonly ifVersion?: string
    /** Of rollback and retry: for the answers of nodes. */
    readonly wait?: string
  },
): Promise<ExitCode> {
  const what = node === undefined ? `${verb} rollout ${id}` : `${verb} ${node} in rollout ${id}`
  const warning = ASKED[verb]
  const isSure =
    warning === undefined ||
    (await confirm(session, {
      attempt: what,
      text: `${what}? ${warning}`,
      isGiven: options.yes === true,
    }))
  if (!isSure) {
    session.terminal.err('nothing was changed\n')
    return EXIT.error
  }
  const { reason, ifVersion, wait } = options
  const waitMs = wait === undefined ? undefined : parseWait(wait)
  const rollout = await withClient(session, client =>
    client.steerRollout(
      { id, verb, ...(node === undefined ? {} : { node }) },
      { reason, ifMatch: ifVersion, waitMs },
    ),
  )
  show(
    session,
    rollout,
    shown => `rollout ${shown.id} is ${shown.status}\n${unheldText(shown, session.paint)}`,
  )
  return EXIT.ok
}

export interface ShowOptions {
  readonly plan?: boolean
  readonly node?: string
  readonly diff: boolean
}

export async function showRollout(
  session: Session,
  id: string,
  options: ShowOptions,
): Promise<ExitCode> {
  if (options.plan === true) return await showPlan(session, id, options)
  const steps = await withClient(session, client => client.rolloutSteps(id))
  show(session, steps, shown => stepsText(id, shown, session.width))
  return EXIT.ok
}

async function showPlan(session: Session, id: string, options: ShowOptions): Promise<ExitCode> {
  const plan = await withClient(session, client => client.rolloutPlan(id, options.node))
  const { paint } = session
  show(session, plan, shown => rolloutPlanText(id, shown, { paint, showDiff: options.diff }))
  return EXIT.ok
}

export async function showGates(session: Session, id: string): Promise<ExitCode> {
  const gates = await withClient(session, client => client.rolloutGates(id))
  show(session, gates, shown => gatesText(shown, session))
  return EXIT.ok
}

export async function showGroups(session: Session, name: string | undefined): Promise<ExitCode> {
  const { groups } = await withClient(session, client => client.groups())
  const chosen = groups.filter(group => name === undefined || group.name === name)
  if (name !== undefined && chosen.length === 0)
    throw new OperationalError('not-found', `there is no group ${name}`)
  show(session, { groups: chosen }, shown =>
    groupsText(shown.groups, session.width, session.clock.now()),
  )
  return EXIT.ok
}
