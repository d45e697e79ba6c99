// Follows a rollout to its end by long polls, tells what happens, and closes with the recap.

import type { NodeView, RolloutView } from '../../shared/contract/operator-api.ts'
import { OperationalError, isRetryable } from '../../shared/errors.ts'
import type { Client } from './client.ts'
import { EXIT, type ExitCode } from './exit-codes.ts'
import { type Session, printable } from './output.ts'
import { type Progress, lineProgress, liveProgress } from './progress.ts'
import { recapOf, recapText } from './views/recap.ts'

// Below the idle timeouts of common proxies.
const POLL_WAIT_MS = 25_000
const PREPARING_WAIT_MS = 5_000
const RETRY_DELAY_MS = 2_000
// A controller that restarts is back long before; after that a person should look.
const RETRIES_MAX = 60

const ENDED: ReadonlySet<RolloutView['status']> = new Set([
  'succeeded',
  'partial',
  'failed',
  'aborted',
  'superseded',
])
/** After these a node's services are as this rollout leaves them. */
const STEP_ENDS: ReadonlySet<string> = new Set([
  'node-done',
  'node-reverted',
  'node-broken',
  'node-refused',
])

export function hasEnded(rollout: RolloutView): boolean {
  return ENDED.has(rollout.status)
}

export async function followRollout(
  session: Session,
  client: Client,
  started: RolloutView,
  options: { readonly screen?: boolean } = {},
): Promise<ExitCode> {
  const progress = await chooseProgress(session, client, started, options.screen === true)
  // A node as it was when its step ended: its next report, seconds later, says `in-sync` only.
  const nodes = new Map<string, NodeView>()
  let rollout = started
  let seen = 0
  // Without steps there was nothing to do, and nothing was stored that could be followed.
  let isComplete = hasEnded(started) && started.steps.length === 0
  try {
    // An ended rollout may still have events that were not told: the last poll is the one that is empty.
    while (!isComplete) {
      const list = await retrying(session, () =>
        client.rolloutEvents(rollout.id, seen, pollWaitMs(rollout)),
      )
      rollout = list.rollout
      isComplete = hasEnded(rollout) && list.events.length === 0
      for (const event of list.events) {
        seen = Math.max(seen, event.version)
        if (event.node !== undefined && STEP_ENDS.has(event.kind))
          await remember(session, client, nodes, event.node)
      }
      progress.update(printable(list), list)
    }
  } catch (error) {
    await progress.stop()
    if (!(error instanceof OperationalError && error.code === 'interrupted')) throw error
    session.terminal.err(
      `interrupted; rollout ${rollout.id} goes on. Follow it: tlsfleet rollout follow ${rollout.id}; stop it: tlsfleet rollout abort ${rollout.id}\n`,
    )
    return EXIT.interrupted
  }
  await progress.stop()
  await addMissing(session, client, rollout, nodes)
  showRecap(session, rollout, nodes)
  return rollout.status === 'succeeded' ? EXIT.ok : EXIT.notSucceeded
}

// What a node waits for is no event: it is asked for until it is known.
function pollWaitMs({ steps }: RolloutView): number {
  const isUnknown = steps.some(step => step.state === 'assigned' && step.reason === undefined)
  return isUnknown ? PREPARING_WAIT_MS : POLL_WAIT_MS
}

async function retrying<T>(session: Session, ask: () => Promise<T>): Promise<T> {
  for (let retry = 0; ; retry++) {
    try {
      return await ask()
    } catch (error) {
      if (!isRetryable(error) || retry >= RETRIES_MAX) throw error
      if (retry === 0)
        session.terminal.err('the controller does not answer, trying again; the rollout goes on\n')
      await session.clock.sleep(RETRY_DELAY_MS, session.signal)
    }
  }
}

async function remember(
  session: Session,
  client: Client,
  nodes: Map<string, NodeView>,
  name: string,
): Promise<void> {
  try {
    nodes.set(name, await retrying(session, () => client.node(name)))
  } catch (error) {
    // A node that was removed meanwhile is missing in the recap, which is no reason to stop here.
    if (!(error instanceof OperationalError && error.code === 'not-found')) throw error
  }
}

async function chooseProgress(
  session: Session,
  client: Client,
  rollout: RolloutView,
  screen: boolean,
): Promise<Progress> {
  const { terminal, json, paint } = session
  if (json)
    return {
      update: (_shown, { events }) => {
        for (const event of events) terminal.out(session.event({ type: 'event', event }))
      },
      stop: async () => {},
    }
  if (screen && terminal.size !== undefined && !hasEnded(rollout))
    return (await import('./watch.ts')).screenProgress(session, client, rollout)
  // More lines than the terminal has cannot be redrawn in place.
  const rows = terminal.size?.rows ?? 0
  const isLive = rollout.steps.length > 0 && rollout.steps.length + 4 <= rows && !hasEnded(rollout)
  return isLive ? await liveProgress(printable(rollout)) : lineProgress(terminal, paint)
}

/** Nodes whose step has not ended by itself, for the recap. */
async function addMissing(
  session: Session,
  client: Client,
  rollout: RolloutView,
  nodes: Map<string, NodeView>,
): Promise<void> {
  if (rollout.steps.every(step => nodes.has(step.node))) return
  const all = await retrying(session, () => client.nodes([]))
  for (const node of all) if (!nodes.has(node.name)) nodes.set(node.name, node)
}

function showRecap(
  session: Session,
  rollout: RolloutView,
  nodes: ReadonlyMap<string, NodeView>,
): void {
  const { terminal, json, paint, width } = session
  const rows = recapOf(rollout, nodes)
  if (json) {
    terminal.out(session.event({ type: 'recap', rollout, nodes: rows }))
    return
  }
  const gap = rows.length === 0 ? '' : '\n'
  terminal.out(`${gap}${recapText(printable(rollout), printable(rows), { paint, width })}`)
}
