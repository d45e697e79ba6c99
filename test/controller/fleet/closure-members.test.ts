// Nodes of an Elasticsearch cluster that verify each other, whichever of them has moved to another CA.

import t from 'tap'
import { brokenEdges } from '../../../controller/fleet/closure.ts'
import type { DesiredContent } from '../../../shared/contract/desired-state.ts'
import { parseCertificate } from '../../../shared/pki/pem.ts'
import { sha256 } from '../../../shared/digest.ts'
import { serverTls } from '../../agent/services/fake-node.ts'
import { createTestCa } from '../../shared/pki/support.ts'

const made = (name: string) => {
  const pem = createTestCa(name).make({ profile: { kind: 'root' } }).pem
  return { pem, fingerprint: sha256(parseCertificate(pem).raw) }
}
const OLD = made('old')
const NEW = made('new')
const signers = [OLD, NEW].map(({ fingerprint }) => ({ issuer: fingerprint, root: fingerprint }))

function member(
  issuedBy: typeof OLD,
  trust: readonly (typeof OLD)[],
  transport: 'leave' | 'manage' = 'manage',
): DesiredContent {
  const tls = serverTls('elasticsearch')
  return {
    services: [
      {
        ...tls,
        certificate: { ...tls.certificate, issuedBy: issuedBy.fingerprint },
        trust: trust.map(({ pem }) => pem),
        options: { layout: 'pkcs12', transport },
      },
    ],
  }
}

const onAll = (from: DesiredContent, to: DesiredContent, count = 4) =>
  Array.from({ length: count }, (_, index) => ({ node: `es${index}`, from, to }))

for (const combinations of ['mixed', 'all'] as const) {
  const broken = (nodes: ReturnType<typeof onAll>) =>
    brokenEdges(nodes, { signers, combinations }).map(
      ({ client, server }) => `${client.side} ${server.side}`,
    )

  await t.test(`the way over both CAs holds in every state (${combinations})`, async t => {
    const steps = [
      member(OLD, [OLD]),
      member(OLD, [OLD, NEW]),
      member(NEW, [OLD, NEW]),
      member(NEW, [NEW]),
    ]
    for (const [index, to] of steps.entries()) {
      const from = steps[index - 1]
      if (from !== undefined) t.strictSame(broken(onAll(from, to)), [], `step ${index}`)
    }
  })

  await t.test(`at once, some would not know the others (${combinations})`, async t => {
    const [old, next] = [member(OLD, [OLD]), member(NEW, [NEW])]
    t.strictSame([...new Set(broken(onAll(old, next)))].toSorted(), ['from to', 'to from'])
    t.strictSame(broken(onAll(old, next, 1)), [], 'one node is on one side')
    const both = member(NEW, [OLD, NEW])
    t.strictSame([...new Set(broken(onAll(old, both)))], ['from to'])
  })

  await t.test(`layers of others are theirs (${combinations})`, async t => {
    const [old, next] = [member(OLD, [OLD], 'leave'), member(NEW, [NEW], 'leave')]
    t.strictSame(broken(onAll(old, next)), [])
  })
}
