// What goes between a controller and the machine that keeps its roots: a request for an intermediate and
// its answer, as files without secrets. Whoever signs needs no controller, no store and no network.

import * as z from 'zod/mini'
import { AuthorityKind } from '../../shared/contract/authorities.ts'
import { Name, Pem, parser } from '../../shared/contract/schema.ts'
import { OperationalError } from '../../shared/errors.ts'
import { certificateDetails } from '../../shared/pki/extensions.ts'
import { isSelfSigned, isSignedBy } from '../../shared/pki/facts.ts'
import { parsePublicKey, publicKeyDigest, weakKeyReason } from '../../shared/pki/keys.ts'
import { pathReasons } from '../../shared/pki/path.ts'
import { parseCertificate } from '../../shared/pki/pem.ts'
import type { PermittedNames } from '../../shared/pki/profile.ts'
import { verifyProof } from '../../shared/pki/proof.ts'
import { parseZones } from '../../shared/pki/zones.ts'
import { type CaCredential, certifyIntermediate, type Issuing } from './authority.ts'

const Zones = z.strictObject({
  dnsZones: z.array(z.string()).check(z.maxLength(64)),
  ipRanges: z.array(z.string()).check(z.maxLength(64)),
})

export const IntermediateRequest = z.strictObject({
  format: z.literal('tlsfleet-ca-request-1'),
  fleet: Name,
  kind: AuthorityKind,
  publicKey: Pem,
  /** Purpose `ca-request`, context [fleet, kind]. */
  proof: z.string().check(z.maxLength(2048)),
  /** What it is to sign for; absent: everything. */
  zones: z.optional(Zones),
})
export type IntermediateRequest = Readonly<z.infer<typeof IntermediateRequest>>
const parseRequest = parser('request for an intermediate', IntermediateRequest, 'request-broken')

export const IntermediateAnswer = z.strictObject({
  format: z.literal('tlsfleet-ca-answer-1'),
  fleet: Name,
  kind: AuthorityKind,
  intermediate: Pem,
  root: Pem,
})
export type IntermediateAnswer = Readonly<z.infer<typeof IntermediateAnswer>>
const parseAnswer = parser('answer to a request', IntermediateAnswer, 'answer-broken')

/** Throws `request-broken`, `weak-key`. */
export function readRequest(text: string): IntermediateRequest {
  const request = parseRequest(jsonOf(text))
  const publicKey = parsePublicKey(request.publicKey)
  const weak = weakKeyReason(publicKey)
  if (weak !== undefined) throw new OperationalError('weak-key', weak.message)
  const { fleet, kind, proof } = request
  if (!verifyProof({ purpose: 'ca-request', context: [fleet, kind], publicKey, proof }))
    throw new OperationalError(
      'request-broken',
      'the request is not signed by the key that it names',
    )
  return request
}

/** Zones are those of the request: who signs has read them. */
export function answerRequest(
  request: IntermediateRequest,
  root: CaCredential,
  issuing: Issuing,
): IntermediateAnswer {
  const { fleet, kind, publicKey } = request
  const zones = zonesOf(request)
  const constraints = zones === undefined ? {} : { nameConstraints: zones }
  return {
    format: 'tlsfleet-ca-answer-1',
    fleet,
    kind,
    intermediate: certifyIntermediate(root, publicKey, { ...issuing, ...constraints }),
    root: root.certificatePem,
  }
}

export function zonesOf({ zones }: IntermediateRequest): PermittedNames | undefined {
  return zones === undefined ? undefined : parseZones(zones.dnsZones, zones.ipRanges)
}

export function readAnswer(text: string): IntermediateAnswer {
  return parseAnswer(jsonOf(text))
}

/** Why the controller must not take it; undefined: nothing speaks against it. */
export function answerFault(
  answer: IntermediateAnswer,
  asked: {
    readonly publicKeyDigest: string
    readonly zones: PermittedNames | undefined
    readonly nowMs: number
  },
): string | undefined {
  const intermediate = parseCertificate(answer.intermediate)
  const root = parseCertificate(answer.root)
  const details = certificateDetails(intermediate)
  if (publicKeyDigest(intermediate.publicKey) !== asked.publicKeyDigest)
    return 'its intermediate is for another key: it answers another request'
  if (!isSelfSigned(root) || !isSignedBy(intermediate, root)) return 'its root has not signed it'
  if (!intermediate.ca || details.basicConstraints?.pathLength !== 0)
    return 'its intermediate is not a CA with path length 0'
  // Judged as the leaf of a path: everything that is asked of a CA was asked above.
  const [broken] = pathReasons({
    leaf: intermediate,
    intermediates: [],
    trust: [root],
    purposes: [],
    nowMs: asked.nowMs,
  })
  if (broken !== undefined) return broken.message
  if (asked.zones !== undefined && details.nameConstraints === undefined)
    return 'its intermediate has no name constraints, and this fleet has zones'
  return undefined
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // The schema says in its own words that this is not it.
    return undefined
  }
}
