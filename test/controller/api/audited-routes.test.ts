// Whatever an operator changes is in the audit log, in the transaction of the change: where the log cannot be
// written, nothing changes. All routes that change something are walked.

import { DatabaseSync } from 'node:sqlite'
import { join } from 'node:path'
import t from 'tap'
import { describeOperatorApi } from '../../../controller/api/describe.ts'
import { AuditHead, AuditList } from '../../../shared/contract/audit.ts'
import { RolloutView } from '../../../shared/contract/operator-api.ts'
import { RotationSummary } from '../../../shared/contract/rotations.ts'
import { TokenCreated } from '../../../shared/contract/operators.ts'
import { joinFleet, type Operator, operatorOf, parsed, startController } from './support.ts'

const SPEC = 'version: 1\nfleet: demo\nservices:\n  - service: prometheus\n    nodes: all\n'

// When a token was used, and a node seen, is no doing of an operator; nor is the time of the controller.
const OF_ITSELF = ['last_used_at_ms', 'seen_at_ms']

/** Makes what the request is about; gives its path. */
type Prepare = (admin: Operator) => Promise<string>
interface Scene {
  readonly path: string | Prepare
  readonly body?: unknown
}

async function rollout(admin: Operator): Promise<string> {
  return parsed(RolloutView, await admin('POST', '/v1/rollouts', { spec: SPEC, waitMs: 0 })).id
}

async function rotation(admin: Operator): Promise<string> {
  const body = { kind: 'identity', pace: 'step' }
  return parsed(RotationSummary, await admin('POST', '/v1/rotations', body)).id
}

async function operator(admin: Operator, name: string): Promise<string> {
  await admin('POST', '/v1/operators', { name, role: 'viewer' })
  return `/v1/operators/${name}`
}

async function node(admin: Operator, name: string): Promise<string> {
  await admin('POST', '/v1/nodes', { name, names: { dns: [`${name}.example.org`], ip: [] } })
  return `/v1/nodes/${name}`
}

const SCENES: Readonly<Record<string, Scene>> = {
  'POST /v1/nodes': {
    path: '/v1/nodes',
    body: { name: 'a', names: { dns: ['a.example.org'], ip: [] } },
  },
  'DELETE /v1/nodes/{name}': { path: admin => node(admin, 'b') },
  'PATCH /v1/nodes/{name}': {
    path: admin => node(admin, 'h'),
    body: { labels: { role: 'web' }, names: { dns: ['new.example.org'] } },
  },
  'POST /v1/nodes/{name}/token': {
    path: async admin => `${await node(admin, 'c')}/token`,
    body: {},
  },
  'POST /v1/nodes/{name}/revoke': {
    path: async admin => `${await node(admin, 'd')}/revoke`,
    body: {},
  },
  'POST /v1/operators': { path: '/v1/operators', body: { name: 'ada', role: 'viewer' } },
  'PUT /v1/operators/{name}': {
    path: admin => operator(admin, 'bob'),
    body: { role: 'operator', certificateNames: ['bob@corp.example'], disabled: true },
  },
  'DELETE /v1/operators/{name}': { path: admin => operator(admin, 'eve') },
  'POST /v1/operators/{name}/tokens': {
    path: async admin => `${await operator(admin, 'dan')}/tokens`,
    body: {},
  },
  'DELETE /v1/operators/{name}/tokens/{id}': {
    async path(admin) {
      const path = await operator(admin, 'fay')
      const { id } = parsed(TokenCreated, await admin('POST', `${path}/tokens`, {}))
      return `${path}/tokens/${id}`
    },
  },
  'POST /v1/operators/{name}/denied-certificates': {
    path: async admin => `${await operator(admin, 'gus')}/denied-certificates`,
    body: { serial: '0a:01' },
  },
  'PUT /v1/freezes/{name}': { path: '/v1/freezes/winter', body: { reason: 'snow' } },
  'DELETE /v1/freezes/{name}': {
    async path(admin) {
      await admin('PUT', '/v1/freezes/spring', { reason: 'rain', nodes: ['b'] })
      return '/v1/freezes/spring'
    },
  },
  'POST /v1/authorities/{id}/taint': { path: '/v1/authorities/service-1/taint', body: {} },
  'POST /v1/rollouts': { path: '/v1/rollouts', body: { spec: SPEC, waitMs: 0 } },
  'POST /v1/rollouts/{id}/{verb}': {
    path: async admin => `/v1/rollouts/${await rollout(admin)}/pause`,
    body: {},
  },
  'POST /v1/rollouts/{id}/nodes/{node}/{verb}': {
    path: async admin => `/v1/rollouts/${await rollout(admin)}/nodes/n1/skip`,
    body: {},
  },
  'POST /v1/rollouts/{id}/abort': {
    path: async admin => `/v1/rollouts/${await rollout(admin)}/abort`,
    body: {},
  },
  'POST /v1/rotations': { path: '/v1/rotations', body: { kind: 'identity', pace: 'step' } },
  'POST /v1/rotations/{id}/abort': {
    path: async admin => `/v1/rotations/${await rotation(admin)}/abort`,
    body: {},
  },
  'POST /v1/rotations/{id}/taint': {
    path: async admin => `/v1/rotations/${await rotation(admin)}/taint`,
    body: {},
  },
}

