// Keeps the documents that were accepted: judges what comes, stores what counts before anything is
// done with it.

import {
  comparePositions,
  type DesiredState,
  positionOf,
} from '../shared/contract/desired-state.ts'
import type { Reason } from '../shared/contract/schema.ts'
import { OperationalError, describeError } from '../shared/errors.ts'
import type { Logger } from '../shared/log.ts'
import { type Accepted, acceptDesired, acceptedFile } from './desired.ts'
import type { Host } from './host.ts'
import { generationOf } from './inbox.ts'
import { withoutHeld } from './ledger.ts'
import { serviceDigest } from './reconcile.ts'
import type { Reconciler } from './reconciler.ts'

export interface Keeper {
  accepted(): Accepted | undefined
  /** Why the newest document was refused, or what was wrong with the stored state. */
  problem(): Reason | undefined
  /** Generation of a document that was refused since the last one was accepted. */
  refusedGeneration(): number | undefined
  /** Finishes what a crash left, by the documents in force. */
  resume(): Promise<void>
  /**
   * A document as it came over the wire; undefined: none came. One that could not be stored does not
   * count, and is tried again with the next call.
   */
  take(received: unknown, node: string): Promise<void>
  /** Is there a document that could not be stored? */
  hasUnstored(): boolean
  /** An operator asks: what failed before may be tried again. */
  liftHeld(): Promise<void>
}

export async function createKeeper(
  {
    host,
    stateDirectory,
    log,
  }: { readonly host: Host; readonly stateDirectory: string; readonly log: Logger },
  reconciler: Reconciler,
): Promise<Keeper> {
  const store = acceptedFile(host.files, stateDirectory)
  const read = await store.read()
  let accepted = read.value
  let problem: Reason | undefined = read.damage
  // Of the agent's own storage: over with the next write that succeeds.
  let trouble: Reason | undefined
  let refusedGeneration: number | undefined
  let unstored: unknown
  let isResumed = false

  async function judge(received: unknown, node: string): Promise<void> {
    const { epoch, generation, digest } = reconciler.ledger()
    const highest = { epoch, generation, digest }
    const result = acceptDesired({ received, node, current: accepted, highest, isTaken })
    if (result.kind === 'known') return
    if (result.kind === 'refused') {
      problem = result.reason
      refusedGeneration = generationOf(received)
      log.warn({ reason: result.reason }, 'desired state refused')
      return
    }
    const { latest } = result.accepted
    log.info({ generation: latest.generation, mode: latest.mode }, 'desired state accepted')
    // The generation is stored before anything is done with it; a new one lifts what was held back.
    await reconciler.updateLedger(old => ({
      ...withoutHeld(old),
      epoch: latest.epoch,
      generation: latest.generation,
      digest: latest.digest,
    }))
    await store.write(result.accepted)
    accepted = result.accepted
    problem = undefined
    refusedGeneration = undefined
  }

  // What the node has converged to by it, or was switched to before that was taken back.
  function isTaken({ content }: DesiredState): boolean {
    const { services } = reconciler.ledger()
    const before = accepted?.enforced?.content.services.map(serviceDigest) ?? []
    const digests = content.services.map(serviceDigest)
    if (digests.every(digest => before.includes(digest))) return true
    return content.services.some(tls => {
      const digest = serviceDigest(tls)
      return !before.includes(digest) && services[tls.service]?.convergedTo === digest
    })
  }

  // A full disk under the agent's own state must end neither the loop nor what it keeps up.
  async function survive(work: () => Promise<void>): Promise<boolean> {
    try {
      await work()
      trouble = undefined
      return true
    } catch (error) {
      if (!(error instanceof OperationalError)) throw error
      trouble = { code: error.code, message: describeError(error) }
      log.warn({ reason: trouble }, 'state could not be kept')
      return false
    }
  }

  async function resume(): Promise<void> {
    // A switch that was begun is the newest document's, unless that one is only prepared.
    const { latest, enforced } = accepted ?? {}
    const inForce = latest?.mode === 'stage' ? (enforced ?? latest) : latest
    // What became of it, the passes tell from now on; a journal that was damaged is not missed.
    const reason = await reconciler.resume(inForce?.content.services ?? [])
    if (reason !== undefined) log.warn({ reason }, 'an interrupted change was not completed')
    await recall()
  }

  // A ledger that was lost is told again what the document knows, before that is lost as well.
  async function recall(): Promise<void> {
    if (accepted === undefined) return
    const { epoch, generation, digest } = accepted.latest
    const position = positionOf(accepted.latest)
    await reconciler.updateLedger(old => {
      const known = { epoch: old.epoch ?? 0, generation: old.generation ?? 0 }
      return comparePositions(known, position) >= 0 ? old : { ...old, epoch, generation, digest }
    })
  }

  return {
    accepted: () => accepted,
    problem: () => problem ?? trouble,
    refusedGeneration: () => refusedGeneration,
    async resume() {
      isResumed = await survive(resume)
    },
    async take(received, node) {
      if (!isResumed) isResumed = await survive(resume)
      unstored = received ?? unstored
      if (unstored === undefined) return
      if (await survive(() => judge(unstored, node))) unstored = undefined
    },
    hasUnstored: () => unstored !== undefined,
    liftHeld: async () => void (await survive(() => reconciler.updateLedger(withoutHeld))),
  }
}
