// The hosts of the estate, and what each of them is.

export type Role =
  | 'influxdb-meta'
  | 'influxdb'
  | 'telegraf'
  | 'elasticsearch'
  | 'kibana'
  | 'metricbeat'
  | 'monitoring'

export interface Member {
  /** Of the lab; also the host name, and so what clients use. */
  readonly host: string
  /** Of the fleet. */
  readonly name: string
  readonly role: Role
  /** Units of products on it. */
  readonly units: readonly string[]
}

const ROLES: readonly (readonly [
  role: Role,
  names: readonly string[],
  units: readonly string[],
])[] = [
  ['influxdb-meta', ['meta-1', 'meta-2', 'meta-3'], ['influxdb-meta']],
  ['influxdb', ['data-1', 'data-2'], ['influxdb']],
  ['telegraf', ['app-1'], ['telegraf']],
  ['elasticsearch', ['es-1', 'es-2', 'es-3'], ['elasticsearch']],
  ['kibana', ['kibana-1'], ['kibana']],
  ['metricbeat', ['beat-1'], ['metricbeat']],
  ['monitoring', ['mon-1'], ['prometheus', 'prometheus-node-exporter', 'prometheus-alertmanager']],
]

export const MEMBERS: readonly Member[] = ROLES.flatMap(([role, names, units]) =>
  names.map(name => ({ name, role, units })),
).map((member, index) => ({ ...member, host: `n${index + 1}` }))

export function membersOf(role: Role): readonly Member[] {
  return MEMBERS.filter(member => member.role === role)
}

export function hostsOf(role: Role): readonly string[] {
  return membersOf(role).map(({ host }) => host)
}
