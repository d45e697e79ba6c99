import t from 'tap'
import { nodeState, type NodeFacts } from '../../../controller/fleet/node-state.ts'
import type { OutcomeKind, ServiceReport } from '../../../shared/contract/report.ts'
import { ServiceTls } from '../../../shared/contract/service.ts'

const server = {
  certificate: {
    issuer: 'self-signed',
    names: { dns: ['a'], ip: [] },
    lifetimeMs: 2,
    renewBeforeMs: 1,
  },
  trust: [],
}
const prometheus = ServiceTls.parse({ service: 'prometheus', ...server })
const influxdb = ServiceTls.parse({ service: 'influxdb', ...server })

function service(
  outcome: OutcomeKind,
  corrective = false,
  name: 'prometheus' | 'influxdb' = 'prometheus',
): ServiceReport {
  return {
    service: name,
    outcome,
    corrective,
    reason: { code: `because-${outcome}`, message: outcome },
    activation: 'none',
    activationReason: { code: 'none', message: '' },
    changes: [],
    served: [],
    notices: [],
    activations: 0,
  }
}

function facts(services: readonly ServiceReport[], change: Partial<NodeFacts> = {}): NodeFacts {
  return {
    enrolled: true,
    seen: true,
    online: true,
    desired: { generation: 3, mode: 'enforce', content: { services: [prometheus] } },
    report: { observedGeneration: 3, services: [...services] },
    ...change,
  }
}

const problem = { code: 'desired-refused', message: 'no' }
const CASES: Readonly<Record<string, readonly [NodeFacts, state: string, code: string]>> = {
  'not enrolled': [facts([], { enrolled: false, online: false }), 'pending', 'not-enrolled'],
  'enrolled, never heard of': [facts([], { seen: false, online: false }), 'offline', 'never-seen'],
  'silent, though all was well': [
    facts([service('in-sync')], { online: false }),
    'offline',
    'node-silent',
  ],
  'a problem of the agent itself': [
    facts([service('in-sync')], { report: { observedGeneration: 3, services: [], problem } }),
    'failed',
    'desired-refused',
  ],
  'locked out, whatever else': [
    facts([service('in-sync')], { lock: { code: 'identity-cloned', message: 'two machines' } }),
    'locked',
    'identity-cloned',
  ],
  'nothing desired': [facts([], { desired: undefined }), 'idle', 'nothing-desired'],
  'an empty content': [
    facts([], { desired: { generation: 4, mode: 'enforce', content: { services: [] } } }),
    'idle',
    'nothing-desired',
  ],
  'no report yet': [facts([], { report: undefined }), 'converging', 'generation-pending'],
  'an older generation reported': [
    facts([], { report: { observedGeneration: 2, services: [service('in-sync')] } }),
    'converging',
    'generation-pending',
  ],
  'a service missing in the report': [
    facts([service('in-sync')], {
      desired: { generation: 3, mode: 'enforce', content: { services: [prometheus, influxdb] } },
    }),
    'converging',
    'service-not-reported',
  ],
  'in sync': [facts([service('in-sync')]), 'converged', 'in-sync'],
  'just changed': [facts([service('changed', true)]), 'converged', 'in-sync'],
  staged: [facts([service('staged')]), 'converging', 'because-staged'],
  'planned in audit mode': [facts([service('planned')]), 'waiting', 'because-planned'],
  'drift that is only looked at': [
    facts([service('planned', true)]),
    'drifting',
    'because-planned',
  ],
  'drift that waits for a lease': [
    facts([service('waiting', true)]),
    'drifting',
    'because-waiting',
  ],
  waiting: [facts([service('waiting')]), 'waiting', 'because-waiting'],
  restored: [facts([service('restored')]), 'failed', 'because-restored'],
  unsupported: [facts([service('unsupported')]), 'failed', 'because-unsupported'],
  'the worst service decides': [
    facts([service('in-sync'), service('failed', false, 'influxdb')]),
    'failed',
    'because-failed',
  ],
}

await t.test('the state of a node is one word with a reason', async t => {
  for (const [name, [input, state, code]] of Object.entries(CASES))
    t.match(nodeState(input), { state, reason: { code } }, name)
})
