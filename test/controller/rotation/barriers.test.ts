import t from 'tap'
import { barrierOf, type RotationNode, type Sides } from '../../../controller/rotation/barriers.ts'
import type { RotationPhase, RotationSubject } from '../../../controller/rotation/rotation.ts'
import { sealDesiredState } from '../../../shared/contract/desired-state.ts'
import type { Report, Served } from '../../../shared/contract/report.ts'
import { report, serviceReport } from '../api/fake-agent.ts'
import { sampleContent } from '../../contract/samples.ts'

const OLD = 'a'.repeat(64)
const NEW = 'b'.repeat(64)
const LEAF = 'c'.repeat(64)
const SIDES: Sides = {
  left: () => ({ fingerprints: new Set([OLD]), subjects: new Set(['CN=old']) }),
  leftIdentityRoot: OLD,
  newIdentityRoot: NEW,
}
const DESIRED = sealDesiredState({
  node: 'n1',
  generation: 7,
  mode: 'enforce',
  permit: true,
  content: sampleContent('n1'),
})
const ok = { listener: 'https :9090', ok: true, reason: { code: 'ok', message: 'ok' } }

function told(over: Partial<Report> = {}, served: readonly Served[] = []): Report {
  const { generation, digest, mode } = DESIRED
  const services = [{ ...serviceReport('prometheus', 'in-sync'), served: [...served] }]
  return { ...report({ sequence: 1, services, generation, digest, mode }), ...over }
}

const NODE: RotationNode = {
  node: 'n1',
  isEnrolled: true,
  isOnline: true,
  desired: DESIRED,
  target: DESIRED.contentDigest,
  isInvolved: true,
  report: told({ identity: { fingerprint: LEAF, issuer: NEW, trust: [OLD, NEW] } }),
  leaves: [],
  identity: { isOfSigner: true },
  tokensUntilMs: [],
}

const SERVICE: RotationSubject = { kind: 'service', from: 'service-1', to: 'service-2' }
const IDENTITY: RotationSubject = { kind: 'identity', from: 'identity-1', to: 'identity-2' }

function judged(
  phase: RotationPhase,
  over: Partial<RotationNode>,
  subject: RotationSubject = SERVICE,
  direction: 'forward' | 'reverse' = 'forward',
): string {
  const step = { phase, direction, subject }
  const { verdict, blockers } = barrierOf(step, [{ ...NODE, ...over }], SIDES)
  return [verdict, ...blockers.map(({ reason }) => reason.code)].join(' ')
}

await t.test('trust counts when it is loaded, and silence is no yes', async t => {
  const audit = sealDesiredState({ ...DESIRED, mode: 'audit' })
  const failed = [serviceReport('prometheus', 'failed')]
  const table: readonly (readonly [string, Partial<RotationNode>, string])[] = [
    ['loaded', {}, 'holds'],
    ['loaded, and silent since', { isOnline: false }, 'holds'],
    ['nothing was ever given to it', { desired: undefined }, 'holds'],
    ['not concerned', { isInvolved: false, target: 'x' }, 'holds'],
    ['another content', { target: 'x' }, 'blocked not-moved'],
    ['another content, and silent', { target: 'x', isOnline: false }, 'unknown node-silent'],
    ['not selected any more', { target: undefined }, 'blocked not-selected'],
    ['audit', { desired: audit, target: 'x' }, 'blocked mode-audit'],
    ['an older report', { report: told({ observedGeneration: 6 }) }, 'unknown generation-pending'],
    ['another document', { report: told({ observedDigest: OLD }) }, 'unknown generation-pending'],
    ['no report', { report: undefined, isOnline: false }, 'unknown node-silent'],
    ['written and not loaded', { report: told({ services: failed }) }, 'blocked fake-failed'],
    ['a service is missing', { report: told({ services: [] }) }, 'unknown service-not-reported'],
  ]
  for (const [name, over, expected] of table)
    for (const phase of ['distribute', 'retire'] as const)
      t.equal(judged(phase, over), expected, `${phase}: ${name}`)
})

