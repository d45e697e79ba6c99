// The beginning of a rotation: what follows what, and whether trust can hold all the way.

import { assert } from '../../shared/assert.ts'
import { OperationalError } from '../../shared/errors.ts'
import { describeEdge } from '../fleet/closure.ts'
import type { AuthorityRecord, RevisionRecord, Transaction } from '../store/store.ts'
import type { RotationsContext } from './context.ts'
import {
  compileWorlds,
  issuerEnds,
  knownSigners,
  type ServiceEnds,
  serviceEnds,
  specOf,
} from './ends.ts'
import type { Pace, Rotation, RotationEvent, RotationSubject } from './rotation.ts'
import { brokenOnTheWay, changedServices } from './worlds.ts'

export interface RotationRequest {
  readonly actor: string
  readonly pace: Pace
  readonly subject:
    | { readonly kind: 'service' | 'identity' }
    /** The fleet spec that is to hold. */
    | { readonly kind: 'issuer'; readonly spec: string }
}

export interface Created {
  readonly rotation: Rotation
  readonly events: readonly RotationEvent[]
  readonly isCaMoved: boolean
}

export async function create(context: RotationsContext, asked: RotationRequest): Promise<Created> {
  const { subject } = asked
  if (subject.kind === 'issuer') {
    const { spec } = subject
    return context.store.transaction(async tx => {
      const to = await issuerSubject(context, tx, spec, asked.actor)
      return insert(context, tx, asked, { subject: to, isTainted: false })
    })
  }
  const { kind } = subject
  const records = await context.store.transaction(tx => tx.authorities.list(kind))
  // Making keys and sealing them takes a while, which nobody else should wait for.
  const made =
    records.findLast(({ state }) => state === 'prepared') ?? (await context.makeAuthority(kind))
  return context.store.transaction(async tx => {
    const from = await tx.authorities.active(kind)
    if (from === undefined)
      throw new OperationalError('not-initialised', `there is no ${kind} CA that signs`)
    if ((await tx.authorities.get(made.id)) === undefined) await tx.authorities.insert(made)
    if (kind === 'service') await requireServicePath(context, tx, from, made)
    const isTainted = from.taintedAtMs !== undefined
    return insert(context, tx, asked, { subject: { kind, from: from.id, to: made.id }, isTainted })
  })
}

async function insert(
  { newId, clock }: RotationsContext,
  tx: Transaction,
  { actor, pace }: RotationRequest,
  given: { readonly subject: RotationSubject; readonly isTainted: boolean },
): Promise<Created> {
  const { subject, isTainted } = given
  const by = { atMs: clock.now(), actor }
  const approvals = await approvalsFor(tx, subject)
  const asked = approvals === 0 ? {} : { approvals }
  const created: RotationEvent = { kind: 'created', subject, pace, ...asked, ...by }
  const inserted = await tx.rotations.insert(newId(), created)
  const isCaMoved = subject.kind !== 'issuer'
  if (!isTainted) return { rotation: inserted, events: [created], isCaMoved }
  const reason = { code: 'ca-tainted', message: 'the CA that is left is compromised' }
  const tainted: RotationEvent = { kind: 'tainted', reason, ...by }
  const rotation = await tx.rotations.append(inserted.id, inserted.version, [tainted])
  return { rotation, events: [created, tainted], isCaMoved }
}

// As a rollout has it: of the fleet spec that holds when it is made, and fixed from then on. Where the
// rotation itself brings another spec, the stricter of both.
async function approvalsFor(tx: Transaction, subject: RotationSubject): Promise<number> {
  const latest = await tx.revisions.latest()
  const before = subject.kind === 'issuer' ? await tx.revisions.get(subject.from) : undefined
  const revisions = [latest, before].filter(one => one !== undefined)
  return Math.max(0, ...revisions.map(one => specOf(one).rollout?.approvals ?? 0))
}

async function requireServicePath(
  context: RotationsContext,
  tx: Transaction,
  from: AuthorityRecord,
  to: AuthorityRecord,
): Promise<void> {
  const latest = await tx.revisions.latest()
  if (latest === undefined) return
  await requireSettled(tx, latest)
  const ends = serviceEnds(latest, from, to, context.serviceCa())
  await requireTrust(context, tx, ends, 'service')
}

/** The revision that the fleet has, and the one that it is to have. */
async function issuerSubject(
  context: RotationsContext,
  tx: Transaction,
  spec: string,
  actor: string,
): Promise<Extract<RotationSubject, { kind: 'issuer' }>> {
  const latest = await tx.revisions.latest()
  if (latest === undefined)
    throw new OperationalError('nothing-to-rotate', 'no fleet spec was ever applied', {
      hint: 'tlsfleet apply -f fleet.yaml',
    })
  await requireSettled(tx, latest)
  const compiled = await context.compile(tx, spec, { ca: context.serviceCa(), isStored: false })
  const next = { number: latest.number + 1, text: spec }
  const ends = issuerEnds(latest, next, context.serviceCa())
  if (changedServices(ends).length === 0)
    throw new OperationalError(
      'nothing-to-rotate',
      'this fleet spec changes neither an issuer nor the trust of a service',
      { hint: 'tlsfleet apply -f fleet.yaml' },
    )
  await requireTrust(context, tx, ends, 'issuer')
  const createdAtMs = context.clock.now()
  const revision = await tx.revisions.insert({
    digest: compiled.digest,
    text: spec,
    author: actor,
    createdAtMs,
  })
  assert(revision.number === next.number, 'numbers of revisions are consecutive')
  const revisionSubject = `revision ${revision.number}`
  await tx.audit.append({
    atMs: createdAtMs,
    actor,
    action: 'revision-create',
    subject: revisionSubject,
  })
  return { kind: 'issuer', from: latest.number, to: revision.number }
}

// A rotation brings the newest revision to every node; one that an operator has stopped is not what
// anybody wants there.
async function requireSettled(tx: Transaction, latest: RevisionRecord): Promise<void> {
  const [newest] = await tx.rollouts.summaries({ limit: 1 })
  if (newest === undefined) return
  const { id, status, revision, author } = newest
  const isSettled = status !== 'failed' && status !== 'aborted'
  // Nor does trust that the controller could not bring to a client say anything about the revision.
  const isOurs = author.startsWith('rotation:') || author === 'system'
  if (revision !== latest.number || isSettled || isOurs) return
  throw new OperationalError(
    'fleet-unsettled',
    `the newest revision ${latest.number} is not what the fleet has: rollout ${id} is ${status}`,
    { hint: 'Apply the fleet spec that is to hold, and then rotate.' },
  )
}

async function requireTrust(
  context: RotationsContext,
  tx: Transaction,
  ends: ServiceEnds,
  kind: 'service' | 'issuer',
): Promise<void> {
  const worlds = await compileWorlds(context, tx, ends, kind)
  const broken = brokenOnTheWay(worlds, await knownSigners(tx))
  const [first] = broken
  if (first === undefined) return
  throw new OperationalError(
    'trust-closure',
    `no way leads from one trust to the other: ${describeEdge(first)}`,
    {
      hint: 'Name the CA certificates of the issuer with `trust` in the fleet spec, or leave verification to the platform on both sides.',
      details: { problems: broken.map(edge => ({ message: describeEdge(edge) })) },
    },
  )
}
