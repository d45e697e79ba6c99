// How a pass asks the controller for leaves: with the proof of the key, for the newest generation, and
// with patience where others sign.

import type { DesiredState } from '../shared/contract/desired-state.ts'
import { type ServiceName, isServer, wantsClientUse } from '../shared/contract/service.ts'
import { OperationalError } from '../shared/errors.ts'
import type { Asking } from './asking.ts'
import { requestNote } from './request-note.ts'
import { proveServiceKey } from './identity.ts'
import type { SignInternal } from './issuers.ts'
import type { Session } from './session.ts'

/** `document` is what the pass works for: the newest one, or the one in force while that is prepared. */
export function signerFor(options: {
  readonly document: DesiredState
  readonly latest: DesiredState
  readonly session: Session
  readonly asking: Asking
  readonly signal: AbortSignal
}): SignInternal {
  const { document, latest, session, asking, signal } = options
  const { generation } = latest
  // A controller signs for the newest generation only.
  const send: SignInternal = ({ service, keys, csr }) => {
    const proof = proveServiceKey(session.identity().node, service, keys)
    const asked = { service, publicKey: keys.publicKeyPem, proof, generation }
    return session.remote().sign({ ...asked, ...(csr === undefined ? {} : { csr }) }, signal)
  }
  const patient = asking.patient(generation, send)
  return async request => {
    // Whoever signs would see two requests for one service, and each would take the other's place.
    const isOther = questionOf(document, request.service) !== questionOf(latest, request.service)
    if (request.csr !== undefined && isOther)
      throw new OperationalError(
        'certificate-superseded',
        `the certificate of ${request.service} is not asked for: another one is being prepared`,
      )
    return patient(request)
  }
}

function questionOf({ content }: DesiredState, service: ServiceName): string | undefined {
  const tls = content.services.find(one => one.service === service)
  if (tls === undefined || !isServer(tls)) return undefined
  return requestNote(tls.certificate, wantsClientUse(tls))?.question
}
