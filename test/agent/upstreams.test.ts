// The listeners of others: looked at within limits, told, never acted upon.

import t from 'tap'
import type { Handshake, HandshakeTarget } from '../../agent/host.ts'
import { createUpstreamWatch, judgeUpstream } from '../../agent/upstreams.ts'
import { newNode } from '../support/memory-fleet.ts'

const refused = { code: 'connection-refused', message: 'nothing listens there' }
const GOOD: Handshake = {
  kind: 'tls',
  fingerprint: 'f',
  chainPem: [],
  protocol: 'TLSv1.3',
  untrusted: undefined,
  http: undefined,
}

const upstream = (index: number) => ({
  name: `db${index}`,
  host: `db${index}`,
  port: 8086,
  serverName: `db${index}`,
  trust: [],
})

function scene(answer: (target: HandshakeTarget) => Handshake, isOffline = false) {
  const node = newNode()
  const asked: string[] = []
  let [atOnce, most] = [0, 0]
  const handshake = async (target: HandshakeTarget) => {
    asked.push(target.host)
    atOnce += 1
    most = Math.max(most, atOnce)
    await Promise.resolve()
    atOnce -= 1
    return answer(target)
  }
  const watch = createUpstreamWatch({ ...node.host, isOffline, network: { handshake } })
  return { node, watch, asked, most: () => most }
}

await t.test('each kind of trouble has its code, and what is right is not told', async t => {
  const untrusted = { code: 'certificate-untrusted', message: 'who is that' }
  const codes = {
    none: GOOD,
    'upstream-untrusted': { ...GOOD, untrusted },
    'upstream-plaintext': { kind: 'plaintext', http: undefined },
    'upstream-unreachable': { kind: 'unreachable', reason: refused },
  } satisfies Record<string, Handshake>
  for (const [code, handshake] of Object.entries(codes))
    t.equal(judgeUpstream('influxdb https://db:8086', handshake)?.code ?? 'none', code)
})

await t.test('they are asked once a minute, or when they are others', async t => {
  const { node, watch, asked } = scene(() => GOOD)

  await watch.look('telegraf', [upstream(1), upstream(2)])
  await watch.look('telegraf', [upstream(1), upstream(2)])
  t.strictSame(asked, ['db1', 'db2'])
  await watch.look('telegraf', [upstream(1)])
  t.equal(asked.length, 3)
  node.advance(59_999)
  await watch.look('telegraf', [upstream(1)])
  t.equal(asked.length, 3)
  node.advance(1)
  await watch.look('telegraf', [upstream(1)])
  t.equal(asked.length, 4)
})

await t.test('of many the same first ones are asked, a few at once', async t => {
  const { watch, asked, most } = scene(target => ({
    kind: 'unreachable',
    reason: { ...refused, message: target.host },
  }))

  const reasons = await watch.look(
    'telegraf',
    Array.from({ length: 40 }, (_, index) => upstream(index)),
  )

  t.equal(asked.length, 16)
  t.equal(most(), 8)
  t.strictSame(reasons[0], { code: 'upstream-unreachable', message: 'db0: db0' })
  t.equal(reasons.length, 16)
})

await t.test('in an image nobody is asked', async t => {
  const { watch, asked } = scene(() => GOOD, true)

  t.strictSame(await watch.look('telegraf', [upstream(1)]), [])
  t.strictSame(asked, [])
})
