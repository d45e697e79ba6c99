// One node's desired state, and the envelope that it travels in.

import * as z from 'zod/mini'
import { digestOf, type Json } from '../digest.ts'
import { Digest, Epoch, Generation, Name, parser } from './schema.ts'
import { PlannedServices } from './planned.ts'
import { ServiceName, ServiceTls } from './service.ts'

/** `audit`: plan and report, touch nothing. `stage`: prepare beside the live files. `enforce`: converge. */
export const Mode = z.enum(['audit', 'stage', 'enforce'])
export type Mode = z.infer<typeof Mode>

/** The part that does not depend on time: what `from` and `to` of a rollout step name. */
export const DesiredContent = z.strictObject({
  services: z.array(ServiceTls).check(
    z.maxLength(32),
    z.refine(list => new Set(list.map(one => one.service)).size === list.length, {
      error: 'a service may be listed once',
    }),
  ),
})
export type DesiredContent = Readonly<z.infer<typeof DesiredContent>>

export const DesiredState = z.strictObject({
  node: Name,
  /** Of the controller; absent until it is restored from a backup for the first time. */
  epoch: z.optional(Epoch),
  generation: Generation,
  mode: Mode,
  /** True in a rollout: the agent claims its permit before the point of no return. */
  permit: z.boolean(),
  /** What the rollout was planned with: a node on which that has changed since touches nothing. Absent: it is held to nothing. */
  planned: z.optional(PlannedServices),
  /** True with a permit: this service is stopped, changed and started with those of other nodes. */
  together: z.optional(ServiceName),
  /** True with a permit: what nodes of a cluster otherwise change as a whole is changed by this node alone. */
  alone: z.optional(z.boolean()),
  /** Digest of `content` alone. */
  contentDigest: Digest,
  content: DesiredContent,
  /** Digest of everything above. One generation has exactly one. */
  digest: Digest,
})
export type DesiredState = Readonly<z.infer<typeof DesiredState>>

/**
 * Where a document stands among all that its node is ever given. The epoch decides first: a
 * controller that was restored from a backup does not know which generations it gave out after it.
 */
export interface Position {
  /** 0: never restored. */
  readonly epoch: number
  readonly generation: number
}

export function positionOf({
  epoch,
  generation,
}: Pick<DesiredState, 'epoch' | 'generation'>): Position {
  return { epoch: epoch ?? 0, generation }
}

/** As documents of this epoch carry it. */
export function epochIn(epoch: number): Pick<DesiredState, 'epoch'> {
  return epoch === 0 ? {} : { epoch }
}

/** Below 0: `a` is older than `b`; 0: they are the same. */
export function comparePositions(a: Position, b: Position): number {
  return a.epoch === b.epoch ? a.generation - b.generation : a.epoch - b.epoch
}

export const parseDesiredState = parser('desired state', DesiredState, 'unsupported-desired-state')

/** Completes a document: computes both digests. Pure. */
export function sealDesiredState(
  document: Omit<DesiredState, 'digest' | 'contentDigest'>,
): DesiredState {
  const withContent = { ...document, contentDigest: contentDigestOf(document.content) }
  return { ...withContent, digest: digestOf(asJson(withContent)) }
}

/** Digest of a content; equal contents have equal digests, defaults filled in. */
export function contentDigestOf(content: DesiredContent): string {
  return digestOf(asJson(content))
}

/** Do the digests of a received document say what it holds? */
export function isIntact(state: DesiredState): boolean {
  const { digest, ...rest } = state
  return contentDigestOf(state.content) === state.contentDigest && digestOf(asJson(rest)) === digest
}

// Parsed documents are JSON by construction; undefined members vanish as they do on the wire.
function asJson(value: object): Json {
  const json: Json = JSON.parse(JSON.stringify(value))
  return json
}
