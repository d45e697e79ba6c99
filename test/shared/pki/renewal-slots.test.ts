// Members of a group are renewed in different slots, over many renewals, for lives of minutes as for
// lives of months.

import { createHash } from 'node:crypto'
import fc from 'fast-check'
import t from 'tap'
import { serialNumber, type RandomBytes } from '../../../shared/pki/random.ts'
import {
  floorAtMs,
  isDue,
  prepareAtMs,
  renewAtMs,
  renewalWindow,
} from '../../../shared/pki/renewal.ts'
import {
  serialForSlot,
  slotLengthMs,
  slotOf,
  wholeSlots,
} from '../../../shared/pki/renewal-slots.ts'
import { DAY_MS, NOW_MS } from './support.ts'

const MINUTE_MS = 60_000

/** The same bytes for the same seed. */
function seeded(seed: number): RandomBytes {
  let count = 0
  return size => createHash('sha256').update(`${seed} ${count++}`).digest().subarray(0, size)
}

interface Leaf {
  readonly notBeforeMs: number
  readonly notAfterMs: number
  readonly renewBeforeMs: number
  readonly serial: string
}

interface Group {
  readonly lifetimeMs: number
  readonly renewBeforeMs: number
  readonly settleMs: number
  readonly random: RandomBytes
}

function loadsOf(group: readonly number[], others: readonly number[], lengthMs: number) {
  const isIn = (slot: number) => (atMs: number) => slotOf(atMs, lengthMs) === slot
  const slots = new Set([...group, ...others].map(atMs => slotOf(atMs, lengthMs)))
  return [...slots].map(slot => ({
    slot,
    group: group.filter(isIn(slot)).length,
    others: others.filter(isIn(slot)).length,
  }))
}

function issue(
  { lifetimeMs, renewBeforeMs, settleMs, random }: Group,
  nowMs: number,
  members: readonly Leaf[],
): Leaf {
  const life = { notBeforeMs: nowMs, notAfterMs: nowMs + lifetimeMs, renewBeforeMs }
  const loads = loadsOf(members.map(renewAtMs), [], slotLengthMs(life, settleMs))
  const serial = serialForSlot({ life, settleMs, loads, random })
  return { ...life, serial: Buffer.from(serial).toString('hex') }
}

function sharing(members: readonly Leaf[], lengthMs: number): number {
  return members.length - new Set(members.map(leaf => slotOf(renewAtMs(leaf), lengthMs))).size
}

const lives = fc.record({
  lifetimeMs: fc.oneof(
    fc.integer({ min: 2 * MINUTE_MS, max: 60 * MINUTE_MS }),
    fc.integer({ min: DAY_MS, max: 398 * DAY_MS }),
  ),
  part: fc.double({ min: 0.05, max: 0.45, noNaN: true }),
  settleMs: fc.integer({ min: 1_000, max: 30_000 }),
  seed: fc.integer(),
})

await t.test(
  'no two of a group are renewed in one slot while there are as many slots as members',
  async t => {
    let renewals = 0
    fc.assert(
      fc.property(lives, fc.double({ min: 0.1, max: 1, noNaN: true }), (given, share) => {
        const { lifetimeMs, settleMs } = given
        const group: Group = {
          lifetimeMs,
          settleMs,
          renewBeforeMs: Math.floor(lifetimeMs * given.part),
          random: seeded(given.seed),
        }
        const life = { ...group, notBeforeMs: NOW_MS, notAfterMs: NOW_MS + lifetimeMs }
        const lengthMs = slotLengthMs(life, settleMs)
        // Wherever the window begins, so many slots lie in it as a whole.
        const slots = Math.floor(renewalWindow(life).widthMs / lengthMs) - 1
        const size = Math.max(1, Math.floor(slots * share))
        let members: readonly Leaf[] = []
        for (let index = 0; index < size; index++)
          members = [...members, issue(group, NOW_MS + index, members)]
        if (sharing(members, lengthMs) > 0) return false
        // Three generations: whoever is due is renewed a moment later, as agents do.
        for (let turn = 0; turn < 3 * size; turn++) {
          const next = members.toSorted((a, b) => renewAtMs(a) - renewAtMs(b))[0]
          if (next === undefined) return false
          const rest = members.filter(leaf => leaf !== next)
          members = [...rest, issue(group, renewAtMs(next) + 500, rest)]
          renewals += 1
          if (sharing(members, lengthMs) > 0) return false
        }
        return true
      }),
      { numRuns: 60 },
    )
    t.ok(renewals > 500, `${renewals} renewals`)
  },
)

