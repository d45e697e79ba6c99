// Asks nodes what they would change: many at once, but not all, and nobody who is not there.

import type { PlannedNodeView } from '../../shared/contract/operator-api.ts'
import type { DesiredContent } from '../../shared/contract/desired-state.ts'
import type { PreviewAnswer } from '../../shared/contract/report.ts'
import type { Reason } from '../../shared/contract/schema.ts'
import type { NodeRecord } from '../store/store.ts'
import type { ApiContext } from './context.ts'

export interface Gathering {
  readonly nodes: readonly { readonly node: string; readonly content: DesiredContent }[]
  readonly records: ReadonlyMap<string, NodeRecord>
  /** For one node, from when it is asked. */
  readonly waitMs: number
  readonly signal: AbortSignal
  /** Of each that has answered, or will not. */
  readonly onHeard?: (view: PlannedNodeView) => void
}

// As many answers may be on their way to this process at once.
const ASKED_AT_ONCE = 512
const TOLD_EVERY = 1_000
const LOOK_MS = 1_000

type GatherContext = Pick<ApiContext, 'presence' | 'previews' | 'log' | 'clock'>

/** In the order of the nodes. One that is offline is told as such at once. */
export async function gatherPreviews(
  context: GatherContext,
  gathering: Gathering,
): Promise<readonly PlannedNodeView[]> {
  const { log, clock } = context
  const { nodes, onHeard } = gathering
  if (nodes.length === 0) return []
  const views: PlannedNodeView[] = []
  const questions = createQuestions(context, gathering)
  const all = Promise.withResolvers<void>()
  let next = 0
  let heard = 0
  const work = async () => {
    for (let index = next++; index < nodes.length; index = next++) {
      const asked = nodes[index]
      if (asked === undefined) break
      const view = await questions.ask(asked)
      views[index] = view
      heard++
      onHeard?.(view)
      if (heard % TOLD_EVERY === 0) log.info({ heard, of: nodes.length }, 'nodes plan')
    }
    if (heard === nodes.length) all.resolve()
  }
  const askMore = () => {
    const count = Math.min(ASKED_AT_ONCE, nodes.length - next)
    for (let index = 0; index < count; index++) work().catch(all.reject)
  }
  const over = new AbortController()
  const watch = async () => {
    for (let before = heard; !over.signal.aborted; before = heard) {
      await clock.sleep(LOOK_MS, over.signal)
      questions.dropGone()
      // Those who are silent do not keep the others from being asked: no answers are on their way.
      if (heard === before) askMore()
    }
  }
  askMore()
  const watching = watch()
  try {
    await all.promise
  } finally {
    over.abort()
    await watching
  }
  return views
}

function createQuestions(
  context: GatherContext,
  { records, waitMs, signal }: Pick<Gathering, 'records' | 'waitMs' | 'signal'>,
) {
  const open = new Map<string, AbortController>()
  return {
    async ask({ node, content }: Gathering['nodes'][number]): Promise<PlannedNodeView> {
      const before = absence(context, records.get(node))
      if (before !== undefined) return unreachable(node, before)
      const gone = new AbortController()
      open.set(node, gone)
      const left = AbortSignal.any([signal, gone.signal])
      const answer = await context.previews.ask({ node, content, waitMs, signal: left })
      open.delete(node)
      const since = answer === undefined ? absence(context, records.get(node)) : undefined
      return since === undefined ? plannedNode(node, answer) : unreachable(node, since)
    },
    /** Nobody is waited for who has gone meanwhile: locked, removed, or silent for too long. */
    dropGone(): void {
      for (const [node, gone] of open)
        if (absence(context, records.get(node)) !== undefined) gone.abort()
    },
  }
}

/** Why it cannot be asked; undefined: it can. */
export function absence(
  { presence }: Pick<ApiContext, 'presence'>,
  record: NodeRecord | undefined,
): Reason | undefined {
  if (record?.enrolledAtMs === undefined)
    return { code: 'not-enrolled', message: 'no agent has enrolled as this node yet' }
  if (!presence.isOnline({ node: record.name, seenAtMs: record.seenAtMs }))
    return { code: 'node-silent', message: 'the agent does not answer' }
  return undefined
}

export function unreachable(node: string, reason: Reason): PlannedNodeView {
  return { node, result: 'unreachable', reason, services: [] }
}

/** What an agent's answer comes to. Pure. */
export function plannedNode(node: string, answer: PreviewAnswer | undefined): PlannedNodeView {
  if (answer === undefined)
    return unreachable(node, { code: 'no-answer', message: 'the agent did not answer in time' })
  const { services, problem } = answer
  if (problem !== undefined) return { node, result: 'unsupported', reason: problem, services }
  const refused = services.find(({ outcome }) => outcome === 'unsupported' || outcome === 'failed')
  if (refused !== undefined)
    return { node, result: 'unsupported', reason: refused.reason, services }
  const changed = services.find(
    ({ changes, activation, outcome }) =>
      changes.length > 0 || activation !== 'none' || outcome === 'planned',
  )
  if (changed !== undefined) return { node, result: 'changes', reason: changed.reason, services }
  const reason = { code: 'in-sync', message: 'the node is as the spec wants it' }
  return { node, result: 'none', reason, services }
}
