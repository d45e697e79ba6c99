import t from 'tap'
import {
  judgeCluster,
  judgeSighting,
  togetherAs,
  worstOf,
} from '../../../controller/rollout/gates.ts'
import type { ClusterView } from '../../../shared/contract/cluster-view.ts'
import type { Sighting } from '../../../shared/contract/probes.ts'

const A = 'a'.repeat(64)
const B = 'b'.repeat(64)
const WHY = { code: 'why', message: 'because' }
const served = { listener: 'https :9090', fingerprint: A }

await t.test('what another node sees is right, wrong, or says nothing', async t => {
  const cases: readonly (readonly ['on' | 'off', Sighting, string, string | undefined])[] = [
    ['on', { kind: 'tls', fingerprint: A }, 'agrees', undefined],
    ['on', { kind: 'tls', fingerprint: B }, 'disagrees', 'seen-other-certificate'],
    ['on', { kind: 'tls', fingerprint: A, untrusted: WHY }, 'disagrees', 'seen-untrusted'],
    ['on', { kind: 'tls', fingerprint: A, unhealthy: WHY }, 'disagrees', 'seen-unhealthy'],
    ['on', { kind: 'plaintext' }, 'disagrees', 'seen-plaintext'],
    ['off', { kind: 'plaintext' }, 'agrees', undefined],
    ['off', { kind: 'tls', fingerprint: A }, 'disagrees', 'seen-tls'],
    ['on', { kind: 'unreachable', reason: WHY }, 'unreachable', 'vantage-unreachable'],
    ['on', { kind: 'unknown', reason: WHY }, 'unreachable', 'vantage-unreachable'],
  ]
  for (const [tls, sighting, kind, code] of cases) {
    const vantage = judgeSighting(sighting, { tls, served }, 'n2')
    t.strictSame([vantage.kind, vantage.reason?.code], [kind, code], `${tls} ${sighting.kind}`)
  }
  t.equal(worstOf([{ kind: 'agrees' }, { kind: 'unreachable' }]).kind, 'unreachable')
  t.equal(worstOf([{ kind: 'unreachable' }, { kind: 'disagrees' }]).kind, 'disagrees')
})

const view = (change: Partial<ClusterView> = {}): ClusterView => ({
  kind: 'elasticsearch',
  size: 3,
  members: [{ name: 'a' }],
  leader: 'a',
  health: 'green',
  ...change,
})
const before = (change: Partial<ClusterView> = {}) => ({ name: 'search', view: view(change) })
const early = { waitedMs: 1_000, limitMs: 600_000 }
const late = { waitedMs: 600_000, limitMs: 600_000 }

await t.test('a cluster passes when it is what it was, and has time to become so', async t => {
  const verdict = (...given: Parameters<typeof judgeCluster>) => judgeCluster(...given)?.verdict

  t.equal(verdict(before(), view(), early), 'pass')
  t.equal(verdict(before({ health: 'yellow' }), view({ health: 'yellow' }), early), 'pass')
  for (const worse of [
    view({ size: 2 }),
    view({ health: 'red' }),
    { ...view(), leader: undefined },
  ]) {
    const { leader, ...rest } = worse
    const now: ClusterView = leader === undefined ? rest : { ...rest, leader }
    t.equal(verdict(before(), now, early), undefined, 'it recovers')
    t.equal(verdict(before(), now, late), 'fail')
  }
  t.equal(verdict(before(), view({ health: 'yellow' }), late), 'inconclusive', 'copies take time')
  t.equal(verdict(before(), undefined, early), undefined)
  t.equal(verdict(before(), undefined, late), 'inconclusive', 'an error is no failure')
})

await t.test('of several clusters a failure counts first, then one that recovers', async t => {
  const pass = { verdict: 'pass', reason: WHY } as const
  const fail = { verdict: 'fail', reason: WHY } as const
  const doubt = { verdict: 'inconclusive', reason: WHY } as const
  t.equal(togetherAs('cluster', [pass, undefined, fail])?.verdict, 'fail')
  t.equal(togetherAs('cluster', [pass, undefined, doubt]), undefined)
  t.equal(togetherAs('cluster', [pass, doubt])?.verdict, 'inconclusive')
  t.equal(togetherAs('cluster', [pass])?.verdict, 'pass')
})
