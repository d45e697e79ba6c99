// An agent in a process of its own that passes over a converged node as often as it is told, and
// says what that cost. Arguments: ROOT SYSTEMCTL DESIRED PASSES.

import { subscribe } from 'node:diagnostics_channel'
import { readFileSync, statSync } from 'node:fs'
import { createHost } from '../../agent/edges/host.ts'
import { parseDesiredFile } from '../../agent/desired-file.ts'
import { createReconciler } from '../../agent/reconcile.ts'
import { silentLog } from '../../shared/log.ts'

export interface PassResult {
  /** CPU of this process by pass, milliseconds. */
  readonly cpuMs: readonly number[]
  readonly wallMs: readonly number[]
  /** Programs started in the measured passes. */
  readonly spawned: readonly string[]
  /** CPU of ended child processes in the measured passes, milliseconds. */
  readonly childCpuMs: number
  readonly changes: number
}

// The first pass reads everything, and the ones after it are compiled step by step.
const WARM_UP_PASSES = 100

/** Looked for in the trace of system calls: what is between the two belongs to the passes. */
export const MARKS = { begin: '/tlsfleet-bench-begin', end: '/tlsfleet-bench-end' } as const

if (import.meta.main) {
  const [, , root = '', systemctl = '', file = '', passes = '50'] = process.argv
  process.stdout.write(JSON.stringify(await measure(root, systemctl, file, Number(passes))))
}

async function measure(root: string, systemctl: string, file: string, passes: number) {
  const host = createHost({ root, systemctl })
  const desired = await parseDesiredFile(readFileSync(file, 'utf8'), file)
  const reconciler = await createReconciler({
    host,
    stateDirectory: '/var/lib/tlsfleet/agent',
    issuers: desired.issuers,
    log: silentLog,
  })
  const pass = async () => {
    const reports = await reconciler.pass({
      services: desired.services,
      mode: 'enforce',
      signInternal: undefined,
      claim: async () => undefined,
      signal: new AbortController().signal,
    })
    const moved = reports.find(report => report.outcome !== 'in-sync')
    if (moved !== undefined) throw new Error(`not in sync: ${JSON.stringify(moved)}`)
    return reports.reduce((sum, report) => sum + report.changes.length, 0)
  }
  for (let i = 0; i < WARM_UP_PASSES; i++) await pass()

  const spawned: string[] = []
  subscribe('child_process', message => spawned.push(spawnedFile(message)))
  const childBefore = endedChildrenMs()
  const [cpuMs, wallMs]: [number[], number[]] = [[], []]
  let changes = 0
  statSync(MARKS.begin, { throwIfNoEntry: false })
  for (let i = 0; i < passes; i++) {
    const [cpu, wall] = [process.cpuUsage(), performance.now()]
    changes += await pass()
    const used = process.cpuUsage(cpu)
    cpuMs.push((used.user + used.system) / 1000)
    wallMs.push(performance.now() - wall)
  }
  statSync(MARKS.end, { throwIfNoEntry: false })
  const childCpuMs = endedChildrenMs() - childBefore
  return { cpuMs, wallMs, spawned, childCpuMs, changes } satisfies PassResult
}

function spawnedFile(message: unknown): string {
  const child = typeof message === 'object' && message !== null && 'process' in message
  const process = child ? message.process : undefined
  if (typeof process !== 'object' || process === null || !('spawnfile' in process)) return 'unknown'
  return String(process.spawnfile)
}

// Of proc(5): cutime and cstime, in ticks of 10 ms.
function endedChildrenMs(): number {
  const fields = readFileSync('/proc/self/stat', 'utf8').split(') ').at(-1)?.split(' ') ?? []
  return (Number(fields[13]) + Number(fields[14])) * 10
}
