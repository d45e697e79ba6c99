// From the point of no return to the end: switch, activate, verify, commit; and back where the
// proof fails. Every step can be repeated, so that a crash anywhere goes on from the journal alone.

import { unreachable } from '../shared/assert.ts'
import { OperationalError, describeError } from '../shared/errors.ts'
import type { Reason } from '../shared/contract/schema.ts'
import type { ApplyResult } from './apply.ts'
import type { Host, UnitState } from './host.ts'
import type { Journal, JournalTool } from './journal.ts'
import { restoreKeystores, setKeystores } from './keystore-tool.ts'
import { awaitStart, saveFirst, stopTogether } from './gather.ts'
import type { ServiceEntry } from './ledger.ts'
import type { Verb } from './owed.ts'
import type { AskAct } from './section.ts'
import type { Snapshots } from './snapshots.ts'
import type { StateFile } from './state-file.ts'
import { switchBack, switchForward } from './switch.ts'
import { type Verdict, verifyService } from './verify.ts'

export interface Transaction {
  readonly host: Host
  readonly journal: StateFile<Journal>
  /** Whether the listeners of a service serve what the journal expects, in health; undefined = yes. */
  readonly lookServed: (journal: Journal) => Promise<Reason | undefined>
  /** What the listeners serve now, to be compared with `servedBefore`; undefined = the same. */
  readonly lookRestored: (journal: Journal) => Promise<Reason | undefined>
  /** Of a change that a whole group makes at once; undefined: there is nobody to ask. */
  readonly askAct?: AskAct | undefined
  /** Of such a change too; undefined: nothing is saved before it. */
  readonly snapshots?: Pick<Snapshots, 'save' | 'copy'> | undefined
  /** Told around the time that a service is away; see Absences. Absent: nobody is. */
  readonly absences?: TransactionAbsences | undefined
  /** Called with the name of each durable step, before it. */
  readonly onStep?: (step: string) => void
}

export interface TransactionAbsences {
  readonly leave: (journal: Journal) => Promise<void>
  readonly comeBack: (journal: Journal) => Promise<void>
}

/** Goes on from wherever the journal is. */
export async function finishTransaction(
  tools: Transaction,
  journal: Journal,
  entry: ServiceEntry,
): Promise<ApplyResult> {
  switch (journal.step) {
    case 'gathering':
    case 'stopped':
      return gather(tools, journal, entry)
    case 'switching':
      return goForward(tools, journal, entry)
    case 'switched':
      return startWithOthers(tools, journal, entry)
    case 'activating':
    case 'verifying':
      return activateAndVerify(tools, journal, entry)
    case 'restoring':
      return restore(tools, journal, entry, {
        code: 'resumed',
        message: 'the previous state was being put back when the agent was stopped',
      })
    default:
      return unreachable(journal.step)
  }
}

async function goForward(
  tools: Transaction,
  journal: Journal,
  entry: ServiceEntry,
): Promise<ApplyResult> {
  let switched: Journal
  try {
    tools.onStep?.('s7 switch')
    await switchAll(tools.host, journal)
    switched = await note(tools, journal, {
      step: journal.together === undefined ? 'activating' : 'switched',
      // A process that was started between the plan and the switch has not loaded the new state either.
      staleInvocations: await withRunning(tools.host, journal),
    })
  } catch (error) {
    return restore(tools, journal, entry, reasonOf(error))
  }
  return switched.step === 'switched'
    ? startWithOthers(tools, switched, entry)
    : activateAndVerify(tools, switched, entry)
}

/** Stopped with the others; who cannot be waited for sends all of them back. */
async function gather(
  tools: Transaction,
  journal: Journal,
  entry: ServiceEntry,
): Promise<ApplyResult> {
  let current = journal
  try {
    tools.onStep?.('s6 gather')
    if (journal.step === 'gathering') {
      current = await saveFirst(tools, journal, change => note(tools, journal, change))
      // Before the first of them stops there is a cluster that can be told.
      await tools.absences?.leave(current)
    }
    const saved = current
    current = await stopTogether(tools, saved, step => note(tools, saved, { step }))
    current = await note(tools, current, { step: 'switching' })
  } catch (error) {
    return restore(tools, current, entry, reasonOf(error))
  }
  return goForward(tools, current, entry)
}

async function startWithOthers(
  tools: Transaction,
  journal: Journal,
  entry: ServiceEntry,
): Promise<ApplyResult> {
  let current = journal
  try {
    tools.onStep?.('s8 wait for the others')
    await awaitStart(tools, journal)
    current = await note(tools, journal, { step: 'activating' })
  } catch (error) {
    return restore(tools, journal, entry, reasonOf(error))
  }
  return activateAndVerify(tools, current, entry)
}

