import t from 'tap'
import {
  authorityFindings,
  certificateFindings,
  groupFindings,
  nodeFindings,
  rolloutFindings,
} from '../../../../controller/cli/doctor/fleet-findings.ts'
import {
  certificateFinding,
  loginFinding,
  operatorFindings,
  versionFinding,
} from '../../../../controller/cli/doctor/access-findings.ts'
import { clockFinding } from '../../../../shared/clock-difference.ts'
import type { Finding } from '../../../../shared/findings.ts'
import type { OperatorView, TokenView } from '../../../../shared/contract/operators.ts'
import type { AuthorityView } from '../../../../shared/contract/authorities.ts'
import { DAY_MS, NOW_MS, nodeView, rolloutView, serviceReport } from '../views.ts'

function operator(more: Partial<OperatorView> = {}): OperatorView {
  return {
    name: 'admin',
    role: 'admin',
    disabled: false,
    certificateNames: [],
    createdAtMs: NOW_MS,
    createdBy: 'init',
    tokens: [],
    deniedCertificates: [],
    ...more,
  }
}

function token(role: TokenView['role'], endsInDays?: number): TokenView {
  return {
    id: 'a1',
    role,
    createdAtMs: NOW_MS,
    createdBy: 'init',
    expired: false,
    ...(endsInDays === undefined ? {} : { expiresAtMs: NOW_MS + endsInDays * DAY_MS }),
  }
}

await t.test('tokens without an end are named, and an end of the last admin is told', async t => {
  const look = (...operators: readonly OperatorView[]) => operatorFindings(operators, NOW_MS)
  const ends = (days?: number) => operator({ tokens: [token('admin', days)] })
  const bob = operator({ name: 'bob', role: 'viewer', tokens: [token('viewer', 300)] })

  t.match(look(ends(60), bob), [{ state: 'ok', message: '2 operators, every token ends' }])
  t.match(look(ends(5), bob), [{ state: 'warning', message: /last token of an admin ends in 5/ }])
  t.match(look(ends(-1), bob), [{ state: 'failed', fix: /tlsfleet-controller token admin --role/ }])
  t.match(look(operator({ tokens: [token('viewer', 90)] })), [{ state: 'failed' }])
  t.match(look(ends(5), operator({ name: 'eve', tokens: [token('admin', 40)] })), [{ state: 'ok' }])
  t.match(
    look(ends(5), operator({ name: 'eve', tokens: [token('admin', 40)], disabled: true })),
    [{ state: 'warning' }],
    'who is disabled is no way in',
  )
  t.match(look(operator({ certificateNames: ['ada@corp.example'] })), [{ state: 'ok' }])
  t.match(look(ends()), [
    { state: 'warning', message: 'the token a1 of admin never ends', fix: /token revoke admin a1/ },
  ])
})

const reason = (code: string, message: string) => ({ code, message })

function states(findings: readonly Finding[]): readonly string[] {
  return findings.map(({ check, state }) => `${check} ${state}`)
}

await t.test('a fleet that is well is one line each', async t => {
  t.same(states(nodeFindings([nodeView({ agentVersion: '1.0.0' })], '1.0.0')), ['nodes ok'])
  t.same(states(certificateFindings([], NOW_MS)), ['certificates ok'])
  t.same(states(rolloutFindings([rolloutView({ endedAtMs: NOW_MS })])), ['rollouts ok'])
  t.same(groupFindings([]), [])
  t.same(states(nodeFindings([], '1.0.0')), ['nodes warning'])
})

await t.test('each kind of trouble is named once, with its nodes and what to do', async t => {
  const offline = Array.from({ length: 8 }, (_, index) =>
    nodeView({ name: `n${index}`, state: 'offline', agentVersion: '0.9.0' }),
  )
  const findings = nodeFindings(
    [
      ...offline,
      nodeView({ name: 'broken', state: 'failed', agentVersion: '1.0.0' }),
      nodeView({
        name: 'old',
        agentVersion: '1.0.0',
        services: [
          serviceReport({
            service: 'elasticsearch',
            version: '5.6.0',
            outcome: 'unsupported',
            reason: reason('version-unsupported', 'is older than 6.8'),
          }),
        ],
      }),
    ],
    '1.0.0',
  )
  t.same(states(findings), ['nodes failed', 'nodes failed', 'products failed', 'agents warning'])
  t.match(findings[1]?.message, 'n0, n1, n2, n3, n4 and 3 more nodes')
  t.match(findings[2]?.message, 'elasticsearch 5.6.0 on old: is older than 6.8')
  t.ok(
    findings.every(({ fix }) => fix !== undefined),
    'each says what to do',
  )
})