/** Routes that take a scene of their own, with the test that looks at what they write down. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  'POST /v1/plans': 'writes nothing',
  'POST /v1/nodes/{name}/plan': 'writes nothing',
  'POST /v1/rotations/{id}/advance': 'events and audit records are one: contract/rotations.ts',
  'POST /v1/rotations/{id}/resume': 'events and audit records are one: contract/rotations.ts',
  'POST /v1/debts/{id}/forgive': 'controller/api/debts.test.ts',
  'POST /v1/certificate-requests/import': 'controller/api/requests-answered.test.ts',
  'POST /v1/certificate-requests/{id}/refuse': 'controller/api/requests-answered.test.ts',
  'PUT /v1/provided/{name}': 'controller/api/provided-keys.test.ts',
  'DELETE /v1/provided/{name}': 'controller/api/provided.test.ts',
}

await t.test(
  'every route that changes something is walked here, or looked at elsewhere',
  async t => {
    const { paths } = Object(await describeOperatorApi('1.2.3'))
    const changing = Object.entries(paths).flatMap(([path, item]) =>
      Object.keys(Object(item))
        .filter(method => method !== 'get')
        .map(method => `${method.toUpperCase()} ${path}`),
    )

    t.strictSame(
      changing.toSorted(),
      [...Object.keys(SCENES), ...Object.keys(ELSEWHERE)].toSorted(),
    )
  },
)

for (const [route, { path: given, body }] of Object.entries(SCENES))
  await t.test(
    `without the log nothing changes, and with it the actor is in it: ${route}`,
    async t => {
      const running = await startController(t)
      const admin = operatorOf(running)
      const agent = await joinFleet(running, admin, 'n1')
      const path = typeof given === 'string' ? given : await given(admin)
      const [method = ''] = route.split(' ')
      const database = join(running.dataDir, 'controller.db')
      const head = async () => parsed(AuditHead, await admin('GET', '/v1/audit/head')).sequence

      direct(database, db =>
        db.exec(
          `create trigger no_audit before insert on audit begin select raise(abort, 'full'); end`,
        ),
      )
      const before = direct(database, contentOf)
      const refused = await admin(method, path, body)
      t.ok(refused.status >= 500, `${refused.status} ${refused.text.slice(0, 200)}`)
      t.strictSame(direct(database, contentOf), before, 'nothing has changed')

      direct(database, db => db.exec('drop trigger no_audit'))
      const after = await head()
      const done = await admin(method, path, body)
      t.ok(done.status < 300, `${done.status} ${done.text.slice(0, 200)}`)
      const { records } = parsed(AuditList, await admin('GET', `/v1/audit?after=${after}`))
      t.ok(
        records.some(({ actor }) => actor === 'admin'),
        JSON.stringify(records.map(({ actor, action }) => [actor, action])),
      )
      agent.close()
    },
  )

function direct<T>(path: string, work: (database: DatabaseSync) => T): T {
  const database = new DatabaseSync(path, { timeout: 2_000 })
  try {
    return work(database)
  } finally {
    database.close()
  }
}

function contentOf(database: DatabaseSync): Readonly<Record<string, unknown>> {
  const tables = database
    .prepare(
      `select name from sqlite_master where type = 'table' and name not like 'sqlite_%' and name not in ('controller_time', 'idempotency')`,
    )
    .all()
  return Object.fromEntries(
    tables.map(({ name }) => [
      String(name),
      database
        .prepare(`select * from "${String(name)}"`)
        .all()
        .map(row => Object.entries(row).filter(([column]) => !OF_ITSELF.includes(column))),
    ]),
  )
}
