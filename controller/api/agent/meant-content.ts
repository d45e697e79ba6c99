// Which of its contents an agent asks a certificate for. While a new one is prepared, the one in force
// is kept up, renewals included; both name the newest generation. They are told apart by what comes
// with the request: a PKCS#10 goes to people or directories outside, none to the controller's own CA.

import type { DesiredContent, DesiredState } from '../../../shared/contract/desired-state.ts'
import { type ServiceName, isServer } from '../../../shared/contract/service.ts'
import { plannedOf } from '../../rollout/steps.ts'
import type { Transaction } from '../../store/store.ts'

/** That of the document, or the one in force before it where only that one fits the request. */
export async function meantContent(
  tx: Transaction,
  { node, mode, content }: Pick<DesiredState, 'node' | 'mode' | 'content'>,
  asked: { readonly service: ServiceName; readonly csr: string | undefined },
): Promise<DesiredContent> {
  if (mode !== 'stage' || fits(content, asked)) return content
  const before = await contentBefore(tx, node)
  return before !== undefined && fits(before, asked) ? before : content
}

function fits(
  content: DesiredContent,
  { service, csr }: { readonly service: ServiceName; readonly csr: string | undefined },
): boolean {
  const wanted = content.services.find(one => one.service === service)
  if (wanted === undefined || !isServer(wanted)) return false
  const { issuer } = wanted.certificate
  return csr === undefined ? issuer === 'internal' : issuer === 'csr' || issuer === 'acme'
}

/** What the rollout that prepares the node found there. */
async function contentBefore(tx: Transaction, node: string): Promise<DesiredContent | undefined> {
  for (const rollout of await tx.rollouts.active()) {
    const from = plannedOf(rollout, node)?.from
    if (from !== undefined) return (await tx.desired.published(node, from))?.content
  }
  return undefined
}
