// Whatever is issued, used, denied and forgotten in whatever order: an identity that was denied is on
// the denylist until it has ended for every clock, and is never found to be good again.

import fc from 'fast-check'
import t from 'tap'
import { sha256 } from '../../shared/digest.ts'
import { deniedSinceMs, CLOCK_SKEW_MS, prunableBeforeMs } from '../../controller/ca/succession.ts'
import { openSqliteStore } from '../../controller/store/sqlite.ts'
import type { Transaction } from '../../controller/store/store.ts'
import { T0 } from '../contract/samples.ts'

const HOUR_MS = 3_600_000
const POLICY = { lifetimeMs: 48 * HOUR_MS, graceMs: 24 * HOUR_MS }
const NODES = ['a', 'b', 'c']

type Step =
  | { readonly kind: 'issue'; readonly node: string; readonly hours: number }
  | { readonly kind: 'use' | 'revoke' | 'renew'; readonly node: string }
  | { readonly kind: 'wait'; readonly hours: number }
  | { readonly kind: 'housekeeping' }

const node = fc.constantFrom(...NODES)
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constant('issue' as const), node, hours: fc.integer({ min: 1, max: 48 }) }),
  fc.record({ kind: fc.constantFrom('use' as const, 'revoke' as const, 'renew' as const), node }),
  fc.record({ kind: fc.constant('wait' as const), hours: fc.integer({ min: 0, max: 60 }) }),
  fc.record({ kind: fc.constant('housekeeping' as const) }),
)

interface Known {
  readonly fingerprint: string
  readonly node: string
  readonly notAfterMs: number
  isDenied: boolean
  isUsed: boolean
}

t.setTimeout(900_000)

await t.test('a denied identity leaves the denylist by its end alone', async t => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async steps => {
      const store = await openSqliteStore({ path: ':memory:', busyTimeoutMs: 0 })
      try {
        const all: Known[] = []
        let nowMs = T0
        for (const one of steps) {
          if (one.kind === 'wait') nowMs += one.hours * HOUR_MS
          await store.transaction(tx => act(tx, one, all, nowMs))
          await store.transaction(tx => check(tx, all, nowMs))
        }
      } finally {
        await store.close()
      }
    }),
    { numRuns: 150 },
  )
  t.pass()
})

async function act(tx: Transaction, one: Step, all: Known[], nowMs: number): Promise<void> {
  switch (one.kind) {
    case 'issue': {
      const fingerprint = sha256(`${all.length}`)
      const notAfterMs = nowMs + one.hours * HOUR_MS
      await tx.identities.insert({
        fingerprint,
        node: one.node,
        publicKeyDigest: fingerprint,
        certificateChain: 'chain',
        notAfterMs,
        issuedAtMs: nowMs,
        confirmedAtMs: undefined,
        deniedAtMs: undefined,
        deniedFor: undefined,
      })
      all.push({ fingerprint, node: one.node, notAfterMs, isDenied: false, isUsed: false })
      return
    }
    case 'use': {
      const newest = all.findLast(known => known.node === one.node && !known.isDenied)
      if (newest === undefined) return
      newest.isUsed = true
      return tx.identities.confirm(newest.fingerprint, nowMs)
    }
    case 'revoke':
      for (const known of all) if (known.node === one.node) known.isDenied = true
      return tx.identities.deny(one.node, { cause: 'revoked', atMs: nowMs })
    case 'renew': {
      const generation = (await tx.identities.newestConfirmed(one.node))?.generation ?? 0
      await tx.identities.supersede(one.node, generation, nowMs)
      for (const known of all.slice(lastUsed(all, one.node) + 1))
        if (known.node === one.node && !known.isUsed) known.isDenied = true
      return
    }
    case 'wait':
      return
    case 'housekeeping':
      await tx.identities.prune(prunableBeforeMs(POLICY, nowMs))
  }
}

function lastUsed(all: readonly Known[], name: string): number {
  return all.findLastIndex(known => known.node === name && known.isUsed)
}

async function check(tx: Transaction, all: readonly Known[], nowMs: number): Promise<void> {
  const denied = await tx.identities.denied(deniedSinceMs(nowMs))
  const listed = denied.map(({ fingerprint }) => fingerprint)
  if (new Set(listed).size !== listed.length) throw new Error('listed more than once')
  for (const known of all) {
    const isOver = known.notAfterMs < nowMs - CLOCK_SKEW_MS
    const isListed = listed.includes(known.fingerprint)
    if (isListed !== (known.isDenied && !isOver))
      throw new Error(`${JSON.stringify(known)} is ${isListed ? '' : 'not '}listed at ${nowMs}`)
    const record = await tx.identities.get(known.fingerprint)
    if (known.isDenied && record !== undefined && record.deniedFor === undefined)
      throw new Error(`${JSON.stringify(known)} is good again`)
    if (record === undefined && known.notAfterMs >= nowMs - POLICY.graceMs - CLOCK_SKEW_MS)
      throw new Error(`${JSON.stringify(known)} was forgotten too early`)
  }
}