await t.test('certificates that nobody renews: ended is a failure, soon a warning', async t => {
  const certificate = (notAfterMs: number) => ({
    kind: 'listener' as const,
    node: 'data-1',
    service: 'influxdb' as const,
    listener: 'https 127.0.0.1:8086',
    state: 'ok' as const,
    reason: reason('served-as-wanted', 'fine'),
    notAfterMs,
    unrenewed: reason('node-silent', 'not heard of'),
    clients: [],
  })
  const findings = certificateFindings(
    [certificate(NOW_MS - DAY_MS), certificate(NOW_MS + DAY_MS)],
    NOW_MS,
  )
  t.same(states(findings), ['certificates failed', 'certificates warning'])
  t.match(findings[0]?.message, /influxdb https 127.0.0.1:8086 on data-1 ended .* not heard of/)
})

await t.test('a CA is replaced in good time, one in the wrong hands now', async t => {
  const one = { fingerprint: '', subject: '', notBeforeMs: 0, pem: '' }
  const authority = (over: Partial<AuthorityView>): AuthorityView => ({
    id: 'c1',
    kind: 'service',
    state: 'active',
    changedAtMs: 0,
    createdAtMs: 0,
    rootKey: 'sealed',
    former: [],
    root: { ...one, notAfterMs: NOW_MS + 3_000 * DAY_MS },
    intermediate: { ...one, notAfterMs: NOW_MS + 1_000 * DAY_MS },
    pin: '',
    ...over,
  })
  const soon = { ...one, notAfterMs: NOW_MS + 100 * DAY_MS }
  t.same(states(authorityFindings([authority({})], NOW_MS)), ['CAs ok'])
  t.same(states(authorityFindings([authority({ intermediate: soon })], NOW_MS)), ['CAs warning'])
  t.same(
    states(authorityFindings([authority({ intermediate: soon, state: 'outgoing' })], NOW_MS)),
    ['CAs ok'],
    'one on its way out may end',
  )
  const tainted = authorityFindings([authority({ kind: 'identity', taintedAtMs: 1 })], NOW_MS)
  t.same(states(tainted), ['CAs failed'])
  t.match(tainted[0]?.fix, 'tlsfleet ca rotate --identity')
})

await t.test(
  'a group whose spare is used up by who is down is told; a lease alone is not',
  async t => {
    const group = {
      name: 'meta',
      kind: 'raft',
      declared: true,
      members: ['a', 'b', 'c'],
      maxUnavailable: 1,
      limit: 1,
      leases: [{ node: 'a', purpose: 'renewal' as const, generation: 1, takenAtMs: 1 }],
      out: [{ node: 'a', reason: reason('lease-held', 'holds a lease') }],
    }
    t.same(states(groupFindings([group])), ['groups ok'])
    const down = {
      ...group,
      leases: [],
      out: [{ node: 'b', reason: reason('offline', 'is away') }],
    }
    t.same(states(groupFindings([down])), ['groups warning'])
    t.match(groupFindings([down])[0]?.message, 'b: is away')
  },
)

await t.test('clock, certificate, versions and login', async t => {
  t.equal(clockFinding(0).state, 'ok')
  t.equal(clockFinding(-60_000).state, 'warning')
  t.match(clockFinding(-60_000).message, 'behind')
  t.equal(clockFinding(400_000).state, 'failed')
  t.equal(clockFinding(undefined).state, 'warning')
  t.equal(certificateFinding(NOW_MS + 10 * DAY_MS, NOW_MS).state, 'ok')
  t.equal(certificateFinding(NOW_MS + 1_000, NOW_MS).state, 'warning')
  t.equal(versionFinding('1.0.0', '1.0.0').state, 'ok')
  t.equal(versionFinding('1.0.0', '1.1.0').state, 'warning')
  const who = { name: 'ann', role: 'viewer' as const, fleet: 'prod' }
  t.equal(loginFinding(who, NOW_MS).state, 'ok')
  const credential = { kind: 'token' as const, id: 't1', expiresAtMs: NOW_MS + DAY_MS }
  t.equal(loginFinding({ ...who, credential }, NOW_MS).state, 'warning')
})

await t.test('a rollout that waits for somebody is told, one that moves is not', async t => {
  t.same(states(rolloutFindings([rolloutView({ status: 'running' })])), ['rollouts ok'])
  const paused = rolloutView({ status: 'running', reason: reason('paused', 'paused (manual)') })
  t.same(states(rolloutFindings([paused])), ['rollouts warning'])
})
