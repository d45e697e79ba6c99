import t from 'tap'
import { sightingOf } from '../../agent/probes.ts'
import { elasticView } from '../../agent/services/elasticsearch/cluster-view.ts'
import { healthQuestion } from '../../agent/services/health-questions.ts'
import { raftView } from '../../agent/services/influxdb-meta/cluster-view.ts'

const answer = (status: number, body = '') => ({ status, headers: {}, body })
const WHY = { code: 'why', message: 'because' }
const seen = {
  kind: 'tls',
  fingerprint: 'a'.repeat(64),
  chainPem: [],
  protocol: 'TLSv1.3',
  untrusted: WHY,
  http: answer(401),
} as const

await t.test(
  'what is told of a handshake: the leaf, the verdict where trust was given, the health',
  async t => {
    const question = healthQuestion('elasticsearch')
    const { fingerprint } = seen
    const verified = { question, isVerified: true }
    t.strictSame(sightingOf(seen, verified), { kind: 'tls', fingerprint, untrusted: WHY })
    t.strictSame(sightingOf(seen, { question, isVerified: false }), { kind: 'tls', fingerprint })
    t.match(sightingOf({ ...seen, http: answer(503) }, verified), {
      unhealthy: { code: 'unhealthy' },
    })
    t.match(sightingOf({ kind: 'plaintext', http: undefined }, verified), {
      kind: 'plaintext',
      unhealthy: { code: 'health-no-answer' },
    })
    const kibana = { question: healthQuestion('kibana'), isVerified: true }
    t.notOk(
      'unhealthy' in sightingOf({ ...seen, http: answer(503) }, kibana),
      'it waits for others',
    )
  },
)

await t.test('Elasticsearch tells health, number, members and master', async t => {
  const health = answer(200, '{"status":"yellow","number_of_nodes":2}')
  const members = answer(200, '- 10.0.0.2 es two\n* 10.0.0.1 es1\n')
  t.strictSame(elasticView(health, members), {
    kind: 'elasticsearch',
    size: 2,
    members: [
      { name: 'es two', address: '10.0.0.2' },
      { name: 'es1', address: '10.0.0.1' },
    ],
    leader: 'es1',
    health: 'yellow',
  })
  t.match(elasticView(health, undefined), { size: 2, members: [] })
  t.equal(elasticView(answer(401), undefined), undefined)
})

await t.test('a meta node tells its peers and its leader; without one it is red', async t => {
  const status = (leader: string) =>
    answer(200, JSON.stringify({ leader, peers: ['m2:1', 'm1:1'] }))
  t.match(raftView(status('m1:1')), { size: 2, leader: 'm1:1', health: 'green' })
  t.match(raftView(status('')), { health: 'red' })
  t.equal(raftView(answer(200, '{"leader":"","peers":null}')), undefined)
})
