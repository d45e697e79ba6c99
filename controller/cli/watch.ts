// The live view of a rollout: a screen of its own on the terminal, which is left as it was.

import type { RolloutEventList, RolloutView } from '../../shared/contract/operator-api.ts'
import type { StepList, GroupBudget } from '../../shared/contract/rollout-verbs.ts'
import type { Clock } from '../../shared/clock.ts'
import { isRetryable } from '../../shared/errors.ts'
import type { Client } from './client.ts'
import { type Session, printable, printableText } from './output.ts'
import type { Progress } from './progress.ts'
import { watchText } from './views/watch.ts'

// Controller time moves in seconds; reading more often would show nothing new.
const REFRESH_MS = 1_000

const ENTER = '\u001b[?1049h\u001b[?25l'
const LEAVE = '\u001b[?25h\u001b[?1049l'
const HOME = '\u001b[H'
const CLEAR_LINE = '\u001b[K'
const CLEAR_REST = '\u001b[J'

/** Reads where the rollout is once a second, and draws what was read. */
export function screenProgress(
  session: Session,
  client: Pick<Client, 'rolloutSteps' | 'groups'>,
  started: RolloutView,
): Progress {
  const { terminal, paint, clock } = session
  let rollout = printable(started)
  let events: RolloutEventList['events'] = []
  const ended = new AbortController()
  const signal = AbortSignal.any([session.signal, ended.signal])

  terminal.out(ENTER)
  const draw = (looked: Looked, problem?: string) => {
    // Read each time: terminals change their size.
    const { columns, rows } = terminal.size ?? { columns: 80, rows: 24 }
    const text = watchText({ rollout, events, ...looked, problem }, { columns, rows, paint })
    terminal.out(`${HOME}${text.replaceAll('\n', `${CLEAR_LINE}\n`)}${CLEAR_LINE}${CLEAR_REST}`)
  }
  const refreshing = refresh(clock, signal, () => lookAt(client, started.id), draw)

  return {
    update: ({ rollout: shown, events: told }) => {
      rollout = shown
      events = [...events, ...told].slice(-EVENTS_KEPT)
    },
    async stop() {
      ended.abort()
      await refreshing
      terminal.out(LEAVE)
    },
  }
}

const EVENTS_KEPT = 20

interface Looked {
  readonly steps: StepList
  readonly groups: readonly GroupBudget[]
}

async function lookAt(
  client: Pick<Client, 'rolloutSteps' | 'groups'>,
  id: string,
): Promise<Looked> {
  const [steps, { groups }] = await Promise.all([client.rolloutSteps(id), client.groups()])
  return { steps: printable(steps), groups: printable(groups) }
}

async function refresh(
  clock: Clock,
  signal: AbortSignal,
  look: () => Promise<Looked>,
  draw: (looked: Looked, problem?: string) => void,
): Promise<void> {
  let last: Looked | undefined
  while (!signal.aborted) {
    try {
      last = await look()
      if (!signal.aborted) draw(last)
    } catch (error) {
      if (signal.aborted) return
      // Whoever follows the events decides when to give up; this shows the last that was seen.
      const problem = isRetryable(error)
        ? 'the controller does not answer, trying again; the rollout goes on'
        : `could not read where it is: ${printableText(String(error))}`
      if (last !== undefined) draw(last, problem)
    }
    await clock.sleep(REFRESH_MS, signal)
  }
}
