// From the point of no return to the end: switch, activate, verify, commit; and back where the
// proof fails. Every step can be repeated, so that a crash anywhere goes on from the journal alone.

import { unreachable } from '../shared/assert.ts'
import { OperationalError, describeError } from '../shared/errors.ts'
import { sha256 } from '../shared/digest.ts'
import type { Reason } from '../shared/contract/schema.ts'
import type { ApplyResult } from './apply.ts'
import type { Host, UnitState } from './host.ts'
import type { Journal, Target } from './journal.ts'
import type { ServiceEntry } from './ledger.ts'
import type { Verb } from './owed.ts'
import type { StateFile } from './state-file.ts'
import { type Verdict, verifyService } from './verify.ts'

export interface Transaction {
  readonly host: Host
  readonly journal: StateFile<Journal>
  /** Whether the listeners of a service serve this leaf, in health; undefined = yes. */
  readonly lookServed: (journal: Journal, fingerprint: string) => Promise<Reason | undefined>
  /** What the listeners serve now, to be compared with `servedBefore`; undefined = the same. */
  readonly lookRestored: (journal: Journal) => Promise<Reason | undefined>
  /** Called with the name of each durable step, before it. */
  readonly onStep?: (step: string) => void
}

/** Goes on from wherever the journal is. */
export async function finishTransaction(
  tools: Transaction,
  journal: Journal,
  entry: ServiceEntry,
): Promise<ApplyResult> {
  switch (journal.step) {
    case 'switching':
      return goForward(tools, journal, entry)
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
    await switchTargets(tools.host, journal)
    switched = await note(tools, journal, {
      step: 'activating',
      // A process that was started between the plan and the switch has not loaded the new state either.
      staleInvocations: await withRunning(tools.host, journal),
    })
  } catch (error) {
    return restore(tools, journal, entry, reasonOf(error))
  }
  return activateAndVerify(tools, switched, entry)
}

/** s7. Each target is old or new, never anything between; those that are new already are left. */
async function switchTargets(host: Host, journal: Journal): Promise<void> {
  for (const target of journal.targets) {
    const found = await digestOf(host, target.path)
    if (found === target.after.sha256) {
      await host.files.remove(target.staged)
      continue
    }
    if (found !== target.before?.sha256) {
      throw new OperationalError(
        'changed-meanwhile',
        `could not switch ${target.path}: it was changed meanwhile`,
      )
    }
    if ((await digestOf(host, target.staged)) !== target.after.sha256) {
      throw new OperationalError(
        'staged-file-lost',
        `could not switch ${target.path}: the prepared file is gone`,
      )
    }
    if (isLast(journal, target)) await switchLink(host, journal)
    await host.files.rename(target.staged, target.path)
  }
  await switchLink(host, journal)
}

// The link goes before the last file: that is the one whose rename makes a product use the release
// (files are ordered so by the driver), and by then everything that it names is there.
function isLast(journal: Journal, target: Target): boolean {
  return journal.targets.at(-1) === target
}

async function switchLink(host: Host, { link }: Journal): Promise<void> {
  if (link === undefined || (await host.files.readLink(link.path)) === link.after) return
  await host.files.switchLink(link.path, link.after)
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
    if (isOwed(journal, unit)) {
      tools.onStep?.('s9 activate')
      current = await note(tools, journal, {
        step: 'activating',
        restartsMade: journal.restartsMade + 1,
      })
      await activate(host, journal.unit, journal.activation, unit)
    }
    current = await note(tools, current, { step: 'verifying' })
    tools.onStep?.('s10 verify')
    verdict = await verifyService(host, {
      unit: journal.unit,
      lookServed: () => tools.lookServed(journal, journal.expectedFingerprint),
      policy: journal.verify,
      isQuiet: journal.activation === 'none',
      staleInvocation: startsAnew(journal.activation) ? await staleOf(current, unit) : undefined,
    })
  } catch (error) {
    return restore(tools, current, entry, reasonOf(error))
  }
  if (verdict.kind === 'disproven') return restore(tools, current, entry, verdict.reason)
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

async function activate(
  host: Host,
  unitName: string,
  verb: Verb,
  unit: UnitState | undefined,
): Promise<void> {
  if (verb === 'none') return
  // A unit that has used up its starts refuses another one even when its fault is cured.
  if (startsAnew(verb) && unit?.activeState === 'failed') await host.services.resetFailed(unitName)
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
    await switchBack(host, journal)
    const unit = await host.services.show(journal.unit)
    const verb = host.isOffline ? 'none' : verbBack(journal, unit)
    if (verb !== 'none') {
      tools.onStep?.('r2 activate')
      current = await note(tools, current, { restartsMade: current.restartsMade + 1 })
      if (startsAnew(verb)) await host.services.resetFailed(journal.unit)
      await host.services.activate(journal.unit, verb === 'start' ? 'restart' : verb)
    }
    tools.onStep?.('r3 verify')
    const verdict = await proveRestored(tools, journal, verb, unit)
    const held = {
      contentDigest: journal.contentDigest,
      reason: restoredReason(why, verdict),
      broken: verdict.kind === 'disproven',
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

async function switchBack(host: Host, journal: Journal): Promise<void> {
  // Files first, then the link: the reverse of the way forward.
  for (const target of [...journal.targets].reverse()) {
    await host.files.remove(target.staged)
    const found = await digestOf(host, target.path)
    // Neither ours nor gone: an operator's edit, which is not overwritten.
    if (found !== undefined && found !== target.after.sha256) continue
    if (target.before === undefined) {
      await host.files.remove(target.path)
      continue
    }
    const { copy, sha256: _, ...ownership } = target.before
    const contents = await host.files.read(copy)
    if (contents === undefined)
      throw new OperationalError(
        'previous-file-lost',
        `could not restore ${target.path}: its copy is gone`,
      )
    await host.files.create(target.staged, { contents, ...ownership, overwrite: true })
    await host.files.rename(target.staged, target.path)
  }
  const { link } = journal
  if (link === undefined) return
  if (link.before === undefined) await host.files.remove(link.path)
  else if ((await host.files.readLink(link.path)) !== link.before)
    await host.files.switchLink(link.path, link.before)
}

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

async function digestOf(host: Host, path: string): Promise<string | undefined> {
  const bytes = await host.files.read(path)
  return bytes === undefined ? undefined : sha256(bytes)
}

function reasonOf(error: unknown): Reason {
  if (!(error instanceof OperationalError)) throw error
  return { code: error.code, message: describeError(error) }
}
