// What programs of the node say of themselves (`prometheus --version`): asked once, and again when one of
// the files that the answer depends on has changed. Kept in the state directory, so that neither a
// restart of the agent nor a one-shot plan asks again: some of these programs take seconds to start.

import * as z from 'zod/mini'
import { OperationalError } from '../shared/errors.ts'
import { parser } from '../shared/contract/schema.ts'
import type { Files } from './host.ts'
import type { SeenCommand } from './services/service.ts'
import { stateFile } from './state-file.ts'

export interface ProgramQuestion {
  readonly argv: readonly string[]
  /** Versions of all that the answer depends on. */
  readonly versions: string
  /** Of the service that is asked about. */
  readonly invocationId: string | undefined
  /** Monotonic. */
  readonly nowMs: number
}

export interface ProgramAnswer {
  readonly seen: SeenCommand
  /** Monotonic; Infinity: only a change makes it stale. */
  readonly staleAtMs: number
}

export interface ProgramAnswers {
  /** Undefined: it must be asked. */
  recall(question: ProgramQuestion): ProgramAnswer | undefined
  keep(question: ProgramQuestion, answer: ProgramAnswer): void
  /** Writes down what is new. A disk that takes nothing costs the next process the question. */
  save(): Promise<void>
}

const Run = z.strictObject({ stdout: z.string(), stderr: z.string() })
const Kept = z.strictObject({
  versions: z.string(),
  // A wrapper may lead to another program than before, and its file tells nothing of that; but who
  // replaces a program starts its service anew. Within one life of the agent this is not asked.
  invocationId: z.string(),
  run: Run,
})
const Document = z.strictObject({ version: z.literal(1), answers: z.record(z.string(), Kept) })
type Kept = Readonly<z.infer<typeof Kept>>

/** Versions are some lines. */
const KEPT_LENGTH_MAX = 16_384

interface Known extends ProgramAnswer {
  readonly versions: string
  readonly invocationId: string | undefined
}

/** In this process only. */
export function createAnswers(before: Readonly<Record<string, Kept>> = {}) {
  const known = new Map<string, Known>()
  let isNew = false

  function keep({ argv, versions, invocationId }: ProgramQuestion, answer: ProgramAnswer): void {
    known.set(keyOf(argv), { ...answer, versions, invocationId })
    isNew = true
  }

  return {
    keep,
    recall(question: ProgramQuestion): ProgramAnswer | undefined {
      const { argv, versions, invocationId, nowMs } = question
      const found = known.get(keyOf(argv))
      if (found?.versions === versions && nowMs < found.staleAtMs) {
        if (found.invocationId !== invocationId) keep(question, found)
        return found
      }
      const kept = before[keyOf(argv)]
      const isSame = kept?.versions === versions && kept.invocationId === invocationId
      if (found !== undefined || kept === undefined || !isSame) return undefined
      const { stdout, stderr } = kept.run
      const seen = { kind: 'ran', code: 0, stdout, stderr } as const
      known.set(keyOf(argv), { seen, staleAtMs: Infinity, versions, invocationId })
      return { seen, staleAtMs: Infinity }
    },
    save: async () => {},
    /** What can be kept; undefined: nothing has been said since it was asked for last. */
    news(): Readonly<Record<string, Kept>> | undefined {
      if (!isNew) return undefined
      isNew = false
      return Object.fromEntries([...known].flatMap(([key, one]) => keptOf(key, one)))
    },
  }
}

function keptOf(key: string, { versions, invocationId, seen, staleAtMs }: Known): [string, Kept][] {
  if (invocationId === undefined || staleAtMs !== Infinity) return []
  // A failure may be over by then.
  if (seen.kind !== 'ran' || seen.code !== 0) return []
  const { stdout, stderr } = seen
  if (stdout.length + stderr.length > KEPT_LENGTH_MAX) return []
  return [[key, { versions, invocationId, run: { stdout, stderr } }]]
}

function keyOf(argv: readonly string[]): string {
  return argv.join('\0')
}

/** Those of the processes before this one are among them. */
export async function createKeptAnswers(
  files: Files,
  stateDirectory: string,
): Promise<ProgramAnswers> {
  const store = stateFile(files, `${stateDirectory}/programs.json`, parser('programs', Document))
  // One that is damaged is set aside; what it said is asked again.
  const before = (await store.read()).value?.answers ?? {}
  const answers = createAnswers(before)
  let written = JSON.stringify(before)
  return {
    ...answers,
    async save() {
      const kept = answers.news()
      if (kept === undefined || JSON.stringify(kept) === written) return
      try {
        await store.write({ version: 1, answers: kept })
        written = JSON.stringify(kept)
      } catch (error) {
        if (!(error instanceof OperationalError)) throw error
      }
    },
  }
}
