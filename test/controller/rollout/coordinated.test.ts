// Changes that a whole cluster makes at once: which plans would tear one apart.

import t from 'tap'
import { type GroupDefinition, tolerance } from '../../../controller/fleet/groups.ts'
import { needsWhole, tornNodes } from '../../../controller/rollout/coordinated.ts'
import { heldNodes } from '../../../controller/rollout/node-preview.ts'
import { makePlan } from '../../../controller/rollout/plan.ts'
import type { PlannedNode } from '../../../controller/rollout/rollout.ts'
import { contentDigestOf, type DesiredContent } from '../../../shared/contract/desired-state.ts'
import type { ServiceReport } from '../../../shared/contract/report.ts'
import type { NodePreview } from '../../../shared/contract/rollout-plan.ts'
import { sha256 } from '../../../shared/digest.ts'
import { clientTls, influxdbTls, serverTls } from '../../agent/services/fake-node.ts'

type Transport = 'leave' | 'manage'
type Says = 'coordinated' | 'rolling' | 'refused'

const NONE = { code: 'none', message: 'nothing' }
const WHY = { code: 'coordinated-change', message: 'all of them at once' }

function wants(transport: Transport): DesiredContent {
  return { services: [serverTls('elasticsearch', { options: { layout: 'pkcs12', transport } })] }
}

function planned(node: string, transport: Transport): PlannedNode {
  const content = wants(transport)
  return { node, from: undefined, to: contentDigestOf(content), content }
}

function preview(says: Says): NodePreview {
  const report: ServiceReport = {
    service: 'elasticsearch',
    outcome: says === 'refused' ? 'unsupported' : 'planned',
    reason: says === 'refused' ? WHY : NONE,
    corrective: false,
    activation: 'restart',
    activationReason: says === 'coordinated' ? WHY : NONE,
    changes: [],
    served: [],
    notices: [],
    activations: 0,
    ...(says === 'refused'
      ? {}
      : {
          planned: {
            service: 'elasticsearch' as const,
            digest: sha256('change'),
            disruption: says,
          },
        }),
  }
  return { result: 'changes', reason: NONE, services: [report] }
}

function group(
  name: string,
  members: readonly string[],
  kind: 'master-eligible' | 'pool' = 'master-eligible',
): GroupDefinition {
  const type = kind === 'pool' ? { kind, percent: 50 } : { kind }
  return {
    name,
    type,
    members,
    maxUnavailable: 1,
    tolerance: tolerance(type, members.length),
    acceptQuorumLoss: true,
    declared: true,
  }
}

/** Names of nodes that would be torn from their cluster, of a plan in which `moving` are changed. */
function torn(
  moving: Readonly<Record<string, Says>>,
  {
    together,
    groups = [group('masters', ['n1', 'n2', 'n3'])],
    stay = {},
  }: {
    readonly together?: readonly string[]
    readonly groups?: readonly GroupDefinition[]
    /** What is wanted of nodes that do not move. */
    readonly stay?: Readonly<Record<string, DesiredContent>>
  },
): readonly string[] {
  const views = new Map(Object.entries(moving).map(([node, says]) => [node, preview(says)]))
  const { nodes, previews } = heldNodes(
    Object.keys(moving).map(node => planned(node, 'manage')),
    views,
  )
  const request = { revision: 1, author: 'ann', nodes, previews, ...(together && { together }) }
  const plan = makePlan({ request, settings: {}, groups, conditionOf: () => 'well' })
  const contents = new Map([
    ...nodes.map(({ node, content }) => [node, content] as const),
    ...Object.entries(stay),
  ])
  t.ok(needsWhole(request))
  return tornNodes(plan, previews, contents).map(({ node }) => node)
}

const ALL = { n1: 'coordinated', n2: 'coordinated', n3: 'coordinated' } as const

await t.test('node by node it tears the cluster apart, all at once it does not', async t => {
  t.strictSame(torn(ALL, {}), ['n1', 'n2', 'n3'])
  t.strictSame(torn(ALL, { together: ['masters'] }), [])
  t.notOk(needsWhole({ previews: new Map([['x', preview('rolling')]]) }))
})

await t.test('a node outside of the groups that are named is changed alone', async t => {
  const groups = [group('masters', ['n1', 'n2']), group('data', ['n3'])]
  t.strictSame(torn(ALL, { together: ['masters'], groups }), ['n3'])
  t.strictSame(torn(ALL, { together: ['masters', 'data'], groups }), [])
})

await t.test('a member that is to stay as it is would be left behind', async t => {
  const two = { n1: 'coordinated', n2: 'coordinated' } as const
  const left = (stay: Readonly<Record<string, DesiredContent>>) =>
    torn(two, { together: ['masters'], stay })
  t.strictSame(left({ n3: wants('leave') }), ['n3'])
  t.strictSame(left({}), ['n3'], 'nothing is wanted of it at all')
  t.strictSame(left({ n3: wants('manage') }), [], 'it is there already')
  t.strictSame(left({ n3: { services: [clientTls('telegraf')] } }), ['n3'])
  const pool = [group('masters', ['n1', 'n2', 'n3'], 'pool')]
  const beside = { n3: { services: [clientTls('telegraf')] } }
  t.strictSame(torn(two, { together: ['masters'], stay: beside, groups: pool }), [])
})

await t.test('what a node refuses to do with the others too is not begun', async t => {
  const says = { n1: 'coordinated', n2: 'refused', n3: 'rolling' } as const
  t.strictSame(torn(says, { together: ['masters'] }), ['n2'])
})

await t.test('on which side a node is depends on what its product changes as a whole', async t => {
  const sides = (stay: Readonly<Record<string, DesiredContent>>, wanted: DesiredContent) => {
    const report = preview('coordinated').services.map(one => ({
      ...one,
      service: wanted.services[0]?.service ?? one.service,
      planned: {
        service: wanted.services[0]?.service ?? one.service,
        digest: sha256('change'),
        disruption: 'coordinated' as const,
      },
    }))
    const view = { ...preview('coordinated'), services: report }
    const moving = { node: 'n1', from: undefined, to: contentDigestOf(wanted), content: wanted }
    const { nodes, previews } = heldNodes([moving], new Map([['n1', view]]))
    const together = ['masters']
    const request = { revision: 1, author: 'ann', nodes, previews, together }
    const groups = [group('masters', ['n1', 'n2'])]
    const plan = makePlan({ request, settings: {}, groups, conditionOf: () => 'well' })
    const contents = new Map([['n1', wanted], ...Object.entries(stay)])
    return tornNodes(plan, previews, contents).map(({ node }) => node)
  }
  const meta = (tls: 'on' | 'off'): DesiredContent => ({
    services: [serverTls('influxdb-meta', { tls })],
  })
  t.strictSame(sides({ n2: meta('off') }, meta('on')), ['n2'])
  t.strictSame(sides({ n2: meta('on') }, meta('on')), [], 'it is there already')
  t.strictSame(sides({ n2: meta('on') }, meta('off')), ['n2'])
  const data = (cluster: 'leave' | 'tls' | 'tls-insecure' | 'off'): DesiredContent => ({
    services: [influxdbTls({ options: { cluster } })],
  })
  t.strictSame(sides({ n2: data('off') }, data('tls')), ['n2'])
  t.strictSame(sides({ n2: data('leave') }, data('tls')), ['n2'], 'nobody knows of its side')
  t.strictSame(sides({ n2: data('tls-insecure') }, data('tls')), [])
})
