// How many of a group are out, of how many that may be, by name and why.

import type { GroupBudget } from '../../../../shared/contract/rollout-verbs.ts'
import { count } from '../format.ts'
import { hrefOf } from '../route.ts'
import { ReasonText } from './text.tsx'

// More slots than these are told by numbers.
const SLOTS_MAX = 24

export function GroupSlots({ group: { limit, out, leases, members } }: { group: GroupBudget }) {
  const slots = Math.min(SLOTS_MAX, Math.max(limit, out.length))
  const isFull = out.length >= limit
  return (
    <div class="slots-box">
      <p class={`slots-text${isFull ? ' tone-warn' : ''}`}>
        <span class="slots" aria-hidden="true">
          {Array.from({ length: slots }, (_, index) => (
            <span
              key={index}
              class={`slot${index < out.length ? ' slot-out' : ''}${index >= limit ? ' slot-over' : ''}`}
            />
          ))}
        </span>
        <span>
          {limit === 0
            ? `none of ${members.length} can be spared`
            : `${out.length} of ${limit} out`}
        </span>
      </p>
      {out.length === 0 ? null : (
        <ul class="out-list">
          {out.map(({ node, reason }) => {
            const lease = leases.find(one => one.node === node)
            return (
              <li key={node}>
                <a href={hrefOf({ view: 'node', name: node })}>{node}</a>{' '}
                {lease === undefined ? null : <span class="label">lease: {lease.purpose}</span>}{' '}
                <span class="muted">
                  <ReasonText reason={reason} />
                </span>
              </li>
            )
          })}
        </ul>
      )}
      <p class="unseen">{count(members.length, 'member')}</p>
    </div>
  )
}
