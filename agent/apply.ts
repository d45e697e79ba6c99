// Stage four: one service from its old to its new state. The steps and their names are those of the
// protocol in ARCHITECTURE.md: s0 to s12 forward, r1 to r4 back. Up to s5 nothing live is touched;
// from s6 on the journal knows the way to both ends.

import { unreachable } from '../shared/assert.ts'
import { OperationalError, describeError } from '../shared/errors.ts'
import { sha256 } from '../shared/digest.ts'
import type { Reason } from '../shared/contract/schema.ts'
import type { Mode } from '../shared/contract/desired-state.ts'
import type { Secret } from '../shared/secret.ts'
import type { Files, Host } from './host.ts'
import { type Journal, type Target, previousDirectory, secretsDirectory } from './journal.ts'
import { keepCopy, prepareKeystores } from './prepare-keystores.ts'
import type { ServiceEntry } from './ledger.ts'
import { inputDigests } from './owed.ts'
import { certifiedTls, clientTrust } from './client-trust.ts'
import type { ActionablePlan } from './plan.ts'
import type { PlannedFile } from './planned-files.ts'
import { type NewRelease, type ReleaseTools, makeRelease } from './release.ts'
import { renderFile } from './resources/managed-file.ts'
import { PASSWORD_MODE, randomPassword, storePasswordPath } from './resources/store.ts'
import type { SectionPermit } from './section.ts'
import type { StateFile } from './state-file.ts'
import { OWN } from './state-file.ts'
import { type Transaction, finishTransaction } from './transaction.ts'
import { proveReadable, validateStaged } from './validate.ts'

export type ApplyResult =
  | { readonly kind: 'changed'; readonly entry: ServiceEntry; readonly activations: number }
  | { readonly kind: 'staged'; readonly reason: Reason }
  | { readonly kind: 'waiting'; readonly reason: Reason; readonly isUncertified?: boolean }
  /** Nothing live was touched. `isUncertified`: because there was no certificate to be had. */
  | {
      readonly kind: 'failed'
      readonly reason: Reason
      readonly retryable: boolean
      readonly isUncertified?: boolean
    }
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
  /** The nodes of a group make this change at once, by this permit. */
  readonly together?: SectionPermit | undefined
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
    const password = await keepPassword(tools.host, plan)
    const release = await releaseFor(tools, plan, password).catch(uncertified)
    if (release !== undefined && 'result' in release) {
      await discard(tools, staged)
      return release.result
    }
    await stageFiles(tools.host, plan, release, staged)
    await proveReadable(tools.host, plan, release?.id, staged)
    await validateStaged(tools.host, plan, staged)
    const stop = await reasonToStop(tools, plan, mode)
    if (stop !== undefined) {
      await discard(tools, staged)
      return stop
    }
    journal = await prepareJournal(tools, { plan, release, staged, entry, password })
  } catch (error) {
    await discard(tools, staged)
    return failed(error)
  }
  return finishTransaction(tools.transaction, journal, entry)
}

// Before anything is made with it: what a crash leaves is used by the next attempt.
async function keepPassword(host: Host, plan: ActionablePlan): Promise<Secret | undefined> {
  const known = plan.facts.storePassword?.password
  if (!plan.isPasswordKept) return known
  const password = known ?? randomPassword(host.random)
  const path = storePasswordPath(plan.compiled.material.directory)
  await host.files.create(path, {
    contents: Buffer.from(`${password.reveal()}\n`),
    mode: PASSWORD_MODE,
    ...OWN,
    overwrite: true,
  })
  return password
}

/** Undefined: no certificate is wanted. */
async function releaseFor(
  tools: ApplyTools,
  plan: ActionablePlan,
  password: Secret | undefined,
): Promise<NewRelease | undefined> {
  switch (plan.material.kind) {
    case 'none':
      return undefined
    case 'new':
      return makeRelease(tools, plan, password)
    case 'keep':
    case 'switch':
      return plan.material.release
    default:
      return unreachable(plan.material)
  }
}

export interface PreparedFile {
  readonly plan: PlannedFile
  readonly staged: string
  /** Undefined: the file is removed, and nothing is prepared. */
  readonly sha256: string | undefined
}

/**
 * Name of a staged file: beside the live one, so that the switch is one rename, and with another
 * end, because products read whole directories of `*.conf` and `*.yml`, hidden ones too.
 */
export function stagedPath(path: string): string {
  const slash = path.lastIndexOf('/')
  return `${path.slice(0, slash + 1)}.tlsfleet-${path.slice(slash + 1)}.new`
}

async function stageFiles(
  host: Host,
  plan: ActionablePlan,
  release: NewRelease | undefined,
  staged: PreparedFile[],
): Promise<void> {
  for (const file of plan.files) {
    const path = stagedPath(file.realPath)
    const text = await finalText(plan, file, release)
    if (text === undefined) {
      staged.push({ plan: file, staged: path, sha256: undefined })
      continue
    }
    const contents = Buffer.from(text)
    staged.push({ plan: file, staged: path, sha256: sha256(contents) })
    await host.files.create(path, { contents, ...file.ownership, overwrite: true })
  }
}

// The plan may have been made before the release had a name: what it names is rendered again.
async function finalText(
  plan: ActionablePlan,
  file: PlannedFile,
  release: NewRelease | undefined,
): Promise<string | undefined> {
  if (file.text === undefined) return undefined
  const certified = certifiedTls(plan.tls, plan.compiled)
  if (file.intent === undefined)
    return certified === undefined
      ? file.text
      : clientTrust(certified, plan.facts.issuerTrust, release?.chainPem)
  const observed = plan.facts.files[file.path]
  const before = observed?.kind === 'text' ? observed.text : undefined
  const rendered = renderFile(file.intent, before, release?.id ?? plan.release)
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
  // No failure: at its next start the agent goes on, and no rollout is to end for an upgrade of it.
  if (tools.signal.aborted) return { kind: 'waiting', reason: STOPPING }
  const denied = await tools.claim(plan)
  if (denied !== undefined) return { kind: 'waiting', reason: denied }
  return tools.signal.aborted ? { kind: 'waiting', reason: STOPPING } : undefined
}

