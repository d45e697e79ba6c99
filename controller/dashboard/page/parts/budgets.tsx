// Budgets of the groups that some nodes belong to: what a rollout may be waiting for.

import type { GroupBudget } from '../../../../shared/contract/rollout-verbs.ts'
import { useLoaded } from '../hooks.ts'
import { useSession } from '../session.ts'
import { GroupSlots } from './group-slots.tsx'
import { Card } from './text.tsx'

export function Budgets({ nodes }: { nodes: ReadonlySet<string> }) {
  const { api } = useSession()
  const { value } = useLoaded(signal => api.list<GroupBudget>('/v1/groups', 'groups', signal), {
    on: ['leases', 'nodes', 'rollouts'],
    key: 'groups',
    restMs: 2_000,
  })
  const concerned = (value ?? []).filter(({ members }) => members.some(one => nodes.has(one)))
  if (concerned.length === 0) return null
  return (
    <Card title="Budgets">
      <ul class="budgets">
        {concerned.map(group => (
          <li key={group.name}>
            <span class="budget-name">
              <a href="#/groups">{group.name}</a> <span class="muted">{group.kind}</span>
            </span>
            <GroupSlots group={group} />
          </li>
        ))}
      </ul>
    </Card>
  )
}
