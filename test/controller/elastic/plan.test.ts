// The plan as a function of what is there: what it changes, what it leaves, and that one is enough.

import { deepStrictEqual as deepEqual } from 'node:assert'
import fc from 'fast-check'
import t from 'tap'
import * as z from 'zod/mini'
import {
  type Account,
  type AccountName,
  isBefore,
  metricbeatAccounts,
  parseVersion,
} from '../../../controller/elastic/accounts.ts'
import {
  ACCOUNT_REASONS,
  type Entry,
  type ObservedAccount,
  type ObservedRole,
  planAccounts,
} from '../../../controller/elastic/plan.ts'
import {
  ElasticsearchRole,
  KibanaRole,
  elasticsearchRights,
  wantedRights,
} from '../../../controller/elastic/rights.ts'

const version = { major: 8, minor: 15, text: '8.15.2' }
const accounts = metricbeatAccounts({ elasticsearch: version, kibana: undefined })
const accountOf = (name: AccountName) => {
  const account = accounts.find(one => one.name === name)
  if (account === undefined) throw new Error(name)
  return account
}
const writer = accountOf('metricbeat_writer')
const reader = accountOf('metricbeat_reader')

const nothing: ObservedAccount = { role: undefined, user: undefined, password: 'none' }
const planOf = (account: Account, observed: ObservedAccount, rotate: readonly string[] = []) =>
  planAccounts([account], () => observed, new Set(rotate))

/** What an account is after the requests of a plan, as the servers would show it. */
function carriedOut(account: Account, observed: ObservedAccount, plan: readonly Entry[]) {
  const after = { ...observed }
  for (const { write } of plan)
    switch (write?.kind) {
      case 'role':
        after.role =
          write.api === 'kibana'
            ? { api: 'kibana', role: KibanaRole.parse(write.body) }
            : { api: 'elasticsearch', role: ElasticsearchRole.parse(write.body) }
        break
      case 'create-user':
      case 'update-user': {
        const { roles, enabled } = z.parse(
          z.object({ roles: z.array(z.string()), enabled: z._default(z.boolean(), true) }),
          write.body,
        )
        after.user = { roles, enabled, kept: observed.user?.kept ?? {} }
        if (write.kind === 'create-user') after.password = 'accepted'
        break
      }
      case 'set-password':
        after.password = 'accepted'
        break
      case undefined:
        break
    }
  return after
}

const words = (...some: readonly string[]) => fc.subarray([...some]).chain(part => shuffled(part))
const shuffled = <T>(all: readonly T[]) =>
  fc.shuffledSubarray([...all], { minLength: all.length, maxLength: all.length })
const anyIndex = fc.record(
  {
    names: fc.oneof(words('metricbeat-*', 'logs-*'), fc.constant('metricbeat-*')),
    privileges: words('create_doc', 'auto_configure', 'create_index', 'read', 'all'),
    query: fc.constantFrom(null, '', '{"match_all":{}}'),
    field_security: fc.constantFrom(null, { grant: ['*'] }, { grant: ['a'], except: [] }),
    allow_restricted_indices: fc.boolean(),
  },
  { requiredKeys: ['names', 'privileges'] },
)
const anyRole = fc.record(
  {
    cluster: words('monitor', 'read_ilm', 'manage_ilm', 'all'),
    indices: fc.array(anyIndex, { maxLength: 3 }),
    run_as: words('elastic'),
    applications: fc.constantFrom([], [{ application: 'x', privileges: ['y'], resources: ['*'] }]),
    global: fc.constantFrom({}, [], { application: { manage: {} } }),
    remote_indices: fc.constantFrom([], [{ clusters: ['*'] }]),
    metadata: fc.dictionary(fc.string(), fc.string(), { maxKeys: 2 }),
    description: fc.constantFrom('', 'ours'),
  },
  { requiredKeys: [] },
)
const anyKibanaRole = fc.record({
  elasticsearch: anyRole,
  kibana: fc.array(
    fc.record({
      spaces: words('default', 'ops', '*'),
      base: words('read', 'all'),
      feature: fc.dictionary(
        fc.constantFrom('discover', 'dashboard', 'visualize', 'infrastructure', 'ml'),
        words('read', 'all', 'minimal_read'),
      ),
    }),
    { maxLength: 3 },
  ),
  metadata: fc.constantFrom(null, { a: 1 }),
})
const anyUser = fc.option(
  fc.record({
    roles: words('metricbeat_writer', 'remote_monitoring_agent', 'superuser', 'beats_admin'),
    enabled: fc.boolean(),
    kept: fc.constant({ full_name: 'somebody', metadata: {} }),
  }),
  { nil: undefined },
)
const roleOf = (account: Account): fc.Arbitrary<ObservedRole> =>
  account.role.api === 'kibana'
    ? anyKibanaRole.map(role => ({ api: 'kibana', role: KibanaRole.parse(role) }))
    : anyRole.map(role => ({ api: 'elasticsearch', role: ElasticsearchRole.parse(role) }))
