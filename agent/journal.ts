// The journal of the one transaction in flight. It says how far a switch has come and what was
// there before, so that a crash at any point ends in exactly the old or exactly the new state.

import * as z from 'zod/mini'
import { Digest, Generation, parser } from '../shared/contract/schema.ts'
import { ServiceName, VerifyPolicy } from '../shared/contract/service.ts'
import type { Files } from './host.ts'
import { type StateFile, stateFile } from './state-file.ts'

const Owner = { mode: z.int(), uid: z.int(), gid: z.int() }

/** What was there before: absent where there was nothing, so that restoring removes it. */
const before = z.optional(z.strictObject({ sha256: Digest, copy: z.string(), ...Owner }))

/** One file that the transaction replaces. */
const Target = z.strictObject({
  path: z.string(),
  staged: z.string(),
  /** Absent: it is removed. */
  after: z.optional(z.strictObject({ sha256: Digest, ...Owner })),
  before,
})
export type Target = Readonly<z.infer<typeof Target>>

/** One store of secrets in which the product's tool sets and removes entries. */
const Keystore = z.strictObject({
  path: z.string(),
  staged: z.string(),
  format: z.enum(['elasticsearch', 'kibana', 'beats']),
  tool: z.string(),
  environment: z.record(z.string(), z.string()),
  passphraseFile: z.optional(z.string()),
  /** Values are in files of the state directory, for as long as this journal is there. */
  set: z.array(z.strictObject({ name: z.string(), valueFile: z.string() })),
  remove: z.array(z.string()),
  before,
  /** That the store has at the end. */
  ...Owner,
})
export type JournalKeystore = Readonly<z.infer<typeof Keystore>>

/** A program that makes files from those that are switched. */
const Tool = z.strictObject({
  argv: z.array(z.string()),
  timeoutMs: z.int(),
  what: z.string(),
  /** Run again when the files are switched back. */
  isUndone: z.boolean(),
})
export type JournalTool = Readonly<z.infer<typeof Tool>>

/** The symlink `directory/current`; a target of undefined means that there is no link. */
const Link = z.strictObject({
  path: z.string(),
  before: z.optional(z.string()),
  after: z.string(),
})

const Verb = z.enum(['none', 'reload', 'hangup', 'restart', 'start'])

/** What a listener was seen doing before the switch: what a restore must bring back. */
export const ServedBefore = z.strictObject({
  listener: z.string(),
  kind: z.enum(['tls', 'plaintext', 'unreachable']),
  fingerprint: z.optional(z.string()),
})
export type ServedBefore = Readonly<z.infer<typeof ServedBefore>>

export const JournalStep = z.enum([
  /** With other nodes: nothing has happened yet but that the service may have been saved. */
  'gathering',
  /** With other nodes: the service is stopped, live files are old. */
  'stopped',
  /** s6: live files may be old, new or mixed. */
  'switching',
  /** With other nodes: live files are new, the service is still stopped. */
  'switched',
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
  keystores: z.optional(z.array(Keystore)),
  tools: z.optional(z.array(Tool)),
  link: z.optional(Link),
  activation: Verb,
  /** The permit of a change that the nodes of a group make at once. */
  together: z.optional(z.strictObject({ generation: Generation, digest: Digest })),
  /** Of such a change: what is copied while the service is stopped; and what ran before has saved it. */
  snapshot: z.optional(z.strictObject({ directories: z.array(z.string()), isSaved: z.boolean() })),
  verify: VerifyPolicy,
  /** Leaf that every listener must serve at the end; absent where no certificate of ours is wanted. */
  expectedFingerprint: z.optional(z.string()),
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

/** Where what a transaction replaces is kept. */
export function previousDirectory(stateDirectory: string): string {
  return `${stateDirectory}/previous`
}

/** Where values are for as long as a transaction may have to set them. */
export function secretsDirectory(stateDirectory: string): string {
  return `${stateDirectory}/secrets`
}

export function journalFile(files: Files, stateDirectory: string): StateFile<Journal> {
  return stateFile(files, `${stateDirectory}/journal.json`, parser('journal', Journal))
}
