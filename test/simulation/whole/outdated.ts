// R7: a controller that goes on with the store of before a restore. Whoever has seen the new epoch gets
// nothing of it any more, neither a document nor a lease.

import {
  AGENT_ROUTES,
  PROTOCOL_HEADER,
  PROTOCOL_VERSION,
} from '../../../shared/contract/protocol.ts'
import { STATE } from '../../support/memory-fleet.ts'
import { Violation } from '../violation.ts'
import type { Controller } from './controller.ts'
import type { Machine } from './machine.ts'

/** Throws where it answers otherwise than that its epoch is over. Gives how many nodes were refused. */
export async function requireOutdated(
  { name, app }: Controller,
  machines: Iterable<Machine>,
  epoch: number,
): Promise<number> {
  let refused = 0
  for (const machine of machines) {
    const known = positionOf(machine)
    if (known === undefined || known.epoch < epoch) continue
    const query = `wait=0&epoch=${known.epoch}&generation=${known.generation}`
    const { statusCode, payload } = await app.inject({
      method: 'GET',
      url: `${AGENT_ROUTES.desired}?${query}`,
      headers: { [PROTOCOL_HEADER]: String(PROTOCOL_VERSION), 'x-node': machine.name },
    })
    if (statusCode === 200 || !payload.includes('epoch-outdated'))
      throw new Violation(`R7: ${name} of before answers ${machine.name}: ${statusCode}`)
    const claim = await app.inject({
      method: 'POST',
      url: AGENT_ROUTES.lease,
      headers: { [PROTOCOL_HEADER]: String(PROTOCOL_VERSION), 'x-node': machine.name },
      payload: {
        generation: known.generation,
        digest: known.digest,
        purpose: 'correction',
        sequence: 1,
      },
    })
    if (claim.payload.includes('"granted":true'))
      throw new Violation(`R7: ${name} of before gives ${machine.name} a lease`)
    refused++
  }
  return refused
}

/** What the agent has stored of its document. */
function positionOf({ node }: Machine) {
  const text = node.files.text(`${STATE}/ledger.json`) ?? ''
  const generation = Number(/"generation":(\d+)/.exec(text)?.[1] ?? 0)
  const digest = /"digest":"([0-9a-f]{64})"/.exec(text)?.[1]
  const epoch = Number(/"epoch":(\d+)/.exec(text)?.[1] ?? 0)
  return digest === undefined ? undefined : { epoch, generation, digest }
}