const STOPPING: Reason = {
  code: 'stopping',
  message: 'the agent was stopped before anything was changed',
}

interface Prepared {
  readonly plan: ActionablePlan
  readonly release: NewRelease | undefined
  readonly staged: readonly PreparedFile[]
  readonly entry: ServiceEntry
  readonly password: Secret | undefined
}

async function prepareJournal(tools: ApplyTools, prepared: Prepared): Promise<Journal> {
  const { plan, release, staged, entry, password } = prepared
  const { host, stateDirectory, together } = tools
  const previous = previousDirectory(stateDirectory)
  await host.files.makeDirectory(previous, { mode: 0o700, ...OWN })
  const targets: Target[] = []
  for (const [index, file] of staged.entries())
    targets.push(await targetOf(host.files, file, `${previous}/${plan.service}-${index}`))
  const keystores = await prepareKeystores(host, stateDirectory, plan, password)
  const programs = plan.tools.map(({ intent: { argv, timeoutMs, what }, isUndone }) => ({
    argv: [...argv],
    timeoutMs,
    what,
    isUndone,
  }))
  const journal: Journal = {
    version: 1,
    step: together === undefined ? 'switching' : 'gathering',
    ...(together === undefined ? {} : { together, snapshot: snapshotOf(plan) }),
    service: plan.service,
    unit: plan.unit.unit,
    contentDigest: plan.contentDigest,
    targets,
    ...(keystores.length === 0 ? {} : { keystores }),
    ...(programs.length === 0 ? {} : { tools: programs }),
    ...linkOf(plan, release),
    activation: plan.owed.verb,
    verify: plan.tls.verify,
    ...(release === undefined ? {} : { expectedFingerprint: release.facts.fingerprint }),
    staleInvocations: staleInvocations(plan, entry),
    wasActive: plan.unit.activeState === 'active',
    servedBefore: plan.facts.served.map(({ listener, handshake }) => ({
      listener: listener.name,
      kind: handshake.kind,
      ...(handshake.kind === 'tls' ? { fingerprint: handshake.fingerprint } : {}),
    })),
    inputs: inputDigests(plan.compiled.loads, {
      release: release?.id ?? plan.release,
      storePassword: password,
    }),
    restartsMade: 0,
  }
  await tools.journal.write(journal)
  return journal
}

function snapshotOf({ compiled }: ActionablePlan): NonNullable<Journal['snapshot']> {
  return { directories: [...(compiled.snapshot?.directories ?? [])], isSaved: false }
}

function linkOf(plan: ActionablePlan, release: NewRelease | undefined): Pick<Journal, 'link'> {
  const before = plan.facts.material.link
  if (release === undefined || before === `releases/${release.id}`) return {}
  return {
    link: {
      path: `${plan.compiled.material.directory}/current`,
      after: `releases/${release.id}`,
      ...(before === undefined ? {} : { before }),
    },
  }
}

// With nothing to switch, what is owed is owed by the process that runs now.
function staleInvocations(plan: ActionablePlan, entry: ServiceEntry): string[] {
  const running = plan.unit.invocationId
  return running === undefined || entry.staleInvocations.includes(running)
    ? [...entry.staleInvocations]
    : [running]
}

// The last look before the point of no return: an edit that somebody made since the plan is not lost.
async function targetOf(files: Files, file: PreparedFile, copy: string): Promise<Target> {
  const { realPath, before, ownership } = file.plan
  const kept = await keepCopy(files, { path: realPath, before, copy })
  return {
    path: realPath,
    staged: file.staged,
    ...(file.sha256 === undefined ? {} : { after: { sha256: file.sha256, ...ownership } }),
    ...(kept === undefined ? {} : { before: kept }),
  }
}

async function discard({ host, stateDirectory }: ApplyTools, staged: readonly PreparedFile[]) {
  const secrets = secretsDirectory(stateDirectory)
  for (const path of [...staged.map(file => file.staged), secrets]) {
    // A left-over is overwritten by the next attempt; not being able to remove it must not hide why it is one.
    await host.files.remove(path).catch(() => undefined)
  }
}

interface Uncertified {
  readonly result: ApplyResult
}

// That somebody has not signed yet is no failure: it may take days. Neither is a controller that is
// away or starts anew: whoever is asked again later may stop no rollout.
function uncertified(error: unknown): Uncertified {
  const { reason, retryable } = failed(error)
  const result: ApplyResult =
    reason.code === PENDING || reason.code === UNREACHABLE
      ? { kind: 'waiting', reason, isUncertified: true }
      : { kind: 'failed', reason, retryable, isUncertified: true }
  return { result }
}

/** Code of the error, and of the reason, that the controller could not be asked. */
export const UNREACHABLE = 'controller-unreachable'

/** Code of the error, and of the reason, that a certificate is not signed yet. */
export const PENDING = 'certificate-pending'

function failed(error: unknown): Extract<ApplyResult, { kind: 'failed' }> {
  if (!(error instanceof OperationalError)) throw error
  const hint = error.hint === undefined ? '' : ` (${error.hint})`
  return {
    kind: 'failed',
    reason: { code: error.code, message: `${describeError(error)}${hint}` },
    retryable: error.retryable,
  }
}
