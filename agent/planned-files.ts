// The files that a plan replaces: rendered, compared, described. Pure.

import type { ChangeSummary } from '../shared/contract/report.ts'
import type { Reason } from '../shared/contract/schema.ts'
import type { ServiceTls } from '../shared/contract/service.ts'
import { certifiedTls, clientTrust } from './client-trust.ts'
import { unifiedDiff } from './formats/unified-diff.ts'
import { withoutSecrets } from './formats/without-secrets.ts'
import type { FileStat, Ownership } from './host.ts'
import type { NodeFacts } from './observation.ts'
import { ownershipOf } from './planned-ownership.ts'
import { type Rendered, renderFile } from './resources/managed-file.ts'
import type { MaterialDecision } from './resources/material.ts'
import type { Compiled, FileIntent } from './services/service.ts'

/** What a plan shows where the name of a release is not known before its key is made. */
export const NEW_RELEASE = '(new)'

export interface PlannedFile {
  /** Where the intent came from; undefined: the trust bundle. */
  readonly intent: FileIntent | undefined
  readonly path: string
  /** Where it really lies: the target when `path` is a symlink. */
  readonly realPath: string
  /** Undefined: there is no file yet. */
  readonly before: { readonly sha256: string; readonly ownership: Ownership } | undefined
  /** With NEW_RELEASE in it where the release is not known yet: rendered again when it is. Undefined: it is removed. */
  readonly text: string | undefined
  readonly ownership: Ownership
  readonly summary: ChangeSummary
}

interface FilesInput {
  readonly tls: ServiceTls
  readonly compiled: Compiled
  readonly facts: NodeFacts
  readonly release: string
  readonly owner: { readonly uid: number; readonly gid: number }
  readonly self: { readonly uid: number }
  readonly material: Exclude<MaterialDecision, { kind: 'blocked' }>
}

export function plannedFiles(
  input: FilesInput,
):
  | { readonly kind: 'planned'; readonly list: readonly PlannedFile[] }
  | { readonly kind: 'refused'; readonly reason: Reason } {
  const list: PlannedFile[] = []
  const trustFile = plannedTrust(input)
  if (trustFile !== undefined) list.push(trustFile)
  for (const intent of input.compiled.files) {
    const observed = input.facts.files[intent.path] ?? { kind: 'missing' }
    if (observed.kind === 'unreadable') return { kind: 'refused', reason: observed.reason }
    const before = observed.kind === 'text' ? observed : undefined
    const isRemoved = intent.kind === 'content' && intent.text === undefined
    const rendered = renderOnce(intent, before?.text, input.release)
    if (rendered.kind === 'refused') return rendered
    if (before === undefined ? rendered.text === '' : !isRemoved && rendered.text === before.text)
      continue
    const ownership =
      before === undefined
        ? { mode: intent.createMode ?? 0o640, uid: input.self.uid, gid: input.owner.gid }
        : ownershipOf(before.stat)
    list.push(
      plannedFile({
        intent,
        path: intent.path,
        before,
        text: isRemoved ? undefined : rendered.text,
        ownership,
        reason: intent.reason,
      }),
    )
  }
  return { kind: 'planned', list }
}

interface Rendering {
  readonly before: string | undefined
  readonly release: string
  readonly rendered: Rendered
}

// By intent, which is the same object for as long as nothing that it was compiled from has changed.
const renderings = new WeakMap<FileIntent, Rendering>()

function renderOnce(intent: FileIntent, before: string | undefined, release: string): Rendered {
  const last = renderings.get(intent)
  if (last !== undefined && last.before === before && last.release === release) return last.rendered
  const rendered = renderFile(intent, before, release)
  renderings.set(intent, { before, release, rendered })
  return rendered
}

// The bundle is public and owned whole. For a self-signed certificate that is still to be made its
// text is not known yet; it is rendered again when it is.
function plannedTrust({
  tls,
  compiled,
  facts,
  material,
  owner,
  self,
}: FilesInput): PlannedFile | undefined {
  const path = compiled.material.trustFile
  const certified = certifiedTls(tls, compiled)
  if (certified === undefined || material.kind === 'none') return undefined
  const chain = material.kind === 'new' ? undefined : material.release.chainPem
  const text =
    material.kind === 'new' && certified.certificate.issuer === 'self-signed'
      ? `${clientTrust(certified, facts.issuerTrust, undefined)}${NEW_RELEASE}\n`
      : clientTrust(certified, facts.issuerTrust, chain)
  if (text === '') return undefined
  const observed = facts.files[path]
  const before = observed?.kind === 'text' ? observed : undefined
  if (before?.text === text) return undefined
  const reason = {
    code: 'trust-changed',
    message: 'the CA certificates that clients must trust have changed',
  }
  return plannedFile({
    intent: undefined,
    path,
    before,
    text,
    ownership: { mode: 0o644, uid: self.uid, gid: owner.gid },
    reason:
      before === undefined
        ? { code: 'trust-missing', message: 'the trust bundle is not there yet' }
        : reason,
  })
}

function plannedFile(file: {
  readonly intent: FileIntent | undefined
  readonly path: string
  readonly before:
    | {
        readonly text: string
        readonly realPath: string
        readonly sha256: string
        readonly stat: FileStat
      }
    | undefined
  readonly text: string | undefined
  readonly ownership: Ownership
  readonly reason: Reason
}): PlannedFile {
  const { intent, path, before, text, ownership, reason } = file
  const action = text === undefined ? 'remove' : before === undefined ? 'create' : 'update'
  return {
    intent,
    path,
    realPath: before?.realPath ?? path,
    before:
      before === undefined
        ? undefined
        : { sha256: before.sha256, ownership: ownershipOf(before.stat) },
    text,
    ownership,
    summary: {
      resource: path,
      kind: intent === undefined || intent.kind === 'content' ? 'file' : 'config-file',
      action,
      summary: `${action} ${path}`,
      reason,
      diff: limited(shownDiff(path, before?.text ?? '', text ?? '')),
    },
  }
}

function shownDiff(path: string, before: string, after: string): string {
  return unifiedDiff(withoutSecrets(before), withoutSecrets(after), { path })
}

// Longer diffs are cut: a report is bounded, and nobody reads more.
const DIFF_CHARACTERS_MAX = 16 * 1024

function limited(diff: string): string {
  if (diff.length <= DIFF_CHARACTERS_MAX) return diff
  return `${diff.slice(0, DIFF_CHARACTERS_MAX)}\n… cut after ${DIFF_CHARACTERS_MAX} of ${diff.length} characters\n`
}
