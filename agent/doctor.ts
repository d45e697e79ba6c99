// What an agent and its node look like, as findings with what to do about them. Pure.

import type { ServiceReport } from '../shared/contract/report.ts'
import type { Reason } from '../shared/contract/schema.ts'
import { formatDuration } from '../shared/duration.ts'
import type { Finding } from '../shared/findings.ts'

const MIB = 1024 * 1024
const FREE_BYTES_MIN = 16 * MIB

export interface SeenNode {
  readonly isRoot: boolean
  readonly hasSystemd: boolean
  readonly stateDirectory: string
  /** Undefined: there is none. Bits of its mode, and its owner. */
  readonly state: { readonly mode: number; readonly uid: number } | undefined
  readonly freeBytes: number | undefined
}

export function nodeFindings(seen: SeenNode): readonly Finding[] {
  const { isRoot, hasSystemd, stateDirectory, state, freeBytes } = seen
  const findings: Finding[] = []
  if (!isRoot)
    findings.push({
      check: 'user',
      state: 'warning',
      message: 'this is not root: much of the node cannot be looked at',
      fix: 'sudo tlsfleet-agent doctor',
    })
  if (!hasSystemd)
    findings.push({
      check: 'systemd',
      state: 'failed',
      message: 'the node was not booted with systemd',
      fix: 'services are restarted through systemctl only; see docs/packages.md',
    })
  if (state !== undefined && (state.mode & 0o077) !== 0)
    findings.push({
      check: 'state',
      state: 'failed',
      message: `${stateDirectory} is open to others, and holds the key of this node`,
      fix: `chmod 700 ${stateDirectory}, then enroll again if others may have read it`,
    })
  if (freeBytes !== undefined && freeBytes < FREE_BYTES_MIN)
    findings.push({
      check: 'disk',
      state: 'failed',
      message: `the file system of ${stateDirectory} has ${Math.floor(freeBytes / MIB)} MiB left`,
      fix: 'make room: no change is begun on a full disk',
    })
  const isWell = !findings.some(({ state: found }) => found === 'failed')
  return isWell
    ? [...findings, { check: 'node', state: 'ok', message: 'systemd, room and a private state' }]
    : findings
}

/** Of programs that are to save services: by service, and why it is not run; undefined: it is. */
export function snapshotFindings(
  programs: readonly {
    readonly service: string
    readonly program: string
    readonly why: string | undefined
  }[],
): readonly Finding[] {
  return programs.map(({ service, program, why }) =>
    why === undefined
      ? { check: 'snapshots', state: 'ok', message: `${program} saves ${service}` }
      : {
          check: 'snapshots',
          state: 'failed',
          message: `${program}, which is to save ${service}, is not run: ${why}`,
          fix: 'it and its directories belong to root and are writable by nobody else',
        },
  )
}

export function identityFinding(
  identity:
    | {
        readonly node: string
        readonly fleet: string
        readonly renewsAtMs: number
        readonly endsAtMs: number
      }
    | undefined,
  nowMs: number,
): Finding {
  const check = 'identity'
  if (identity === undefined)
    return {
      check,
      state: 'failed',
      message: 'this node is not enrolled',
      fix: 'get a line to paste from an operator: tlsfleet node token NAME',
    }
  const { node, fleet, renewsAtMs, endsAtMs } = identity
  const who = `${node} of fleet ${fleet}`
  if (endsAtMs <= nowMs)
    return {
      check,
      state: 'failed',
      message: `${who}, ended ${formatDuration(wholeSeconds(nowMs - endsAtMs))} ago`,
      fix: 'start the agent: for 30 days it comes back by itself; after that enroll it again',
    }
  const left = formatDuration(wholeSeconds(endsAtMs - nowMs))
  // Renewed at half of its life: an hour later something keeps it from that.
  if (renewsAtMs + 3_600_000 < nowMs)
    return {
      check,
      state: 'warning',
      message: `${who}, ends in ${left} and should have been renewed`,
      fix: 'see what keeps the agent from its controller: journalctl -u tlsfleet-agent',
    }
  return { check, state: 'ok', message: `${who}, ends in ${left}` }
}

/** What the running agent says. Undefined: none runs. */
export function agentFindings(
  status:
    | { readonly problem?: Reason | undefined; readonly services: readonly ServiceReport[] }
    | undefined,
): readonly Finding[] {
  if (status === undefined)
    return [
      {
        check: 'agent',
        state: 'failed',
        message: 'it is not running',
        fix: 'systemctl status tlsfleet-agent; journalctl -u tlsfleet-agent',
      },
    ]
  const { problem, services } = status
  const own: Finding =
    problem === undefined
      ? { check: 'agent', state: 'ok', message: `runs, with ${services.length} services` }
      : {
          check: 'agent',
          state: 'failed',
          message: `runs, but: ${problem.message} (${problem.code})`,
          fix: `see docs/troubleshooting.md#${problem.code}`,
        }
  return [own, ...services.map(serviceFinding)]
}

function serviceFinding(service: ServiceReport): Finding {
  const { outcome, reason, version, served } = service
  const what = version === undefined ? service.service : `${service.service} ${version}`
  const bad = served.find(({ ok }) => !ok)
  const state =
    outcome === 'failed' || outcome === 'unsupported'
      ? 'failed'
      : bad !== undefined || outcome === 'waiting'
        ? 'warning'
        : 'ok'
  const why = bad === undefined ? reason : bad.reason
  const where = bad === undefined ? '' : `${bad.listener}: `
  return {
    check: 'service',
    state,
    message: `${what} is ${outcome}: ${where}${why.message}`,
    ...(state === 'ok' ? {} : { fix: `see docs/troubleshooting.md#${why.code}` }),
  }
}

function wholeSeconds(durationMs: number): number {
  return Math.floor(durationMs / 1_000) * 1_000
}
