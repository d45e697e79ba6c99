import { fastify } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import t from 'tap'
import { NODE_ROLLOUTS_ROUTE } from '../../../shared/contract/node-history.ts'
import { NODE_PLAN_ROUTE } from '../../../shared/contract/node-plan.ts'
import { OPERATOR_ROUTES } from '../../../shared/contract/operator-api.ts'
import { ROLLOUT_PLAN_ROUTE } from '../../../shared/contract/rollout-plan.ts'
import { ROLLOUT_VERB_ROUTES, ROLLOUT_VERBS } from '../../../shared/contract/rollout-verbs.ts'
import { AUDIT_ROUTES } from '../../../shared/contract/audit.ts'
import { OPERATOR_RECORD_ROUTES } from '../../../shared/contract/operators.ts'
import { REASON_ROUTE } from '../../../shared/contract/reasons.ts'
import { ROTATION_ROUTES } from '../../../shared/contract/rotations.ts'
import { WATCH_ROUTE } from '../../../shared/contract/watch.ts'
import { AGENT_ROUTES, ENROLL_ROUTES } from '../../../shared/contract/protocol.ts'
import type { AgentCaller, OperatorCaller } from '../../../controller/api/caller.ts'
import { describeOperatorApi } from '../../../controller/api/describe.ts'
import { problemOf } from '../../../controller/api/errors.ts'
import { createOperatorSessions } from '../../../controller/api/operator-sessions.ts'
import {
  covers,
  enforcePolicies,
  type Policy,
  type Right,
  RIGHTS,
} from '../../../controller/api/policy.ts'
import { systemClock } from '../../../shared/clock.ts'
import { OperationalError } from '../../../shared/errors.ts'
import { call, codeOf, operatorOf, startController } from './support.ts'

