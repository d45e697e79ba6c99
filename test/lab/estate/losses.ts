// Whether anything that clients wrote is missing.

import type { Test } from 'tap'
import * as z from 'zod/mini'
import { type Lab, until } from '../lab.ts'
import {
  type Clients,
  countedDocuments,
  missingEvents,
  type Reading,
  telegrafAccount,
} from './clients.ts'
import { METRICBEAT_GONE } from './elastic.ts'
import { hostsOf } from './members.ts'

/** Documents that were acknowledged, and metrics that telegraf had in its buffer. */
export async function nothingIsLost(
  t: Test,
  lab: Lab,
  clients: Clients,
  reading: Reading,
): Promise<void> {
  const { acknowledged, found } = await countedDocuments(lab, clients, reading)
  t.equal(found, acknowledged, `${acknowledged} documents`)
  const { status, points } = await telegrafAccount(lab, reading)
  const [output] = status.outputs
  t.match(output, { dropped: 0, overflowed: 0, discarded: 0 })
  t.equal((output?.written ?? 0) + (output?.buffered ?? 0), status.generated)
  t.strictSame(points, [output?.written, output?.written], `${status.generated} metrics`)
}

/**
 * What metricbeat could not send waited in its queue, or is on its way: another worker may be ahead. Only what was
 * on its way at the moment it was stopped is gone, with its memory: one event a worker, not what piled up in an
 * order that is wrong.
 */
export async function noEventIsLost(t: Test, lab: Lab, reading: Reading): Promise<void> {
  const stops = await goneWithStops(lab)
  t.comment(`metricbeat, whenever it was stopped: ${JSON.stringify(stops)}`)
  const gone = new Set(stops.flatMap(stop => stop.gone))
  await eventsArrive(t, lab, reading, gone)
  const piled = stops.filter(stop => stop.gone.length > hostsOf('elasticsearch').length)
  t.strictSame(piled, [], 'nothing had piled up when it was stopped')
}

/** One that is on its way is not missing: what is missing at one moment must arrive. */
export async function eventsArrive(
  t: Test,
  lab: Lab,
  reading: Reading,
  gone: ReadonlySet<number> = new Set(),
): Promise<void> {
  const first = async () => {
    const found = await missingEvents(lab, reading)
    return found.last > 0 && found
  }
  const { last, missing } = await until(first, { what: 'the first event arrives', everyMs: 500 })
  const lost = new Set(missing.filter(number => !gone.has(number)))
  const arrived = async () => {
    const { missing: still } = await missingEvents(lab, reading)
    for (const number of lost) if (!still.includes(number)) lost.delete(number)
    return lost.size === 0
  }
  // As long as metricbeat waits for an answer, and longer.
  const what = `${[...lost].join(', ')} of ${last} events arrive`
  await until(arrived, { what, everyMs: 500, timeoutMs: 180_000 }).catch(async () => {
    const [host = ''] = hostsOf('metricbeat')
    const journal = 'journalctl -u metricbeat -o cat | grep -E "warn|error" | tail -n 40'
    t.comment((await lab.exec(host, ['sh', '-c', journal])).stdout)
  })
  t.strictSame([...lost], [], `${last} events`)
}

const Stop = z.object({ last: z.number(), gone: z.array(z.number()) })

/** Of each stop of metricbeat, the last number and those that were neither acknowledged nor given up. */
async function goneWithStops(lab: Lab): Promise<readonly z.infer<typeof Stop>[]> {
  const [host = ''] = hostsOf('metricbeat')
  const text = await lab.readFile(host, METRICBEAT_GONE)
  return text
    .trimEnd()
    .split('\n')
    .map(line => Stop.parse(JSON.parse(line)))
}
