// Groups that must not be down together, their budgets, and what is frozen.

import { useState } from 'preact/hooks'
import type { FreezeView, GroupBudget } from '../../../../shared/contract/rollout-verbs.ts'
import { count } from '../format.ts'
import { useLoaded, useNow } from '../hooks.ts'
import { Confirm, type Question, VerbButton } from '../parts/confirm.tsx'
import { GroupSlots } from '../parts/group-slots.tsx'
import { Card, Empty, Failure, Time, Title, Waiting } from '../parts/text.tsx'
import { refusalFor } from '../rights.ts'
import { hrefOf } from '../route.ts'
import { useSession } from '../session.ts'

const KINDS: Readonly<Record<string, string>> = {
  raft: 'keeps a majority',
  'master-eligible': 'keeps a majority',
  replicated: 'keeps a copy of everything',
  pool: 'keeps most of its members',
}

export function Groups() {
  const { api } = useSession()
  const { value, error } = useLoaded(
    signal => api.list<GroupBudget>('/v1/groups', 'groups', signal),
    { on: ['nodes', 'leases', 'revisions', 'rollouts'], key: 'groups', restMs: 2_000 },
  )
  return (
    <>
      <Title>Groups and budgets</Title>
      {error === undefined ? null : <Failure error={error} attempt="Could not load the groups" />}
      {value === undefined && error === undefined ? <Waiting what="Loading groups" /> : null}
      {value?.length === 0 ? (
        <Empty title="No node is in a group.">
          <p class="muted">
            The fleet spec declares them under <code>groups</code>; without it, meta nodes of
            InfluxDB and nodes of Elasticsearch form one each.
          </p>
        </Empty>
      ) : null}
      <div class="cas">
        {(value ?? []).map(group => (
          <Group key={group.name} group={group} />
        ))}
      </div>
      <Freezes />
    </>
  )
}

const MEMBERS_SHOWN = 12

function Group({ group }: { group: GroupBudget }) {
  const { name, kind, declared, members, out, leases } = group
  const [isOpen, setOpen] = useState(false)
  const shown = isOpen ? members : members.slice(0, MEMBERS_SHOWN)
  const marks = new Map(out.map(({ node, reason }) => [node, reason.message]))
  return (
    <Card
      title={name}
      aside={
        <span class="label" title={KINDS[kind] ?? kind}>
          {kind}
        </span>
      }
    >
      <p class="muted">
        {count(members.length, 'member')}, {KINDS[kind] ?? kind}
        {declared ? '' : '; not declared in the spec'}
        {leases.length === 0 ? '' : `; ${count(leases.length, 'lease')}`}
      </p>
      <GroupSlots group={group} />
      <ul class="members" aria-label="Members">
        {shown.map(node => (
          <li key={node} class={marks.has(node) ? 'member-out' : ''} title={marks.get(node)}>
            <a href={hrefOf({ view: 'node', name: node })}>{node}</a>
            {marks.has(node) ? <span class="member-mark"> out</span> : null}
          </li>
        ))}
      </ul>
      {members.length <= MEMBERS_SHOWN ? null : (
        <button type="button" class="button quiet small" onClick={() => setOpen(!isOpen)}>
          {isOpen ? 'Fewer' : `${members.length - MEMBERS_SHOWN} more`}
        </button>
      )}
    </Card>
  )
}

function Freezes() {
  const { api, me, announce } = useSession()
  const nowMs = useNow()
  const [question, setQuestion] = useState<Question>()
  const { value, error, reload } = useLoaded(
    signal => api.list<FreezeView>('/v1/freezes', 'freezes', signal),
    { on: ['freezes'], key: 'freezes' },
  )
  const refused = refusalFor(me.role, 'operator')
  const lift = (name: string) =>
    setQuestion({
      title: `Lift the freeze ${name}`,
      effect: 'Rollouts that it has paused go on by themselves.',
      action: 'Lift',
      isGrave: false,
      async act(reason, idempotencyKey) {
        const query = reason === undefined ? '' : `?${new URLSearchParams({ reason })}`
        const path = `/v1/freezes/${encodeURIComponent(name)}${query}`
        await api.write('DELETE', path, { idempotencyKey })
        announce('The freeze is lifted')
        reload()
      },
    })
  const freezeAll = () =>
    setQuestion({
      title: 'Freeze the whole fleet',
      effect:
        'Rollouts pause and corrections wait until the freeze is lifted. Renewals go on, so that no certificate ends because of it.',
      action: 'Freeze',
      isGrave: true,
      async act(reason, idempotencyKey) {
        const body = { reason: reason ?? `frozen by ${me.name}` }
        await api.write('PUT', '/v1/freezes/dashboard', { body, idempotencyKey })
        announce('The fleet is frozen')
        reload()
      },
    })
  return (
    <Card
      title="Freezes"
      aside={<VerbButton label="Freeze all" refused={refused} isGrave onPress={freezeAll} />}
    >
      {error === undefined ? null : <Failure error={error} attempt="Could not load the freezes" />}
      {value?.length === 0 ? <Empty title="Nothing is frozen." /> : null}
      <ul class="freezes">
        {(value ?? []).map(({ name, reason, nodes, actor, atMs }) => (
          <li key={name}>
            <span>
              <b>{name}</b>: {reason}
              <span class="muted line">
                {nodes === undefined ? 'all nodes' : nodes.join(', ')}, by {actor}{' '}
                <Time atMs={atMs} nowMs={nowMs} />
              </span>
            </span>
            <VerbButton label="Lift" refused={refused} isSmall onPress={() => lift(name)} />
          </li>
        ))}
      </ul>
      {question === undefined ? null : (
        <Confirm question={question} onClose={() => setQuestion(undefined)} />
      )}
    </Card>
  )
}
