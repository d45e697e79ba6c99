// A leaf of our own CA gets a serial by which it is renewed when no other of its group is; see
// shared/pki/renewal-slots.ts.

import type { ServerTls } from '../../../shared/contract/service.ts'
import { validity } from '../../../shared/pki/certificate.ts'
import type { CertificateFacts } from '../../../shared/pki/facts.ts'
import { parseCertificate } from '../../../shared/pki/pem.ts'
import type { RandomBytes } from '../../../shared/pki/random.ts'
import { renewalWindow, renewAtMs } from '../../../shared/pki/renewal.ts'
import { serialForSlot, slotLengthMs } from '../../../shared/pki/renewal-slots.ts'
import type { FleetSpec } from '../../fleet/intent.ts'
import { renewalGroupOf } from '../../fleet/renewal-group.ts'
import { parseFleetSpec } from '../../fleet/spec.ts'
import type { Transaction } from '../../store/store.ts'

export interface RenewalSlot {
  readonly serial: Uint8Array
  readonly group: string
}

export type RenewalSlots = (tx: Transaction, question: SlotQuestion) => Promise<RenewalSlot>

export interface SlotQuestion {
  readonly node: string
  readonly tls: ServerTls
  /** PEM of the certificate that signs: no leaf outlives it. */
  readonly issuerPem: string
  readonly nowMs: number
}

/** Keeps the spec of the revision that was asked for last: parsing it costs more than signing. */
export function createRenewalSlots(random: RandomBytes): RenewalSlots {
  let known: { readonly revision: number; readonly spec: FleetSpec | undefined } | undefined

  async function specOf(tx: Transaction, node: string): Promise<FleetSpec | undefined> {
    const revision = (await tx.desired.get(node))?.revision
    if (revision === undefined) return undefined
    if (known?.revision === revision) return known.spec
    const text = (await tx.revisions.get(revision))?.text
    const parsed = text === undefined ? undefined : parseFleetSpec(text)
    known = { revision, spec: parsed?.kind === 'ok' ? parsed.spec : undefined }
    return known.spec
  }

  return async (tx, { node, tls, issuerPem, nowMs }) => {
    const { service, certificate, verify } = tls
    const record = await tx.nodes.get(node)
    const group = renewalGroupOf(
      await specOf(tx, node),
      { name: node, labels: record?.labels ?? {} },
      service,
    )
    const issuerNotAfterMs = parseCertificate(issuerPem).validToDate.getTime()
    const dates = validity({ nowMs, lifetimeMs: certificate.lifetimeMs, issuerNotAfterMs })
    const life = { ...dates, renewBeforeMs: certificate.renewBeforeMs }
    const { startMs, widthMs } = renewalWindow(life)
    const slotMs = slotLengthMs(life, verify.stableForMs)
    const loads = await tx.renewals.loads({
      node,
      service,
      group,
      slotMs,
      // The slots at both ends as a whole.
      fromMs: startMs - slotMs,
      untilMs: startMs + widthMs + slotMs,
    })
    return { serial: serialForSlot({ life, settleMs: verify.stableForMs, loads, random }), group }
  }
}

/** From now on others keep out of its way. */
export async function takeSlot(
  tx: Transaction,
  { node, tls }: Pick<SlotQuestion, 'node' | 'tls'>,
  { group }: RenewalSlot,
  facts: CertificateFacts,
): Promise<void> {
  const { service, certificate } = tls
  const { renewBeforeMs } = certificate
  await tx.renewals.put({ node, service, group, renewAtMs: renewAtMs({ ...facts, renewBeforeMs }) })
}