/** Every operator route with the right that it asks for; undefined: anybody. */
const ROUTES: readonly (readonly [method: string, path: string, right: Right | undefined])[] = [
  ['GET', OPERATOR_ROUTES.health, undefined],
  ['GET', OPERATOR_ROUTES.openapi, undefined],
  ['GET', OPERATOR_ROUTES.reference, undefined],
  ['GET', WATCH_ROUTE, 'viewer'],
  ['GET', OPERATOR_ROUTES.leases, 'viewer'],
  ['GET', OPERATOR_ROUTES.enrollmentTokens, 'viewer'],
  ['GET', OPERATOR_ROUTES.metrics, 'viewer'],
  ['GET', OPERATOR_ROUTES.whoami, 'viewer'],
  ['GET', OPERATOR_ROUTES.nodes, 'viewer'],
  ['POST', OPERATOR_ROUTES.nodes, 'operator'],
  ['GET', OPERATOR_ROUTES.node, 'viewer'],
  ['DELETE', OPERATOR_ROUTES.node, 'admin'],
  ['PATCH', OPERATOR_ROUTES.node, 'operator'],
  ['POST', NODE_PLAN_ROUTE, 'operator'],
  ['GET', NODE_ROLLOUTS_ROUTE, 'viewer'],
  ['POST', OPERATOR_ROUTES.nodeToken, 'operator'],
  ['GET', OPERATOR_ROUTES.revisions, 'viewer'],
  ['GET', OPERATOR_ROUTES.revision, 'viewer'],
  ['POST', OPERATOR_ROUTES.nodeRevoke, 'operator'],
  ['POST', OPERATOR_ROUTES.plans, 'operator'],
  ['GET', OPERATOR_ROUTES.rollouts, 'viewer'],
  ['POST', OPERATOR_ROUTES.rollouts, 'operator'],
  ['GET', OPERATOR_ROUTES.rollout, 'viewer'],
  ['GET', OPERATOR_ROUTES.rolloutEvents, 'viewer'],
  ['POST', OPERATOR_ROUTES.rolloutAbort, 'operator'],
  ['POST', ROLLOUT_VERB_ROUTES.verb, 'operator'],
  ['POST', ROLLOUT_VERB_ROUTES.nodeVerb, 'operator'],
  ['GET', ROLLOUT_VERB_ROUTES.steps, 'viewer'],
  ['GET', ROLLOUT_VERB_ROUTES.gates, 'viewer'],
  ['GET', ROLLOUT_PLAN_ROUTE, 'viewer'],
  ['GET', ROLLOUT_VERB_ROUTES.groups, 'viewer'],
  ['GET', ROLLOUT_VERB_ROUTES.groupBudget, 'viewer'],
  ['GET', ROLLOUT_VERB_ROUTES.debts, 'viewer'],
  ['POST', ROLLOUT_VERB_ROUTES.forgiveDebt, 'operator'],
  ['GET', ROLLOUT_VERB_ROUTES.freezes, 'viewer'],
  ['GET', ROLLOUT_VERB_ROUTES.freeze, 'viewer'],
  ['PUT', ROLLOUT_VERB_ROUTES.freeze, 'operator'],
  ['DELETE', ROLLOUT_VERB_ROUTES.freeze, 'operator'],
  ['GET', OPERATOR_ROUTES.trust, 'viewer'],
  ['GET', OPERATOR_ROUTES.backup, 'admin'],
  ['GET', OPERATOR_ROUTES.certificates, 'viewer'],
  ['GET', OPERATOR_ROUTES.certificateRequests, 'viewer'],
  ['GET', OPERATOR_ROUTES.certificateRequestExport, 'operator'],
  ['POST', OPERATOR_ROUTES.certificateRequestImport, 'operator'],
  ['POST', OPERATOR_ROUTES.certificateRequestRefuse, 'operator'],
  ['GET', OPERATOR_ROUTES.provided, 'viewer'],
  ['GET', OPERATOR_ROUTES.providedPair, 'viewer'],
  ['PUT', OPERATOR_ROUTES.providedPair, 'admin'],
  ['DELETE', OPERATOR_ROUTES.providedPair, 'admin'],
  ['GET', OPERATOR_ROUTES.authorities, 'viewer'],
  ['GET', OPERATOR_ROUTES.authority, 'viewer'],
  ['POST', ROTATION_ROUTES.authorityTaint, 'admin'],
  ['GET', ROTATION_ROUTES.rotations, 'viewer'],
  ['POST', ROTATION_ROUTES.rotations, 'admin'],
  ['GET', ROTATION_ROUTES.rotation, 'viewer'],
  ['POST', ROTATION_ROUTES.advance, 'confirmation'],
  ['POST', ROTATION_ROUTES.resume, 'admin'],
  ['POST', ROTATION_ROUTES.abort, 'admin'],
  ['POST', ROTATION_ROUTES.taint, 'admin'],
  ['GET', OPERATOR_ROUTES.acme, 'viewer'],
  ['GET', OPERATOR_RECORD_ROUTES.operators, 'viewer'],
  ['POST', OPERATOR_RECORD_ROUTES.operators, 'admin'],
  ['GET', OPERATOR_RECORD_ROUTES.operator, 'viewer'],
  ['PUT', OPERATOR_RECORD_ROUTES.operator, 'admin'],
  ['DELETE', OPERATOR_RECORD_ROUTES.operator, 'admin'],
  ['GET', OPERATOR_RECORD_ROUTES.tokens, 'viewer'],
  ['POST', OPERATOR_RECORD_ROUTES.tokens, 'admin'],
  ['DELETE', OPERATOR_RECORD_ROUTES.token, 'admin'],
  ['POST', OPERATOR_RECORD_ROUTES.deniedCertificates, 'admin'],
  ['GET', REASON_ROUTE, 'viewer'],
  ['GET', AUDIT_ROUTES.audit, 'viewer'],
  ['GET', AUDIT_ROUTES.record, 'viewer'],
  ['GET', AUDIT_ROUTES.head, 'viewer'],
  ['GET', AUDIT_ROUTES.verify, 'viewer'],
]

/** Who may do what, written down a second time, so that nobody changes it by mistake. */
const HAVING: Readonly<Record<Right, readonly string[]>> = {
  viewer: ['viewer', 'operator', 'approver', 'admin'],
  operator: ['operator', 'admin'],
  approval: ['operator', 'approver', 'admin'],
  confirmation: ['approver', 'admin'],
  admin: ['admin'],
}

await t.test('the API description has every route, and the table above is complete', async t => {
  const description = await describeOperatorApi('1.2.3')

  t.match(description, { openapi: '3.1.0', info: { version: '1.2.3' } })
  const { paths } = Object(description)
  const described = Object.entries(paths).flatMap(([path, item]) =>
    Object.keys(Object(item)).map(
      method => `${method.toUpperCase()} ${path.replaceAll(/\{(\w+)\}/g, ':$1')}`,
    ),
  )
  t.strictSame(described.toSorted(), ROUTES.map(([method, path]) => `${method} ${path}`).toSorted())
  t.match(paths['/v1/rollouts'].post, {
    requestBody: {
      content: { 'application/json': { schema: { properties: { spec: { type: 'string' } } } } },
    },
    responses: { 201: { content: { 'application/json': { schema: { type: 'object' } } } } },
  })
  for (const [method, path, right] of ROUTES) {
    const operation = paths[path.replaceAll(/:(\w+)/g, '{$1}')][method.toLowerCase()]
    t.strictSame(operation.security, right === undefined ? undefined : [{ token: [] }], path)
    const problem = operation.responses.default.content['application/problem+json'].schema
    t.match(problem, { properties: { code: { type: 'string' } } })
  }
})