await t.test('a node that cannot prepare says what it lacks', async t => {
  const staged = sealDesiredState({ ...DESIRED, mode: 'stage', permit: false })
  const { generation, digest } = staged
  const saying = (outcome: 'waiting' | 'staged', observed = generation) => {
    const services = [serviceReport('prometheus', outcome)]
    return report({ sequence: 1, services, generation: observed, digest, mode: 'stage' })
  }
  const table: readonly (readonly [string, Partial<RotationNode>, string])[] = [
    ['its certificate is pending', { report: saying('waiting') }, 'blocked fake-waiting'],
    ['it is ready', { report: saying('staged') }, 'blocked not-moved'],
    ['of another document', { report: saying('waiting', 6) }, 'blocked not-moved'],
    ['of another phase', { report: saying('waiting'), target: 'x' }, 'blocked not-moved'],
    ['silent since', { report: saying('waiting'), isOnline: false }, 'unknown node-silent'],
  ]
  for (const [name, over, expected] of table)
    t.equal(judged('distribute', { desired: staged, ...over }), expected, name)
})

await t.test('what is still served of the old CA is found, whoever manages it', async t => {
  const leaf = {
    service: 'prometheus' as const,
    fingerprint: LEAF,
    notAfterMs: 2e12,
    isOfLeft: true,
  }
  const above = (fingerprint: string, issuer: string) => [
    { fingerprint, subject: 'CN=i', issuer, notAfterMs: 2e12 },
  ]
  const table: readonly (readonly [string, Partial<RotationNode>, string])[] = [
    ['the new one', { report: told({}, [{ ...ok, fingerprint: NEW, issuer: 'CN=new' }]) }, 'holds'],
    [
      'by its chain',
      { report: told({}, [{ ...ok, chain: above(OLD, 'CN=r') }]) },
      'blocked serves-old',
    ],
    [
      'by the root above its chain',
      { report: told({}, [{ ...ok, chain: above(NEW, 'CN=old') }]) },
      'blocked serves-old',
    ],
    [
      'by the name of its issuer',
      { report: told({}, [{ ...ok, issuer: 'CN=old' }]) },
      'blocked serves-old',
    ],
    [
      'by its record',
      { leaves: [leaf], report: told({}, [{ ...ok, fingerprint: LEAF }]) },
      'blocked serves-old',
    ],
    [
      'of no desired service',
      { desired: undefined, report: told({}, [{ ...ok, issuer: 'CN=old' }]) },
      'blocked serves-old',
    ],
    ['not seen, and issued', { leaves: [leaf] }, 'blocked leaf-in-use'],
    [
      'issued, and another one is seen',
      { leaves: [leaf], report: told({}, [{ ...ok, fingerprint: NEW }]) },
      'holds',
    ],
    ['silent', { isOnline: false }, 'unknown node-silent'],
    [
      'silent, and seen before',
      { isOnline: false, report: told({}, [{ ...ok, issuer: 'CN=old' }]) },
      'blocked node-silent serves-old',
    ],
  ]
  for (const [name, over, expected] of table) t.equal(judged('activate', over), expected, name)
  t.equal(judged('retire', { isOnline: false }), 'holds', 'who has dropped it has dropped it')
})

await t.test('identities: who trusts whom, and whose identity is in use', async t => {
  const trusts = (...trust: readonly string[]) =>
    told({ identity: { fingerprint: LEAF, trust: [...trust] } })
  const forward = (phase: RotationPhase, over: Partial<RotationNode>) =>
    judged(phase, over, IDENTITY)
  t.equal(forward('distribute', {}), 'holds')
  t.equal(forward('distribute', { report: trusts(OLD) }), 'blocked trust-lacks-new')
  t.equal(forward('distribute', { report: trusts(OLD), isOnline: false }), 'unknown node-silent')
  t.equal(forward('distribute', { report: told() }), 'unknown identity-not-reported')
  t.equal(forward('distribute', { report: undefined, isEnrolled: false }), 'holds')
  t.equal(forward('activate', {}), 'holds')
  t.equal(forward('activate', { identity: { isOfSigner: false } }), 'blocked identity-old')
  t.equal(forward('activate', { identity: undefined, isOnline: false }), 'unknown node-silent')
  t.equal(forward('activate', { tokensUntilMs: [2e12] }), 'blocked token-pins-old')
  t.equal(forward('retire', {}), 'blocked trust-holds-old')
  t.equal(forward('retire', { report: trusts(NEW) }), 'holds')
  t.equal(judged('distribute', {}, IDENTITY, 'reverse'), 'blocked trust-holds-old')
  for (const phase of ['prepare', 'deny'] as const)
    t.equal(forward(phase, { report: undefined }), 'holds', phase)
})
