// Labels and names of a node that is there: changed without touching the node, its identity, or what it
// was given; groups, plans and certificates follow.

import t from 'tap'
import { AuditList } from '../../../shared/contract/audit.ts'
import { NodeView } from '../../../shared/contract/operator-api.ts'
import { GroupList } from '../../../shared/contract/rollout-verbs.ts'
import { AGENT_ROUTES } from '../../../shared/contract/protocol.ts'
import { codeOf, joinFleet, operatorOf, parsed, startController } from './support.ts'

const SPEC = `
version: 1
fleet: demo
services:
  - { service: prometheus, nodes: all }
groups:
  - { name: web, kind: pool, percent: 50, nodes: { labels: { role: [web] } } }
`

const running = await startController(t)
const admin = operatorOf(running)
const n1 = await joinFleet(running, admin, 'n1', { role: 'web', rack: 'r1' }, '192.0.2.1')
const n2 = await joinFleet(running, admin, 'n2', { role: 'web' })
t.teardown(() => [n1, n2].forEach(client => client.close()))
const { store } = running.controller.context
await store.transaction(tx =>
  tx.revisions.insert({ digest: '1', text: SPEC, author: 'a', createdAtMs: 0 }),
)
const shown = async () => parsed(NodeView, await admin('GET', '/v1/nodes/n1'))
const members = async () =>
  parsed(GroupList, await admin('GET', '/v1/groups')).groups.find(({ name }) => name === 'web')
    ?.members
const change = (body: object) => admin('PATCH', '/v1/nodes/n1', body)

await t.test('labels are set and taken away one by one, and groups follow', async t => {
  t.strictSame(await members(), ['n1', 'n2'])
  const answer = await change({ labels: { role: null, tier: 'gold' }, reason: 'moved' })
  t.equal(answer.status, 200, answer.text)
  const { labels, names, enrolledAtMs } = await shown()
  t.strictSame(labels, { rack: 'r1', tier: 'gold' })
  t.strictSame(names.ip, ['192.0.2.1'], 'names stay')
  t.type(enrolledAtMs, 'number', 'it stays enrolled')
  t.strictSame(await members(), ['n2'])
  t.equal((await n1.get(AGENT_ROUTES.whoami)).status, 200)
  const { records } = parsed(AuditList, await admin('GET', '/v1/audit'))
  t.match(
    records.find(({ action }) => action === 'node-change'),
    { actor: 'admin', subject: 'n1', reason: { code: 'operator-node-change', message: 'moved' } },
  )
})

await t.test('a list of names that is given replaces the one of before', async t => {
  const { names: before } = await shown()
  t.equal((await change({ names: { dns: ['N1.example.org', 'web.example.org'] } })).status, 200)
  const { names } = await shown()
  t.strictSame(names, { dns: ['n1.example.org', 'web.example.org'], ip: before.ip })
})

await t.test('what makes no node is refused, and changes nothing', async t => {
  const before = await shown()
  for (const [body, status, code] of [
    [{ names: { dns: [], ip: [] } }, 400, 'names-missing'],
    [{ names: { dns: ['*.example.org'] } }, 400, undefined],
    [{ labels: { Role: 'x' } }, 400, 'malformed-request'],
    [{ labels: { role: '' } }, 400, 'malformed-request'],
    [{ name: 'n9' }, 400, 'malformed-request'],
  ] as const) {
    const answer = await change(body)
    t.equal(answer.status, status, JSON.stringify(body))
    if (code !== undefined) t.equal(codeOf(answer), code)
  }
  t.equal(codeOf(await admin('PATCH', '/v1/nodes/none', {})), 'not-found')
  const viewer = operatorOf(running, running.viewerToken)
  t.equal((await viewer('PATCH', '/v1/nodes/n1', { labels: { a: 'b' } })).status, 403)
  t.strictSame(await shown(), before)
})
