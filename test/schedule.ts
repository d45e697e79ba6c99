// In which order test files run, and which of them at the same time.

/** Tests in these folders boot hosts or run real services; all others need nothing but Node. */
export function needsMachine(file: string): boolean {
  return file.startsWith('test/lab/') || file.startsWith('test/integration/')
}

// They take a minute or more, the longest first: begun last, one would run alone at the end. Those that compute all
// the time stand beside those that wait for the most part. A file that is not named here costs nothing but that, so
// the list need not be complete.
const LONG: readonly string[] = [
  'test/lab/estate/rotation.test.ts',
  'test/lab/renewals.test.ts',
  'test/lab/faults.test.ts',
  'test/lab/rollout-cut.test.ts',
  'test/lab/estate/estate.test.ts',
  'test/lab/rotation-taken-back.test.ts',
  'test/lab/rollout-killed.test.ts',
  'test/lab/rollout-bad-revision.test.ts',
  'test/lab/rollout-together.test.ts',
  'test/lab/rollout-transport.test.ts',
  'test/property/rollout.test.ts',
  'test/integration/agent-process.test.ts',
  'test/integration/issuer-change.test.ts',
  'test/lab/rollout-quorum.test.ts',
  'test/property/rollout-more.test.ts',
  'test/property/whole-fleet.test.ts',
  'test/lab/story.test.ts',
  'test/integration/leases.test.ts',
  'test/integration/long-offline.test.ts',
]

/** The long ones, then labs, then the rest by name. */
export function inOrder(files: readonly string[]): readonly string[] {
  const rank = (file: string): number => {
    const place = LONG.indexOf(file)
    if (place >= 0) return place
    return LONG.length + (needsMachine(file) ? 0 : 1)
  }
  return files.toSorted((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1))
}

export interface Places {
  /** Files at the same time. */
  readonly all: number
  /** Of these, files that need a machine. */
  readonly labs: number
}

// As many as there are cores: what is late looks broken, and a lab of twelve nodes computes most of its time.
const PLACES_MAX = 8
const LABS = 3 / 4

export function placesOn(cores: number): Places {
  const all = Math.min(PLACES_MAX, Math.max(2, cores))
  return { all, labs: Math.ceil(all * LABS) }
}

/** Runs every file once, in this order as far as places allow; resolves when all have ended. */
export async function runInPlaces(
  files: readonly string[],
  { all, labs }: Places,
  run: (file: string) => Promise<void>,
): Promise<void> {
  const left = [...files]
  const running = new Map<string, Promise<void>>()
  for (;;) {
    const inLabs = [...running.keys()].filter(needsMachine).length
    const next = left.findIndex(file => inLabs < labs || !needsMachine(file))
    if (running.size < all && next >= 0) {
      const [file] = left.splice(next, 1)
      if (file !== undefined)
        running.set(
          file,
          run(file).finally(() => running.delete(file)),
        )
      continue
    }
    if (running.size === 0) return
    await Promise.race(running.values())
  }
}
