// Stage one: which document counts. Newer ones only, by epoch and then by generation; the same
// generation with another content is an error of its own. What was accepted is kept on disk, so that the agent goes on
// without its controller for as long as it takes.

import * as z from 'zod/mini'
import {
  DesiredState,
  type DesiredState as Document,
  comparePositions,
  isIntact,
  parseDesiredState,
  type Position,
  positionOf,
} from '../shared/contract/desired-state.ts'
import { type Reason, parser } from '../shared/contract/schema.ts'
import { OperationalError, describeError } from '../shared/errors.ts'
import type { Files } from './host.ts'
import { type StateFile, stateFile } from './state-file.ts'

const Accepted = z.strictObject({
  version: z.literal(1),
  /** The newest document. */
  latest: DesiredState,
  /**
   * The newest one with mode `enforce` that this node was free to carry out: it stays in force while a
   * `stage` document is prepared. A permit that was taken back before it was claimed puts nothing in force.
   */
  enforced: z.optional(DesiredState),
})
export type Accepted = Readonly<z.infer<typeof Accepted>>

export function acceptedFile(files: Files, stateDirectory: string): StateFile<Accepted> {
  return stateFile(
    files,
    `${stateDirectory}/desired.json`,
    parser('accepted desired state', Accepted),
  )
}

export type Acceptance =
  | { readonly kind: 'accepted'; readonly accepted: Accepted }
  /** Nothing new in it. */
  | { readonly kind: 'known' }
  | { readonly kind: 'refused'; readonly reason: Reason }

export interface AcceptanceInput {
  readonly received: unknown
  readonly node: string
  readonly current: Accepted | undefined
  /** From the ledger. Either of ledger and document outlives the loss of the other. */
  readonly highest: {
    readonly epoch?: number | undefined
    readonly generation: number | undefined
    readonly digest: string | undefined
  }
  /** Was anything of this document carried out, which needed a permit? Absent: all of them were. */
  readonly isTaken?: (document: Document) => boolean
}

/** Judges a document as it came over the wire. Pure. */
export function acceptDesired(input: AcceptanceInput): Acceptance {
  const { received, node, current, highest, isTaken = () => true } = input
  const parsed = tryParse(received)
  if ('code' in parsed) return { kind: 'refused', reason: parsed }
  if (parsed.node !== node) {
    return refused('desired-other-node', `the desired state is for ${parsed.node}, this is ${node}`)
  }
  if (!isIntact(parsed))
    return refused('desired-damaged', 'the digest of the desired state does not fit its content')
  const newest = newestKnown(current?.latest, highest)
  const order = newest === undefined ? 1 : comparePositions(positionOf(parsed), newest)
  if (newest !== undefined && order < 0) return refused(...outdated(positionOf(parsed), newest))
  if (order === 0) {
    if (parsed.digest !== newest?.digest) {
      return refused(
        'desired-conflict',
        `generation ${parsed.generation} came again with another content`,
      )
    }
    if (current?.latest.digest === parsed.digest) return { kind: 'known' }
  }
  return { kind: 'accepted', accepted: withDocument(current, parsed, isTaken) }
}

type Known = Position & { readonly digest: string | undefined }

function newestKnown(
  document: Document | undefined,
  { epoch, generation, digest }: AcceptanceInput['highest'],
): Known | undefined {
  const ledger = generation === undefined ? undefined : { epoch: epoch ?? 0, generation, digest }
  if (document === undefined) return ledger
  const known = { ...positionOf(document), digest: document.digest }
  return ledger !== undefined && comparePositions(ledger, known) > 0 ? ledger : known
}

// Two codes, because only the first is cured by what the controller does next: in an older epoch it
// is an old copy of the controller, whatever it gives out.
function outdated(given: Position, newest: Position): readonly [code: string, message: string] {
  if (given.epoch === newest.epoch) {
    const message = `generation ${given.generation} is older than ${newest.generation}, which was accepted already`
    return ['desired-outdated', message]
  }
  return [
    'older-epoch',
    `epoch ${given.epoch} is older than ${newest.epoch}, of which documents were accepted already: ` +
      'this controller was restored from an older backup, or is a copy that was left behind',
  ]
}

function withDocument(
  current: Accepted | undefined,
  latest: Document,
  isTaken: (document: Document) => boolean,
): Accepted {
  if (latest.mode === 'enforce' && !latest.permit) return { version: 1, latest, enforced: latest }
  // Audit ends enforcement, staging does not, and neither does a permit before it is claimed.
  const enforced = latest.mode === 'audit' ? undefined : current && inForce(current, isTaken)
  return { version: 1, latest, ...(enforced === undefined ? {} : { enforced }) }
}

function inForce(
  { latest, enforced }: Accepted,
  isTaken: (document: Document) => boolean,
): Document | undefined {
  return latest.mode === 'enforce' && (!latest.permit || isTaken(latest)) ? latest : enforced
}

function tryParse(received: unknown): Document | Reason {
  try {
    return parseDesiredState(received)
  } catch (error) {
    if (!(error instanceof OperationalError)) throw error
    return { code: error.code, message: describeError(error).slice(0, 2000) }
  }
}

function refused(code: string, message: string): Acceptance {
  return { kind: 'refused', reason: { code, message } }
}
