// What must hold before a rotation goes on, and who keeps it from holding, by name. Judged by what
// nodes report of themselves and by what their listeners were seen serving; silence is no yes. Pure.

import { unreachable } from '../../shared/assert.ts'
import type { DesiredState } from '../../shared/contract/desired-state.ts'
import type { Report, Served, ServiceReport } from '../../shared/contract/report.ts'
import type { Reason } from '../../shared/contract/schema.ts'
import type { ServiceName } from '../../shared/contract/service.ts'
import type { Barrier, Blocker, Rotation } from './rotation.ts'

/** CA certificates, by everything that a handshake shows of them. */
export interface CaSet {
  /** SHA-256 of the certificates. */
  readonly fingerprints: ReadonlySet<string>
  /** As the reports of agents write names. Our CAs have a part of their serial number in theirs. */
  readonly subjects: ReadonlySet<string>
}

/** A node as far as a rotation is concerned. */
export interface RotationNode {
  readonly node: string
  readonly isEnrolled: boolean
  readonly isOnline: boolean
  readonly desired:
    | Pick<DesiredState, 'generation' | 'digest' | 'mode' | 'contentDigest' | 'content'>
    | undefined
  /** Digest of the content that the phase wants for it. Undefined: no entry of the fleet spec selects it, or the phase moves no contents. */
  readonly target: string | undefined
  /** The rotation changes something for it. */
  readonly isInvolved: boolean
  readonly report: Report | undefined
  /** The newest leaf of each service that has not ended, and whether the CA that is left has issued it. */
  readonly leaves: readonly {
    readonly service: ServiceName
    readonly fingerprint: string
    readonly notAfterMs: number
    readonly isOfLeft: boolean
  }[]
  /** Of the newest identity that was ever used: is it from the CA that is to be the signer? */
  readonly identity: { readonly isOfSigner: boolean } | undefined
  /** Ends of enrolment tokens that nobody has redeemed and that pin the root that is left. */
  readonly tokensUntilMs: readonly number[]
}

/** What the phase leaves, and what it goes to. */
export interface Sides {
  /** By service, for a change of issuer differs by service; identities: roots of the identity CA. */
  readonly left: (service: ServiceName) => CaSet
  readonly leftIdentityRoot: string | undefined
  readonly newIdentityRoot: string | undefined
}

type Step = Pick<Rotation, 'phase' | 'direction' | 'subject'>

export function barrierOf(step: Step, nodes: readonly RotationNode[], sides: Sides): Barrier {
  const judge = judgeOf(step, sides)
  const blockers = judge === undefined ? [] : nodes.flatMap(judge)
  return { verdict: verdictOf(blockers), blockers }
}

function verdictOf(blockers: readonly Blocker[]): Barrier['verdict'] {
  if (blockers.length === 0) return 'holds'
  return blockers.every(({ isUnknown }) => isUnknown) ? 'unknown' : 'blocked'
}

type Judge = (node: RotationNode) => readonly Blocker[]

function judgeOf({ phase, direction, subject }: Step, sides: Sides): Judge | undefined {
  switch (phase) {
    case 'prepare':
    case 'deny':
      return undefined
    case 'distribute':
      if (subject.kind !== 'identity') return loaded
      return direction === 'forward'
        ? node => trusting(node, sides.newIdentityRoot)
        : node => distrusting(node, sides.leftIdentityRoot)
    case 'activate':
      return subject.kind === 'identity'
        ? node => [...identified(node), ...tokens(node)]
        : node => [...loaded(node), ...serving(node, sides)]
    case 'retire':
      return subject.kind === 'identity'
        ? node => distrusting(node, sides.leftIdentityRoot)
        : loaded
    default:
      return unreachable(phase)
  }
}

/** The content of the phase is in force on the node and its processes have loaded it. */
function loaded(node: RotationNode): readonly Blocker[] {
  const { desired, target, report, isInvolved, isOnline } = node
  if (desired === undefined || !isInvolved) return []
  if (target === undefined) return unselected(node)
  if (desired.mode === 'audit')
    return [blocked(node, 'mode-audit', 'it is in mode audit: it looks and changes nothing')]
  const isCurrent =
    report?.observedGeneration === desired.generation && report.observedDigest === desired.digest
  if (desired.contentDigest !== target || desired.mode !== 'enforce') {
    if (!isOnline) return [silent(node, 'it is silent and has not been moved yet')]
    const lacking = isCurrent && desired.contentDigest === target ? unready(node, report) : []
    if (lacking.length > 0) return lacking
    return [blocked(node, 'not-moved', 'it has not been moved yet')]
  }
  if (!isCurrent)
    return [
      isOnline
        ? unknown(
            node,
            'generation-pending',
            `generation ${desired.generation} is not reported yet`,
          )
        : silent(node, `it is silent and has not reported generation ${desired.generation}`),
    ]
  if (report.mode !== 'enforce')
    return [blocked(node, 'mode-differs', `it reports mode ${report.mode ?? 'unknown'}`)]
  return desired.content.services.flatMap(({ service }) =>
    unloadedService(
      node,
      service,
      report.services.find(one => one.service === service),
    ),
  )
}

function unloadedService(
  node: RotationNode,
  service: ServiceName,
  report: ServiceReport | undefined,
): readonly Blocker[] {
  if (report === undefined)
    return [{ ...unknown(node, 'service-not-reported', 'it is not reported yet'), service }]
  const { outcome, reason } = report
  if (outcome === 'in-sync' || outcome === 'changed') return []
  return [{ node: node.node, service, reason, isUnknown: false }]
}

