// What every store must do with plans: what nodes said by its digest, and what documents hold them to.

import { sealDesiredState } from '../../shared/contract/desired-state.ts'
import type { NodePreview } from '../../shared/contract/rollout-plan.ts'
import { sha256 } from '../../shared/digest.ts'
import { sampleContent, sampleNode } from './samples.ts'
import type { Check } from './store.ts'

const preview: NodePreview = {
  result: 'none',
  reason: { code: 'in-sync', message: 'the node is as the spec wants it' },
  services: [],
}

export function checkPreviews(check: Check): void {
  check('what a node said is found by its digest, and stays as it was', async (t, store) => {
    const other: NodePreview = { ...preview, result: 'changes' }
    await store.transaction(async tx => {
      await tx.previews.put(sha256('1'), preview)
      await tx.previews.put(sha256('1'), other)
    })
    await store.transaction(async tx => {
      t.strictSame(await tx.previews.get(sha256('1')), preview)
      t.equal(await tx.previews.get(sha256('2')), undefined)
    })
  })

  check('a document keeps what it holds its node to, the next one forgets it', async (t, store) => {
    const planned = [
      { service: 'influxdb', digest: sha256('effect'), disruption: 'rolling' },
      { service: 'prometheus', digest: sha256('other') },
    ] as const
    const document = {
      node: 'a',
      mode: 'stage',
      permit: false,
      content: sampleContent('a'),
    } as const
    const held = sealDesiredState({ ...document, generation: 1, planned: [...planned] })
    const free = sealDesiredState({ ...document, generation: 2 })
    await store.transaction(async tx => {
      await tx.nodes.insert(sampleNode('a'))
      await tx.desired.put({ state: held, revision: 1 })
      t.strictSame((await tx.desired.get('a'))?.state, held)
      await tx.desired.put({ state: free, revision: 1 })
      t.strictSame((await tx.desired.get('a'))?.state, free)
    })
  })
}
