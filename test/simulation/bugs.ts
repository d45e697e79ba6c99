// Seeded bugs: what the simulation must find. Each is one change of the production code, made as the
// module is loaded and nowhere else; a text that is not there any more is an error, so that the list is
// kept where the code changes.

import { registerHooks } from 'node:module'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Engine } from './engine.ts'

export interface Bug {
  readonly name: string
  /** Below controller/rollout. */
  readonly file: string
  readonly from: string
  readonly to: string
  /** Where the search begins, and then goes around: the first of the 2,000 seeds from 1 on that finds it, where that is late. */
  readonly first?: number
  /** What stands in the way of it: most rules are checked twice. */
  readonly also?: readonly Edit[]
}

type Edit = Pick<Bug, 'file' | 'from' | 'to'>

export const BUGS: readonly Bug[] = [
  {
    name: 'a drain leaves permits to be claimed',
    first: 401,
    file: 'decide.ts',
    from: 'reason, ...now }, ...withdrawals(rollout, fleet, reason, now)]',
    to: 'reason, ...now }]',
    also: [
      {
        file: 'decide.ts',
        from: '[...judged, ...withdrawals(evolveAll(rollout, judged), fleet, DRAINING, now)]',
        to: '[...judged]',
      },
      { file: 'request.ts', from: "if (rollout.status !== 'running') break", to: '' },
      {
        file: 'transitions.ts',
        from: "'permit-claimed': { during: ['running']",
        to: "'permit-claimed': { during: ['running', 'draining']",
      },
    ],
  },
  {
    name: 'a lease is freed when a node is suspect for too long',
    first: 299,
    file: 'carry-out.ts',
    from: "  'node-reverted',\n",
    to: "  'node-reverted',\n  'node-suspected',\n",
  },
  {
    name: 'the lease of a broken node is given back',
    first: 78,
    file: 'carry-out.ts',
    from: "  'node-reverted',\n",
    to: "  'node-reverted',\n  'node-broken',\n",
  },
  {
    name: 'a claim takes no lease',
    file: 'carry-out.ts',
    from: 'for (const group of groupsOf.get(event.node) ?? [])',
    to: 'for (const group of [] as string[])',
  },
  {
    name: 'repairs run side by side',
    file: 'budget.ts',
    from: 'if (others.size >= maxUnavailable) return',
    to: 'if (others.size >= maxUnavailable && !out.has(node)) return',
  },
  {
    name: 'nodes that are out use up no budget',
    file: 'budget.ts',
    from: 'if (out.size + gone.size < limit) return undefined',
    to: 'if (gone.size < limit) return undefined',
  },
  {
    name: 'a lease of another group of the node is forgotten',
    file: 'budget.ts',
    from: 'if (refused !== undefined) return refused',
    to: 'return refused',
  },
  {
    name: 'a drain ends with a step in motion',
    first: 132,
    file: 'transitions.ts',
    from: "need(sum(counts, IN_MOTION) === 0, 'a step is in motion')",
    to: "need(true, 'a step is in motion')",
    also: [
      {
        file: 'decide.ts',
        from: 'if (sum(countSteps(next), IN_MOTION) > 0 || next.toward === undefined)',
        to: 'if (next.toward === undefined)',
      },
    ],
  },
  {
    name: 'a failure is taken for success',
    file: 'judge.ts',
    from: "if (outcome !== 'in-sync' && outcome !== 'changed') return []",
    to: "if (outcome !== 'in-sync' && outcome !== 'changed' && outcome !== 'failed') return []",
  },
  {
    name: 'a report about an older document counts',
    file: 'judge.ts',
    from: 'step.generation !== undefined && step.generation === view.observedGeneration',
    to: 'step.generation !== undefined && view.observedGeneration !== undefined',
  },
  {
    name: 'a batch of deferred nodes passes',
    file: 'transitions.ts',
    from: "need(rollout.promoted || done > 0, 'no step of the batch is done')",
    to: "need(rollout.promoted || done >= 0, 'no step of the batch is done')",
    also: [
      {
        file: 'batches.ts',
        from: 'if (isEmpty && !rollout.promoted && !isLastOfAll) return',
        to: 'if (isEmpty && soakedMs < 0) return',
      },
    ],
  },
  {
    name: 'soak is measured by the wall clock',
    file: 'batches.ts',
    from: 'const soakedMs = now.timeMs - rollout.settledTimeMs',
    to: 'const soakedMs = now.atMs - 1_800_000_000_000',
  },
  {
    name: 'a soak goes on while the rollout is paused',
    first: 1_761,
    file: 'evolve.ts',
    from: 'settledTimeMs: settledTimeMs === undefined ? undefined : moved(settledTimeMs)',
    to: 'settledTimeMs',
  },
  {
    name: 'a pause uses up the time for progress',
    file: 'evolve.ts',
    from: 'progressTimeMs: STARTS_ANEW.includes(cause) ? timeMs : moved(progressTimeMs)',
    to: 'progressTimeMs',
  },
  {
    name: 'a returned node does not reopen its batch',
    file: 'evolve.ts',
    from: 'reopens ? { ...rollout, settledTimeMs: undefined } : rollout',
    to: 'rollout',
  },
  {
    name: 'a percentage is rounded up',
    file: 'settings.ts',
    from: 'Math.floor((maxFailuresPercent * nodes) / 100)',
    to: 'Math.ceil((maxFailuresPercent * nodes) / 100)',
  },
  {
    name: 'more failures are tolerated than the plan says',
    file: 'decide.ts',
    from: 'if (sum(countSteps(rollout), FAILED) <= maxFailures) return undefined',
    to: 'if (sum(countSteps(rollout), FAILED) <= maxFailures + 1) return undefined',
  },
  {
    name: 'a barrier is passed with nodes missing',
    first: 246,
    file: 'batches.ts',
    from: 'const isBlocked = phase.barrier &&',
    to: 'const isBlocked = false &&',
    also: [
      {
        file: 'transitions.ts',
        from: 'need(isWhole || !phase.barrier,',
        to: 'need(true,',
      },
    ],
  },
  {
    name: 'a barrier phase tolerates a failure',
    file: 'plan.ts',
    from: 'maxFailures: barrier || coordinated ? 0 : settings.maxFailures',
    to: 'maxFailures: settings.maxFailures',
  },
  {
    name: 'a pause leaves permits to be claimed',
    file: 'request.ts',
    from: 'if (rollout.pausedBy.length > 0)\n        return refusal',
    to: 'if (rollout.pausedBy.length > 9)\n        return refusal',
    also: [
      {
        file: 'batches.ts',
        from: "[{ kind: 'paused', cause, reason, ...now }, ...withdrawals(rollout, fleet, reason, now)]",
        to: "[{ kind: 'paused', cause, reason, ...now }]",
      },
      {
        file: 'transitions.ts',
        from: "rollout.pausedBy.length === 0, 'the rollout is paused')\n}\n\nfunction requireGeneration",
        to: "true, 'the rollout is paused')\n}\n\nfunction requireGeneration",
      },
    ],
  },
  {
    name: 'a freeze is not looked at',
    file: 'decide.ts',
    from: 'return isFrozen ? [] : paused(rollout, fleet',
    to: 'return isFrozen || now.timeMs > 0 ? [] : paused(rollout, fleet',
  },
  {
    name: 'the limit of a batch is ignored',
    file: 'permits.ts',
    from: 'return Math.min(maxParallel, 2 **',
    to: 'return Math.max(maxParallel + 1, 2 **',
  },
  {
    name: 'nodes of later batches are permitted',
    file: 'permits.ts',
    from: "stepsIn(rollout, ['staged'], rollout.batchIndex)",
    to: "stepsIn(rollout, ['staged'])",
  },
  {
    name: 'a report of before ends a lease',
    file: 'leases.ts',
    from: 'one.takenSequence >= report.sequence',
    to: 'one.takenSequence > report.sequence + 99',
  },
  {
    name: 'a renewal needs no lease',
    file: 'leases.ts',
    from: 'if (held !== undefined) return refused(held)',
    to: "if (held !== undefined && purpose !== 'renewal') return refused(held)",
  },
  {
    name: 'who leads its group is not kept for the end',
    file: 'permits.ts',
    from: 'if (leader !== undefined) last.add(leader)',
    to: '',
  },
  {
    name: 'a section starts when all have stopped',
    file: 'section.ts',
    from: 'HELD.indexOf(held) >= HELD.indexOf(heldBefore(act))',
    to: "HELD.indexOf(held) >= Math.min(HELD.indexOf(heldBefore(act)), HELD.indexOf('stopped'))",
  },
  {
    name: 'a section stops before all are saved',
    file: 'section.ts',
    from: 'return held !== undefined && HELD.indexOf(held) >= HELD.indexOf(heldBefore(act))',
    to: "return act === 'stop' || (held !== undefined && HELD.indexOf(held) >= HELD.indexOf(heldBefore(act)))",
  },
  {
    name: 'a section stops before all have claimed their permits',
    first: 418,
    file: 'section.ts',
    from: 'if (sum(counts, OPEN) > counts.applying) return undefined',
    to: 'if (counts.applying === 0) return undefined',
    also: [
      {
        file: 'section.ts',
        from: 'if (sum(counts, OPEN) > counts.applying || sum(counts, FAILED) > 0)',
        to: 'if (sum(counts, FAILED) > 0)',
      },
    ],
  },
  {
    name: 'a section whose node is lost waits for it',
    first: 300,
    file: 'section.ts',
    from: "const isLost = status === 'draining' || counts.suspect > 0 || sum(counts, FAILED) > 0",
    to: 'const isLost = false',
  },
  {
    name: 'the group is begun before all are staged',
    file: 'permits.ts',
    from: 'if (rollout.acknowledgedBy === undefined || !isReady ||',
    to: 'if (rollout.acknowledgedBy === undefined ||',
    also: [
      {
        file: 'transitions.ts',
        from: "check(rollout, event, counts.waiting + counts.assigned === 0, 'a step is not staged')\n    const isKnown",
        to: 'const isKnown',
      },
      {
        file: 'decide.ts',
        from: 'lacking === 0 && isWhole ?',
        to: '(lacking === 0 && isWhole) || counts.staged > 0 ?',
      },
      {
        file: 'transitions.ts',
        from: "requireStatus(rollout, event, ['staging'])\n  const counts = countSteps(rollout)\n  check(rollout, event, counts.waiting + counts.assigned === 0, 'a step is not staged')",
        to: "requireStatus(rollout, event, ['staging'])\n  const counts = countSteps(rollout)",
      },
    ],
  },
  {
    name: 'two controllers that take turns stop the clock',
    file: 'controller-clock.ts',
    from: 'if (seen?.version !== known.version) return known.version',
    to: 'if (seen?.version !== known.version) {\n          await tx.controllerTime.advance(known.version, known.timeMs)\n          return known.version + 1\n        }',
  },
  {
    name: 'a generation is given out twice',
    file: 'judge.ts',
    from: 'Math.max(view?.highestGeneration ?? 0, step.generation ?? 0) + 1',
    to: '(step.generation ?? 0) + 1',
  },
  {
    name: 'a node that is done is given its old content again',
    file: 'batches.ts',
    from: 'const RELEASED = [\n',
    to: "const RELEASED = [\n  'done',\n",
  },
  {
    name: 'what was decided on an outdated version is stored once more',
    file: 'carry-out.ts',
    from: 'await tx.rollouts.append(rollout.id, rollout.version, events, now.atMs)',
    to: 'await tx.rollouts.append(rollout.id, rollout.version, events, now.atMs).catch(async () => tx.rollouts.append(rollout.id, (await tx.rollouts.get(rollout.id))?.version ?? 0, events, now.atMs))',
  },
  {
    name: 'a document is of the epoch before the restore',
    file: 'carry-out.ts',
    from: 'const epoch = epochIn(await tx.desired.epoch())',
    to: 'const epoch = epochIn(0)',
  },
  {
    name: 'what a node said before its claim tells how it ended',
    first: 1_999,
    file: 'judge.ts',
    from: 'const isOld = (view.sequence ?? 0) <= (step.claimSequence ?? -1)',
    to: 'const isOld = (view.sequence ?? 0) <= (step.claimSequence ?? -1) - 99',
  },
  {
    name: 'a plan that is only shown gives leases back',
    file: 'fleet-reader.ts',
    from: 'const conditions = await conditionsOf(tx, nodes, members, isOnline)',
    to: "const conditions = await conditionsOf(tx, nodes, members, isOnline)\n      await tx.leases.releaseNode(nodes[0]?.node ?? '')",
  },
  {
    name: 'what is kept of a node is not read again when it has changed',
    file: 'fleet-cache.ts',
    from: 'new Set([...(changes.nodes ?? []), ...(more.nodes ?? [])])',
    to: 'new Set(more.nodes ?? [])',
  },
  {
    name: 'who has come or gone is not looked at again',
    file: 'fleet-cache.ts',
    from: 'new Set([...(changes.nodes ?? []), ...(more.nodes ?? [])])',
    to: 'new Set(changes.nodes ?? [])',
  },
]

