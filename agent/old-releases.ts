// s12: what no service uses any more is removed from the disk.

import { REQUEST_FILE, readNote, requestNote } from './request-note.ts'
import { certifiedTls } from './client-trust.ts'
import type { Host } from './host.ts'
import type { ActionablePlan } from './plan.ts'
import { CHAIN_FILE, releaseDirectory } from './resources/material.ts'

/**
 * The last two releases stay: the one in use, and the one before it for whoever still has it open. So
 * does a key that waits for the certificate that is wanted now, or, with `isSucceeded`, soon; and the
 * release that clients are being given the certificate of.
 */
export async function removeOldReleases(
  host: Host,
  plan: ActionablePlan,
  { isSucceeded }: { readonly isSucceeded: boolean },
): Promise<void> {
  const { material } = plan
  if (material.kind === 'none') return
  const { directory } = plan.compiled.material
  const link = await host.files.readLink(`${directory}/current`)
  const next = material.kind === 'keep' ? material.succession?.next : undefined
  const keep = new Set([link, plan.facts.material.link, `releases/${next?.id}`])
  for (const id of await host.files.list(`${directory}/releases`)) {
    if (keep.has(`releases/${id}`)) continue
    const path = releaseDirectory(directory, id)
    const question = await questionOf(host, path)
    const isAwaited = question !== undefined && (isSucceeded || question === wantedBy(plan))
    if (!isAwaited) await host.files.remove(path)
  }
}

/** What a key without a certificate waits for. */
async function questionOf(host: Host, path: string): Promise<string | undefined> {
  if ((await host.files.stat(`${path}/${CHAIN_FILE}`)) !== undefined) return undefined
  return readNote(await host.files.read(`${path}/${REQUEST_FILE}`))?.question
}

function wantedBy({ tls, compiled }: ActionablePlan): string | undefined {
  const certified = certifiedTls(tls, compiled)
  return certified && requestNote(certified.certificate, compiled.material.clientUse)?.question
}
