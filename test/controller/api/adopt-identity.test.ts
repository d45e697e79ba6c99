// Which identities a restored controller takes for its own although it does not know them.

import { randomBytes, X509Certificate } from 'node:crypto'
import t from 'tap'
import { adoptIdentity, type UnknownIdentity } from '../../../controller/api/adopt-identity.ts'
import { recordRestoration } from '../../../controller/backup/restoration.ts'
import { type CaCredential, createAuthority, issueLeaf } from '../../../controller/ca/authority.ts'
import { verifyAudit } from '../../../controller/store/audit-chain.ts'
import { openSqliteStore } from '../../../controller/store/sqlite.ts'
import type { IdentityRecord, Store, Transaction } from '../../../controller/store/store.ts'
import { generateKey } from '../../../shared/pki/keys.ts'
import { sampleNode, T0 } from '../../contract/samples.ts'

const DAY_MS = 86_400_000
const BACKUP_MS = T0 + 10 * DAY_MS + 500
const RESTORED_MS = T0 + 12 * DAY_MS
const NOW_MS = RESTORED_MS + 3_600_000

const authority = () =>
  createAuthority({ kind: 'identity', fleet: 'demo', nowMs: T0, random: randomBytes })
const ca = (await authority()).intermediate
const foreign = (await authority()).intermediate

async function issued(
  atMs: number,
  node = 'a',
  issuer: CaCredential = ca,
): Promise<UnknownIdentity & { readonly record: Omit<IdentityRecord, 'generation'> }> {
  const { publicKeyPem } = await generateKey('ec-p256')
  const request = {
    profile: 'identity',
    nodeId: node,
    publicKeyPem,
    lifetimeMs: 7 * DAY_MS,
  } as const
  const { chainPem, facts } = issueLeaf(issuer, request, { nowMs: atMs, random: randomBytes })
  const { fingerprint, publicKeyDigest, notAfterMs } = facts
  const record = {
    fingerprint,
    node,
    publicKeyDigest,
    certificateChain: chainPem,
    notAfterMs,
    issuedAtMs: atMs,
    confirmedAtMs: undefined,
    deniedAtMs: undefined,
    deniedFor: undefined,
  }
  return { node, fingerprint, publicKeyDigest, certificate: new X509Certificate(chainPem), record }
}

/** A store with the nodes a and b that was restored. */
async function restored(work: (tx: Transaction, store: Store) => Promise<void>): Promise<void> {
  const store = await openSqliteStore({ path: ':memory:', busyTimeoutMs: 0, nowMs: T0 })
  await store.transaction(async tx => {
    for (const name of ['a', 'b']) await tx.nodes.insert(sampleNode(name))
    await recordRestoration(tx, { backupAtMs: BACKUP_MS, restoredAtMs: RESTORED_MS })
    await work(tx, store)
  })
  await store.close()
}

const adopt = (tx: Transaction, identity: UnknownIdentity) =>
  adoptIdentity(tx, identity, { issuerPem: ca.certificatePem, nowMs: NOW_MS })

await t.test('one that was issued between backup and restore is known again, for good', async t => {
  await restored(async tx => {
    const known = await issued(BACKUP_MS - DAY_MS)
    await tx.identities.insert(known.record)
    const identity = await issued(BACKUP_MS + DAY_MS)

    const adopted = await adopt(tx, identity)

    const { fingerprint, publicKeyDigest } = identity
    t.match(adopted, { node: 'a', fingerprint, publicKeyDigest, generation: 2 })
    t.match(adopted, { confirmedAtMs: undefined, deniedFor: undefined })
    t.same(await tx.identities.get(fingerprint), adopted)
    t.equal(adopted?.certificateChain.trim(), identity.record.certificateChain.trim())
    const audit = await tx.audit.list({ after: 0, limit: 9 })
    t.match(audit, [{ actor: 'node:a', action: 'identity-adopt', reason: { code: 'restored' } }])
    t.equal(verifyAudit(audit).kind, 'intact')
  })
})

await t.test('a node that enrolled after the backup is enrolled', async t => {
  await restored(async tx => {
    await tx.nodes.insert({ ...sampleNode('new'), enrolledAtMs: undefined })

    t.ok(await adopt(tx, await issued(BACKUP_MS, 'new')), 'also in the very second of the backup')

    t.type((await tx.nodes.get('new'))?.enrolledAtMs, 'number')
  })
})

await t.test('every other one stays unknown', async t => {
  const good = BACKUP_MS + DAY_MS
  await restored(async tx => {
    const b = await issued(BACKUP_MS - DAY_MS, 'b')
    await tx.identities.insert(b.record)
    const reused = { ...(await issued(good)), publicKeyDigest: b.publicKeyDigest }
    for (const [what, identity] of Object.entries({
      'of before the backup: it was removed': await issued(BACKUP_MS - DAY_MS),
      'of after the restore: another controller has made it': await issued(RESTORED_MS + DAY_MS),
      'of another CA of the same name': await issued(good, 'a', foreign),
      'for a node that the backup does not know': await issued(good, 'c'),
      'for the key of another node': reused,
    })) {
      t.equal(await adopt(tx, identity), undefined, what)
    }
    const reason = { code: 'identity-revoked', message: 'an operator has revoked it' }
    await tx.nodes.lock('a', { reason, atMs: T0 })
    t.equal(await adopt(tx, await issued(good)), undefined, 'for a node that is locked')
    t.same(await tx.audit.list({ after: 0, limit: 9 }), [])
  })
})

await t.test('a predecessor is not taken for the successor', async t => {
  await restored(async tx => {
    const [older, newer] = [
      await issued(BACKUP_MS + DAY_MS),
      await issued(BACKUP_MS + 2_000 + DAY_MS),
    ]

    t.ok(await adopt(tx, newer))
    t.equal(await adopt(tx, older), undefined)
  })
})

await t.test('a controller that was never restored knows all of its identities', async t => {
  const store = await openSqliteStore({ path: ':memory:', busyTimeoutMs: 0, nowMs: T0 })
  await store.transaction(async tx => {
    await tx.nodes.insert(sampleNode('a'))
    t.equal(await adopt(tx, await issued(BACKUP_MS + DAY_MS)), undefined)
  })
  await store.close()
})