const FOLDER = new URL('../../controller/rollout/', import.meta.url).href
let isHooked = false

/** The engine with one bug in it: modules of their own, apart from the sound ones. */
export async function engineWith(bug: Bug): Promise<Engine> {
  hook()
  const query = `?bug=${BUGS.indexOf(bug)}`
  const load = (file: string): Promise<Engine> => import(`${FOLDER}${file}${query}`)
  return {
    createRunner: (await load('runner.ts')).createRunner,
    evolveAll: (await load('evolve.ts')).evolveAll,
    startRollout: (await load('evolve.ts')).startRollout,
    publishes: (await load('evolve.ts')).publishes,
    makePlan: (await load('plan.ts')).makePlan,
    plannedNodes: (await load('steps.ts')).plannedNodes,
    remainders: (await load('children.ts')).remainders,
  }
}

function hook(): void {
  if (isHooked) return
  isHooked = true
  registerHooks({
    resolve(specifier, context, next) {
      const found = next(specifier, context)
      const query = /\?bug=\d+$/.exec(context.parentURL ?? '')?.[0]
      const isOurs = found.url.startsWith(FOLDER) && !found.url.includes('?')
      return query !== undefined && isOurs ? { ...found, url: `${found.url}${query}` } : found
    },
    load(url, context, next) {
      const index = /\?bug=(\d+)$/.exec(url)?.[1]
      if (index === undefined) return next(url, context)
      const bug = BUGS[Number(index)]
      const path = fileURLToPath(url)
      const text = readFileSync(path, 'utf8')
      const source =
        bug === undefined ? text : seed(bug, path.slice(path.lastIndexOf('/') + 1), text)
      return { format: 'module-typescript', source, shortCircuit: true }
    },
  })
}

function seed(bug: Bug, file: string, text: string): string {
  let seeded = text
  for (const edit of [bug, ...(bug.also ?? [])].filter(one => one.file === file)) {
    const parts = seeded.split(edit.from)
    if (parts.length !== 2)
      throw new Error(`bug \`${bug.name}\`: its text is ${parts.length - 1} times in ${file}`)
    seeded = parts.join(edit.to)
  }
  return seeded
}
