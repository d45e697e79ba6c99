// Leaves of our own CA, as they are signed one after the other: no two of a group are due together.

import { randomBytes } from 'node:crypto'
import t from 'tap'
import { sealDesiredState } from '../../../shared/contract/desired-state.ts'
import { isServer } from '../../../shared/contract/service.ts'
import { generateKey } from '../../../shared/pki/keys.ts'
import { renewAtMs } from '../../../shared/pki/renewal.ts'
import { slotLengthMs, slotOf } from '../../../shared/pki/renewal-slots.ts'
import { createRenewalSlots, takeSlot } from '../../../controller/api/agent/renewal-slot.ts'
import { createAuthority, issueLeaf } from '../../../controller/ca/authority.ts'
import { compileFleet } from '../../../controller/fleet/compile.ts'
import { parseFleetSpec } from '../../../controller/fleet/spec.ts'
import { openSqliteStore } from '../../../controller/store/sqlite.ts'
import { sampleNode, T0 } from '../../contract/samples.ts'

const SPEC = `
version: 1
fleet: demo
services:
  - { service: influxdb, nodes: { labels: { site: [a] } } }
  - { service: influxdb, nodes: { labels: { site: b } }, lifetime: 30d }
  - { service: elasticsearch, nodes: { labels: { site: [a] } } }
  - { service: elasticsearch, nodes: { labels: { site: b } } }
`
const NODES = 28

await t.test('no two of an entry, or of a cluster, are due in one slot', async t => {
  const store = await openSqliteStore({ path: ':memory:', busyTimeoutMs: 0, nowMs: T0 })
  t.teardown(() => store.close())
  const parsed = parseFleetSpec(SPEC)
  if (parsed.kind === 'invalid') throw new Error(JSON.stringify(parsed.problems))
  const nodes = Array.from({ length: NODES }, (_, index) => ({
    ...sampleNode(`n${index}`),
    labels: { site: index % 2 === 0 ? 'a' : 'b' },
  }))
  const authority = await createAuthority({
    kind: 'service',
    fleet: 'demo',
    nowMs: T0,
    random: randomBytes,
  })
  const ca = { trust: [authority.root.certificatePem], issuedBy: '0'.repeat(64) }
  const fleet = compileFleet(parsed.spec, nodes, ca)
  await store.transaction(async tx => {
    for (const node of nodes) await tx.nodes.insert(node)
    const revision = { digest: parsed.digest, text: SPEC, author: 'ada', createdAtMs: T0 }
    const { number } = await tx.revisions.insert(revision)
    for (const { node, content } of fleet.nodes) {
      const document = { node, generation: 1, mode: 'enforce', permit: false, content } as const
      await tx.desired.put({ state: sealDesiredState(document), revision: number })
    }
  })

  const { publicKeyPem } = await generateKey('ec-p256')
  const slotsOf = createRenewalSlots(randomBytes)
  const issuerPem = authority.intermediate.certificatePem
  const due = new Map<string, number>()
  const signAll = (nowMs: number) =>
    store.transaction(async tx => {
      for (const { node, content } of fleet.nodes)
        for (const tls of content.services.filter(isServer)) {
          const slot = await slotsOf(tx, { node, tls, issuerPem, nowMs })
          const { names, lifetimeMs, renewBeforeMs } = tls.certificate
          const { facts } = issueLeaf(
            authority.intermediate,
            { profile: 'server', publicKeyPem, lifetimeMs, names },
            { nowMs, random: randomBytes, serial: slot.serial },
          )
          await takeSlot(tx, { node, tls }, slot, facts)
          const lengthMs = slotLengthMs({ ...facts, renewBeforeMs }, tls.verify.stableForMs)
          due.set(
            `${tls.service} ${node}`,
            slotOf(renewAtMs({ ...facts, renewBeforeMs }), lengthMs),
          )
        }
    })
  const shared = (service: string, isMember: (node: number) => boolean) => {
    const slots = nodes.flatMap(({ name }, index) =>
      isMember(index) ? [due.get(`${service} ${name}`)] : [],
    )
    return slots.length - new Set(slots).size
  }

  for (const nowMs of [T0, T0 + 20 * 86_400_000]) {
    await signAll(nowMs)
    t.equal(due.size, 2 * NODES)
    for (const site of [0, 1])
      t.equal(
        shared('influxdb', index => index % 2 === site),
        0,
      )
    t.equal(
      shared('elasticsearch', () => true),
      0,
      'one cluster, two entries',
    )
    t.equal(
      shared('influxdb', () => true),
      0,
      'others are avoided where there is room',
    )
  }
})
