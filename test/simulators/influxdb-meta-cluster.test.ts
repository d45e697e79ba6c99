import t, { type Test } from 'tap'
import { until } from '../lab/until.ts'
import { issue } from './certificates.ts'
import type { Daemon } from './daemon.ts'
import {
  createDatabase,
  createEstate,
  type EstateNode,
  secured,
  statusOf,
  untilLed,
  untilUnled,
} from './influxdb-estate.ts'

t.setTimeout(300_000)
const VERSION = '1.11.8-c1.11.8'

/** Three meta nodes in one cluster, in plain HTTP, and how to start one of them again. */
async function formCluster(t: Test, version = VERSION, patience?: string) {
  const estate = createEstate(t, version, patience)
  const metas = [await estate.meta('m1'), await estate.meta('m2'), await estate.meta('m3')] as const
  const running = new Map<EstateNode, Daemon>()
  await Promise.all(metas.map(async node => running.set(node, await node.start())))
  for (const { name, httpPort } of metas) {
    const add = ['-bind', `m1:${metas[0].httpPort}`, 'add-meta', `${name}:${httpPort}`]
    // On a busy machine the leader may be another one in between.
    const isAdded = async () => {
      const { code, stderr } = await estate.ctl(...add)
      if (code !== 0) throw new Error(stderr)
      return true
    }
    await until(isAdded, { what: `${name} is added` })
  }
  for (const node of metas) await untilLed(node, metas)
  await until(
    async () => {
      const known = await Promise.all(metas.map(async node => (await statusOf(node)).peers?.length))
      return known.every(count => count === metas.length)
    },
    { what: 'all know each other' },
  )
  const restart = async (node: EstateNode, lines: string, env = {}) => {
    await running.get(node)?.stop()
    node.configure(lines)
    running.set(node, await node.start(env))
  }
  return { estate, metas, ca: estate.ca.certPem, restart, running }
}

await t.test('a quorum of meta nodes that reach each other has a leader', async t => {
  // Nobody is to become leader by the way.
  const { metas, restart, running } = await formCluster(t, VERSION, '3s')
  const leader = await untilLed(metas[0], metas)
  const first = metas.find(({ name, peerPort }) => leader === `${name}:${peerPort}`) ?? metas[0]
  const others = metas.filter(node => node !== first)
  const [follower = metas[1], last = metas[2]] = others
  t.match(await statusOf(follower), {
    nodeType: 'meta',
    leader,
    httpAddr: `${follower.name}:${follower.httpPort}`,
  })
  t.same(
    (await statusOf(follower)).peers,
    metas.map(({ name, peerPort }) => `${name}:${peerPort}`),
  )
  t.match(await first.get('/ping'), { status: 200, body: leader })
  t.match(await first.get('/ping?all=1'), { status: 200, body: leader })

  const redirect = await createDatabase(follower, 'a')
  t.equal(redirect.status, 307)
  t.equal(redirect.headers['location'], `http://${first.name}:${first.httpPort}/execute`)
  t.equal((await createDatabase(first, 'a')).status, 204)
  await until(async () => (await last.get('/data')).body.includes('"databases":["a"]'), {
    what: 'it is known everywhere',
  })

  await running.get(first)?.stop()
  const next = await untilLed(follower, others)
  t.not(next, leader)
  t.match(await follower.get('/ping?all=1'), { status: 500 })
  await running.get(last)?.stop()
  await untilUnled(follower)
  t.match(await createDatabase(follower, 'b'), { status: 503, body: '{"error":"no leader"}\n' })

  await restart(last, '')
  await untilLed(follower, others)
  await restart(first, '')
  await untilLed(first, metas)
  t.match((await first.get('/data')).body, '"databases":["a"]', 'what was agreed is on disk')
})

await t.test(
  'from 1.7.3 on a flipped and an unflipped meta node do not hear each other',
  async t => {
    const { estate, metas, ca, restart } = await formCluster(t)
    const [a, b, c] = metas
    const pairs = metas.map(({ name }) => estate.issue(name))
    const [lines = '', linesB = '', linesC = ''] = pairs.map(secured)

    await restart(a, lines)
    await untilLed(b, [b, c])
    await untilUnled(a, ca)
    await restart(b, linesB)
    await untilUnled(c)
    await untilLed(a, [a, b], ca)
    await restart(c, linesC)
    await untilLed(c, [a, b], ca)

    const outsider = issue(estate.ca, 'outsider', { names: 'DNS:somebody-else' })
    await restart(c, secured(outsider))
    await until(
      async () => {
        const { body } = await c.get('/status', { ca, servername: 'somebody-else' })
        return body.includes('"leader":"","') && body.includes('"peers":null')
      },
      { what: 'one with a certificate for another name has no leader' },
    )
    await restart(c, linesC, { SSL_CERT_FILE: outsider.certFile })
    await untilUnled(c, ca)
    t.pass('who does not trust the issuer does not either')
    await restart(c, `${linesC}https-insecure-tls = true\n`, { SSL_CERT_FILE: outsider.certFile })
    await untilLed(c, metas, ca)
  },
)

await t.test('before 1.7.3 raft goes on in plain text while 8091 flips', async t => {
  const { estate, metas, ca, restart } = await formCluster(t, '1.7.2-c1.7.2')
  const [a, b, c] = metas
  await restart(a, secured(estate.issue('m1')))
  await untilLed(a, metas, ca)
  await untilLed(b, metas)
  await untilLed(c, metas)
})
