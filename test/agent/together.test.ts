// A service that is stopped, changed and started with those of other nodes: the agent asks before each
// act, goes back when it is told to or when nobody answers, and goes on from where a crash left it.

import t from 'tap'
import type { LeaseAnswer, LeaseRequest } from '../../shared/contract/agent-api.ts'
import { sealDesiredState } from '../../shared/contract/desired-state.ts'
import { CONF, lastOf, type Scene, scene, seen, services, TLS } from '../support/agent-scene.ts'
import { documentOf } from '../support/fake-controller.ts'
import { startAgent } from '../support/memory-agent.ts'

const GO: LeaseAnswer = { granted: true, reason: { code: 'section-reached', message: 'go' } }
const WAIT: LeaseAnswer = {
  granted: false,
  again: true,
  reason: { code: 'together', message: 'n2 is not ready' },
}
const BACK: LeaseAnswer = {
  granted: false,
  reason: { code: 'together-back', message: 'all go back' },
}
const SECOND_MS = 1_000

type Acts = Partial<Record<NonNullable<LeaseRequest['act']>, LeaseAnswer>>

/** The database is to be changed with others; how each of its questions is answered. */
async function gather(t: Parameters<typeof scene>[0], acts: Acts) {
  const found = await scene(t)
  const { controller, node, agent } = found
  const answers: Acts = acts
  const plain = node.files.text(CONF)
  controller.answerLease = async ({ act }) => (act === undefined ? GO : (answers[act] ?? GO))
  const { digest: _, contentDigest: __, ...document } = documentOf({ generation: 1, services })
  const joined = sealDesiredState({ ...document, permit: true, together: 'influxdb' })
  const asked = () => controller.leases.flatMap(({ act }) => act ?? [])
  const untilAsked = (act: keyof Acts) => seen(`it asks to ${act}`, () => asked().includes(act))
  return { ...found, answers, plain, joined, asked, untilAsked, document, agent }
}

const database = ({ agent }: Pick<Scene, 'agent'>) =>
  agent.control.status().services.find(one => one.service === 'influxdb')

await t.test('it stops, switches and starts, each when all may', async t => {
  const found = await gather(t, { stop: WAIT, switch: WAIT, start: WAIT })
  const { controller, node, agent, answers, joined, untilAsked, plain, asked } = found
  const done = agent.afterPass(() => controller.offer(joined))

  await untilAsked('stop')
  t.equal(node.served('influxdb'), 'plaintext')
  const before = node.activations.length
  answers.stop = GO
  agent.advance(SECOND_MS)
  await untilAsked('switch')
  t.strictSame(node.activations.slice(before), ['stop influxdb.service'])
  t.equal(node.served('influxdb'), 'dead')
  t.equal(node.files.text(CONF), plain, 'nothing is switched before all are stopped')
  answers.switch = GO
  agent.advance(SECOND_MS)
  await untilAsked('start')
  t.match(node.files.text(CONF), /^ *https-enabled = true/m)
  t.equal(node.served('influxdb'), 'dead', 'nothing is started before all have switched')
  answers.start = GO
  agent.advance(SECOND_MS)
  await done

  t.match(node.served('influxdb'), TLS)
  t.match(database(found), { outcome: 'changed', activations: 1 })
  t.strictSame([...new Set(asked())], ['stop', 'switch', 'start'])
  t.match(controller.leases[0], { purpose: 'rollout', generation: 1, digest: joined.digest })
  t.equal(controller.leases[0]?.act, undefined, 'the permit is claimed before anything else')
})

for (const act of ['stop', 'switch', 'start'] as const) {
  await t.test(`told to go back at its ${act}, it serves what it served before`, async t => {
    const found = await gather(t, { [act]: BACK })
    const { controller, node, agent, joined, plain } = found

    await agent.afterPass(() => controller.offer(joined))

    t.match(database(found), { outcome: 'restored', reason: { code: 'together-back' } })
    t.equal(node.files.text(CONF), plain)
    t.equal(node.served('influxdb'), 'plaintext')
    const tried = node.activations.length
    await agent.afterPass(() => agent.wake('files'))
    t.equal(node.activations.length, tried, 'and does not try again by itself')
  })

  await t.test(`nobody answers at its ${act}: it goes back by itself after a while`, async t => {
    const found = await gather(t, { [act]: WAIT })
    const { controller, node, agent, joined, plain, untilAsked } = found
    const done = agent.afterPass(() => controller.offer(joined))
    await untilAsked(act)

    controller.leave()
    for (let minute = 0; minute <= 11; minute++) {
      agent.advance(60 * SECOND_MS)
      await new Promise(resolve => setImmediate(resolve))
      await new Promise(resolve => setImmediate(resolve))
      await new Promise(resolve => setImmediate(resolve))
    }
    await done

    t.match(database(found), { outcome: 'restored', reason: { code: 'together-unanswered' } })
    t.equal(node.files.text(CONF), plain)
    t.equal(node.served('influxdb'), 'plaintext')
  })

  await t.test(`stopped at its ${act}, it leaves the node as it was`, async t => {
    const found = await gather(t, { [act]: WAIT })
    const { controller, node, agent, joined, plain, untilAsked } = found
    const done = agent.afterPass(() => controller.offer(joined))
    await untilAsked(act)

    await agent.stop()
    await done

    t.equal(node.files.text(CONF), plain)
    t.equal(node.served('influxdb'), 'plaintext')
    t.notOk(node.files.text('/var/lib/tlsfleet/agent/journal.json'))
  })

  await t.test(`killed at its ${act}, the next process goes on from there`, async t => {
    const found = await gather(t, { [act]: WAIT })
    const { controller, node, agent, joined, answers, untilAsked } = found
    void agent.afterPass(() => controller.offer(joined))
    await untilAsked(act)

    agent.kill()
    // The node was booted: its service manager has started what was stopped.
    if (act !== 'stop') node.start('influxdb')
    answers[act] = GO
    const next = await startAgent(node, controller)
    t.teardown(() => next.kill())

    t.match(node.served('influxdb'), TLS)
    const of = next.control.status().services.find(one => one.service === 'influxdb')
    t.match(of, { outcome: 'in-sync' })
    await seen('a report', () => lastOf(controller.reports)?.observedGeneration === 1)
  })
}

await t.test('what is corrected later under the same permit waits for nobody', async t => {
  const found = await gather(t, {})
  const { controller, node, agent, joined, asked } = found
  await agent.afterPass(() => controller.offer(joined))
  const before = asked().length

  node.advance(SECOND_MS)
  const good = node.files.text(CONF) ?? ''
  node.files.put(CONF, good.replace('https-enabled = true', 'https-enabled = false'))
  node.stop('influxdb')
  node.start('influxdb')
  await agent.afterPass(() => agent.wake('files'))

  t.match(node.served('influxdb'), TLS)
  t.equal(asked().length, before)
})
