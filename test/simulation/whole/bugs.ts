// Seeded bugs of the agent and of rotations: what whole fleets must find. As for those of the engine, each
// is a change of the source text as it is loaded, in a copy of their modules; a text that is gone is an
// error.

import { readFileSync } from 'node:fs'
import { registerHooks } from 'node:module'
import { fileURLToPath } from 'node:url'
import type { Product } from './product.ts'

export interface WholeBug extends Edit {
  readonly name: string
  /** What stands in the way of it: most rules are checked twice. */
  readonly also?: readonly Edit[]
  /** Where the search begins. */
  readonly first?: number
}

interface Edit {
  /** From the root of the sources. */
  readonly file: string
  readonly from: string
  readonly to: string
}

export const WHOLE_BUGS: readonly WholeBug[] = [
  {
    name: 'a service is restarted before its files are switched',
    file: 'agent/transaction.ts',
    from: '    await switchAll(tools.host, journal)\n',
    to: "    if (journal.activation === 'restart') await activate(tools.host, journal.unit, 'restart')\n    await switchAll(tools.host, journal)\n",
    first: 16,
  },
  {
    name: 'a renewal takes no lease',
    file: 'agent/disruption.ts',
    from: "return isForRenewal(plan) ? 'renewal' : 'correction'",
    to: "return isForRenewal(plan) ? undefined : 'correction'",
    first: 16,
  },
  {
    name: 'what was accepted is not stored before it is acted on',
    file: 'agent/keeper.ts',
    from: `      epoch: latest.epoch,
      generation: latest.generation,
      digest: latest.digest,
    }))
    await store.write`,
    to: '    }))\n    await store.write',
  },
  {
    name: 'a node that was edited since it was asked carries out its plan',
    file: 'agent/staleness.ts',
    from: 'return isStale ? plans : undefined',
    to: 'return undefined',
    first: 21,
  },
  {
    name: 'a rotation does not wait until everybody has loaded the new CA',
    file: 'controller/rotation/barriers.ts',
    from: "if (subject.kind !== 'identity') return loaded\n      return direction",
    to: "if (subject.kind !== 'identity') return undefined\n      return direction",
    first: 5,
  },
]

const ROOT = new URL('../../../', import.meta.url).href
// Copies beside the sound modules: all that the seeded ones reach, and nothing else of the product.
const FOLDERS = ['agent/', 'controller/rotation/', 'controller/fleet/'].map(one => `${ROOT}${one}`)
let isHooked = false

/** The product with one bug in it: modules of their own, apart from the sound ones. */
export async function productWith(bug: WholeBug): Promise<Product> {
  hook()
  const query = `?whole-bug=${WHOLE_BUGS.indexOf(bug)}`
  const load = (file: string): Promise<Product> => import(`${ROOT}${file}${query}`)
  return {
    runAgent: (await load('agent/agent.ts')).runAgent,
    createWake: (await load('agent/wake.ts')).createWake,
    prepareState: (await load('agent/standalone.ts')).prepareState,
    createRotations: (await load('controller/rotation/runner.ts')).createRotations,
  }
}

function hook(): void {
  if (isHooked) return
  isHooked = true
  registerHooks({
    resolve(specifier, context, next) {
      const found = next(specifier, context)
      const query = /\?whole-bug=\d+$/.exec(context.parentURL ?? '')?.[0]
      const isOurs = FOLDERS.some(one => found.url.startsWith(one)) && !found.url.includes('?')
      return query !== undefined && isOurs ? { ...found, url: `${found.url}${query}` } : found
    },
    load(url, context, next) {
      const index = /\?whole-bug=(\d+)$/.exec(url)?.[1]
      if (index === undefined) return next(url, context)
      const bug = WHOLE_BUGS[Number(index)]
      const path = fileURLToPath(url)
      let source = readFileSync(path, 'utf8')
      for (const edit of bug === undefined ? [] : [bug, ...(bug.also ?? [])])
        if (url.startsWith(`${ROOT}${edit.file}?`)) source = seed(bug, edit, source)
      return { format: 'module-typescript', source, shortCircuit: true }
    },
  })
}

function seed(bug: WholeBug | undefined, { file, from, to }: Edit, text: string): string {
  const parts = text.split(from)
  if (parts.length !== 2)
    throw new Error(`bug \`${bug?.name}\`: its text is ${parts.length - 1} times in ${file}`)
  return parts.join(to)
}
