// What saves a service before it is stopped with those of other nodes, so that there is a way back also
// from what a product makes of its data: a program that the node's operator has named, while the service
// still runs, and a copy of what the driver names, while all are stopped.

import type { ServiceName } from '../shared/contract/service.ts'
import { formatDuration } from '../shared/duration.ts'
import { OperationalError, describeError } from '../shared/errors.ts'
import type { Logger } from '../shared/log.ts'
import type { CommandResult, Host } from './host.ts'
import type { Journal } from './journal.ts'
import { whyNotOwn } from './own-program.ts'
import type { ActionablePlan } from './plan.ts'
import { createSnapshotCopies } from './snapshot-copies.ts'
import { copiedOf, type SnapshotPolicies, type SnapshotPolicy } from './snapshot-policy.ts'
import { whileWorking } from './while-working.ts'

export interface Snapshots {
  /**
   * Of a change that is to be made with others: bytes of what will be copied. Throws
   * `snapshot-failed` where it can be seen already that it will be of no use to begin.
   */
  prepare(plan: ActionablePlan): Promise<number>
  /** While the service runs, before it is asked for its stop. Throws `snapshot-failed`, `stopping`. */
  save(journal: Journal): Promise<void>
  /**
   * While it is stopped. `isAnew`: it has run until now, so that a copy which was made before is old.
   * Throws `snapshot-failed`, `disk-full`.
   */
  copy(journal: Journal, options: { readonly isAnew: boolean }): Promise<void>
}

export interface SnapshotOptions {
  readonly host: Host
  readonly stateDirectory: string
  readonly policies: SnapshotPolicies
  /** What a program is told of where it runs. */
  readonly node: () => string
  readonly log: Logger
  /** A clean stop of the agent ends the program. */
  readonly signal?: AbortSignal | undefined
}

export function createSnapshots(options: SnapshotOptions): Snapshots {
  const { host, policies, log } = options
  const copies = createSnapshotCopies(options)
  return {
    async prepare({ service, compiled }) {
      const policy = policies[service]
      if (policy?.command !== undefined) await requireOwn(host, service, policy.command[0])
      return copies.sizeOf(service, copiedOf(compiled.snapshot, policy))
    },
    async save(journal) {
      const { service, snapshot } = journal
      const policy = policies[service]
      // What cannot be copied is known before anything is stopped.
      await copies.requireRoom(service, copiedOf(snapshot, policy))
      if (policy?.command === undefined) return
      await requireOwn(host, service, policy.command[0])
      const startedMs = host.clock.monotonic()
      const { stdout, stderr } = await run(options, journal, { ...policy, argv: policy.command })
      const tookMs = tookSince(host, startedMs)
      const said = {
        stdout: endOf(stdout, LOGGED_CHARACTERS),
        stderr: endOf(stderr, LOGGED_CHARACTERS),
      }
      log.info({ service, command: policy.command, tookMs, ...said }, 'snapshot taken')
    },
    async copy(journal, { isAnew }) {
      const { service, snapshot, together } = journal
      const directories = copiedOf(snapshot, policies[service])
      if (together === undefined || directories.length === 0) return
      const { generation } = together
      const startedMs = host.clock.monotonic()
      const path = await whileWorking(
        host.clock,
        copies.make({ service, node: options.node(), generation, directories, isAnew }),
      )
      if (path === undefined) return
      log.info({ service, path, tookMs: tookSince(host, startedMs) }, 'snapshot taken')
    },
  }
}

function tookSince({ clock }: Pick<Host, 'clock'>, startedMs: number): number {
  return Math.round(clock.monotonic() - startedMs)
}

// Of each stream, in the log and in a reason.
const LOGGED_CHARACTERS = 4_000
const REASON_CHARACTERS = 600

async function requireOwn({ files }: Host, service: ServiceName, program: string): Promise<void> {
  const why = await whyNotOwn(files, program)
  if (why === undefined) return
  throw new OperationalError(
    'snapshot-program-unusable',
    `refused to run ${program}, which is to save ${service}: ${why}`,
    { hint: 'it and its directories belong to root, and are writable by nobody else' },
  )
}

interface Wanted extends Pick<SnapshotPolicy, 'timeoutMs'> {
  readonly argv: readonly [string, ...string[]]
}

async function run(
  { host, node, signal }: SnapshotOptions,
  { service, together }: Journal,
  { argv, timeoutMs }: Wanted,
): Promise<CommandResult> {
  const [program, ...words] = argv
  const failed = (why: string) =>
    new OperationalError('snapshot-failed', `${program} did not save ${service}: ${why}`)
  const work = host.commands.run([host.servicePath(program), ...words], {
    timeoutMs,
    environment: {
      TLSFLEET_SERVICE: service,
      TLSFLEET_NODE: node(),
      TLSFLEET_GENERATION: String(together?.generation ?? 0),
    },
    // Where backups go, and what makes them, is not in the sandbox of the agent.
    unit: `tlsfleet-snapshot-${service}.service`,
    signal,
  })
  try {
    const result = await whileWorking(host.clock, work)
    if (result.code === 0) return result
    const how = result.code === undefined ? 'it was ended' : `exit ${result.code}`
    const said = endOf(
      result.stderr.trim() === '' ? result.stdout : result.stderr,
      REASON_CHARACTERS,
    )
    throw failed(said === '' ? how : `${how}: ${said}`)
  } catch (error) {
    if (!(error instanceof OperationalError)) throw error
    if (error.code === 'snapshot-failed') throw error
    if (signal?.aborted === true) throw new OperationalError('stopping', STOPPING)
    if (error.code !== 'command-timeout') throw failed(describeError(error))
    const { stderr } = error.details
    const said = endOf(typeof stderr === 'string' ? stderr : '', REASON_CHARACTERS)
    const late = `it did not end within ${formatDuration(timeoutMs)}`
    throw failed(said === '' ? late : `${late}: ${said}`)
  }
}

const STOPPING = 'the agent was stopped while the service was saved'

function endOf(text: string, characters: number): string {
  const printable = text.replaceAll(/[^\P{Cc}\n]|[\p{Cf}\u2028\u2029]/gu, ' ').trim()
  return printable.slice(-characters)
}
