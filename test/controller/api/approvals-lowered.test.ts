// Who may apply a fleet spec may not do away with the others who approve it.

import t from 'tap'

import { PlanView, RevisionList } from '../../../shared/contract/operator-api.ts'
import { codeOf, operatorOf, parsed, startController } from './support.ts'

const specWith = (rollout: string) => `
version: 1
fleet: demo
services: []
${rollout}
`
const TWO = specWith('rollout: { approvals: 2 }')
const ONE = specWith('rollout: { approvals: 1 }')
const NONE = specWith('')

await t.test('only an admin has fewer others asked than before', async t => {
  const running = await startController(t)
  const admin = operatorOf(running)
  const operator = operatorOf(running, running.operatorToken)
  const apply = (who: typeof admin, spec: string) => who('POST', '/v1/rollouts', { spec })
  const plan = async (who: typeof admin, spec: string) =>
    parsed(PlanView, await who('POST', '/v1/plans', { spec })).refused?.code
  const latest = async () =>
    parsed(RevisionList, await admin('GET', '/v1/revisions?limit=1')).revisions[0]?.number

  t.equal((await apply(operator, ONE)).status, 200, 'the first one asks for what it likes')
  t.equal((await apply(operator, TWO)).status, 200, 'more may be asked by everybody')
  const same = specWith('rollout: { approvals: 2, maxFailures: 1 }')
  t.equal((await apply(operator, same)).status, 200)
  t.equal(await plan(operator, TWO), undefined)

  for (const spec of [ONE, NONE]) {
    t.equal(await plan(operator, spec), 'approvals-lowered', 'said beforehand')
    const refused = await apply(operator, spec)
    t.match([refused.status, codeOf(refused)], [403, 'approvals-lowered'])
    t.match(refused.body, { detail: /approvals would go from 2 to [01]/, hint: /an admin/ })
  }
  t.equal(await latest(), 3, 'no revision was made of them')

  t.equal(await plan(admin, NONE), undefined)
  t.equal((await apply(admin, NONE)).status, 200)
  t.equal((await apply(operator, specWith('rollout: { maxFailures: 1 }'))).status, 200)
})
