// Looks through the eyes of agents, kept for as long as somebody wants them: asked again when they are too
// old or went wrong, of the next agent then. In memory only; what is lost is asked again.

import type { Clock } from '../../shared/clock.ts'
import type { Sighting } from '../../shared/contract/probes.ts'
import type { Probe, ProbeBoard } from '../api/probe-board.ts'

export interface Wanted {
  /** What is looked at, and for what. */
  readonly key: string
  readonly probe: Probe
  /** Best first. */
  readonly watchers: readonly string[]
  /** Is the look that there is enough? Otherwise it is made again. */
  readonly isEnough: (look: Look) => boolean
}

export interface Look {
  /** Undefined: nobody has answered yet, or whoever was asked last did not. */
  readonly sighting: Sighting | undefined
  readonly by: string | undefined
  /** How many were asked and have answered, or did not in time. */
  readonly attempts: number
  /** Monotonic: when the question was asked that this answers. */
  readonly askedMs: number
}

export interface Looks {
  /** Forgets what nobody wants any more, and asks for what is not enough. */
  want(all: readonly Wanted[]): void
  readonly get: (key: string) => Look | undefined
  /** Resolves when nothing is asked any more. */
  idle(): Promise<void>
}

export interface LooksOptions {
  readonly board: Pick<ProbeBoard, 'ask'>
  readonly clock: Clock
  readonly signal: AbortSignal
  /** There is an answer, by this agent. */
  readonly onLook: (by: string) => void
}

// An agent looks for five seconds at most.
const ANSWER_MS = 10_000
// Between two looks at the same thing.
const PAUSE_MS = 2_000
const AT_ONCE_MAX = 256

export function createLooks({ board, clock, signal, onLook }: LooksOptions): Looks {
  const looks = new Map<string, Look>()
  const asking = new Map<string, Promise<void>>()

  async function ask({ key, probe, watchers }: Wanted): Promise<void> {
    const attempts = looks.get(key)?.attempts ?? 0
    const by = watchers[attempts % watchers.length]
    if (by === undefined) return
    const askedMs = clock.monotonic()
    const sighting = await board.ask({ node: by, probe, waitMs: ANSWER_MS, signal })
    asking.delete(key)
    looks.set(key, { sighting, by, attempts: attempts + 1, askedMs })
    onLook(by)
  }

  return {
    want(all) {
      const keys = new Set(all.map(({ key }) => key))
      for (const key of looks.keys()) if (!keys.has(key)) looks.delete(key)
      const nowMs = clock.monotonic()
      for (const wanted of all) {
        const known = looks.get(wanted.key)
        const isDue =
          known === undefined || (!wanted.isEnough(known) && nowMs - known.askedMs >= PAUSE_MS)
        const isFree = asking.size < AT_ONCE_MAX && !asking.has(wanted.key)
        if (isDue && isFree && !signal.aborted && wanted.watchers.length > 0)
          asking.set(wanted.key, ask(wanted))
      }
    },
    get: key => looks.get(key),
    async idle() {
      await Promise.all(asking.values())
    },
  }
}
