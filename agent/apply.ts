// Stage four: one service from its old to its new state. The steps and their names are those of the
// protocol in ARCHITECTURE.md: s0 to s12 forward, r1 to r4 back. Up to s5 nothing live is touched;
// from s6 on the journal knows the way to both ends.

import { OperationalError, describeError } from '../shared/errors.ts'
import { sha256 } from '../shared/digest.ts'
import type { Reason } from '../shared/contract/schema.ts'
import type { Mode } from '../shared/contract/desired-state.ts'
import type { Host } from './host.ts'
import type { Journal, Target } from './journal.ts'
import type { ServiceEntry } from './ledger.ts'
import { inputDigests } from './owed.ts'
import { clientTrust } from './client-trust.ts'
import type { ActionablePlan } from './plan.ts'
import type { PlannedFile } from './planned-files.ts'
import { type NewRelease, type ReleaseTools, makeRelease } from './release.ts'
import { renderFile } from './resources/managed-file.ts'
import type { StateFile } from './state-file.ts'
import { OWN } from './state-file.ts'
import { type Transaction, finishTransaction } from './transaction.ts'
import { proveReadable, validateStaged } from './validate.ts'

export type ApplyResult =
  | { readonly kind: 'changed'; readonly entry: ServiceEntry; readonly activations: number }
  | { readonly kind: 'staged'; readonly reason: Reason }
  | { readonly kind: 'waiting'; readonly reason: Reason }
  /** Nothing live was touched. */
  | { readonly kind: 'failed'; readonly reason: Reason; readonly retryable: boolean }
  | {
      readonly kind: 'restored'
      readonly reason: Reason
      readonly entry: ServiceEntry
      readonly activations: number
    }
  | {
      readonly kind: 'broken'
      readonly reason: Reason
      readonly entry: ServiceEntry
      readonly activations: number
    }

export interface ApplyTools extends ReleaseTools {
  readonly journal: StateFile<Journal>
  readonly stateDirectory: string
  readonly transaction: Transaction
  /** The right to go past the point of no return; undefined = granted. */
  readonly claim: (plan: ActionablePlan) => Promise<Reason | undefined>
  /** Aborted by a clean stop: before the point of no return the pass is given up, after it it is finished. */
  readonly signal: AbortSignal
}

/** Never throws for what the node does: every end is a result. */
export async function applyService(
  tools: ApplyTools,
  plan: ActionablePlan,
  mode: Mode,
  entry: ServiceEntry,
): Promise<ApplyResult> {
  const staged: PreparedFile[] = []
  let journal: Journal
  try {
    for (const directory of plan.directories)
      await tools.host.files.makeDirectory(directory.path, directory.ownership)
    for (const { path, to } of plan.permissions) await tools.host.files.setOwnership(path, to)
    const release =
      plan.material.kind === 'new' ? await makeRelease(tools, plan) : plan.material.release
    await stageFiles(tools.host, plan, release, staged)
    await proveReadable(tools.host, plan, release.id, staged)
    await validateStaged(tools.host, plan, staged)
    const stop = await reasonToStop(tools, plan, mode)
    if (stop !== undefined) {
      await discard(tools.host, staged)
      return stop
    }
    journal = await prepareJournal(tools, plan, release, staged, entry)
  } catch (error) {
    await discard(tools.host, staged)
    return failed(error)
  }
  return finishTransaction(tools.transaction, journal, entry)
}

export interface PreparedFile {
  readonly plan: PlannedFile
  readonly staged: string
  readonly text: string
  readonly sha256: string
}

/** Name of a staged file: beside the live one, so that the switch is one rename. */
export function stagedPath(path: string): string {
  const slash = path.lastIndexOf('/')
  return `${path.slice(0, slash + 1)}.tlsfleet-${path.slice(slash + 1)}`
}

async function stageFiles(
  host: Host,
  plan: ActionablePlan,
  release: NewRelease,
  staged: PreparedFile[],
): Promise<void> {
  for (const file of plan.files) {
    const text = await finalText(host, plan, file, release)
    const path = stagedPath(file.realPath)
    const contents = Buffer.from(text)
    staged.push({ plan: file, staged: path, text, sha256: sha256(contents) })
    await host.files.create(path, { contents, ...file.ownership, overwrite: true })
  }
}

// The plan may have been made before the release had a name: what it names is rendered again.
async function finalText(
  host: Host,
  plan: ActionablePlan,
  file: PlannedFile,
  release: NewRelease,
): Promise<string> {
  if (file.intent === undefined)
    return clientTrust(plan.tls, plan.facts.issuerTrust, release.chainPem)
  const observed = plan.facts.files[file.path]
  const before = observed?.kind === 'text' ? observed.text : undefined
  const rendered = renderFile(file.intent, before, release.id)
  if (rendered.kind === 'refused')
    throw new OperationalError(rendered.reason.code, rendered.reason.message)
  return rendered.text
}

