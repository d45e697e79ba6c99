// How a running rollout is shown: a line an event, or, on a terminal, a list of nodes that is
// redrawn in place.

import type { RolloutEventList, RolloutView } from '../../shared/contract/operator-api.ts'
import { unreachable } from '../../shared/assert.ts'
import type { Paint, Terminal } from './output.ts'
import { type StepView, eventLine, heldUpLine, isHeldUp, stepText } from './views/rollout.ts'

export interface Progress {
  /** `shown` is fit for people, `raw` as it came. */
  update(shown: RolloutEventList, raw: RolloutEventList): void
  stop(): Promise<void>
}

export function lineProgress(terminal: Terminal, paint: Paint): Progress {
  const told = new Map<string, string | undefined>()
  return {
    update: ({ events, rollout: { steps } }) => {
      for (const event of events) terminal.out(eventLine(event, paint))
      for (const step of steps.filter(isHeldUp)) {
        if (told.get(step.node) === step.reason?.message) continue
        told.set(step.node, step.reason?.message)
        terminal.out(heldUpLine(step, paint))
      }
    },
    stop: async () => {},
  }
}

interface Row {
  title: string
  readonly end: PromiseWithResolvers<'done' | 'failed' | 'skipped'>
}

/** A row a node; it spins while the node is on its way. */
export async function liveProgress(rollout: RolloutView): Promise<Progress> {
  const { Listr } = await import('listr2')
  const rows = new Map<string, Row>()
  const titles = new Map<string, (title: string) => void>()
  for (const step of rollout.steps)
    rows.set(step.node, { title: titleOf(step), end: Promise.withResolvers() })

  const list = new Listr(
    [...rows].map(([node, row]) => ({
      title: row.title,
      task: async (
        _context: unknown,
        task: { title: string | undefined; skip(text: string): void },
      ) => {
        titles.set(node, title => {
          task.title = title
        })
        task.title = row.title
        const end = await row.end.promise
        if (end === 'failed') throw new Error(row.title)
        if (end === 'skipped') task.skip(row.title)
      },
    })),
    // Ctrl-C is ours: the rollout goes on, and we say so.
    { concurrent: true, exitOnError: false, registerSignalListeners: false },
  )
  const running = list.run()

  const update = (step: StepView) => {
    const row = rows.get(step.node)
    if (row === undefined) return
    row.title = titleOf(step)
    titles.get(step.node)?.(row.title)
    const end = endOf(step.state)
    if (end !== undefined) row.end.resolve(end)
  }
  return {
    update: ({ rollout: { steps } }) => {
      for (const step of steps) update(step)
    },
    async stop() {
      for (const row of rows.values()) row.end.resolve('skipped')
      await running
    },
  }
}

function titleOf(step: StepView): string {
  return `${step.node}  ${stepText(step)}`
}

function endOf(state: StepView['state']): 'done' | 'failed' | 'skipped' | undefined {
  switch (state) {
    case 'done':
      return 'done'
    case 'reverted':
    case 'refused':
    case 'broken':
      return 'failed'
    case 'skipped':
      return 'skipped'
    case 'waiting':
    case 'assigned':
    case 'staged':
    case 'permitted':
    case 'applying':
    case 'suspect':
    case 'deferred':
      return undefined
    default:
      return unreachable(state)
  }
}
