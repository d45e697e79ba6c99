// The two ends of a rotation as the store has them, and the worlds between them, compiled.

import { assert } from '../../shared/assert.ts'
import type { ServiceName } from '../../shared/contract/service.ts'
import { OperationalError } from '../../shared/errors.ts'
import { digestOf } from '../../shared/digest.ts'
import { certificateFacts } from '../../shared/pki/facts.ts'
import { intermediatesOf } from '../ca/generations.ts'
import type { KnownSigner } from '../fleet/closure.ts'
import { fingerprintsOf } from '../fleet/closure.ts'
import type { ServiceCa } from '../fleet/compile.ts'
import { parseFleetSpec } from '../fleet/spec.ts'
import type { AuthorityRecord, NodeRecord, Transaction } from '../store/store.ts'
import type { CaSet } from './barriers.ts'
import type { RotationsContext } from './context.ts'
import type { RotationSubject } from './rotation.ts'
import {
  caSetOf,
  type Ending,
  leftBetween,
  WORLDS,
  type Worlds,
  worldInput,
  worldsOf,
} from './worlds.ts'

/** Of services; identities have no contents. */
export interface ServiceEnds {
  readonly old: Ending
  readonly new: Ending
  readonly revisions: { readonly old: number; readonly new: number }
  readonly texts: { readonly old: string; readonly new: string }
}

export type ContentSubject = Extract<RotationSubject, { kind: 'service' | 'issuer' }>

/** Undefined: no fleet spec was ever applied, so no node has anything of this CA. */
export async function readEnds(
  context: Pick<RotationsContext, 'serviceCa'>,
  tx: Transaction,
  subject: ContentSubject,
): Promise<ServiceEnds | undefined> {
  if (subject.kind === 'issuer') {
    const from = await requireRevision(tx, subject.from)
    const to = await requireRevision(tx, subject.to)
    return issuerEnds(from, to, context.serviceCa())
  }
  const latest = await tx.revisions.latest()
  if (latest === undefined) return undefined
  const from = await requireAuthority(tx, subject.from)
  const to = await requireAuthority(tx, subject.to)
  return serviceEnds(latest, from, to, context.serviceCa())
}

interface Revision {
  readonly number: number
  readonly text: string
}

export function issuerEnds(from: Revision, to: Revision, ca: ServiceCa): ServiceEnds {
  return {
    old: { spec: specOf(from), ca },
    new: { spec: specOf(to), ca },
    revisions: { old: from.number, new: to.number },
    texts: { old: from.text, new: to.text },
  }
}

export function serviceEnds(
  { number, text }: Revision,
  from: AuthorityRecord,
  to: AuthorityRecord,
  base: ServiceCa,
): ServiceEnds {
  const spec = specOf({ number, text })
  return {
    old: { spec, ca: { ...base, ...caOf(from) } },
    new: { spec, ca: { ...base, ...caOf(to) } },
    revisions: { old: number, new: number },
    texts: { old: text, new: text },
  }
}

function caOf({ rootCertificate, intermediateCertificate }: AuthorityRecord): ServiceCa {
  const issuedBy = certificateFacts(intermediateCertificate).fingerprint
  return { trust: [rootCertificate], issuedBy }
}

/** Throws `invalid-spec`. */
export function specOf({ number, text }: Revision) {
  const parsed = parseFleetSpec(text)
  if (parsed.kind === 'ok') return parsed.spec
  throw new OperationalError('invalid-spec', `revision ${number} is not valid any more`, {
    details: { problems: parsed.problems },
  })
}

async function requireRevision(tx: Transaction, number: number): Promise<Revision> {
  const revision = await tx.revisions.get(number)
  assert(revision !== undefined, `revision ${number} of a rotation is in the store`)
  return revision
}

export async function requireAuthority(tx: Transaction, id: string): Promise<AuthorityRecord> {
  const record = await tx.authorities.get(id)
  if (record === undefined) throw new OperationalError('not-found', `there is no CA ${id}`)
  return record
}

/** Compiles all four worlds. */
export async function compileWorlds(
  { compile }: Pick<RotationsContext, 'compile'>,
  tx: Transaction,
  ends: ServiceEnds,
  kind: ContentSubject['kind'],
): Promise<Worlds> {
  const compiled = []
  for (const world of WORLDS) {
    const { side, ca } = worldInput(world, ends, kind)
    compiled.push((await compile(tx, ends.texts[side], { ca, isStored: true })).fleet.nodes)
  }
  return worldsOf(compiled)
}

/** What the worlds depend on, in one word. */
export function keyOfWorlds(
  ends: ServiceEnds,
  nodes: readonly Pick<NodeRecord, 'name' | 'labels' | 'names'>[],
): string {
  const { revisions, old, new: next } = ends
  return digestOf([
    revisions.old,
    revisions.new,
    ...[old.ca, next.ca].flatMap(({ issuedBy, trust }) => [issuedBy, ...trust]),
    ...nodes.map(({ name, labels, names }) => JSON.stringify([name, labels, names])),
  ])
}

/** Every service CA that there is, to tell by what a certificate is verified. */
export async function knownSigners(tx: Transaction): Promise<readonly KnownSigner[]> {
  return (await tx.authorities.list('service')).flatMap(record => {
    const [root = ''] = fingerprintsOf([record.rootCertificate])
    return intermediatesOf(record).flatMap(pem =>
      [...fingerprintsOf([pem])].map(issuer => ({ issuer, root })),
    )
  })
}

/** By service, what is left on the way from one end to the other. */
export async function readLeft(
  tx: Transaction,
  subject: ContentSubject,
  ends: ServiceEnds | undefined,
  isReverse: boolean,
): Promise<(service: ServiceName) => CaSet> {
  if (subject.kind === 'service') {
    const record = await requireAuthority(tx, isReverse ? subject.to : subject.from)
    const all = caSetOf([record.rootCertificate, ...intermediatesOf(record)])
    return () => all
  }
  const [from, to] = isReverse ? [ends?.new, ends?.old] : [ends?.old, ends?.new]
  if (from === undefined || to === undefined) return () => NOTHING
  const left = leftBetween(from, to)
  const own = await tx.authorities.list('service')
  const widened = new Map(
    [...left].map(([service, set]) => {
      // Listeners that send no chain show the intermediate by name only.
      const pems = own
        .filter(({ rootCertificate }) =>
          [...fingerprintsOf([rootCertificate])].some(one => set.fingerprints.has(one)),
        )
        .flatMap(intermediatesOf)
      const more = caSetOf(pems)
      return [
        service,
        {
          fingerprints: new Set([...set.fingerprints, ...more.fingerprints]),
          subjects: new Set([...set.subjects, ...more.subjects]),
        },
      ] as const
    }),
  )
  return service => widened.get(service) ?? NOTHING
}

const NOTHING: CaSet = { fingerprints: new Set(), subjects: new Set() }