async function activateAndVerify(
  tools: Transaction,
  journal: Journal,
  entry: ServiceEntry,
): Promise<ApplyResult> {
  const { host } = tools
  // The files are all there is to prove: the service loads them when it starts.
  if (host.isOffline) return commit(tools, journal, undefined)
  let current = journal
  let verdict: Verdict
  try {
    const unit = await host.services.show(journal.unit)
    await readUnitsAgain(host, journal, journal.activation, unit)
    if (isOwed(journal, unit)) {
      const isAlone = journal.together === undefined
      if (startsAnew(journal.activation) && isAlone) await tools.absences?.leave(journal)
      tools.onStep?.('s9 activate')
      current = await note(tools, journal, {
        step: 'activating',
        restartsMade: journal.restartsMade + 1,
      })
      await activate(host, journal.unit, journal.activation)
    }
    current = await note(tools, current, { step: 'verifying' })
    tools.onStep?.('s10 verify')
    verdict = await verifyService(host, {
      unit: journal.unit,
      lookServed: () => tools.lookServed(journal),
      policy: journal.verify,
      isQuiet: journal.activation === 'none',
      staleInvocation: startsAnew(journal.activation) ? await staleOf(current, unit) : undefined,
    })
  } catch (error) {
    return restore(tools, current, entry, reasonOf(error))
  }
  if (verdict.kind === 'disproven') return restore(tools, current, entry, verdict.reason)
  await tools.absences?.comeBack(journal)
  return commit(tools, current, verdict.unit.invocationId)
}

function startsAnew(verb: Verb): boolean {
  return verb === 'restart' || verb === 'start'
}

async function staleOf(journal: Journal, unit: UnitState | undefined): Promise<string | undefined> {
  const running = unit?.invocationId
  return running !== undefined && journal.staleInvocations.includes(running) ? running : undefined
}

// After a crash between activation and record the process is a new one, and nothing is owed any more.
function isOwed(journal: Journal, unit: UnitState | undefined): boolean {
  if (journal.activation === 'none') return false
  if (!startsAnew(journal.activation)) return journal.step === 'activating'
  if (unit === undefined || unit.activeState === 'failed' || unit.activeState === 'inactive')
    return true
  return unit.invocationId === undefined || journal.staleInvocations.includes(unit.invocationId)
}

async function activate(host: Host, unitName: string, verb: Verb): Promise<void> {
  if (verb === 'none') return
  // A unit that has used up its starts refuses another one even when its fault is cured; one that
  // dies again and again is seen as active for moments, so its state does not tell.
  if (startsAnew(verb)) await host.services.resetFailed(unitName)
  await host.services.activate(unitName, verb === 'start' ? 'restart' : verb)
}

async function commit(
  tools: Transaction,
  journal: Journal,
  invocationId: string | undefined,
): Promise<ApplyResult> {
  tools.onStep?.('s11 commit')
  const entry: ServiceEntry = {
    staleInvocations: [],
    convergedTo: journal.contentDigest,
    ...(invocationId === undefined ? {} : { loaded: { invocationId, inputs: journal.inputs } }),
  }
  return { kind: 'changed', entry, activations: journal.restartsMade }
}

/** r1 to r4: the previous state is put back and proven, without anybody's help. */
async function restore(
  tools: Transaction,
  journal: Journal,
  entry: ServiceEntry,
  why: Reason,
): Promise<ApplyResult> {
  const { host } = tools
  let current = journal
  try {
    current = await note(tools, journal, { step: 'restoring' })
    tools.onStep?.('r1 switch back')
    await switchAllBack(host, journal)
    const unit = await host.services.show(journal.unit)
    const verb = host.isOffline ? 'none' : verbBack(journal, unit)
    await readUnitsAgain(host, journal, verb, unit)
    if (verb !== 'none') {
      tools.onStep?.('r2 activate')
      current = await note(tools, current, { restartsMade: current.restartsMade + 1 })
      if (startsAnew(verb)) await host.services.resetFailed(journal.unit)
      await host.services.activate(journal.unit, verb === 'start' ? 'restart' : verb)
    }
    tools.onStep?.('r3 verify')
    const verdict = await proveRestored(tools, journal, verb, unit)
    const broken = verdict.kind === 'disproven'
    if (!broken) await tools.absences?.comeBack(journal)
    const held = {
      contentDigest: journal.contentDigest,
      reason: restoredReason(why, verdict),
      broken,
      ...(broken ? { servedBefore: journal.servedBefore } : {}),
    }
    // What the process has loaded now is not known for certain: the next observation decides.
    const kept: ServiceEntry = {
      staleInvocations: [],
      held,
      ...(entry.convergedTo === undefined ? {} : { convergedTo: entry.convergedTo }),
    }
    const kind = verdict.kind === 'proven' ? 'restored' : 'broken'
    return { kind, reason: held.reason, entry: kept, activations: current.restartsMade }
  } catch (error) {
    const reason = {
      code: 'restore-failed',
      message: `${why.message}; the previous state could not be put back: ${describeError(error)}`,
    }
    const held = { contentDigest: journal.contentDigest, reason, broken: true }
    return { kind: 'broken', reason, entry: { ...entry, held }, activations: current.restartsMade }
  }
}

