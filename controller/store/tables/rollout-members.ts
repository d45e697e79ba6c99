// What a rollout's decisions need of its nodes, in one query: a decision is made every second, and
// whole reports and contents are most of what the store holds of a node.

import type { Kysely } from 'kysely'
import * as z from 'zod/mini'
import { Report, Served, ServiceReport } from '../../../shared/contract/report.ts'
import { parser } from '../../../shared/contract/schema.ts'
import { readJson } from '../json-column.ts'
import type { Schema } from '../schema.ts'
import type { RolloutMember } from '../store.ts'
import { currentEpoch } from './desired.ts'

const parseExcerpt = parser(
  'report',
  z.object({
    observedGeneration: Report.shape.observedGeneration,
    observedDigest: Report.shape.observedDigest,
    refusedGeneration: Report.shape.refusedGeneration,
    problem: Report.shape.problem,
    services: z.array(
      z.object({
        service: ServiceReport.shape.service,
        outcome: ServiceReport.shape.outcome,
        reason: ServiceReport.shape.reason,
        activations: ServiceReport.shape.activations,
        broken: ServiceReport.shape.broken,
        cluster: ServiceReport.shape.cluster,
        served: z.array(z.object({ ok: Served.shape.ok, reason: Served.shape.reason })),
      }),
    ),
  }),
)

// SQLite takes 32,766 parameters in a statement; fewer make fewer statements to cache.
const NAMES_MAX = 500

export async function rolloutMembers(
  db: Kysely<Schema>,
  id: string,
): Promise<readonly RolloutMember[]> {
  const rows = await memberRows(db)
    .innerJoin('rollout_steps', 'rollout_steps.node', 'nodes.name')
    .where('rollout_steps.rollout', '=', id)
    .orderBy('rollout_steps.position')
    .execute()
  const epoch = await currentEpoch(db)
  return rows.map(row => toMember(row, epoch))
}

export async function membersNamed(
  db: Kysely<Schema>,
  names: readonly string[],
): Promise<readonly RolloutMember[]> {
  const epoch = await currentEpoch(db)
  const members: RolloutMember[] = []
  for (let start = 0; start < names.length; start += NAMES_MAX) {
    const some = names.slice(start, start + NAMES_MAX)
    const rows = await memberRows(db)
      .where('nodes.name', 'in', some)
      .orderBy('nodes.name')
      .execute()
    members.push(...rows.map(row => toMember(row, epoch)))
  }
  return members
}

function memberRows(db: Kysely<Schema>) {
  return db
    .selectFrom('nodes')
    .leftJoin('desired_states', 'desired_states.node', 'nodes.name')
    .leftJoin('generations', 'generations.node', 'nodes.name')
    .leftJoin('reports', 'reports.node', 'nodes.name')
    .select([
      'nodes.name',
      'nodes.enrolled_at_ms',
      'nodes.seen_at_ms',
      'desired_states.generation',
      'desired_states.digest',
      'desired_states.content_digest',
      'generations.highest',
      'reports.sequence',
      'reports.received_at_ms',
      'reports.report_json',
    ])
}

function toMember(
  row: Awaited<ReturnType<ReturnType<typeof memberRows>['execute']>>[number],
  epoch: number,
): RolloutMember {
  return {
    node: row.name,
    enrolledAtMs: row.enrolled_at_ms ?? undefined,
    seenAtMs: row.seen_at_ms ?? undefined,
    desired:
      row.generation === null || row.digest === null || row.content_digest === null
        ? undefined
        : { generation: row.generation, digest: row.digest, contentDigest: row.content_digest },
    highestGeneration: Math.max(row.highest ?? 0, epoch),
    report:
      row.report_json === null || row.received_at_ms === null || row.sequence === null
        ? undefined
        : {
            sequence: row.sequence,
            receivedAtMs: row.received_at_ms,
            ...readJson(`the report of ${row.name}`, row.report_json, parseExcerpt),
          },
  }
}
