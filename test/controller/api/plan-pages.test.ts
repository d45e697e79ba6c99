// The plan of a rollout over a large fleet, in pages: the head first, every node once, and no page with
// more diffs than anybody wants to hold.

import t from 'tap'
import {
  type RolloutPlanPage,
  RolloutPlanPage as Page,
} from '../../../shared/contract/rollout-plan.ts'
import { heldNodes } from '../../../controller/rollout/node-preview.ts'
import { sampleNode, samplePlan } from '../../contract/samples.ts'
import { serviceReport } from './fake-agent.ts'
import { codeOf, type Operator, operatorOf, parsed, startController } from './support.ts'

const nodesOf = ({ phases }: RolloutPlanPage) =>
  phases.flatMap(({ batches }) => batches.flatMap(({ nodes }) => nodes))

async function walk(operator: Operator, path: string): Promise<readonly RolloutPlanPage[]> {
  const pages: RolloutPlanPage[] = []
  for (let next: string | undefined = ''; next !== undefined; next = pages.at(-1)?.next) {
    const after = next === '' ? '' : `&after=${next}`
    pages.push(parsed(Page, await operator('GET', `${path}${after}`)))
  }
  return pages
}

async function planned(t: Parameters<typeof startController>[0], size: number, diff: string) {
  const running = await startController(t)
  const { store, runner } = running.controller.context
  const names = Array.from({ length: size }, (_, index) => `n${String(index).padStart(3, '0')}`)
  await store.transaction(async tx => {
    for (const name of names) await tx.nodes.insert(sampleNode(name))
  })
  const reason = { code: 'config-differs', message: 'it differs' }
  const change = {
    resource: '/etc/p.yml',
    kind: 'config-file' as const,
    action: 'update' as const,
    summary: 'changed',
    reason,
    diff,
  }
  const plan = samplePlan(names)
  const views = new Map(
    names.map(name => {
      const report = serviceReport('prometheus', 'planned')
      const unit = `${name}.service`
      return [
        name,
        { result: 'changes' as const, reason, services: [{ ...report, unit, changes: [change] }] },
      ]
    }),
  )
  const settings = { ramp: [50], soakCanaryMs: 0, soakMs: 0 }
  const windows = [{ code: 'window-x', message: 'nobody can log in' }]
  const held = heldNodes(plan.nodes, views)
  const { id } = await runner.create({ ...plan, ...held, settings, windows }, 'ada')
  return { operator: operatorOf(running), path: `/v1/rollouts/${id}/plan`, names }
}

await t.test('every node is on one page, the head on the first', async t => {
  const { operator, path, names } = await planned(t, 7, '+ a\n')
  const whole = parsed(Page, await operator('GET', path))
  const pages = await walk(operator, `${path}?limit=3`)

  t.equal(whole.next, undefined)
  t.strictSame(
    nodesOf(whole)
      .map(({ node }) => node)
      .toSorted(),
    names,
  )
  t.strictSame(pages.flatMap(nodesOf), nodesOf(whole))
  t.strictSame(
    pages.map(page => [nodesOf(page).length, page.windows.length]),
    [
      [3, 1],
      [3, 0],
      [1, 0],
    ],
  )
  for (const { digest, phases } of pages) {
    t.equal(digest, whole.digest)
    t.strictSame(
      phases.map(({ batches }) => batches.map(({ count }) => count)),
      whole.phases.map(({ batches }) => batches.map(({ nodes }) => nodes.length)),
      'each page tells how large the batches are',
    )
  }
  t.equal(codeOf(await operator('GET', `${path}?after=eA`)), 'malformed-request')
})

await t.test('a page with many diffs is shorter, and goes on', async t => {
  const diff = `${'+ a line of a configuration\n'.repeat(1_000)}`
  const { operator, path, names } = await planned(t, 180, diff)
  const pages = await walk(operator, `${path}?limit=500`)

  t.ok(pages.length > 1)
  t.strictSame(
    pages
      .flatMap(nodesOf)
      .map(({ node }) => node)
      .toSorted(),
    names,
  )
  t.ok(pages.flatMap(nodesOf).every(({ preview }) => preview?.services[0]?.changes[0]?.diff))
  t.equal((await walk(operator, `${path}?limit=500&diffs=none`)).length, 1)
  t.equal((await walk(operator, `${path}?node=n007`)).flatMap(nodesOf).length, 1)
})