await t.test('a group that is larger than the window is spread as evenly as can be', async t => {
  const group = { lifetimeMs: 90 * DAY_MS, renewBeforeMs: 30 * DAY_MS, settleMs: 5_000 }
  const random = seeded(7)
  const members: Leaf[] = []
  for (let index = 0; index < 200; index++)
    members.push(issue({ ...group, random }, NOW_MS, members))

  const life = { ...group, notBeforeMs: NOW_MS, notAfterMs: NOW_MS + group.lifetimeMs }
  const lengthMs = slotLengthMs(life, group.settleMs)
  const slots = wholeSlots(life, lengthMs)
  const counts = slots.map(
    slot => members.filter(leaf => slotOf(renewAtMs(leaf), lengthMs) === slot).length,
  )
  t.ok(slots.length >= 31, `${slots.length} slots`)
  t.ok(Math.max(...counts) <= 7 && Math.min(...counts) >= 5, counts.join(' '))
})

await t.test('between slots that are free, the emptier one of all others is taken', async t => {
  const life = {
    notBeforeMs: NOW_MS,
    notAfterMs: NOW_MS + 30 * DAY_MS,
    renewBeforeMs: 10 * DAY_MS,
  }
  const lengthMs = slotLengthMs(life, 5_000)
  const [free, taken, ...rest] = wholeSlots(life, lengthMs).map(slot => (slot + 0.5) * lengthMs)
  if (free === undefined || taken === undefined) throw new Error('there are 31 slots at least')
  const edges = [
    renewalWindow(life).startMs,
    renewalWindow(life).startMs + renewalWindow(life).widthMs,
  ]

  const loads = loadsOf([taken], [...rest, ...edges], lengthMs)
  const serial = serialForSlot({ life, settleMs: 5_000, loads, random: seeded(3) })

  const atMs = renewAtMs({ ...life, serial: Buffer.from(serial).toString('hex') })
  t.equal(slotOf(atMs, lengthMs), slotOf(free, lengthMs))
})

await t.test('what is chosen is still a serial of the random source', async t => {
  const life = { notBeforeMs: NOW_MS, notAfterMs: NOW_MS + DAY_MS, renewBeforeMs: DAY_MS / 3 }
  const drawn = new Set<string>()
  const source = seeded(11)
  const random: RandomBytes = size => {
    const bytes = source(size)
    drawn.add(Buffer.from(serialNumber(() => bytes)).toString('hex'))
    return bytes
  }
  const group: number[] = []
  const serials = Array.from({ length: 40 }, () => {
    const loads = loadsOf(group, [], slotLengthMs(life, 1_000))
    const serial = serialForSlot({ life, settleMs: 1_000, loads, random })
    const hex = Buffer.from(serial).toString('hex')
    group.push(renewAtMs({ ...life, serial: hex }))
    return hex
  })

  t.ok(serials.every(serial => drawn.has(serial) && serial.length === 32))
  t.equal(new Set(serials.map(serial => serial.slice(0, 16))).size, 40, '64 bits tell them apart')
})

await t.test('over its life a leaf is due once, and its successor begins undue', async () => {
  fc.assert(
    fc.property(lives, fc.integer({ min: 0, max: 5_000 }), (given, lateMs) => {
      const renewBeforeMs = Math.floor(given.lifetimeMs * given.part)
      const group = { ...given, renewBeforeMs, random: seeded(given.seed) }
      let leaf = issue(group, NOW_MS, [])
      for (let turn = 0; turn < 5; turn++) {
        const { startMs, widthMs } = renewalWindow(leaf)
        // A look at every hundredth of its life: undue up to one moment, due from then on.
        const looks = Array.from({ length: 101 }, (_, part) =>
          isDue(leaf, leaf.notBeforeMs + (given.lifetimeMs * part) / 100),
        )
        const changes = looks.filter((due, index) => index > 0 && due !== looks[index - 1]).length
        const atMs = renewAtMs(leaf)
        if (changes !== 1 || looks[0] === true || atMs < startMs || atMs > startMs + widthMs)
          return false
        if (prepareAtMs(leaf) >= atMs || floorAtMs(leaf) <= atMs) return false
        leaf = issue(group, atMs + lateMs, [])
        if (isDue(leaf, atMs + lateMs)) return false
      }
      return true
    }),
    { numRuns: 200 },
  )
})

await t.test('where nothing is said of an unknown life, a third of it is taken', async t => {
  const notSaid = 398 * DAY_MS
  for (const days of [6, 47, 90, 397]) {
    const life = { notBeforeMs: NOW_MS, notAfterMs: NOW_MS + days * DAY_MS, renewBeforeMs: notSaid }
    t.equal(renewalWindow(life).startMs, Math.round(NOW_MS + (days * DAY_MS * 2) / 3), `${days} d`)
  }
})