async function reasonToStop(
  tools: ApplyTools,
  plan: ActionablePlan,
  mode: Mode,
): Promise<ApplyResult | undefined> {
  if (plan.isInactive) {
    const message = `${plan.unit.unit} is stopped; it is prepared and converges when its operator starts it`
    return { kind: 'waiting', reason: { code: 'inactive', message } }
  }
  if (mode === 'stage') {
    return {
      kind: 'staged',
      reason: { code: 'staged', message: 'prepared and validated beside the live files' },
    }
  }
  if (tools.signal.aborted) return { kind: 'failed', reason: STOPPING, retryable: true }
  const denied = await tools.claim(plan)
  if (denied !== undefined) return { kind: 'waiting', reason: denied }
  return tools.signal.aborted ? { kind: 'failed', reason: STOPPING, retryable: true } : undefined
}

const STOPPING: Reason = {
  code: 'stopping',
  message: 'the agent was stopped before anything was changed',
}

async function prepareJournal(
  tools: ApplyTools,
  plan: ActionablePlan,
  release: NewRelease,
  staged: readonly PreparedFile[],
  entry: ServiceEntry,
): Promise<Journal> {
  const { host } = tools
  const targets: Target[] = []
  await host.files.makeDirectory(`${tools.stateDirectory}/previous`, { mode: 0o700, ...OWN })
  for (const [index, file] of staged.entries()) {
    targets.push(
      await targetOf(tools, file, `${tools.stateDirectory}/previous/${plan.service}-${index}`),
    )
  }
  const link = `${plan.compiled.material.directory}/current`
  const target = `releases/${release.id}`
  const journal: Journal = {
    version: 1,
    step: 'switching',
    service: plan.service,
    unit: plan.unit.unit,
    contentDigest: plan.contentDigest,
    targets,
    ...(plan.facts.material.link === target
      ? {}
      : {
          link: {
            path: link,
            after: target,
            ...(plan.facts.material.link === undefined ? {} : { before: plan.facts.material.link }),
          },
        }),
    activation: plan.owed.verb,
    verify: plan.tls.verify,
    expectedFingerprint: release.facts.fingerprint,
    staleInvocations: staleInvocations(plan, entry),
    wasActive: plan.unit.activeState === 'active',
    servedBefore: plan.facts.served.map(({ listener, handshake }) => ({
      listener: listener.name,
      kind: handshake.kind,
      ...(handshake.kind === 'tls' ? { fingerprint: handshake.fingerprint } : {}),
    })),
    inputs: inputDigests(plan.compiled.loads, release.id),
    restartsMade: 0,
  }
  await tools.journal.write(journal)
  return journal
}

// With nothing to switch, what is owed is owed by the process that runs now.
function staleInvocations(plan: ActionablePlan, entry: ServiceEntry): string[] {
  const running = plan.unit.invocationId
  return running === undefined || entry.staleInvocations.includes(running)
    ? [...entry.staleInvocations]
    : [running]
}

// The last look before the point of no return: an edit that somebody made since the plan is not lost.
async function targetOf(tools: ApplyTools, file: PreparedFile, copy: string): Promise<Target> {
  const { files } = tools.host
  const { realPath, before, ownership } = file.plan
  const bytes = await files.read(realPath)
  const found = bytes === undefined ? undefined : sha256(bytes)
  if (found !== before?.sha256) {
    throw new OperationalError(
      'changed-meanwhile',
      `could not switch ${realPath}: it was changed since it was planned`,
      { retryable: true },
    )
  }
  const after = { sha256: file.sha256, ...ownership }
  if (bytes === undefined || before === undefined)
    return { path: realPath, staged: file.staged, after }
  await files.create(copy, { contents: bytes, mode: 0o600, ...OWN, overwrite: true })
  return {
    path: realPath,
    staged: file.staged,
    after,
    before: { sha256: before.sha256, copy, ...before.ownership },
  }
}

async function discard(host: Host, staged: readonly PreparedFile[]): Promise<void> {
  for (const file of staged) {
    // A left-over is overwritten by the next attempt; not being able to remove it must not hide why it is one.
    await host.files.remove(file.staged).catch(() => undefined)
  }
}

function failed(error: unknown): ApplyResult {
  if (!(error instanceof OperationalError)) throw error
  const hint = error.hint === undefined ? '' : ` (${error.hint})`
  return {
    kind: 'failed',
    reason: { code: error.code, message: `${describeError(error)}${hint}` },
    retryable: error.retryable,
  }
}
