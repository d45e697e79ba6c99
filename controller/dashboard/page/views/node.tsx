// One node: its state and why, what its services serve, what would change, what has happened.

import type { NodeView } from '../../../../shared/contract/operator-api.ts'
import { number } from '../format.ts'
import { useLoaded, useNow } from '../hooks.ts'
import { NodeHistory } from '../parts/node-history.tsx'
import { NodePlan } from '../parts/node-plan.tsx'
import { ServiceCard } from '../parts/service-card.tsx'
import { Status } from '../parts/status.tsx'
import {
  Advice,
  Card,
  Empty,
  Fact,
  Failure,
  Labels,
  ReasonText,
  Time,
  Title,
  Waiting,
} from '../parts/text.tsx'
import { useSession } from '../session.ts'
import { adviceOn, NODE_STATES } from '../words.ts'

export function NodePage({ name }: { name: string }) {
  const { api } = useSession()
  const path = `/v1/nodes/${encodeURIComponent(name)}`
  const { value: node, error } = useLoaded(signal => api.get<NodeView>(path, signal), {
    on: ['nodes'],
    key: name,
  })
  const heading = (
    <Title above={<a href="#/">Fleet</a>} aside={node && <Status word={NODE_STATES[node.state]} />}>
      {name}
    </Title>
  )
  if (node === undefined)
    return (
      <>
        {heading}
        {error === undefined ? (
          <Waiting what="Loading the node" />
        ) : (
          <Failure error={error} attempt="Could not load the node" />
        )}
      </>
    )
  return (
    <>
      {heading}
      {error === undefined ? null : <Failure error={error} attempt="Could not renew it" />}
      <Why node={node} />
      <div class="columns wide-left">
        <div class="stack">
          {node.services.length === 0 ? (
            <Card title="Services">
              <Empty title="It has reported no service." />
            </Card>
          ) : (
            node.services.map(service => <ServiceCard key={service.service} service={service} />)
          )}
          <NodePlan node={node} />
        </div>
        <div class="stack">
          <Facts node={node} />
          <NodeHistory name={name} />
        </div>
      </div>
    </>
  )
}

function Why({ node: { state, reason } }: { node: NodeView }) {
  const word = NODE_STATES[state]
  const advice = adviceOn(state)
  return (
    <section class={`why tone-${word.tone}`} aria-label="Why">
      <p>
        <ReasonText reason={reason} />
      </p>
      {advice === undefined ? null : <Advice text={advice} />}
    </section>
  )
}

function Facts({ node }: { node: NodeView }) {
  const nowMs = useNow()
  const { generation, observedGeneration, mode, revision, agentVersion, seenAtMs, facts } = node
  const lag =
    generation !== undefined && observedGeneration !== undefined && observedGeneration < generation
  return (
    <Card title="Node">
      <dl class="facts">
        <Fact name="Heard of">
          {seenAtMs === undefined ? 'never' : <Time atMs={seenAtMs} nowMs={nowMs} />}
        </Fact>
        <Fact name="Names">
          {[...node.names.dns, ...node.names.ip].map(one => (
            <span class="line" key={one}>
              {one}
            </span>
          ))}
        </Fact>
        <Fact name="Labels">
          {Object.keys(node.labels).length === 0 ? 'none' : <Labels labels={node.labels} />}
        </Fact>
        <Fact name="Revision">{revision === undefined ? 'none' : number(revision)}</Fact>
        <Fact name="Generation">
          {generation === undefined ? 'none' : number(generation)}
          {lag ? `, its report is of ${observedGeneration}` : ''}
        </Fact>
        <Fact name="Mode">{mode ?? 'none'}</Fact>
        <Fact name="Agent">{agentVersion ?? 'not heard of'}</Fact>
        {Object.entries(facts).map(([key, value]) => (
          <Fact key={key} name={key}>
            {value}
          </Fact>
        ))}
        <Fact name="Added">
          <Time atMs={node.createdAtMs} nowMs={nowMs} />
        </Fact>
        <Fact name="Enrolled">
          {node.enrolledAtMs === undefined ? (
            'not yet'
          ) : (
            <Time atMs={node.enrolledAtMs} nowMs={nowMs} />
          )}
        </Fact>
      </dl>
    </Card>
  )
}
