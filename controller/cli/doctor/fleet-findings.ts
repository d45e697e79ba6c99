// What the fleet says of itself, as far as an operator has to do something about it. Pure.

import type { AuthorityView } from '../../../shared/contract/authorities.ts'
import type { CertificateView } from '../../../shared/contract/certificates.ts'
import type { NodeView, RolloutView } from '../../../shared/contract/operator-api.ts'
import type { GroupBudget } from '../../../shared/contract/rollout-verbs.ts'
import type { Finding } from '../../../shared/findings.ts'
import { count, relativeTime } from '../views/words.ts'

const DAY_MS = 86_400_000
// A root is replaced in months, with a rotation that waits for every node.
const AUTHORITY_SOON_MS = 180 * DAY_MS
const NAMES_MAX = 5

/** One finding for each kind of trouble, with the nodes that have it. */
export function nodeFindings(nodes: readonly NodeView[], version: string): readonly Finding[] {
  if (nodes.length === 0)
    return [
      {
        check: 'nodes',
        state: 'warning',
        message: 'there are none yet',
        fix: 'add one: tlsfleet node add NAME --dns NAME',
      },
    ]
  const troubles = TROUBLES.flatMap(({ state, severity, text, fix }) => {
    const those = nodes.filter(node => node.state === state)
    return those.length === 0
      ? []
      : [{ check: 'nodes', state: severity, message: `${namesOf(those)} ${text}`, fix }]
  })
  const old = nodes.filter(
    ({ agentVersion }) => agentVersion !== undefined && agentVersion !== version,
  )
  const versions = [...new Set(old.map(({ agentVersion }) => agentVersion))].join(', ')
  const outdated: readonly Finding[] =
    old.length === 0
      ? []
      : [
          {
            check: 'agents',
            state: 'warning',
            message: `${namesOf(old)}: agents of version ${versions}, the controller has ${version}`,
            fix: 'install the package of the same version on them; services do not notice',
          },
        ]
  const found = [...troubles, ...unsupported(nodes), ...outdated]
  if (found.length > 0) return found
  return [
    { check: 'nodes', state: 'ok', message: `${count(nodes.length, 'node')}, none in trouble` },
  ]
}

const TROUBLES: readonly {
  readonly state: NodeView['state']
  readonly severity: 'warning' | 'failed'
  readonly text: string
  readonly fix: string
}[] = [
  {
    state: 'failed',
    severity: 'failed',
    text: 'did not come to what is wanted',
    fix: 'see why: tlsfleet node show NAME',
  },
  {
    state: 'locked',
    severity: 'failed',
    text: 'is locked out: revoked, or seen twice',
    fix: 'enroll it again when it is known to be the right machine: tlsfleet node token NAME',
  },
  {
    state: 'offline',
    severity: 'failed',
    text: 'is not connected',
    fix: 'on the node: tlsfleet-agent doctor; systemctl status tlsfleet-agent',
  },
  {
    state: 'pending',
    severity: 'warning',
    text: 'was added and never enrolled',
    fix: 'paste the line of tlsfleet node token NAME there, or remove it: tlsfleet node rm NAME',
  },
]

/** Products that the agents do not know what to do with. */
function unsupported(nodes: readonly NodeView[]): readonly Finding[] {
  return nodes.flatMap(node =>
    node.services
      .filter(({ outcome }) => outcome === 'unsupported')
      .map(({ service, version, reason }) => ({
        check: 'products',
        state: 'failed' as const,
        message: `${service}${version === undefined ? '' : ` ${version}`} on ${node.name}: ${reason.message}`,
        fix: `see docs/troubleshooting.md#${reason.code}`,
      })),
  )
}

