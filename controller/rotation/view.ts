// A rotation and the fleet as it stands to it, read at one moment.

import type { Transaction } from '../store/store.ts'
import { barrierOf, type RotationNode, type Sides } from './barriers.ts'
import type { RotationsContext } from './context.ts'
import {
  compileWorlds,
  keyOfWorlds,
  readEnds,
  readLeft,
  requireAuthority,
  type ServiceEnds,
} from './ends.ts'
import { fingerprintsOf } from '../fleet/closure.ts'
import { allNodeRecords, readNodes } from './nodes.ts'
import { type Rotation, type RotationView, worldOf } from './rotation.ts'
import { SERVICE_NAMES } from '../../shared/contract/service.ts'
import { type CompiledNodes, targetsIn, type Worlds } from './worlds.ts'

export interface Seen {
  readonly view: RotationView
  readonly nodes: readonly RotationNode[]
  /** What a rollout of the phase would give to nodes that are there and not yet where they should be. */
  readonly toMove: CompiledNodes
  readonly revision: number
}

/** Worlds are compiled anew when what they depend on has changed, and now and then in any case. */
export type WorldsMemo = {
  last: { readonly key: string; readonly untilMs: number; readonly worlds: Worlds } | undefined
}
const MEMO_MS = 30_000

export async function see(
  context: RotationsContext,
  tx: Transaction,
  rotation: Rotation,
  memo: WorldsMemo,
): Promise<Seen> {
  const { subject } = rotation
  const records = await allNodeRecords(tx)
  const isReverse = rotation.direction === 'reverse'
  if (subject.kind === 'identity') {
    const from = await requireAuthority(tx, subject.from)
    const to = await requireAuthority(tx, subject.to)
    const [left, signer] = isReverse ? [to, from] : [from, to]
    const nodes = await readNodes(context, tx, records, {
      targets: [],
      involved: new Set(),
      concerned: new Set(),
      left: () => NO_CAS,
      identity: { left, signer },
    })
    const sides: Sides = {
      left: () => NO_CAS,
      leftIdentityRoot: rootOf(left.rootCertificate),
      newIdentityRoot: rootOf(signer.rootCertificate),
    }
    const barrier = barrierOf(rotation, nodes, sides)
    return { view: { rollout: undefined, movable: 0, barrier }, nodes, toMove: [], revision: 0 }
  }

  const ends = await readEnds(context, tx, subject)
  const left = await readLeft(tx, subject, ends, isReverse)
  const world = worldOf(rotation)
  const worlds = ends && (await worldsFor(context, tx, ends, { rotation, records, memo }))
  const targets = worlds === undefined || world === undefined ? [] : targetsIn(worlds, world)
  const nodes = await readNodes(context, tx, records, {
    targets,
    involved: worlds?.involved ?? new Set(),
    concerned: await concernedBy(tx, rotation, ends),
    left,
    identity: undefined,
  })
  const barrier = barrierOf(rotation, nodes, {
    left,
    leftIdentityRoot: undefined,
    newIdentityRoot: undefined,
  })
  const rollout = await rolloutOf(tx, rotation)
  const movable = new Set(
    world === undefined ? [] : nodes.filter(node => isMovable(node)).map(({ node }) => node),
  )
  const toMove = targets.filter(({ node }) => movable.has(node))
  const revision = ends?.revisions[world?.side ?? 'old'] ?? 0
  return { view: { rollout, movable: toMove.length, barrier }, nodes, toMove, revision }
}

const NO_CAS = { fingerprints: new Set<string>(), subjects: new Set<string>() }

function rootOf(pem: string): string | undefined {
  return [...fingerprintsOf([pem])][0]
}

async function worldsFor(
  context: RotationsContext,
  tx: Transaction,
  ends: ServiceEnds,
  of: {
    readonly rotation: Rotation
    readonly records: Parameters<typeof keyOfWorlds>[1]
    readonly memo: WorldsMemo
  },
): Promise<Worlds | undefined> {
  const { rotation, records, memo } = of
  const { kind } = rotation.subject
  if (kind === 'identity') return undefined
  const key = `${rotation.id} ${keyOfWorlds(ends, records)}`
  const nowMs = context.clock.monotonic()
  if (memo.last?.key === key && nowMs < memo.last.untilMs) return memo.last.worlds
  const worlds = await compileWorlds(context, tx, ends, kind)
  memo.last = { key, untilMs: nowMs + MEMO_MS, worlds }
  return worlds
}

/** Both CAs, whichever of them is left at the moment. */
async function concernedBy(
  tx: Transaction,
  { subject }: Rotation,
  ends: ServiceEnds | undefined,
): Promise<ReadonlySet<string>> {
  if (subject.kind === 'identity') return new Set()
  const both = [await readLeft(tx, subject, ends, false), await readLeft(tx, subject, ends, true)]
  const services = ends === undefined ? [] : SERVICE_NAMES
  return new Set(both.flatMap(left => services.flatMap(service => [...left(service).fingerprints])))
}

async function rolloutOf(tx: Transaction, rotation: Rotation): Promise<RotationView['rollout']> {
  const last = rotation.rollout
  const author = authorOf(rotation)
  // Made right before the controller was killed: nobody has noted it yet.
  const orphan = (await tx.rollouts.active()).find(one => one.plan.author === author)
  const found =
    orphan ?? (last === undefined ? undefined : await tx.rollouts.get(last.id)) ?? undefined
  return found && { id: found.id, status: found.status, reason: found.reason }
}

/** The author of its rollouts. */
export function authorOf({ id }: Pick<Rotation, 'id'>): string {
  return `${AUTHOR_PREFIX}${id}`
}

const AUTHOR_PREFIX = 'rotation:'

/** The id of the rotation whose rollout has this author. */
export function rotationBehind(author: string): string | undefined {
  return author.startsWith(AUTHOR_PREFIX) ? author.slice(AUTHOR_PREFIX.length) : undefined
}

/** It is there, is not where the phase wants it, and would take a new document. */
function isMovable({ isInvolved, isOnline, desired, target, report }: RotationNode): boolean {
  if (!isInvolved || !isOnline || desired === undefined || target === undefined) return false
  if (desired.mode === 'audit') return false
  const services = report?.services ?? []
  // Its operator has stopped a service: nothing can be proven there before it runs again.
  if (services.some(({ reason }) => INACTIVE.has(reason.code))) return false
  if (desired.contentDigest !== target || desired.mode !== 'enforce') return true
  return (
    report?.observedGeneration === desired.generation &&
    services.some(
      ({ outcome }) => outcome === 'failed' || outcome === 'restored' || outcome === 'unsupported',
    )
  )
}

// As rollout/fleet-view.ts has them.
const INACTIVE: ReadonlySet<string> = new Set(['inactive', 'service-inactive', 'unit-inactive'])
