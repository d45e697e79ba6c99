// What the journal of a node says of a unit. Nodes of a lab share the clock of their machine.

import type { Lab } from './lab.ts'

interface Entry {
  readonly MESSAGE?: unknown
  readonly _SOURCE_REALTIME_TIMESTAMP?: string
}

/**
 * When the unit was last stopped and last started, microseconds since the epoch, as the manager said it: a
 * journal that is behind has taken it down later. NaN: never.
 */
export async function lastStopAndStart(lab: Pick<Lab, 'output'>, node: string, unit: string) {
  const log = `journalctl --sync; journalctl -u ${unit} -b --no-pager -o json`
  const entries = (await lab.output(node, ['sh', '-ec', log]))
    .trim()
    .split('\n')
    .map((line): Entry => JSON.parse(line))
  const lastUs = (begins: string) => {
    const found = entries.findLast(({ MESSAGE }) => String(MESSAGE).startsWith(begins))
    return Number(found?._SOURCE_REALTIME_TIMESTAMP)
  }
  return { stoppedUs: lastUs('Stopped '), startedUs: lastUs('Started ') }
}