const anyObserved: fc.Arbitrary<readonly [Account, ObservedAccount]> = fc
  .constantFrom(...accounts)
  .chain(account =>
    fc.tuple(
      fc.constant(account),
      fc.record({
        role: fc.option(roleOf(account), { nil: undefined }),
        user: anyUser,
        password: fc.constantFrom('none', 'unchecked', 'accepted', 'refused'),
      }),
    ),
  )

await t.test('whatever is there, one plan is enough, and asking twice is the same', async t => {
  fc.assert(
    fc.property(anyObserved, fc.boolean(), ([account, observed], isRotated) => {
      const before = JSON.stringify(observed)
      const rotate = isRotated ? [account.name] : []
      const plan = planOf(account, observed, rotate)
      const again = planOf(account, carriedOut(account, observed, plan))

      deepEqual(JSON.stringify(observed), before)
      deepEqual(planOf(account, observed, rotate), plan)
      deepEqual(
        again.filter(({ write }) => write !== undefined),
        [],
      )
      for (const { action, write, reason } of plan) {
        const isChange = action === 'create' || action === 'update'
        deepEqual(isChange, write !== undefined)
        deepEqual(Object.hasOwn(ACCOUNT_REASONS, reason.code), true)
      }
    }),
    { numRuns: 300 },
  )
  t.pass('checked')
})

await t.test(
  'order and grouping of privileges, and what servers add, make no difference',
  async t => {
    const wanted = writer.role.elasticsearch
    const entries = wanted.indices.flatMap(({ names, privileges }) =>
      privileges.map(privilege => ({ names: [...names], privileges: [privilege] })),
    )
    fc.assert(
      fc.property(shuffled(wanted.cluster), shuffled(entries), (cluster, indices) => {
        const role = ElasticsearchRole.parse({
          cluster,
          indices: indices.map(entry => ({
            ...entry,
            field_security: { grant: ['*'], except: [] },
            allow_restricted_indices: false,
          })),
          applications: [],
          run_as: [],
          metadata: { a: 1 },
          transient_metadata: { enabled: true },
          of_a_later_version: [1],
        })
        const [entry] = planOf(writer, { ...nothing, role: { api: 'elasticsearch', role } })
        return entry?.action === 'none'
      }),
    )
    t.pass('checked')
  },
)

await t.test('whatever grants more or less than wanted is seen', async t => {
  const base = {
    cluster: ['monitor', 'read_ilm'],
    indices: [{ names: 'metricbeat-*', privileges: ['create_doc', 'auto_configure'] }],
  }
  const seen = (more: object) => {
    const role = ElasticsearchRole.parse({ ...base, ...more })
    const [entry] = planOf(writer, { ...nothing, role: { api: 'elasticsearch', role } })
    return [
      ...(entry?.added ?? []).map(one => `+ ${one}`),
      ...(entry?.removed ?? []).map(one => `- ${one}`),
    ]
  }
  const index = (more: object) => ({ indices: [{ ...base.indices[0], ...more }] })

  t.strictSame(seen({}), [])
  t.strictSame(seen({ cluster: ['all'] }), [
    '+ cluster: monitor',
    '+ cluster: read_ilm',
    '- cluster: all',
  ])
  t.match(
    seen(index({ query: '{}' })).join(),
    '- metricbeat-*: create_doc of some documents or fields',
  )
  t.match(seen(index({ field_security: { grant: ['a'] } })).join(), 'of some documents or fields')
  t.match(seen(index({ allow_restricted_indices: true })).join(), ', restricted indices too')
  t.strictSame(seen({ run_as: ['elastic'] }), ['- run as elastic'])
  t.strictSame(seen({ global: { application: {} } }), ['- global privileges'])
  t.strictSame(seen({ remote_indices: [{}] }), ['- indices of remote clusters'])
  t.strictSame(seen({ remote_cluster: [{}] }), ['- remote clusters'])
  t.strictSame(
    seen({ applications: [{ application: 'a', privileges: ['b'], resources: ['c'] }] }),
    ['- application a: b on c'],
  )
})