/** Certificates that nobody will renew if nothing changes. */
export function certificateFindings(
  unrenewed: readonly CertificateView[],
  nowMs: number,
): readonly Finding[] {
  const check = 'certificates'
  if (unrenewed.length === 0)
    return [{ check, state: 'ok', message: 'all that end within 30 d will be renewed' }]
  return unrenewed.slice(0, CERTIFICATES_MAX).map(one => {
    const what = [one.service ?? one.subject ?? one.kind, one.listener].filter(
      text => text !== undefined,
    )
    const where = one.node === undefined ? '' : ` on ${one.node}`
    const ended = one.notAfterMs !== undefined && one.notAfterMs <= nowMs
    const when = one.notAfterMs === undefined ? '' : ` ${relativeTime(one.notAfterMs, nowMs)}`
    return {
      check,
      state: ended ? ('failed' as const) : ('warning' as const),
      message: `${what.join(' ')}${where} ${ended ? 'ended' : 'ends'}${when}: ${one.unrenewed?.message ?? one.reason.message}`,
      fix: `see why: tlsfleet certs --forecast${one.node === undefined ? '' : ` --node ${one.node}`} --details`,
    }
  })
}

const CERTIFICATES_MAX = 10

export function authorityFindings(
  authorities: readonly AuthorityView[],
  nowMs: number,
): readonly Finding[] {
  const active = authorities.filter(({ state }) => state === 'active')
  const found = active.flatMap<Finding>(({ id, kind, root, intermediate, taintedAtMs }) => {
    const endsAtMs = Math.min(root.notAfterMs, intermediate.notAfterMs)
    const which = `${kind} CA ${id}`
    const rotate = `tlsfleet ca rotate${kind === 'identity' ? ' --identity' : ''}`
    if (taintedAtMs !== undefined)
      return [
        {
          check: 'CAs',
          state: 'failed',
          message: `${which} is known to be in the wrong hands and still signs`,
          fix: `replace it: ${rotate}`,
        },
      ]
    if (endsAtMs - nowMs > AUTHORITY_SOON_MS) return []
    return [
      {
        check: 'CAs',
        state: endsAtMs <= nowMs ? 'failed' : 'warning',
        message: `${which} ends ${relativeTime(endsAtMs, nowMs)}`,
        fix: `replace it in good time: ${rotate}`,
      },
    ]
  })
  if (found.length > 0) return found
  return [
    { check: 'CAs', state: 'ok', message: `${count(active.length, 'active CA')}, none ends soon` },
  ]
}

/** Groups that have nobody left to lose: nothing in them can be renewed with a restart. */
export function groupFindings(groups: readonly GroupBudget[]): readonly Finding[] {
  const stuck = groups.filter(({ out, leases, limit }) => {
    const holders = new Set(leases.map(({ node }) => node))
    return out.filter(({ node }) => !holders.has(node)).length >= Math.max(1, limit)
  })
  if (stuck.length === 0)
    return groups.length === 0
      ? []
      : [
          {
            check: 'groups',
            state: 'ok',
            message: `${count(groups.length, 'group')} with room to move`,
          },
        ]
  return stuck.map(({ name, out }) => ({
    check: 'groups',
    state: 'warning' as const,
    message: `${name} can spare nobody: ${out.map(({ node, reason }) => `${node}: ${reason.message}`).join('; ')}`,
    fix: `bring these back first; see tlsfleet group show ${name}`,
  }))
}

export function rolloutFindings(rollouts: readonly RolloutView[]): readonly Finding[] {
  const open = rollouts.filter(({ endedAtMs }) => endedAtMs === undefined)
  const waiting = open.filter(({ status, reason }) => status === 'planned' || reason !== undefined)
  if (waiting.length === 0)
    return [
      {
        check: 'rollouts',
        state: 'ok',
        message: open.length === 0 ? 'none is under way' : `${open.length} under way`,
      },
    ]
  return waiting.map(({ id, status, reason }) => ({
    check: 'rollouts',
    state: 'warning' as const,
    message: `${id} is ${status}${reason === undefined ? '' : `: ${reason.message}`}`,
    fix: `see what it waits for: tlsfleet rollout show ${id}`,
  }))
}

function namesOf(nodes: readonly NodeView[]): string {
  const names = nodes.slice(0, NAMES_MAX).map(({ name }) => name)
  const more = nodes.length - names.length
  return more === 0 ? names.join(', ') : `${names.join(', ')} and ${count(more, 'more node')}`
}
