// Rotations from the operator's API to what nodes serve and trust, on a real controller. All the while
// every client verifies every server.

import { randomBytes } from 'node:crypto'
import t, { type Test } from 'tap'
import { RolloutView } from '../../../shared/contract/operator-api.ts'
import { RotationSummary, RotationView } from '../../../shared/contract/rotations.ts'
import { createAuthority, issueLeaf } from '../../../controller/ca/authority.ts'
import { until } from '../../lab/until.ts'
import { edgesOf, type SimulatedNode, startNode, sightingOf } from './rotation-agent.ts'
import {
  call,
  codeOf,
  newKey,
  type Operator,
  parsed,
  type Running,
  startController,
} from './support.ts'

t.setTimeout(900_000)

/** For a step that takes a second or two where there is nothing else to do. */
const PATIENCE_MS = 180_000

const SPEC = `
version: 1
fleet: demo
services:
  - { service: influxdb, nodes: { names: [n1] } }
  - { service: telegraf, nodes: { names: [n1, n2] } }
  - { service: elasticsearch, nodes: { names: [n3] } }
  - { service: kibana, nodes: { names: [n2] } }
`

interface Scene {
  readonly operator: Operator
  readonly nodes: readonly SimulatedNode[]
  node(name: string): SimulatedNode
  readonly running: () => Running
  restart(): Promise<void>
  rotate(body: object): Promise<string>
  look(id: string): Promise<RotationView>
  /** Polls until the rotation is as wanted; what it was is in the error when it never is. */
  until(id: string, what: (view: RotationView) => boolean): Promise<RotationView>
  ask(id: string, verb: string): Promise<unknown>
  /** Edges that failed at any time. */
  readonly failures: readonly string[]
  /** How often an edge was looked at. */
  readonly edges: () => number
  states(kind: string): Promise<readonly string[]>
}

async function startScene(t: Test): Promise<Scene> {
  let running: Running = await startController(t)
  const ask: Operator = (method, path, body) => {
    const { controller, adminToken } = running
    // As a command line that has learned of the roots that follow one another.
    const { roots } = controller.context.authorities.current().identity
    const headers = { authorization: `Bearer ${adminToken}` }
    const url = `${controller.urls.operator}${path}`
    return call({ url, method, body, headers, tls: { ca: [...roots] } })
  }
  const corp = await createAuthority({
    kind: 'service',
    fleet: 'corp',
    nowMs: Date.now(),
    random: randomBytes,
  })
  corporate = corp.root.certificatePem
  const nodes: SimulatedNode[] = []
  const failures: string[] = []
  let edges = 0
  const check = () => {
    const found = edgesOf(nodes)
    edges += found.length
    for (const { edge, holds } of found) if (!holds) failures.push(edge)
  }
  for (const name of ['n1', 'n2', 'n3'])
    nodes.push(
      await startNode({
        running: () => running,
        operator: ask,
        name,
        onChange: check,
        look: probe => sightingOf(nodes, probe),
        async foreign(node) {
          const { publicKeyPem } = await newKey()
          const names = { dns: [`${node}.example.org`], ip: ['10.1.2.3'] }
          const request = {
            profile: 'server' as const,
            publicKeyPem,
            lifetimeMs: 86_400_000,
            names,
          }
          const issuing = { nowMs: Date.now(), random: randomBytes }
          return issueLeaf(corp.intermediate, request, issuing).chainPem
        },
      }),
    )
  t.teardown(() => Promise.all(nodes.map(node => node.stop())))
  const look = async (id: string) => parsed(RotationView, await ask('GET', `/v1/rotations/${id}`))
  const scene: Scene = {
    operator: ask,
    nodes,
    failures,
    edges: () => edges,
    node(name) {
      const found = nodes.find(node => node.name === name)
      if (found === undefined) throw new Error(`no node ${name}`)
      return found
    },
    running: () => running,
    async restart() {
      running = await running.restart()
    },
    async rotate(body) {
      return parsed(RotationSummary, await ask('POST', '/v1/rotations', body)).id
    },
    look,
    async until(id, what) {
      let view = await look(id)
      const wanted = async () => {
        running.controller.context.wakeRotations()
        view = await look(id)
        return what(view) && view
      }
      return until(wanted, { what: `rotation ${id}`, timeoutMs: PATIENCE_MS }).catch(
        (cause: unknown) => {
          throw new Error(`never: ${JSON.stringify(view)}`, { cause })
        },
      )
    },
    ask: async (id, verb) => {
      const answer = await ask('POST', `/v1/rotations/${id}/${verb}`, { reason: 'a test' })
      return answer.status === 200 ? answer.status : codeOf(answer)
    },
    async states(kind) {
      const { store } = running.controller.context
      const records = await store.transaction(tx =>
        tx.authorities.list(kind === 'identity' ? 'identity' : 'service'),
      )
      return records.map(({ id, state, rootKeySealed }) =>
        rootKeySealed === undefined ? `${id} ${state} without keys` : `${id} ${state}`,
      )
    },
  }
  return scene
}

