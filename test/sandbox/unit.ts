// One unit of a sandbox: the states that systemd 252 takes it through. What is emulated here was
// compared with the real one, see systemctl.test.ts; names follow systemd's service.c.

import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import {
  type Exit,
  listenForReady,
  signalGroup,
  signalProcess,
  startProcess,
  type UnitProcess,
} from './process.ts'
import { environmentOf, linkInvocation, processOptions, readPid, untilGone } from './unit-exec.ts'
import { timerMs, type UnitDefinition } from './unit-file.ts'
import {
  after,
  isClean,
  isReloading,
  isUp,
  NEVER_RAN,
  NEW_UNIT,
  now,
  resultOf,
  type ServiceResult,
  shallRestart,
  type UnitStatus,
} from './unit-status.ts'

/** What became of a start, restart or reload: as the job's result in systemd. */
export type JobResult = 'done' | 'failed'

export interface Unit {
  definition(): UnitDefinition
  /** Takes a newly read definition; what runs goes on running. */
  redefine(definition: UnitDefinition): void
  status(): UnitStatus
  start(): Promise<JobResult>
  stop(): Promise<void>
  restart(): Promise<JobResult>
  reload(): Promise<JobResult>
  kill(signal: NodeJS.Signals, who: 'main' | 'all'): boolean
  resetFailed(): void
  /** Without any of the states: power off. */
  destroy(): void
}

let jobs = 0