// It prepares what the phase wants, which may take days where people sign.
function unready({ node }: RotationNode, { services }: Report): readonly Blocker[] {
  return services
    .filter(({ outcome }) => UNREADY.has(outcome))
    .map(({ service, reason }) => ({ node, service, reason, isUnknown: false }))
}

const UNREADY: ReadonlySet<ServiceReport['outcome']> = new Set(['waiting', 'failed', 'unsupported'])

// Nothing is published to a node that no entry selects, so what it has stays.
function unselected(node: RotationNode): readonly Blocker[] {
  const message =
    'no entry of the fleet spec selects it, and it holds what the rotation replaces: select it, or remove the node'
  return [blocked(node, 'not-selected', message)]
}

/** Listeners that were seen serving what is left, whoever manages them, and leaves that may be in use. */
function serving(node: RotationNode, { left }: Sides): readonly Blocker[] {
  const { report, desired, isEnrolled, isOnline, leaves } = node
  const seen = (report?.services ?? []).flatMap(({ service, served }) =>
    served
      .filter(one => isFrom(left(service), one) || isOldLeaf(node, service, one))
      .map(({ listener }) => ({
        ...blocked(node, 'serves-old', 'it still serves a certificate of the CA that is left'),
        service,
        listener,
      })),
  )
  const issued = leaves
    .filter(({ service, isOfLeft }) => isOfLeft && !isObserved(node, service))
    .map(({ service, notAfterMs }) => {
      const message = `its newest certificate is from the CA that is left, and good until ${instant(notAfterMs)}`
      return { ...blocked(node, 'leaf-in-use', message), service }
    })
  const isKnown = desired !== undefined || report !== undefined
  const isGone = isKnown && isEnrolled && !isOnline
  const gone = isGone ? [silent(node, 'it is silent: nobody knows what it serves')] : []
  return [...gone, ...seen, ...issued]
}

// What was seen is what is in use; without that, the newest one may be.
function isObserved({ report, desired }: RotationNode, service: ServiceName): boolean {
  const found = report?.services.find(one => one.service === service)
  if (found === undefined) return false
  if (found.served.some(({ fingerprint }) => fingerprint !== undefined)) return true
  const isOff = desired?.content.services.some(one => one.service === service && one.tls === 'off')
  return isOff === true && found.served.some(({ ok }) => ok)
}

// By its record, where a listener sends no chain and its name says nothing.
function isOldLeaf({ leaves }: RotationNode, service: ServiceName, served: Served): boolean {
  return leaves.some(
    leaf => leaf.isOfLeft && leaf.service === service && leaf.fingerprint === served.fingerprint,
  )
}

/** Is a served certificate from one of these, by what a handshake shows of its chain? */
export function isFrom({ fingerprints, subjects }: CaSet, served: Served): boolean {
  const { fingerprint, issuer, chain = [] } = served
  return (
    (fingerprint !== undefined && fingerprints.has(fingerprint)) ||
    (issuer !== undefined && subjects.has(issuer)) ||
    chain.some(one => fingerprints.has(one.fingerprint) || subjects.has(one.issuer))
  )
}

function trusting(node: RotationNode, root: string | undefined): readonly Blocker[] {
  return identityBlocker(node, trust =>
    root === undefined || trust.includes(root)
      ? undefined
      : { code: 'trust-lacks-new', message: 'its agent does not trust the new root yet' },
  )
}

function distrusting(node: RotationNode, root: string | undefined): readonly Blocker[] {
  return identityBlocker(node, trust =>
    root !== undefined && trust.includes(root)
      ? { code: 'trust-holds-old', message: 'its agent still trusts the root that is left' }
      : undefined,
  )
}

// Only an enrolled node has an agent that trusts anybody.
function identityBlocker(
  node: RotationNode,
  judge: (trust: readonly string[]) => Reason | undefined,
): readonly Blocker[] {
  const { isEnrolled, isOnline, report } = node
  if (!isEnrolled) return []
  if (report?.identity === undefined)
    return [
      isOnline
        ? unknown(node, 'identity-not-reported', 'its agent does not say whom it trusts')
        : silent(node, 'it is silent: nobody knows whom its agent trusts'),
    ]
  const reason = judge(report.identity.trust)
  if (reason === undefined) return []
  return [isOnline ? { node: node.node, reason, isUnknown: false } : silent(node, reason.message)]
}

function identified(node: RotationNode): readonly Blocker[] {
  const { isEnrolled, isOnline, identity } = node
  if (!isEnrolled || identity?.isOfSigner === true) return []
  const message =
    identity === undefined
      ? 'its agent has never used an identity'
      : 'its agent does not use an identity of the signing CA yet'
  return [isOnline ? blocked(node, 'identity-old', message) : silent(node, message)]
}

function tokens(node: RotationNode): readonly Blocker[] {
  return node.tokensUntilMs.map(endMs =>
    blocked(
      node,
      'token-pins-old',
      `an enrolment token pins the root that is left, and is good until ${instant(endMs)}`,
    ),
  )
}

function blocked({ node }: RotationNode, code: string, message: string): Blocker {
  return { node, reason: { code, message }, isUnknown: false }
}

function unknown({ node }: RotationNode, code: string, message: string): Blocker {
  return { node, reason: { code, message }, isUnknown: true }
}

function silent(node: RotationNode, message: string): Blocker {
  return unknown(node, 'node-silent', message)
}

function instant(atMs: number): string {
  return new Date(atMs).toISOString().replace(/\.\d+Z$/, 'Z')
}