await t.test('every route asks for its role, and only the operator listener has them', async t => {
  const running = await startController(t)
  const { controller } = running
  const tokens = {
    viewer: running.viewerToken,
    operator: running.operatorToken,
    approver: running.approverToken,
    admin: running.adminToken,
  }
  const tls = { ca: controller.identityRoot }
  const concrete = (path: string) =>
    path
      .replace(':name', 'no-such')
      .replace(':number', '999')
      .replace(':sequence', '999')
      .replace(':id', 'no-such')

  for (const [method, route, right] of ROUTES) {
    const path = concrete(route)
    const url = `${controller.urls.operator}${path}`
    const anonymous = await call({ url, method, tls })
    if (right === undefined) t.equal(anonymous.status, 200, `${method} ${route}: anybody`)
    else
      t.strictSame(
        [anonymous.status, codeOf(anonymous), anonymous.headers['www-authenticate']],
        [401, 'unauthenticated', 'Bearer'],
        `${method} ${route}: nobody without a token`,
      )

    for (const [role, token] of Object.entries(tokens)) {
      const { status } = await operatorOf(running, token)(
        method,
        path,
        method === 'POST' ? {} : undefined,
      )
      const allowed = right === undefined || HAVING[right].includes(role)
      t.equal(status !== 403 && status !== 401, allowed, `${method} ${route} as ${role}: ${status}`)
      t.ok(status < 500, `${method} ${route} as ${role}: ${status}`)
    }
    for (const other of [controller.urls.enroll])
      t.equal(
        (
          await call({
            url: `${other}${path}`,
            method,
            tls,
            headers: { authorization: `Bearer ${running.adminToken}` },
          })
        ).status,
        404,
      )
  }
  for (const path of [...Object.values(AGENT_ROUTES), ...Object.values(ENROLL_ROUTES)])
    for (const method of ['GET', 'POST'])
      t.equal(
        (await operatorOf(running)(method, path, method === 'POST' ? {} : undefined)).status,
        404,
        `${path} is elsewhere`,
      )
})

await t.test('of the verbs of a rollout an approver may approve, and nothing else', async t => {
  const running = await startController(t)
  const tokens = {
    viewer: running.viewerToken,
    operator: running.operatorToken,
    approver: running.approverToken,
    admin: running.adminToken,
  }

  for (const verb of [...ROLLOUT_VERBS, 'constructor', 'appr%6fve'])
    for (const [role, token] of Object.entries(tokens)) {
      const { status } = await operatorOf(running, token)('POST', `/v1/rollouts/x/${verb}`, {})
      const isApproval = verb === 'approve' || verb === 'appr%6fve'
      const allowed = HAVING[isApproval ? 'approval' : 'operator'].includes(role)
      t.equal(status !== 403, allowed, `${verb} as ${role}: ${status}`)
    }
})

await t.test('the table of rights is the one above, and says which role covers which', async t => {
  t.strictSame({ ...RIGHTS }, HAVING)
  const roles = ['viewer', 'operator', 'approver', 'admin'] as const
  const covered = (role: (typeof roles)[number]) => roles.filter(other => covers(role, other))

  t.strictSame(covered('viewer'), ['viewer'])
  t.strictSame(covered('operator'), ['viewer', 'operator'])
  t.strictSame(covered('approver'), ['viewer', 'approver'])
  t.strictSame(covered('admin'), roles)
})

await t.test('tokens that are almost right are wrong, in the same words', async t => {
  const running = await startController(t)
  const good = running.adminToken
  const bad = [
    '',
    'x',
    good.slice(0, -1),
    `${good}A`,
    good.replace('tlsf_', 'tlsg_'),
    good.replace(/^tlsf_(\w{16})_/, 'tlsf_$1.'),
    good.replace(/.$/, last => (last === 'A' ? 'B' : 'A')),
    good.replace(/^tlsf_[0-9a-f]{16}/, `tlsf_${'0'.repeat(16)}`),
  ]
  const answers = await Promise.all(
    bad.map(token => operatorOf(running, token)('GET', '/v1/whoami')),
  )

  for (const { status, body } of answers) {
    t.equal(status, 401)
    t.strictSame({ ...Object(body), requestId: '' }, { ...Object(answers[0]?.body), requestId: '' })
  }
  t.match((await operatorOf(running)('GET', '/v1/whoami')).body, {
    name: 'admin',
    role: 'admin',
    fleet: 'demo',
  })
})

