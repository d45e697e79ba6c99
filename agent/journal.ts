// The journal of the one transaction in flight. It says how far a switch has come and what was
// there before, so that a crash at any point ends in exactly the old or exactly the new state.

import * as z from 'zod/mini'
import { Digest, parser } from '../shared/contract/schema.ts'
import { ServiceName, VerifyPolicy } from '../shared/contract/service.ts'
import type { Files } from './host.ts'
import { type StateFile, stateFile } from './state-file.ts'

const Owner = { mode: z.int(), uid: z.int(), gid: z.int() }

/** One file that the transaction replaces. */
const Target = z.strictObject({
  path: z.string(),
  staged: z.string(),
  after: z.strictObject({ sha256: Digest, ...Owner }),
  /** Absent: there was no such file, restoring removes it. */
  before: z.optional(z.strictObject({ sha256: Digest, copy: z.string(), ...Owner })),
})
export type Target = Readonly<z.infer<typeof Target>>

/** The symlink `directory/current`; a target of undefined means that there is no link. */
const Link = z.strictObject({
  path: z.string(),
  before: z.optional(z.string()),
  after: z.string(),
})

const Verb = z.enum(['none', 'reload', 'hangup', 'restart', 'start'])

/** What a listener was seen doing before the switch: what a restore must bring back. */
const ServedBefore = z.strictObject({
  listener: z.string(),
  kind: z.enum(['tls', 'plaintext', 'unreachable']),
  fingerprint: z.optional(z.string()),
})
export type ServedBefore = Readonly<z.infer<typeof ServedBefore>>

export const JournalStep = z.enum([
  /** s6: live files may be old, new or mixed. */
  'switching',
  /** s8: live files are new, the activation may or may not have happened. */
  'activating',
  /** s10: activated, not proven yet. */
  'verifying',
  /** r1 to r3: going back. */
  'restoring',
])
export type JournalStep = z.infer<typeof JournalStep>

const Journal = z.strictObject({
  version: z.literal(1),
  step: JournalStep,
  service: ServiceName,
  unit: z.string(),
  contentDigest: Digest,
  targets: z.array(Target),
  link: z.optional(Link),
  activation: Verb,
  verify: VerifyPolicy,
  /** Leaf that every listener must serve at the end. */
  expectedFingerprint: z.string(),
  /** Processes that were running before the switch was complete. */
  staleInvocations: z.array(z.string()),
  /** Was the unit up before the switch? Only then can a restore be proven. */
  wasActive: z.boolean(),
  servedBefore: z.array(ServedBefore),
  /** Names of inputs and digests of what the process has loaded once this is committed. */
  inputs: z.record(z.string(), Digest),
  /** Inputs loaded before, for a restore. */
  restartsMade: z.int(),
})
export type Journal = Readonly<z.infer<typeof Journal>>

export function journalFile(files: Files, stateDirectory: string): StateFile<Journal> {
  return stateFile(files, `${stateDirectory}/journal.json`, parser('journal', Journal))
}
