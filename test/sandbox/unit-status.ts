// What a unit of a sandbox is in, and the rules of systemd's about it that need no process.

import { constants } from 'node:os'
import type { Exit } from './process.ts'
import { timerMs, type UnitDefinition } from './unit-file.ts'

export type ServiceResult =
  | 'success'
  | 'exit-code'
  | 'signal'
  | 'timeout'
  | 'protocol'
  | 'resources'
  | 'start-limit-hit'

export type State =
  | 'inactive/dead'
  | 'activating/start'
  | 'activating/auto-restart'
  | 'active/running'
  | 'active/exited'
  | 'reloading/reload'
  | 'deactivating/stop-sigterm'
  | 'failed/failed'

/** A moment on both clocks, as systemd records it. */
export interface Moment {
  readonly realMs: number
  readonly monotonicUs: number
}

export interface ExecStatus {
  readonly pid: number
  readonly started: Moment | undefined
  readonly stopped: Moment | undefined
  readonly exit: Exit | undefined
}

export interface UnitStatus {
  readonly state: State
  readonly result: ServiceResult
  readonly restarts: number
  readonly invocationId: string
  readonly mainPid: number
  readonly main: ExecStatus
  readonly reload: ExecStatus
  readonly activeEnter: Moment | undefined
  /** Id of the job that is queued or running. */
  readonly job: number | undefined
}

export const NEVER_RAN: ExecStatus = {
  pid: 0,
  started: undefined,
  stopped: undefined,
  exit: undefined,
}
export const NEW_UNIT: UnitStatus = {
  state: 'inactive/dead',
  result: 'success',
  restarts: 0,
  invocationId: '',
  mainPid: 0,
  main: NEVER_RAN,
  reload: NEVER_RAN,
  activeEnter: undefined,
  job: undefined,
}
// Death by one of these is an orderly end of a daemon: is_clean_exit() of systemd.
const CLEAN_SIGNALS: readonly number[] = (['SIGHUP', 'SIGINT', 'SIGTERM', 'SIGPIPE'] as const).map(
  name => constants.signals[name],
)

// A function of its own, because the type system does not see that an await may change the state.
export function isReloading(status: UnitStatus): boolean {
  return status.state === 'reloading/reload'
}

export function isUp(state: State): boolean {
  return state === 'active/running' || state === 'active/exited' || state === 'reloading/reload'
}

export interface ExitKind {
  readonly daemon: boolean
  /** More exit statuses that count as success. */
  readonly successStatuses?: readonly number[]
}

export function isClean(exit: Exit, { daemon, successStatuses = [] }: ExitKind): boolean {
  if (exit.code === 'exited') return exit.status === 0 || successStatuses.includes(exit.status)
  return daemon && CLEAN_SIGNALS.includes(exit.status)
}

export function resultOf(exit: Exit, kind: ExitKind): ServiceResult {
  if (isClean(exit, kind)) return 'success'
  return exit.code === 'exited' ? 'exit-code' : 'signal'
}

export function now(): Moment {
  return { realMs: Date.now(), monotonicUs: Number(process.hrtime.bigint() / 1000n) }
}

export function after(ms: number): Promise<'timeout'> {
  // Unreferenced: a timer that nobody waits for any more must not keep the supervisor alive.
  return new Promise(resolve => setTimeout(resolve, timerMs(ms), 'timeout' as const).unref())
}

/** `Restart=` of a service that has ended with `result` and was not asked to. */
export function shallRestart(policy: UnitDefinition['restart'], result: ServiceResult): boolean {
  switch (policy) {
    case 'always':
      return true
    case 'on-success':
      return result === 'success'
    case 'on-failure':
      return result !== 'success'
    case 'on-abnormal':
      return result !== 'success' && result !== 'exit-code'
    case 'on-abort':
      return result === 'signal'
    default:
      return false
  }
}
