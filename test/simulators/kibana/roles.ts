// Roles as Kibana's API has them, and as Elasticsearch stores them: Kibana's privileges are those of an
// application there.

import * as z from 'zod/mini'

const APPLICATION = 'kibana-.kibana'

const KibanaPrivilege = z.strictObject({
  base: z.optional(z.array(z.string())),
  feature: z.optional(z.record(z.string(), z.array(z.string()))),
  spaces: z.optional(z.union([z.tuple([z.literal('*')]), z.array(z.string())])),
})
type KibanaPrivilege = z.infer<typeof KibanaPrivilege>

/** The body of a PUT. */
export const KibanaRole = z.strictObject({
  description: z.optional(z.string()),
  metadata: z.optional(z.record(z.string(), z.unknown())),
  elasticsearch: z.strictObject({
    cluster: z.optional(z.array(z.string())),
    indices: z.optional(z.array(z.record(z.string(), z.unknown()))),
    remote_indices: z.optional(z.array(z.unknown())),
    remote_cluster: z.optional(z.array(z.unknown())),
    run_as: z.optional(z.array(z.string())),
  }),
  kibana: z.optional(z.array(KibanaPrivilege)),
})
export type KibanaRole = z.infer<typeof KibanaRole>

const Application = z.object({
  application: z.string(),
  privileges: z.array(z.string()),
  resources: z.array(z.string()),
})

export const StoredRole = z.looseObject({
  cluster: z.optional(z.array(z.string())),
  indices: z.optional(z.array(z.unknown())),
  run_as: z.optional(z.array(z.string())),
  applications: z.optional(z.array(Application)),
  metadata: z.optional(z.record(z.string(), z.unknown())),
})
export type StoredRole = z.infer<typeof StoredRole>

export function toStored(role: KibanaRole): StoredRole {
  const { cluster = [], indices = [], run_as = [] } = role.elasticsearch
  return {
    cluster,
    indices,
    run_as,
    applications: (role.kibana ?? []).map(toApplication),
    ...(role.metadata === undefined ? {} : { metadata: role.metadata }),
  }
}

function toApplication({ base = [], feature = {}, spaces = ['*'] }: KibanaPrivilege) {
  const everywhere = spaces.includes('*')
  const features = Object.entries(feature).flatMap(([name, privileges]) =>
    privileges.map(privilege => `feature_${name}.${privilege}`),
  )
  return {
    application: APPLICATION,
    privileges: [...base.map(name => (everywhere ? name : `space_${name}`)), ...features],
    resources: everywhere ? ['*'] : spaces.map(space => `space:${space}`),
  }
}

export function fromStored(name: string, role: StoredRole) {
  const { cluster = [], indices = [], run_as = [], applications = [], metadata = {} } = role
  return {
    name,
    metadata,
    transient_metadata: { enabled: true },
    elasticsearch: { cluster, indices, run_as },
    kibana: applications
      .filter(({ application }) => application === APPLICATION)
      .map(({ privileges, resources }) => ({
        base: privileges
          .filter(privilege => !privilege.startsWith('feature_'))
          .map(privilege => privilege.replace(/^space_/, '')),
        feature: featuresOf(privileges),
        spaces: resources.map(resource => resource.replace(/^space:/, '')),
      })),
    _transform_error: [],
    _unrecognized_applications: [],
  }
}

function featuresOf(privileges: readonly string[]): Readonly<Record<string, readonly string[]>> {
  const found: Record<string, string[]> = {}
  for (const privilege of privileges) {
    const [, feature, name] = /^feature_([^.]+)\.(.+)$/.exec(privilege) ?? []
    if (feature === undefined || name === undefined) continue
    found[feature] = [...(found[feature] ?? []), name]
  }
  return found
}