let corporate = ''

async function applied(scene: Scene, spec = SPEC): Promise<void> {
  const { id } = parsed(RolloutView, await scene.operator('POST', '/v1/rollouts', { spec }))
  const look = async () => parsed(RolloutView, await scene.operator('GET', `/v1/rollouts/${id}`))
  const hasEnded = async () => (await look()).endedAtMs !== undefined
  await until(hasEnded, { what: `rollout ${id} ends`, everyMs: 25, timeoutMs: PATIENCE_MS })
  const view = await look()
  if (view.status !== 'succeeded') throw new Error(JSON.stringify(view))
}

await t.test('the service CA is replaced, with a restart in every phase', async t => {
  const scene = await startScene(t)
  await applied(scene)
  const id = await scene.rotate({ kind: 'service', pace: 'step' })
  t.match(await scene.operator('POST', '/v1/rotations', { kind: 'identity' }), {
    status: 409,
    body: { code: 'rotation-open' },
  })
  for (const phase of ['prepare', 'distribute', 'activate'] as const) {
    await scene.until(id, view => view.phase === phase)
    await scene.restart()
    const view = await scene.until(id, one => one.phase === phase && one.waitsFor === 'advance')
    t.match(view.barrier, { verdict: 'holds', total: 0 }, `the barrier of ${phase}`)
    t.equal(await scene.ask(id, 'advance'), 200)
  }
  await scene.restart()

  const view = await scene.until(id, one => one.status === 'completed')

  t.strictSame(scene.failures, [], 'no client ever failed to verify')
  t.ok(scene.edges() > 30, `${scene.edges()} handshakes were looked at`)
  t.strictSame(await scene.states('service'), ['service-1 denied without keys', 'service-2 active'])
  t.strictSame(
    view.history.filter(({ kind }) => kind === 'entered').map(({ phase }) => phase),
    ['distribute', 'activate', 'retire', 'deny'],
  )
  t.equal(await scene.ask(id, 'abort'), 'illegal-transition')
  const bundles = scene.nodes.flatMap(({ loaded }) => loaded.map(tls => tls.upstreamTrust.length))
  t.ok(
    bundles.every(length => length <= 1),
    'one root is left',
  )
})

await t.test('one node that is offline blocks by name, and it goes on when it is back', async t => {
  const scene = await startScene(t)
  await applied(scene)
  const id = await scene.rotate({ kind: 'service' })
  await scene.until(id, view => view.phase === 'activate' && view.waitsFor === 'advance')
  const away = scene.node('n2')
  await away.leave()
  const { context } = scene.running().controller
  // Silence counts after a minute and a half, which nobody needs to wait for here.
  const { presence } = context
  const isOnline = presence.isOnline.bind(presence)
  const known: typeof isOnline = one => one.node !== 'n2' && isOnline(one)
  Object.assign(context.presence, { isOnline: known })

  const blocked = await scene.until(id, view => view.barrier.verdict === 'unknown')
  t.match(blocked.barrier.blockers, [{ node: 'n2', reason: { code: 'node-silent' } }])
  t.match(
    blocked.nodes.find(({ node }) => node === 'n2'),
    { place: 'silent', online: false },
  )
  t.equal(await scene.ask(id, 'advance'), 200, 'a wish is noted, and the barrier stays one')
  context.wakeRotations()
  t.equal((await scene.look(id)).phase, 'activate')

  away.comeBack()
  Object.assign(context.presence, { isOnline })
  await scene.until(id, view => view.status === 'completed')
  t.strictSame(scene.failures, [])
})

await t.test('a rotation is taken back in every phase', async t => {
  const scene = await startScene(t)
  await applied(scene)
  for (const [index, phase] of (['prepare', 'distribute', 'activate'] as const).entries()) {
    const id = await scene.rotate({ kind: 'service', pace: 'step' })
    for (;;) {
      const view = await scene.until(id, one => one.waitsFor === 'advance')
      if (view.phase === phase) break
      await scene.ask(id, 'advance')
      await scene.until(id, one => one.phase !== view.phase)
    }
    t.equal(await scene.ask(id, 'abort'), 200, `out of ${phase}`)
    await scene.restart()
    const view = await scene.until(id, one => one.status !== 'running')
    t.equal(view.status, 'reversed')
    t.equal((await scene.states('service'))[index + 1], `service-${index + 2} denied without keys`)
  }
  t.equal((await scene.states('service'))[0], 'service-1 active')
  t.strictSame(scene.failures, [], 'no client ever failed to verify')

  const id = await scene.rotate({ kind: 'service', pace: 'auto' })
  const late = await scene.until(
    id,
    ({ phase, status }) => phase === 'deny' || status !== 'running',
  )
  t.equal(late.direction, 'forward')
  t.equal(await scene.ask(id, 'abort'), 'illegal-transition', 'retired is retired')
})