/** s7: files, then what is made from them, then secrets; the process sees none of it before its activation. */
async function switchAll(host: Host, journal: Journal): Promise<void> {
  await switchForward(host, journal)
  for (const tool of journal.tools ?? []) await runTool(host, tool)
  await setKeystores(host, journal)
}

async function switchAllBack(host: Host, journal: Journal): Promise<void> {
  await switchBack(host, journal)
  await restoreKeystores(host, journal)
  for (const tool of journal.tools ?? []) if (tool.isUndone) await runTool(host, tool)
}

async function runTool(host: Host, { argv, timeoutMs, what }: JournalTool): Promise<void> {
  const result = await host.commands.run(argv, { timeoutMs })
  if (result.code === 0) return
  const said = `${result.stderr}\n${result.stdout}`.trim().slice(0, 500)
  throw new OperationalError('tool-failed', `${what} failed: ${said}`, {
    details: { code: result.code },
  })
}

/**
 * A start with unit files that the service manager has not read again would be one of the old unit.
 * Where nothing is activated, only what we have switched is read.
 */
async function readUnitsAgain(
  host: Host,
  journal: Journal,
  verb: Verb,
  unit: UnitState | undefined,
): Promise<void> {
  if (host.isOffline || unit?.needsDaemonReload !== true) return
  const isOurs = journal.targets.some(({ path }) => UNIT_FILE.test(path))
  if (verb !== 'none' || isOurs) await host.services.daemonReload()
}

const UNIT_FILE = /\/systemd\/system\//

// A process that never saw the new state needs nothing; any other is started with the old one.
function verbBack(journal: Journal, unit: UnitState | undefined): Verb {
  if (journal.activation === 'none')
    return unit?.activeState === 'failed' && journal.wasActive ? 'start' : 'none'
  if (unit === undefined || unit.activeState !== 'active') return 'start'
  if (!startsAnew(journal.activation)) return journal.restartsMade > 0 ? journal.activation : 'none'
  const running = unit.invocationId
  return running !== undefined && journal.staleInvocations.includes(running) ? 'none' : 'restart'
}

async function proveRestored(
  tools: Transaction,
  journal: Journal,
  verb: Verb,
  before: UnitState | undefined,
): Promise<Verdict> {
  // A service that was down before the switch cannot be asked to be up after it.
  if (!journal.wasActive || tools.host.isOffline) {
    const unit = await tools.host.services.show(journal.unit)
    if (unit !== undefined) return { kind: 'proven', unit }
  }
  return verifyService(tools.host, {
    unit: journal.unit,
    lookServed: () => tools.lookRestored(journal),
    policy: journal.verify,
    isQuiet: verb === 'none',
    staleInvocation:
      startsAnew(verb) && before?.activeState === 'active' ? before.invocationId : undefined,
  })
}

function restoredReason(why: Reason, verdict: Verdict): Reason {
  if (verdict.kind === 'proven') {
    return { code: why.code, message: `${why.message}; the previous state was put back` }
  }
  return {
    code: 'restore-unproven',
    message: `${why.message}; the previous state was put back but does not work: ${verdict.reason.message}`,
  }
}

async function note(
  tools: Transaction,
  journal: Journal,
  change: Partial<Journal>,
): Promise<Journal> {
  const next = { ...journal, ...change }
  await tools.journal.write(next)
  return next
}

async function withRunning(host: Host, journal: Journal): Promise<string[]> {
  const running = (await host.services.show(journal.unit))?.invocationId
  if (running === undefined || journal.staleInvocations.includes(running))
    return journal.staleInvocations
  return [...journal.staleInvocations, running]
}

function reasonOf(error: unknown): Reason {
  if (!(error instanceof OperationalError)) throw error
  return { code: error.code, message: describeError(error) }
}
