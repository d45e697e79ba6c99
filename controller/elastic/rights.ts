// Roles as sets of rights, one line of text each, so that two roles are equal exactly when they
// grant the same, in whatever order and grouping, and a difference can be read by a person.

import * as z from 'zod/mini'
import type { ElasticsearchGrants, KibanaGrant } from './accounts.ts'

const Words = z.array(z.string())
/** Servers leave out what is empty, or say null. */
const SomeWords = z.nullish(Words)

const IndexEntry = z.object({
  names: z.union([z.string(), Words]),
  privileges: Words,
  query: z.nullish(z.unknown()),
  field_security: z.nullish(z.object({ grant: SomeWords, except: SomeWords })),
  allow_restricted_indices: z.nullish(z.boolean()),
})

/** A role as Elasticsearch shows it. Fields that grant nothing, and such that come later, are left out. */
export const ElasticsearchRole = z.object({
  cluster: SomeWords,
  indices: z.nullish(z.array(IndexEntry)),
  applications: z.nullish(
    z.array(z.object({ application: z.string(), privileges: Words, resources: Words })),
  ),
  run_as: SomeWords,
  global: z.nullish(z.unknown()),
  remote_indices: z.nullish(z.array(z.unknown())),
  remote_cluster: z.nullish(z.array(z.unknown())),
  metadata: z.nullish(z.record(z.string(), z.unknown())),
  description: z.nullish(z.string()),
})
export type ElasticsearchRole = z.infer<typeof ElasticsearchRole>

/** A role as Kibana shows it. */
export const KibanaRole = z.object({
  elasticsearch: ElasticsearchRole,
  kibana: z.array(
    z.object({ spaces: Words, base: SomeWords, feature: z.nullish(z.record(z.string(), Words)) }),
  ),
  metadata: z.nullish(z.record(z.string(), z.unknown())),
  description: z.nullish(z.string()),
})
export type KibanaRole = z.infer<typeof KibanaRole>

export interface Difference {
  readonly added: readonly string[]
  readonly removed: readonly string[]
}

/** What must be added to and removed from the rights that are there. */
export function difference(wanted: ReadonlySet<string>, actual: ReadonlySet<string>): Difference {
  return {
    added: [...wanted].filter(right => !actual.has(right)),
    removed: [...actual].filter(right => !wanted.has(right)).toSorted(),
  }
}

export function isEqual({ added, removed }: Difference): boolean {
  return added.length + removed.length === 0
}

export function wantedRights(
  elasticsearch: ElasticsearchGrants,
  kibana: readonly KibanaGrant[] = [],
): ReadonlySet<string> {
  return new Set([
    ...elasticsearch.cluster.map(clusterRight),
    ...elasticsearch.indices.flatMap(({ names, privileges }) => pairs(names, privileges)),
    ...kibana.flatMap(featureRights),
  ])
}

export function elasticsearchRights(role: ElasticsearchRole): ReadonlySet<string> {
  return new Set([
    ...(role.cluster ?? []).map(clusterRight),
    ...(role.indices ?? []).flatMap(indexRights),
    ...(role.applications ?? []).map(
      ({ application, privileges, resources }) =>
        `application ${application}: ${privileges.join(', ')} on ${resources.join(', ')}`,
    ),
    ...(role.run_as ?? []).map(user => `run as ${user}`),
    // What they grant is never wanted, so it is enough to know that there is something.
    ...(isEmpty(role.global) ? [] : ['global privileges']),
    ...(isEmpty(role.remote_indices) ? [] : ['indices of remote clusters']),
    ...(isEmpty(role.remote_cluster) ? [] : ['remote clusters']),
  ])
}

export function kibanaRights(role: KibanaRole): ReadonlySet<string> {
  return new Set([
    ...elasticsearchRights(role.elasticsearch),
    ...role.kibana.flatMap(({ spaces, base, feature }) => [
      ...pairs(
        spaces.map(spaceOf),
        (base ?? []).map(privilege => `everything ${privilege}`),
      ),
      ...featureRights({ spaces, feature: feature ?? {} }),
    ]),
  ])
}

/**
 * The guides leave it to the operator whether readers may also edit: a feature that is `all` already
 * stays so.
 */
export function keepEditing(
  wanted: readonly KibanaGrant[],
  role: KibanaRole,
): readonly KibanaGrant[] {
  const actual = kibanaRights(role)
  return wanted.map(grant => ({
    ...grant,
    feature: Object.fromEntries(
      Object.entries(grant.feature).map(([name, privileges]) => {
        const all = featureRights({ ...grant, feature: { [name]: ['all'] } })
        return [name, all.every(right => actual.has(right)) ? ['all'] : privileges]
      }),
    ),
  }))
}

function clusterRight(privilege: string): string {
  return `cluster: ${privilege}`
}

function indexRights(entry: z.infer<typeof IndexEntry>): readonly string[] {
  const { grant, except } = entry.field_security ?? {}
  const seesAllFields = (grant ?? ['*']).includes('*') && (except ?? []).length === 0
  const isFiltered = !seesAllFields || !isEmpty(entry.query)
  const limits = [
    ...(isFiltered ? [' of some documents or fields'] : []),
    ...(entry.allow_restricted_indices === true ? [', restricted indices too'] : []),
  ].join('')
  const names = typeof entry.names === 'string' ? [entry.names] : entry.names
  return pairs(names, entry.privileges).map(right => right + limits)
}

function featureRights({ spaces, feature }: KibanaGrant): readonly string[] {
  return Object.entries(feature).flatMap(([name, privileges]) =>
    pairs(
      spaces.map(spaceOf),
      privileges.map(privilege => `${name} ${privilege}`),
    ),
  )
}

function spaceOf(space: string): string {
  return `kibana space ${space}`
}

function pairs(names: readonly string[], privileges: readonly string[]): readonly string[] {
  return names.flatMap(name => privileges.map(privilege => `${name}: ${privilege}`))
}

function isEmpty(value: unknown): boolean {
  if (value === undefined || value === null || value === '') return true
  return typeof value === 'object' && Object.keys(value).length === 0
}