await t.test('the identity CA is replaced, after which nobody trusts the old one', async t => {
  const scene = await startScene(t)
  await applied(scene)
  const before = scene.node('n1').identityIssuer()
  const [old = ''] = scene.node('n1').identityTrust()
  const { body } = await scene.operator('POST', '/v1/nodes', {
    name: 'n4',
    names: { dns: ['n4.example.org'], ip: [] },
  })
  t.match(body, { enrollment: { token: /./ } })
  const id = await scene.rotate({ kind: 'identity' })

  const blocked = await scene.until(
    id,
    ({ phase, barrier }) => phase === 'activate' && barrier.total === 1,
  )
  t.match(blocked.barrier.blockers, [{ node: 'n4', reason: { code: 'token-pins-old' } }])
  t.not(scene.node('n1').identityIssuer(), before)
  t.equal(scene.node('n1').identityTrust().length, 2)
  await scene.restart()
  await scene.operator('DELETE', '/v1/nodes/n4')
  await scene.until(id, ({ waitsFor }) => waitsFor === 'advance')
  t.equal(await scene.ask(id, 'advance'), 200)
  await scene.until(id, ({ status }) => status === 'completed')

  t.notOk(
    scene.nodes.some(node => node.identityTrust().includes(old)),
    'the old root is forgotten',
  )
  t.strictSame(await scene.states('identity'), [
    'identity-1 denied without keys',
    'identity-2 active',
  ])
})

await t.test('a compromised CA is left without pauses', async t => {
  const scene = await startScene(t)
  await applied(scene)
  const { status } = await scene.operator('POST', '/v1/authorities/service-1/taint', {
    reason: 'the disk of the controller was copied',
  })
  t.equal(status, 204)
  const id = await scene.rotate({ kind: 'service', pace: 'step' })
  const view = await scene.until(id, one => one.status === 'completed')
  t.ok(view.isTainted)
  t.notOk(
    view.history.some(({ kind }) => kind === 'confirmed'),
    'nobody was asked',
  )
  t.strictSame(scene.failures, [])
})

await t.test('an issuer is changed by a rotation, and by nothing else', async t => {
  const scene = await startScene(t)
  await applied(scene)
  const spec = SPEC.replace(
    'influxdb, nodes: { names: [n1] }',
    `influxdb, nodes: { names: [n1] }, issuer: files, trust: [${JSON.stringify(corporate)}]`,
  )
  const refused = await scene.operator('POST', '/v1/rollouts', { spec })
  t.match(refused, { status: 422, body: { code: 'trust-closure', hint: /ca rotate --issuer/ } })
  t.match(refused.text, /telegraf on n[12] could not verify influxdb on n1/)
  t.equal(codeOf(await scene.operator('POST', '/v1/plans', { spec })), 'trust-closure')
  t.equal(
    codeOf(await scene.operator('POST', '/v1/rotations', { kind: 'issuer', spec: SPEC })),
    'nothing-to-rotate',
  )

  const there = await scene.rotate({ kind: 'issuer', spec })
  await scene.until(there, ({ phase, waitsFor }) => phase === 'activate' && waitsFor === 'advance')
  t.equal(codeOf(await scene.operator('POST', '/v1/rollouts', { spec: SPEC })), 'rotation-open')
  t.equal(await scene.ask(there, 'abort'), 200)
  t.equal((await scene.until(there, one => one.status !== 'running')).status, 'reversed')
  t.match(
    await scene.operator('POST', '/v1/rollouts', { spec: SPEC }),
    { body: { reason: { code: 'nothing-to-do' } } },
    'the fleet has what it had',
  )

  const again = await scene.rotate({ kind: 'issuer', spec, pace: 'auto' })
  await scene.until(again, one => one.status === 'completed')
  const telegraf = scene.node('n2').loaded.find(({ service }) => service === 'telegraf')
  t.strictSame(telegraf?.upstreamTrust, [corporate], 'it trusts the new issuer alone')
  t.strictSame(scene.failures, [])
})
