// What listeners serve after a change, and after it was taken back. Undefined: what they should.

import type { Reason } from '../shared/contract/schema.ts'
import type { ServiceTls } from '../shared/contract/service.ts'
import type { Journal, ServedBefore } from './journal.ts'
import type { ServedListener } from './observation.ts'
import type { Observer } from './observe.ts'
import { ANY_LEAF, judgeServed } from './served.ts'

export async function lookServed(
  observer: Observer,
  services: readonly ServiceTls[],
  journal: Journal,
): Promise<Reason | undefined> {
  const tls = services.find(one => one.service === journal.service)
  if (tls === undefined) return undefined
  const observation = await observer.observe(tls)
  const served = observation.kind === 'observed' ? observation.node?.served : undefined
  if (served === undefined)
    return {
      code: 'not-verified',
      message: `what ${journal.service} serves could not be looked at`,
    }
  const expected = journal.expectedFingerprint ?? ANY_LEAF
  return served.map(one => judgeServed(one, expected)).find(one => !one.ok)?.reason
}

export async function lookRestored(
  observer: Observer,
  services: readonly ServiceTls[],
  journal: Journal,
) {
  const tls = services.find(one => one.service === journal.service)
  if (tls === undefined) return undefined
  const observation = await observer.observe(tls)
  const served = observation.kind === 'observed' ? observation.node?.served : undefined
  return whyNotAsBefore(journal.servedBefore, served ?? [])
}

/** Undefined: every listener serves what it served then. One that served nothing is not asked about. Pure. */
export function whyNotAsBefore(
  servedBefore: readonly ServedBefore[],
  served: readonly ServedListener[],
): Reason | undefined {
  for (const before of servedBefore) {
    if (before.kind === 'unreachable') continue
    const now = served.find(one => one.listener.name === before.listener)?.handshake
    const isSame =
      now?.kind === before.kind && (now.kind !== 'tls' || now.fingerprint === before.fingerprint)
    if (isSame) continue
    return {
      code: 'not-restored',
      message: `${before.listener} does not serve what it served before (${now?.kind ?? 'unknown'})`,
    }
  }
  return undefined
}