await t.test('what an operator sends is checked', async t => {
  const running = await startController(t)
  const operator = operatorOf(running)
  const names = { dns: ['N1.Example.ORG.'], ip: ['::FFFF:10.0.0.1'] }

  const added = await operator('POST', '/v1/nodes', { name: 'n1', names })
  t.match(
    added,
    {
      status: 201,
      body: { node: { names: { dns: ['n1.example.org'], ip: ['10.0.0.1'] }, state: 'pending' } },
    },
    'names are normalized',
  )
  const cases: readonly (readonly [string, string, unknown, number, string])[] = [
    ['POST', '/v1/nodes', { name: 'n1', names }, 409, 'already-exists'],
    ['POST', '/v1/nodes', { name: 'n2', names: { dns: [], ip: [] } }, 400, 'names-missing'],
    [
      'POST',
      '/v1/nodes',
      { name: 'n2', names: { dns: ['*.example.org'], ip: [] } },
      400,
      'name-invalid',
    ],
    [
      'POST',
      '/v1/nodes',
      { name: 'n2', names: { dns: ['a\u0000b'], ip: [] } },
      400,
      'name-invalid',
    ],
    ['POST', '/v1/nodes', { name: 'N2', names }, 400, 'malformed-request'],
    ['POST', '/v1/nodes', { name: 'n2', names, role: 'x' }, 400, 'malformed-request'],
    ['POST', '/v1/nodes', '{"name":"n2","constructor":{"prototype":{}}}', 400, 'malformed-request'],
    ['POST', '/v1/nodes', '{', 400, 'malformed-request'],
    ['GET', '/v1/nodes?limit=0', undefined, 400, 'malformed-request'],
    ['GET', '/v1/nodes?limit=1e3', undefined, 400, 'malformed-request'],
    ['GET', '/v1/nodes?unknown=1', undefined, 400, 'malformed-request'],
    ['GET', '/v1/nodes/..%2f..%2fetc', undefined, 400, 'malformed-request'],
    ['GET', '/v1/revisions/1', undefined, 404, 'not-found'],
    ['GET', '/v1/nowhere', undefined, 404, 'not-found'],
    ['DELETE', '/v1/nodes/n9', undefined, 404, 'not-found'],
    ['POST', '/v1/rollouts', { spec: 7 }, 400, 'malformed-request'],
  ]
  for (const [method, path, body, status, code] of cases) {
    const answer = await operator(method, path, body)
    t.strictSame(
      [answer.status, codeOf(answer)],
      [status, code],
      `${method} ${path} ${JSON.stringify(body)}`,
    )
    t.match(answer.body, { requestId: /^[0-9a-f-]{36}$/ })
    t.notMatch(answer.text, /node_modules|\.ts:\d/, 'nothing of the inside leaves')
  }
})

await t.test('a route without a policy, or on the wrong listener, does not start', async t => {
  const declare = (policy: Policy | undefined) => {
    const app = fastify({ https: {} }).withTypeProvider<ZodTypeProvider>()
    const credential = { kind: 'token', id: '', expiresAtMs: undefined } as const
    const viewer: OperatorCaller = { name: '', role: 'viewer', credential }
    const nobody: AgentCaller = { node: '', fingerprint: '', publicKeyDigest: '' }
    enforcePolicies(app, 'operator', {
      agent: async () => nobody,
      operator: async () => viewer,
      endsSoon: () => undefined,
      sessions: createOperatorSessions(systemClock),
    })
    app.get('/x', policy === undefined ? {} : { config: { policy } }, async () => 'x')
    return app.ready()
  }

  await t.rejects(async () => declare(undefined), { code: 'route-without-policy' })
  await t.rejects(async () => declare({ kind: 'agent' }), { code: 'route-without-policy' })
  await t.resolves(async () => declare({ kind: 'public' }))
})

await t.test('an unknown error says nothing but the id of the request', async t => {
  const secret = 'secret-in-a-message'
  for (const error of [
    new Error(secret),
    new OperationalError('store-corrupt', secret),
    secret,
    undefined,
  ])
    t.strictSame(problemOf(error, { id: 'r1' }), {
      type: 'urn:tlsfleet:problem:internal-error',
      title: 'Internal Server Error',
      status: 500,
      code: 'internal-error',
      requestId: 'r1',
    })
})
