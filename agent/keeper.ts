// Keeps the documents that were accepted: judges what comes, stores what counts before anything is
// done with it.

import type { Reason } from '../shared/contract/schema.ts'
import type { Logger } from '../shared/log.ts'
import { type Accepted, acceptDesired, acceptedFile } from './desired.ts'
import type { Host } from './host.ts'
import { generationOf } from './inbox.ts'
import { withoutHeld } from './ledger.ts'
import type { Reconciler } from './reconcile.ts'

export interface Keeper {
  accepted(): Accepted | undefined
  /** Why the newest document was refused, or what was wrong with the stored state. */
  problem(): Reason | undefined
  /** Generation of a document that was refused since the last one was accepted. */
  refusedGeneration(): number | undefined
  /** Finishes what a crash left, by the documents in force. */
  resume(): Promise<void>
  /** A document as it came over the wire; undefined: none came. */
  take(received: unknown, node: string): Promise<void>
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
  let refusedGeneration: number | undefined
  return {
    accepted: () => accepted,
    problem: () => problem,
    refusedGeneration: () => refusedGeneration,
    async resume() {
      const inForce = accepted?.enforced ?? accepted?.latest
      problem = (await reconciler.resume(inForce?.content.services ?? [])) ?? problem
    },
    async take(received, node) {
      if (received === undefined) return
      const { generation, digest } = reconciler.ledger()
      const result = acceptDesired({
        received,
        node,
        current: accepted,
        highest: { generation, digest },
      })
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
        generation: latest.generation,
        digest: latest.digest,
      }))
      await store.write(result.accepted)
      accepted = result.accepted
      problem = undefined
      refusedGeneration = undefined
    },
  }
}
