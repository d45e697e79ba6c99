// Agents that live in the store: each pass reads the node's document, does what an agent would, and
// stores a report. Not a mock of the runner's other side but a small, honest one.

import type { Runner } from '../../../controller/rollout/runner.ts'
import type { Store } from '../../../controller/store/store.ts'
import { sampleReport, type SampleReport, T0 } from '../../contract/samples.ts'

export type Behaviour = 'good' | 'refusing' | 'restoring' | 'breaking' | 'stopped' | 'asleep'

/** One pass of a node's agent. */
export async function pass(
  store: Store,
  runner: Runner,
  node: string,
  behaviour: Behaviour,
): Promise<void> {
  const desired = await store.transaction(tx => tx.desired.get(node))
  if (desired === undefined || behaviour === 'asleep') return
  const { generation, digest, mode, permit } = desired.state
  const tell = (report: SampleReport) => storeReport(store, node, { generation, digest, ...report })
  if (behaviour === 'refusing') return tell({ outcome: 'failed', code: 'config-unparsable' })
  if (behaviour === 'stopped') return tell({ outcome: 'waiting', code: 'inactive' })
  if (mode === 'stage') return tell({ outcome: 'staged' })
  if (!permit) return tell({ outcome: 'in-sync' })
  const { granted } = await runner.claim(node, generation, digest)
  if (!granted) return
  if (behaviour === 'restoring') return tell({ outcome: 'restored', activations: 2 })
  if (behaviour === 'breaking') return tell({ outcome: 'failed', activations: 2 })
  return tell({ outcome: 'changed', activations: 1 })
}

async function storeReport(store: Store, node: string, report: SampleReport): Promise<void> {
  await store.transaction(async tx => {
    const last = (await tx.reports.get(node))?.report
    const next = sampleReport({ ...report, sequence: (last?.sequence ?? 0) + 1 })
    const isSame =
      last?.observedGeneration === next.observedGeneration &&
      last?.services[0]?.outcome === next.services[0]?.outcome
    if (!isSame) await tx.reports.put({ node, report: next, receivedAtMs: T0 })
  })
}
