// What a node owes to its cluster is kept by the controller, and paid by another member when the node
// does not; an operator sees it, and may say that it is paid.

import t from 'tap'
import { parseDesiredAnswer } from '../../../shared/contract/agent-api.ts'
import { AuditList } from '../../../shared/contract/audit.ts'
import { AGENT_ROUTES } from '../../../shared/contract/protocol.ts'
import { DebtList, GroupList } from '../../../shared/contract/rollout-verbs.ts'
import { DEBT_PATIENCE_MS } from '../../../controller/api/agent/debt-desk.ts'
import {
  type AgentClient,
  codeOf,
  joinFleet,
  operatorOf,
  parsed,
  type Running,
  startController,
} from './support.ts'

const SPEC = `
version: 1
fleet: demo
services:
  - { service: elasticsearch, nodes: all }
groups:
  - { name: masters, kind: master-eligible, nodes: { names: [n1, n2] } }
`
const DEBT = { debtId: '0123456789abcdef', service: 'elasticsearch' } as const

async function fleet(t: Parameters<typeof startController>[0]) {
  const running = await startController(t)
  const admin = operatorOf(running)
  const [n1, n2, n3] = [
    await joinFleet(running, admin, 'n1'),
    await joinFleet(running, admin, 'n2'),
    await joinFleet(running, admin, 'n3'),
  ]
  t.teardown(() => [n1, n2, n3].forEach(client => client.close()))
  await running.controller.context.store.transaction(tx =>
    tx.revisions.insert({ digest: '1', text: SPEC, author: 'a', createdAtMs: 0 }),
  )
  const debts = async () => parsed(DebtList, await admin('GET', '/v1/debts')).debts
  return { running, admin, n1, n2, n3, debts }
}

const say = (
  client: AgentClient,
  news: { owed?: readonly object[]; settled?: readonly string[] },
) => client.post(AGENT_ROUTES.debts, { owed: [], settled: [], ...news })

const asked = async (client: AgentClient) =>
  parseDesiredAnswer((await client.get(`${AGENT_ROUTES.desired}?generation=999&wait=0`)).body).debts

async function pass({ controller }: Running, ms: number): Promise<void> {
  await controller.context.store.transaction(async tx => {
    const { version, timeMs } = await tx.controllerTime.get()
    await tx.controllerTime.advance(version, timeMs + ms)
  })
}

await t.test('a debt is kept, shown, and paid by the one that made it', async t => {
  const { admin, n1, debts } = await fleet(t)
  t.equal((await say(n1, { owed: [DEBT] })).status, 200)
  t.match(await debts(), [{ ...DEBT, node: 'n1', groups: ['masters'] }])
  await say(n1, { owed: [DEBT] })
  t.equal((await debts()).length, 1, 'said twice it is one')
  const { groups } = parsed(GroupList, await admin('GET', '/v1/groups'))
  t.match(
    groups.find(({ name }) => name === 'masters'),
    { notices: [{ code: 'absence-owed', message: /n1/ }] },
  )
  await say(n1, {})
  t.equal((await debts()).length, 1, 'who has forgotten it has not paid it')
  await say(n1, { settled: [DEBT.debtId] })
  t.strictSame(await debts(), [])
})

await t.test('in time another member is asked for it, and nobody else', async t => {
  const { running, n1, n2, n3, debts } = await fleet(t)
  await say(n1, { owed: [DEBT] })
  t.equal(await asked(n2), undefined, 'who made it may be at work')
  await pass(running, DEBT_PATIENCE_MS)
  t.strictSame(await asked(n2), [DEBT])
  t.equal(await asked(n2), undefined, 'not in a circle')
  t.strictSame(await asked(n1), [DEBT], 'also the one that made it: it may have lost its memory')
  t.equal(await asked(n3), undefined)
  running.elapse(60_000)
  t.strictSame(await asked(n2), [DEBT], 'again after a while')

  await say(n3, { settled: [DEBT.debtId] })
  t.equal((await debts()).length, 1, 'of another cluster it cannot say so')
  await say(n2, { settled: [DEBT.debtId] })
  t.strictSame(await debts(), [])
})

await t.test('what a removed node owes is asked of the others at once', async t => {
  const { admin, n1, n2, debts } = await fleet(t)
  await say(n1, { owed: [DEBT] })
  t.equal((await admin('DELETE', '/v1/nodes/n1')).status, 204)
  t.strictSame(await asked(n2), [DEBT])
  t.equal((await debts()).length, 1)
})

await t.test('a controller that starts anew still knows', async t => {
  const { running, n1 } = await fleet(t)
  await say(n1, { owed: [DEBT] })
  const next = await running.restart()
  const { debts } = parsed(DebtList, await operatorOf(next)('GET', '/v1/debts'))
  t.match(debts, [{ ...DEBT, node: 'n1' }])
})

await t.test('an operator may say that it is paid; nobody may make things up', async t => {
  const { running, admin, n1, debts } = await fleet(t)
  await say(n1, { owed: [DEBT] })
  const path = `/v1/debts/${DEBT.debtId}/forgive`
  const viewer = operatorOf(running, running.viewerToken)
  t.equal((await viewer('POST', path, {})).status, 403)
  t.equal((await admin('POST', path, { reason: 'by hand' })).status, 200)
  t.strictSame(await debts(), [])
  const { records } = parsed(AuditList, await admin('GET', '/v1/audit'))
  t.match(
    records.find(({ action }) => action === 'debt-forgive'),
    { actor: 'admin', subject: `n1/${DEBT.debtId}`, reason: { message: 'by hand' } },
  )
  t.equal(codeOf(await admin('POST', path, {})), 'not-found')
  t.equal((await say(n1, { owed: [{ ...DEBT, debtId: '../x' }] })).status, 400)
})
