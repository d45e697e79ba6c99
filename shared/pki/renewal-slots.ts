// Keeps the renewals of a group apart: whoever signs chooses, among random serials, one whose
// renewal falls into a slot that nobody else of the group has. Only for certificates of our own
// CA: where somebody else makes the serial (csr, acme, self-signed on the node), the lease that an
// agent takes for its renewal keeps the members of a group apart.

import { type RandomBytes, serialNumber } from './random.ts'
import { type Life, renewalWindow, renewAtMs } from './renewal.ts'

/** Into so many slots a window is divided, unless they would be shorter than a renewal takes. */
const SLOTS = 32

// One of 33 slots in the worst case: what is not found in so many tries is there in one of 10^13.
const TRIES_MAX = 1024

/**
 * Slots lie on one grid for all certificates of the same life, so that two of them either share a
 * slot or do not. `settleMs`: until one member is known to be well, the next one waits.
 */
export function slotLengthMs(life: Life, settleMs: number): number {
  const { widthMs } = renewalWindow(life)
  return Math.max(1, Math.floor(Math.min(widthMs, Math.max(settleMs, widthMs / SLOTS))))
}

export function slotOf(atMs: number, lengthMs: number): number {
  return Math.floor(atMs / lengthMs)
}

/** Slots that lie in the window from end to end. */
export function wholeSlots(life: Life, lengthMs: number): readonly number[] {
  const { startMs, widthMs } = renewalWindow(life)
  const first = Math.ceil(startMs / lengthMs)
  const count = Math.floor((startMs + widthMs) / lengthMs) - first
  return Array.from({ length: Math.max(0, count) }, (_, index) => first + index)
}

/** How many are renewed in a slot. */
export interface SlotLoad {
  readonly slot: number
  /** Others of the group. */
  readonly group: number
  /** Others whom it would be kind to avoid: they decide between equals. */
  readonly others: number
}

export interface SlotQuestion {
  readonly life: Life
  readonly settleMs: number
  /** Of the slots in which there is somebody. */
  readonly loads: readonly SlotLoad[]
  readonly random: RandomBytes
}

/**
 * A serial from the random source whose renewal is in a slot with as few of the group as can be:
 * none while there are as many slots as members. The choice among 33 slots takes 6 of its 126 random
 * bits at most. Asked once, when the certificate is made: what a certificate is due at never changes.
 */
export function serialForSlot({ life, settleMs, loads, random }: SlotQuestion): Uint8Array {
  const lengthMs = slotLengthMs(life, settleMs)
  const weightOf = weights(loads)
  const draw = () => {
    const serial = serialNumber(random)
    const atMs = renewAtMs({ ...life, serial: Buffer.from(serial).toString('hex') })
    return { serial, weight: weightOf(slotOf(atMs, lengthMs)) }
  }
  const least = Math.min(...wholeSlots(life, lengthMs).map(weightOf))
  let best = draw()
  for (let tries = 1; tries < TRIES_MAX && best.weight > least; tries++) {
    const other = draw()
    if (other.weight < best.weight) best = other
  }
  return best.serial
}

// One member of the group weighs more than all others together.
function weights(loads: readonly SlotLoad[]): (slot: number) => number {
  const heaviest = 1 + loads.reduce((sum, { others }) => sum + others, 0)
  const known = new Map(loads.map(({ slot, group, others }) => [slot, group * heaviest + others]))
  return slot => known.get(slot) ?? 0
}
