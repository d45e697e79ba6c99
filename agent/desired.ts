// Stage one: which document counts. Newer generations only; the same generation with another
// content is an error of its own. What was accepted is kept on disk, so that the agent goes on
// without its controller for as long as it takes.

import * as z from 'zod/mini'
import {
  DesiredState,
  type DesiredState as Document,
  isIntact,
  parseDesiredState,
} from '../shared/contract/desired-state.ts'
import { type Reason, parser } from '../shared/contract/schema.ts'
import { OperationalError, describeError } from '../shared/errors.ts'
import type { Files } from './host.ts'
import { type StateFile, stateFile } from './state-file.ts'

const Accepted = z.strictObject({
  version: z.literal(1),
  /** The newest document. */
  latest: DesiredState,
  /** The newest one with mode `enforce`: it stays in force while a `stage` document is prepared. */
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
  readonly highest: { readonly generation: number | undefined; readonly digest: string | undefined }
}

/** Judges a document as it came over the wire. Pure. */
export function acceptDesired({ received, node, current, highest }: AcceptanceInput): Acceptance {
  const parsed = tryParse(received)
  if ('code' in parsed) return { kind: 'refused', reason: parsed }
  if (parsed.node !== node) {
    return refused('desired-other-node', `the desired state is for ${parsed.node}, this is ${node}`)
  }
  if (!isIntact(parsed))
    return refused('desired-damaged', 'the digest of the desired state does not fit its content')
  const { generation, digest } = newest(current?.latest, highest)
  if (generation !== undefined && parsed.generation < generation) {
    return refused(
      'desired-outdated',
      `generation ${parsed.generation} is older than ${generation}, which was accepted already`,
    )
  }
  if (parsed.generation === generation) {
    if (parsed.digest !== digest) {
      return refused(
        'desired-conflict',
        `generation ${parsed.generation} came again with another content`,
      )
    }
    if (current?.latest.digest === parsed.digest) return { kind: 'known' }
  }
  return { kind: 'accepted', accepted: withDocument(current, parsed) }
}

function newest(document: Document | undefined, ledger: AcceptanceInput['highest']) {
  if (document === undefined) return ledger
  return (ledger.generation ?? 0) > document.generation ? ledger : document
}

function withDocument(current: Accepted | undefined, latest: Document): Accepted {
  if (latest.mode === 'enforce') return { version: 1, latest, enforced: latest }
  // Audit ends enforcement, staging does not.
  const enforced = latest.mode === 'stage' ? current?.enforced : undefined
  return { version: 1, latest, ...(enforced === undefined ? {} : { enforced }) }
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