export function createUnit(root: string, first: UnitDefinition): Unit {
  let definition = first
  let status: UnitStatus = NEW_UNIT
  let current: UnitProcess | undefined
  let restartTimer: NodeJS.Timeout | undefined
  let autoRestart = Promise.withResolvers<JobResult>()
  let forgetRestarts = false
  let stopping = false
  let restarting = false
  let limit = { beginMs: Number.NEGATIVE_INFINITY, count: 0 }
  let last: Promise<unknown> = Promise.resolve()

  const set = (change: Partial<UnitStatus>) => {
    status = { ...status, ...change }
  }

  /** Jobs of a unit run one after the other. */
  function job<T>(run: () => Promise<T>): Promise<T> {
    const id = ++jobs
    set({ job: id })
    const done = last.then(run).finally(() => {
      if (status.job === id) set({ job: undefined })
    })
    last = done.catch(() => {})
    return done
  }

  function isBelowStartLimit(): boolean {
    const nowMs = performance.now()
    const { startLimitBurst, startLimitIntervalMs } = definition
    if (startLimitIntervalMs === 0 || startLimitBurst === 0) return true
    if (nowMs - limit.beginMs >= startLimitIntervalMs) limit = { beginMs: nowMs, count: 0 }
    return ++limit.count <= startLimitBurst
  }

  async function doStart(): Promise<JobResult> {
    if (isUp(status.state)) return 'done'
    clearTimeout(restartTimer)
    if (!isBelowStartLimit()) {
      enterDead('start-limit-hit', false)
      return 'failed'
    }
    if (forgetRestarts) set({ restarts: 0 })
    forgetRestarts = false
    stopping = false
    acquireInvocationId()
    set({
      result: 'success',
      main: NEVER_RAN,
      reload: NEVER_RAN,
      mainPid: 0,
      state: 'activating/start',
    })
    const environment = environmentOf(root, definition, status.invocationId)
    if (environment === undefined) {
      enterDead('resources', true)
      return 'failed'
    }
    return await run(environment)
  }

  async function run(environment: Readonly<Record<string, string>>): Promise<JobResult> {
    switch (definition.type) {
      case 'simple':
      case 'exec': {
        const started = execute(environment)
        set({ state: 'active/running', activeEnter: now() })
        void started.exited.then(exit => onMainExit(started, exit))
        return 'done'
      }
      case 'notify':
        return await runUntilReady(environment)
      case 'forking':
        return await runForking(environment)
      case 'oneshot': {
        const started = execute(environment)
        const exit = await started.exited
        onMainExit(started, exit)
        if (isClean(exit, { daemon: false }) && definition.remainAfterExit) {
          set({ state: 'active/exited', activeEnter: now() })
        }
        return isClean(exit, { daemon: false }) ? 'done' : 'failed'
      }
    }
  }

  async function runUntilReady(environment: Readonly<Record<string, string>>): Promise<JobResult> {
    const ready = Promise.withResolvers<'ready'>()
    const listener = await listenForReady(() => ready.resolve('ready'))
    const started = execute({ ...environment, NOTIFY_SOCKET: listener.name })
    const outcome = await Promise.race([
      ready.promise,
      started.exited,
      after(definition.timeoutStartMs),
    ])
    if (outcome === 'ready') {
      set({ state: 'active/running', activeEnter: now() })
      void started.exited.then(exit => {
        listener.close()
        onMainExit(started, exit)
      })
      return 'done'
    }
    listener.close()
    if (outcome === 'timeout') {
      set({ result: 'timeout' })
      await terminate(started)
    }
    const exit = await started.exited
    // An orderly end before READY=1 is not what the unit promised.
    if (!stopping && status.result === 'success' && isClean(exit, { daemon: true }))
      set({ result: 'protocol' })
    onMainExit(started, exit)
    return 'failed'
  }

  /** The process started must end well; the daemon is the one that the PID file names. */
  async function runForking(environment: Readonly<Record<string, string>>): Promise<JobResult> {
    const starter = execute(environment)
    const outcome = await Promise.race([starter.exited, after(definition.timeoutStartMs)])
    if (outcome === 'timeout') {
      set({ result: 'timeout' })
      await terminate(starter)
      onMainExit(starter, await starter.exited)
      return 'failed'
    }
    if (!isClean(outcome, { daemon: false })) {
      onMainExit(starter, outcome)
      return 'failed'
    }
    const pid = readPid(join(root, definition.pidFile))
    // How a process ends that is not a child cannot be seen, only that it did.
    const daemon: UnitProcess = { pid, exited: untilGone(pid) }
    current = daemon
    const main = { ...NEVER_RAN, pid, started: now() }
    set({ mainPid: pid, main, state: 'active/running', activeEnter: now() })
    void daemon.exited.then(exit => onMainExit(daemon, exit))
    return 'done'
  }

  function runCommand(
    argv: readonly string[],
    environment: Readonly<Record<string, string>>,
  ): UnitProcess {
    return startProcess(processOptions(root, definition, { argv, environment }))
  }

  function execute(environment: Readonly<Record<string, string>>): UnitProcess {
    const argv = definition.execStart[0]?.argv ?? []
    const started = runCommand(argv, environment)
    current = started
    set({ mainPid: started.pid, main: { ...NEVER_RAN, pid: started.pid, started: now() } })
    return started
  }

  function acquireInvocationId(): void {
    const invocationId = randomBytes(16).toString('hex')
    linkInvocation(root, first.name, invocationId)
    set({ invocationId })
  }

  function onMainExit(ended: UnitProcess, exit: Exit): void {
    if (current !== ended) return
    current = undefined
    // KillMode=control-group: what the main current leaves behind goes with it.
    signalGroup(ended.pid, 'SIGKILL')
    set({ mainPid: 0, main: { ...status.main, stopped: now(), exit } })
    const { type, successStatuses } = definition
    enterDead(resultOf(exit, { daemon: type !== 'oneshot', successStatuses }), !stopping)
  }

  function enterDead(result: ServiceResult, mayRestart: boolean): void {
    if (status.result === 'success') set({ result })
    linkInvocation(root, first.name, undefined)
    if (mayRestart && shallRestart(definition.restart, status.result)) {
      set({ state: 'activating/auto-restart' })
      autoRestart = Promise.withResolvers()
      restartTimer = setTimeout(() => {
        set({ restarts: status.restarts + 1 })
        autoRestart.resolve(job(doStart))
      }, timerMs(definition.restartMs))
      return
    }
    forgetRestarts = true
    set({ state: status.result === 'success' ? 'inactive/dead' : 'failed/failed' })
    if (status.result === 'success') forgetUnlessEnabled()
  }

  /** systemd unloads a unit that is down, has no job and is wanted by none, with all it remembers. */
  function forgetUnlessEnabled(): void {
    if (definition.unitFileState === 'enabled' || restarting) return
    limit = { beginMs: Number.NEGATIVE_INFINITY, count: 0 }
    status = { ...NEW_UNIT, job: status.job }
  }

  async function doStop(): Promise<void> {
    clearTimeout(restartTimer)
    if (status.state === 'activating/auto-restart' || status.state === 'active/exited') {
      autoRestart.resolve('failed')
      forgetRestarts = true
      set({ state: 'inactive/dead' })
      forgetUnlessEnabled()
    }
    const running = current
    if (running === undefined) return
    stopping = true
    set({ state: 'deactivating/stop-sigterm' })
    await terminate(running)
  }

  async function terminate(running: UnitProcess): Promise<void> {
    signalGroup(running.pid, definition.killSignal)
    // A stopped current would never see it.
    signalGroup(running.pid, 'SIGCONT')
    const outcome = await Promise.race([running.exited, after(definition.timeoutStopMs)])
    if (outcome !== 'timeout') {
      onMainExit(running, outcome)
      return
    }
    if (status.result === 'success') set({ result: 'timeout' })
    if (definition.sendSigkill) {
      signalGroup(running.pid, 'SIGKILL')
      onMainExit(running, await running.exited)
    } else {
      // systemd leaves it running and no longer counts it as its own.
      current = undefined
      set({ mainPid: 0 })
      enterDead('timeout', false)
    }
  }

  /** A start that still waits must not keep a stop waiting. */
  function abortStart(): void {
    if (status.state !== 'activating/start' || current === undefined) return
    stopping = true
    signalGroup(current.pid, 'SIGTERM')
  }

  async function doReload(): Promise<JobResult> {
    if (status.state !== 'active/running') return 'failed'
    set({ state: 'reloading/reload' })
    const environment = {
      ...environmentOf(root, definition, status.invocationId),
      MAINPID: String(status.mainPid),
    }
    let result: JobResult = 'done'
    for (const command of definition.execReload) {
      const started = runCommand(command.argv, environment)
      set({ reload: { ...NEVER_RAN, pid: started.pid, started: now() } })
      const exit = await started.exited
      set({ reload: { ...status.reload, stopped: now(), exit } })
      if (!isClean(exit, { daemon: false }) && !command.ignoreErrors) result = 'failed'
    }
    if (isReloading(status)) set({ state: 'active/running' })
    return result
  }

  return {
    definition: () => definition,
    redefine: next => {
      definition = next
    },
    status: () => status,
    // systemd lets a start wait for the restart that is coming; only a restart does not wait.
    start: () => (status.state === 'activating/auto-restart' ? autoRestart.promise : job(doStart)),
    stop: () => {
      abortStart()
      return job(doStop)
    },
    restart: () => {
      abortStart()
      return job(async () => {
        restarting = true
        await doStop()
        restarting = false
        return await doStart()
      })
    },
    reload: () => job(doReload),
    kill: (signal, who) => {
      if (status.mainPid === 0) return false
      if (who === 'all') signalGroup(status.mainPid, signal)
      else signalProcess(status.mainPid, signal)
      return true
    },
    resetFailed: () => {
      limit = { beginMs: Number.NEGATIVE_INFINITY, count: 0 }
      set({ result: 'success', restarts: 0 })
      if (status.state !== 'failed/failed') return
      set({ state: 'inactive/dead' })
      forgetUnlessEnabled()
    },
    destroy: () => {
      clearTimeout(restartTimer)
      if (current !== undefined) signalGroup(current.pid, 'SIGKILL')
      current = undefined
    },
  }
}
