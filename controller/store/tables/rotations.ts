// Rotations: a row for each with what queries ask, the rest is the fold of its events.

import type { Kysely } from 'kysely'
import { OperationalError } from '../../../shared/errors.ts'
import { evolveAll, replayRotation, startRotation } from '../../rotation/evolve.ts'
import type { Rotation, RotationEvent } from '../../rotation/rotation.ts'
import { readJson } from '../json-column.ts'
import { parseRotationEvent } from '../rotation-json.ts'
import type { Rotations, StoredRotationEvent } from '../rotations-store.ts'
import type { Schema } from '../schema.ts'
import type { AuditEntry, AuditTable } from './audit.ts'

export function rotationsTable(db: Kysely<Schema>, audit: AuditTable): Rotations {
  const events = async (id: string): Promise<readonly StoredRotationEvent[]> => {
    const rows = await db
      .selectFrom('rotation_events')
      .selectAll()
      .where('rotation', '=', id)
      .orderBy('version')
      .execute()
    return rows.map(({ version, event_json }) => ({
      version,
      event: readJson(`event ${version} of rotation ${id}`, event_json, parseRotationEvent),
    }))
  }
  const read = async (id: string): Promise<Rotation> =>
    replayRotation(
      id,
      (await events(id)).map(({ event }) => event),
    )
  const ids = db.selectFrom('rotations').select('id').orderBy('sequence', 'desc')
  const first = async (rows: Promise<readonly { readonly id: string }[]>) => {
    const row = (await rows)[0]
    return row === undefined ? undefined : await read(row.id)
  }
  const open = () => first(ids.where('ended_at_ms', 'is', null).limit(1).execute())

  return {
    events,
    open,
    get: id => first(ids.where('id', '=', id).execute()),
    async list({ before, limit }) {
      const rotations: Rotation[] = []
      const older =
        before === undefined
          ? ids
          : ids.where('sequence', '<', eb =>
              eb
                .selectFrom('rotations as last')
                .select('last.sequence')
                .where('last.id', '=', before),
            )
      for (const { id } of await older.limit(limit).execute()) rotations.push(await read(id))
      return rotations
    },
    async insert(id, created) {
      const other = await open()
      if (other !== undefined) throw alreadyOpen(other)
      const rotation = startRotation(id, created)
      await db
        .insertInto('rotations')
        .values({ id, kind: rotation.subject.kind, version: 1, ended_at_ms: null })
        .execute()
      await insertEvents(db, audit, id, { after: 0, events: [created] })
      return rotation
    },
    async append(id, expectedVersion, added) {
      const before = await read(id)
      if (before.version !== expectedVersion)
        throw new OperationalError(
          'version-conflict',
          `could not append to rotation ${id}: somebody else did since version ${expectedVersion}`,
          { retryable: true, details: { rotation: id, version: before.version } },
        )
      if (added.length === 0) return before
      const after = evolveAll(before, added)
      await db
        .updateTable('rotations')
        .set({ version: after.version, ended_at_ms: after.endedAtMs ?? null })
        .where('id', '=', id)
        .execute()
      await insertEvents(db, audit, id, { after: expectedVersion, events: added })
      return after
    },
  }
}

function alreadyOpen({ id, phase }: Rotation): OperationalError {
  return new OperationalError(
    'rotation-open',
    `could not begin a rotation: ${id} is under way, in ${phase}`,
    { hint: `see it: tlsfleet ca status; take it back: tlsfleet ca abort ${id}` },
  )
}

async function insertEvents(
  db: Kysely<Schema>,
  audit: AuditTable,
  id: string,
  added: { readonly after: number; readonly events: readonly RotationEvent[] },
): Promise<void> {
  const rows = added.events.map((event, index) => ({
    rotation: id,
    version: added.after + index + 1,
    at_ms: event.atMs,
    event_json: JSON.stringify(event),
  }))
  await db.insertInto('rotation_events').values(rows).execute()
  await audit.appendAll(added.events.map(event => auditEntry(id, event)))
}

function auditEntry(id: string, event: RotationEvent): AuditEntry {
  const { atMs, actor, kind } = event
  const action = kind === 'entered' ? `rotation-${event.phase}` : `rotation-${kind}`
  const entry = { atMs, actor, action, subject: id }
  return 'reason' in event ? { ...entry, reason: event.reason } : entry
}