await t.test(
  'readers who may edit keep that; other spaces and features are taken away',
  async t => {
    const role = KibanaRole.parse({
      elasticsearch: { indices: [{ names: ['metricbeat-*'], privileges: ['read'] }] },
      kibana: [
        {
          spaces: ['default'],
          base: [],
          feature: { discover: ['all'], visualize: ['all'], dashboard: ['read'], ml: ['read'] },
        },
        { spaces: ['ops'], base: ['read'] },
      ],
    })
    const [entry] = planOf(reader, { ...nothing, role: { api: 'kibana', role } })

    t.strictSame(entry?.added, ['kibana space default: infrastructure read'])
    t.strictSame(entry?.removed, [
      'kibana space default: ml read',
      'kibana space ops: everything read',
    ])
    t.match(entry?.write, {
      body: { kibana: [{ feature: { discover: ['all'], dashboard: ['read'] } }] },
    })
  },
)

await t.test('roles are written before the users that have them', async t => {
  const kinds = planAccounts(accounts, () => nothing, new Set()).map(({ kind }) => kind)
  t.strictSame(kinds, ['role', 'role', 'role', 'role', 'user', 'user', 'user', 'user'])
})

await t.test('privileges are those of today, features those of the version of Kibana', async t => {
  const rights = accounts.map(({ role, userRoles }) => ({
    rights: [...wantedRights(role.elasticsearch, role.api === 'kibana' ? role.kibana : [])],
    userRoles,
  }))
  t.matchStrict(rights, [
    {
      rights: ['cluster: monitor', 'cluster: manage_ilm', 'metricbeat-*: manage'],
      userRoles: ['metricbeat_setup', 'kibana_admin', 'ingest_admin'],
    },
    {
      rights: [
        'cluster: monitor',
        '.monitoring-beats-*: create_index',
        '.monitoring-beats-*: create_doc',
      ],
      userRoles: ['metricbeat_monitoring', 'kibana_admin', 'monitoring_user'],
    },
    {
      rights: [
        'cluster: monitor',
        'cluster: read_ilm',
        'metricbeat-*: create_doc',
        'metricbeat-*: auto_configure',
      ],
      userRoles: ['metricbeat_writer', 'remote_monitoring_collector', 'remote_monitoring_agent'],
    },
    {
      rights: [
        'metricbeat-*: read',
        'kibana space default: discover read',
        'kibana space default: visualize read',
        'kibana space default: dashboard read',
        'kibana space default: infrastructure read',
      ],
      userRoles: ['metricbeat_reader', 'monitoring_user'],
    },
  ])
  const features = (kibana: string | undefined) => {
    const parsed = kibana === undefined ? undefined : parseVersion(kibana)
    const [, , , account] = metricbeatAccounts({ elasticsearch: version, kibana: parsed })
    return JSON.stringify(account?.role)
  }
  t.match(features('9.0.1'), '"savedQueryManagement"')
  t.match(features('9.0.1'), '"discover_v2":["read"]')
  t.notMatch(features('8.19.0'), '_v2')
  t.notMatch(features(undefined), '_v2')
  t.equal(parseVersion('main'), undefined)
  t.ok(isBefore({ major: 7, minor: 8, text: '' }, { major: 7, minor: 9, text: '' }))
  t.notOk(isBefore({ major: 8, minor: 0, text: '' }, { major: 7, minor: 9, text: '' }))
})

await t.test(
  'every right that a guide gives too much is one that a difference can name',
  async t => {
    const guide = [
      [accountOf('metricbeat_setup'), ['metricbeat-*', 'manage', 'write']],
      [writer, ['metricbeat-*', 'create_doc', 'create_index', 'view_index_metadata']],
    ] as const
    for (const [account, [name, ...privileges]] of guide) {
      const role = ElasticsearchRole.parse({ indices: [{ names: [name], privileges }] })
      const rights = elasticsearchRights(role)
      const [entry] = planOf(account, { ...nothing, role: { api: 'elasticsearch', role } })
      t.ok(account.guide.every(({ right }) => rights.has(right)))
      t.equal(entry?.reason.code, 'role-of-guide')
    }
  },
)
