// What applying the newest revision would change on one node, as the node itself says. Writes nothing.

import { useState } from 'preact/hooks'
import type { NodePlanView } from '../../../../shared/contract/node-plan.ts'
import type { NodeView } from '../../../../shared/contract/operator-api.ts'
import type { ApiError } from '../api.ts'
import { asApiError } from '../hooks.ts'
import { refusalFor } from '../rights.ts'
import { useSession } from '../session.ts'
import { OUTCOMES, type Word } from '../words.ts'
import { VerbButton } from './confirm.tsx'
import { Changes } from './service-card.tsx'
import { Status } from './status.tsx'
import { Card, Failure, ReasonText, Waiting } from './text.tsx'

type State =
  | { readonly kind: 'none' }
  | { readonly kind: 'asking' }
  | { readonly kind: 'failed'; readonly error: ApiError }
  | { readonly kind: 'planned'; readonly plan: NodePlanView }

export function NodePlan({ node: { name, online } }: { node: NodeView }) {
  const { api, me } = useSession()
  const [state, setState] = useState<State>({ kind: 'none' })
  const ask = async () => {
    setState({ kind: 'asking' })
    try {
      const path = `/v1/nodes/${encodeURIComponent(name)}/plan`
      setState({ kind: 'planned', plan: await api.write<NodePlanView>('POST', path, { body: {} }) })
    } catch (error) {
      setState({ kind: 'failed', error: asApiError(error) })
    }
  }
  const refused =
    refusalFor(me.role, 'operator') ?? (online ? undefined : 'the node does not answer')
  return (
    <Card
      title="Plan"
      aside={
        <VerbButton
          label={state.kind === 'planned' ? 'Plan again' : 'Plan the newest revision'}
          refused={refused}
          onPress={() => void ask()}
        />
      }
    >
      {state.kind === 'none' ? (
        <p class="muted">
          The node is asked what applying the newest revision would change on it. Nothing is
          written.
        </p>
      ) : null}
      {state.kind === 'asking' ? <Waiting what="The node makes its plan" /> : null}
      {state.kind === 'failed' ? <Failure error={state.error} attempt="No plan" /> : null}
      {state.kind === 'planned' ? <Planned plan={state.plan} /> : null}
    </Card>
  )
}

const RESULTS = {
  none: { label: 'No change', tone: 'ok', shape: 'check', meaning: 'It is there already' },
  changes: { label: 'Would change', tone: 'info', shape: 'half', meaning: 'See below' },
  unreachable: { label: 'No answer', tone: 'off', shape: 'slash', meaning: 'It did not answer' },
  unsupported: { label: 'Refused', tone: 'bad', shape: 'cross', meaning: 'The node refuses' },
} as const satisfies Record<NodePlanView['result'], Word>

function Planned({ plan }: { plan: NodePlanView }) {
  return (
    <div role="status">
      <p class="planned-head">
        <Status word={RESULTS[plan.result]} />
        <span>Revision {plan.revision}</span>
        {plan.result === 'none' ? null : <ReasonText reason={plan.reason} />}
      </p>
      {plan.services
        .filter(({ changes, activation }) => changes.length > 0 || activation !== 'none')
        .map(service => (
          <section key={service.service} class="planned-service">
            <h3>
              {service.service} <Status word={OUTCOMES[service.outcome]} plain />
            </h3>
            <Changes service={service} />
          </section>
        ))}
    </div>
  )
}
