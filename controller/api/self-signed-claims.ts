// What reports say of self-signed certificates, judged and kept. Only a change costs anything.

import { isServer, type ServerTls, type ServiceName } from '../../shared/contract/service.ts'
import type { ServiceReport } from '../../shared/contract/report.ts'
import type { Reason } from '../../shared/contract/schema.ts'
import { judgeClaim } from '../fleet/self-signed-claim.ts'
import type { SelfSignedKnown } from '../fleet/self-signed.ts'
import type { SelfSignedRecord } from '../store/self-signed-store.ts'
import type { ReportRecord, Transaction } from '../store/store.ts'
import { createTokenBuckets } from './token-bucket.ts'

export interface Claims {
  /** In the transaction of the report. True: what clients are to be given may have changed. */
  note(tx: Transaction, record: ReportRecord): Promise<boolean>
}

export interface ClaimsLog {
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
}

// Every new certificate goes through all clients: so many of one service at once, and so many in its
// life after that. Names that change, an operator who renews, and still no node that keeps a fleet busy.
const NEW_AT_ONCE = 10
const NEW_IN_A_LIFE = 10

export function createClaims(log: ClaimsLog): Claims {
  const buckets = createTokenBuckets({ burst: NEW_AT_ONCE, perSecond: 1 })

  async function noteService(
    tx: Transaction,
    { node, receivedAtMs: nowMs }: ReportRecord,
    { service, selfSigned }: ServiceReport,
  ): Promise<boolean> {
    const tls = await wantedSelfSigned(tx, node, service)
    const names = (await tx.nodes.get(node))?.names
    if (selfSigned === undefined || tls === undefined || names === undefined) return false
    const stored = await tx.selfSigned.get(node, service)
    const judged = (pem: string | undefined, before: string | undefined) => {
      if (pem === undefined || pem === before) return pem
      const result = judgeClaim(pem, names, nowMs)
      if (result.kind === 'good') return result.pem
      refused(node, service, result.reason)
      return before
    }
    // What was said once stays until something else is said: a node that cannot look is no reason to
    // take from clients what they verify it with.
    const current = judged(selfSigned.current, stored?.current) ?? stored?.current
    const claimed = judged(selfSigned.next, stored?.next)
    const next = claimed === current ? undefined : claimed
    if (current === stored?.current && next === stored?.next) return false
    const known = [stored?.current, stored?.next]
    const fresh = [current, next].filter(pem => pem !== undefined && !known.includes(pem))
    const inLives = (nowMs / tls.certificate.lifetimeMs) * NEW_IN_A_LIFE
    if (fresh.length > 0 && !buckets.take(`${node} ${service}`, inLives * 1000)) {
      refused(node, service, { code: 'too-many', message: 'it shows new ones all the time' })
      return false
    }
    const isNextGiven = next !== undefined && next === stored?.next && stored.isNextGiven
    await tx.selfSigned.put({ node, service, current, next, isNextGiven, changedAtMs: nowMs })
    log.info({ node, service, isPrepared: next !== undefined }, 'self-signed certificate changed')
    return true
  }

  function refused(node: string, service: ServiceName, reason: Reason): void {
    log.warn({ node, service, reason }, 'self-signed certificate of a node is not passed on')
  }

  return {
    async note(tx, record) {
      let isChanged = false
      for (const service of record.report.services) {
        const isNews =
          service.selfSigned === undefined
            ? await forget(tx, record, service)
            : await noteService(tx, record, service)
        isChanged ||= isNews
      }
      return isChanged
    },
  }
}

async function wantedSelfSigned(
  tx: Transaction,
  node: string,
  service: ServiceName,
): Promise<ServerTls | undefined> {
  const services = (await tx.desired.get(node))?.state.content.services ?? []
  const tls = services.find(one => one.service === service)
  return tls !== undefined && isServer(tls) && tls.certificate.issuer === 'self-signed'
    ? tls
    : undefined
}

// It is well without one: another issuer, or no TLS.
async function forget(
  tx: Transaction,
  { node, report }: ReportRecord,
  { service, outcome }: ServiceReport,
): Promise<boolean> {
  const isSettled = outcome === 'in-sync' || outcome === 'changed'
  if (!isSettled || report.mode !== 'enforce') return false
  return tx.selfSigned.remove(node, service)
}

/** As compile asks for them. */
export async function knownSelfSigned(tx: Transaction): Promise<SelfSignedKnown> {
  const records = new Map<string, SelfSignedRecord>()
  for (const record of await tx.selfSigned.list())
    records.set(`${record.service} ${record.node}`, record)
  return (node, service) => records.get(`${service} ${node}`)
}
