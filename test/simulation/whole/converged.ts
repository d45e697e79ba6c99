// How a node must be once everything is well again and has had its time.

import type { Store } from '../../../controller/store/store.ts'
import { Violation } from '../violation.ts'
import { type Machine, SERVERS } from './machine.ts'

export async function checkConverged(store: Store, machine: Machine): Promise<void> {
  const { name, node } = machine
  const { state, report } = await store.transaction(async tx => ({
    state: (await tx.desired.get(name))?.state,
    report: (await tx.reports.get(name))?.report,
  }))
  const status = machine.control()?.status()
  const where = `R13: ${name} is not where it should be:`
  if (status === undefined || state === undefined) throw new Violation(`${where} no state`)
  if (state.mode !== 'enforce') throw new Violation(`${where} it is left with a staged document`)
  if (status.generation !== state.generation)
    throw new Violation(`${where} generation ${status.generation} of ${state.generation}`)
  if (report?.observedGeneration !== state.generation)
    throw new Violation(
      `${where} it has reported ${report?.observedGeneration} of ${state.generation}`,
    )
  const wanted = state.content.services.map(({ service }) => service).toSorted()
  const told = status.services.map(({ service }) => service).toSorted()
  if (String(wanted) !== String(told))
    throw new Violation(`${where} ${String(told)} of ${String(wanted)}`)
  for (const { service, outcome, reason } of status.services)
    if (outcome !== 'in-sync')
      throw new Violation(`${where} ${service} is ${outcome}: ${reason.code} ${reason.message}`)
  for (const service of SERVERS) {
    const served = node.served(service)
    const isWanted = wanted.includes(service)
    if (isWanted && !/^[0-9a-f]{64}$/.test(served))
      throw new Violation(`${where} ${service} serves ${served}`)
  }
  if (machine.hasJournal() || machine.isDown()) throw new Violation(`${where} it is not at rest`)
}
