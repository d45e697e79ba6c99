// What a rollout's decisions need of its nodes, in one query: a decision is made every second, and
// whole reports and contents are most of what the store holds of a node.

import type { Kysely } from 'kysely'
import * as z from 'zod/mini'
import { Report, ServiceReport } from '../../../shared/contract/report.ts'
import { parser } from '../../../shared/contract/schema.ts'
import { readJson } from '../json-column.ts'
import type { Schema } from '../schema.ts'
import type { RolloutMember } from '../store.ts'

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
      }),
    ),
  }),
)

export async function rolloutMembers(
  db: Kysely<Schema>,
  id: string,
): Promise<readonly RolloutMember[]> {
  const rows = await db
    .selectFrom('rollout_steps')
    .innerJoin('nodes', 'nodes.name', 'rollout_steps.node')
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
      'reports.received_at_ms',
      'reports.report_json',
    ])
    .where('rollout_steps.rollout', '=', id)
    .orderBy('rollout_steps.position')
    .execute()
  return rows.map(row => ({
    node: row.name,
    enrolledAtMs: row.enrolled_at_ms ?? undefined,
    seenAtMs: row.seen_at_ms ?? undefined,
    desired:
      row.generation === null || row.digest === null || row.content_digest === null
        ? undefined
        : { generation: row.generation, digest: row.digest, contentDigest: row.content_digest },
    highestGeneration: row.highest ?? 0,
    report:
      row.report_json === null || row.received_at_ms === null
        ? undefined
        : {
            receivedAtMs: row.received_at_ms,
            ...readJson(`the report of ${row.name}`, row.report_json, parseExcerpt),
          },
  }))
}
