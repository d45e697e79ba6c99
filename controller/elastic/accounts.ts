// What Metricbeat needs at Elasticsearch: four roles and four users of the same names, with the
// privileges that its documentation asks for today. What a guide gives beyond that is listed beside,
// so that a plan that takes it away can say why.

export interface Version {
  readonly major: number
  readonly minor: number
  /** As the product says it. */
  readonly text: string
}

export interface IndexGrant {
  readonly names: readonly string[]
  readonly privileges: readonly string[]
}

export interface ElasticsearchGrants {
  readonly cluster: readonly string[]
  readonly indices: readonly IndexGrant[]
}

export interface KibanaGrant {
  readonly spaces: readonly string[]
  readonly feature: Readonly<Record<string, readonly string[]>>
}

/** Kibana's part of a role is written through Kibana, which alone knows what its features mean. */
export type WantedRole =
  | { readonly api: 'elasticsearch'; readonly elasticsearch: ElasticsearchGrants }
  | {
      readonly api: 'kibana'
      readonly elasticsearch: ElasticsearchGrants
      readonly kibana: readonly KibanaGrant[]
    }

/** What a guide gives that is not wanted: the right as a difference names it, and why not. */
export interface GuideRight {
  readonly right: string
  readonly why: string
}

/** A role and the user that has it. */
export interface Account {
  readonly name: AccountName
  readonly role: WantedRole
  readonly userRoles: readonly string[]
  readonly guide: readonly GuideRight[]
}

export const ACCOUNT_NAMES = [
  'metricbeat_setup',
  'metricbeat_monitoring',
  'metricbeat_writer',
  'metricbeat_reader',
] as const
export type AccountName = (typeof ACCOUNT_NAMES)[number]

export function isAccountName(name: string): name is AccountName {
  return ACCOUNT_NAMES.some(known => known === name)
}

export function parseVersion(text: string): Version | undefined {
  const [, major, minor] = /^(\d{1,3})\.(\d{1,3})\./.exec(text) ?? []
  if (major === undefined || minor === undefined) return undefined
  return { major: Number(major), minor: Number(minor), text }
}

/** `auto_configure`, which every writer needs, and data streams came with 7.9. */
export const VERSION_MIN: Version = { major: 7, minor: 9, text: '7.9' }

export function isBefore(version: Version, other: Version): boolean {
  return version.major === other.major ? version.minor < other.minor : version.major < other.major
}

/** Without Kibana's version its features are called as in the version of Elasticsearch. */
export function metricbeatAccounts(versions: {
  readonly elasticsearch: Version
  readonly kibana: Version | undefined
}): readonly Account[] {
  return [SETUP, MONITORING, WRITER, reader(versions.kibana ?? versions.elasticsearch)]
}

const DATA = 'metricbeat-*'

const SETUP: Account = {
  name: 'metricbeat_setup',
  role: {
    api: 'elasticsearch',
    elasticsearch: {
      cluster: ['monitor', 'manage_ilm'],
      indices: [{ names: [DATA], privileges: ['manage'] }],
    },
  },
  userRoles: ['metricbeat_setup', 'kibana_admin', 'ingest_admin'],
  guide: [{ right: `${DATA}: write`, why: 'setup writes no documents' }],
}

const MONITORING: Account = {
  name: 'metricbeat_monitoring',
  role: {
    api: 'elasticsearch',
    elasticsearch: {
      cluster: ['monitor'],
      indices: [{ names: ['.monitoring-beats-*'], privileges: ['create_index', 'create_doc'] }],
    },
  },
  userRoles: ['metricbeat_monitoring', 'kibana_admin', 'monitoring_user'],
  guide: [],
}

const WRITER: Account = {
  name: 'metricbeat_writer',
  role: {
    api: 'elasticsearch',
    elasticsearch: {
      cluster: ['monitor', 'read_ilm'],
      indices: [{ names: [DATA], privileges: ['create_doc', 'auto_configure'] }],
    },
  },
  userRoles: ['metricbeat_writer', 'remote_monitoring_collector', 'remote_monitoring_agent'],
  guide: [
    { right: `${DATA}: create_index`, why: 'data streams are made by auto_configure' },
    { right: `${DATA}: view_index_metadata`, why: 'it is of the time before data streams' },
  ],
}

function reader(kibana: Version): Account {
  return {
    name: 'metricbeat_reader',
    role: {
      api: 'kibana',
      elasticsearch: { cluster: [], indices: [{ names: [DATA], privileges: ['read'] }] },
      kibana: [{ spaces: ['default'], feature: readFeatures(kibana) }],
    },
    userRoles: ['metricbeat_reader', 'monitoring_user'],
    guide: [{ right: 'role beats_admin', why: 'central management of Beats is gone' }],
  }
}

// Kibana took saved queries out of these features and gave what is left new names. The old ones
// still work for a while; the new ones are sure to be there from 9.0 on.
function readFeatures(kibana: Version): KibanaGrant['feature'] {
  const read = (...features: readonly string[]) =>
    Object.fromEntries(features.map(feature => [feature, ['read']]))
  return kibana.major >= 9
    ? read('discover_v2', 'visualize_v2', 'dashboard_v2', 'savedQueryManagement', 'infrastructure')
    : read('discover', 'visualize', 'dashboard', 'infrastructure')
}
