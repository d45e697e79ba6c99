// Whatever order documents come in, however often the agent or its memory is lost in between: an
// older epoch or generation is never applied, and what is in force is the newest that was accepted.
// `DESIRED_RUNS=500` looks longer.

import { X509Certificate } from 'node:crypto'
import fc from 'fast-check'
import t from 'tap'
import { assert } from '../../shared/assert.ts'
import type { DesiredState } from '../../shared/contract/desired-state.ts'
import { createFakeController, documentOf } from '../support/fake-controller.ts'
import { hold } from '../support/hold.ts'
import { type RunningAgent, startAgent } from '../support/memory-agent.ts'
import { type MemoryNode, newNode, STATE, wish } from '../support/memory-fleet.ts'

const numRuns = Number(process.env['DESIRED_RUNS'] ?? 12)
t.setTimeout(900_000)

interface Step {
  readonly epoch: number
  readonly generation: number
  /** Another content for the same numbers, as a copy of a controller gives that was left behind. */
  readonly variant: number
  readonly mode: 'enforce' | 'audit' | 'stage'
  /** Changes after which the agent dies while it works on it; undefined: it does not. */
  readonly cutAfter: number | undefined
  readonly lost: 'nothing' | 'ledger' | 'document'
}

const step: fc.Arbitrary<Step> = fc.record({
  epoch: fc.oneof(
    { weight: 4, arbitrary: fc.constant(0) },
    { weight: 3, arbitrary: fc.integer({ min: 1, max: 2 }) },
  ),
  generation: fc.integer({ min: 1, max: 6 }),
  variant: fc.oneof(
    { weight: 5, arbitrary: fc.constant(0) },
    { weight: 1, arbitrary: fc.constant(1) },
  ),
  mode: fc.oneof(
    { weight: 4, arbitrary: fc.constant('enforce' as const) },
    { weight: 1, arbitrary: fc.constantFrom('audit' as const, 'stage' as const) },
  ),
  cutAfter: fc.option(fc.integer({ min: 0, max: 45 }), { nil: undefined }),
  lost: fc.oneof(
    { weight: 6, arbitrary: fc.constant('nothing' as const) },
    { weight: 1, arbitrary: fc.constantFrom('ledger' as const, 'document' as const) },
  ),
})

type Place = Pick<Step, 'epoch' | 'generation'>

const nameOf = ({ epoch, generation, variant }: Place & Pick<Step, 'variant'>) =>
  `${placeOf({ epoch, generation })}-${variant}`

// Said here once more, so that a wrong order in the agent is seen.
const isBefore = (a: Place, b: Place) =>
  a.epoch < b.epoch || (a.epoch === b.epoch && a.generation < b.generation)

const placeOf = ({ epoch, generation }: Place) => `place-${epoch}-${generation}`

async function documentFor({ epoch, generation, variant, mode }: Step): Promise<DesiredState> {
  const services = await wish({
    services: ['influxdb'],
    dns: ['localhost', nameOf({ epoch, generation, variant })],
  })
  return documentOf({ epoch, generation, services, mode })
}

/** The names that the service proves to have now. */
function servedName(node: MemoryNode): string | undefined {
  const link = '/etc/influxdb/tls/current/chain.pem'
  const chain = node.files.text(link)
  if (chain === undefined || node.served('influxdb') === 'plaintext') return undefined
  return /place-\d-\d-\d/.exec(new X509Certificate(chain).subjectAltName ?? '')?.[0]
}

/** Of the document that the agent keeps on disk. */
function keptEpoch(node: MemoryNode): number {
  const text = node.files.text(`${STATE}/desired.json`) ?? ''
  return Number(/"latest":\{[^{]*"epoch":(\d+)/.exec(text)?.[1] ?? 0)
}

/** Pushes a document and waits until the agent has judged it, or has died of it. */
async function deliver(agent: RunningAgent, push: () => void): Promise<boolean> {
  let isOver = false
  const over = agent.ended.then(
    () => (isOver = true),
    () => (isOver = true),
  )
  await Promise.race([agent.afterPass(push), over])
  return isOver
}

/** An agent on a node, over all its lives, and what a correct one would have accepted. */
async function createLives() {
  const node = newNode()
  const controller = createFakeController(() => node.nowMs())
  let agent = await startAgent(node, controller)
  /** The first content that was accepted for a place. */
  const contents = new Map<string, Step>()
  let floor: Place = { epoch: 0, generation: 0 }
  let isDocumentLost = false
  const restart = async () => {
    agent.kill()
    node.cutAfter(undefined)
    node.advance(1_000)
    agent = await startAgent(node, controller)
  }
  return {
    /** True: the agent died of it. */
    async give(step: Step): Promise<boolean> {
      const document = await documentFor(step)
      node.cutAfter(step.cutAfter)
      const died = await deliver(agent, () => controller.push(document))
      node.cutAfter(undefined)
      if (!died) return false
      await restart()
      // Until it is heard of, a controller gives it again.
      assert(!(await deliver(agent, () => controller.push(document))), 'it lives without a cut')
      return true
    },
    async lose(what: Step['lost']): Promise<void> {
      // With both of its memories gone, a node knows no more than a new one.
      if (what === 'nothing' || (what === 'ledger' && isDocumentLost)) return
      agent.kill()
      const file = what === 'ledger' ? 'ledger' : 'desired'
      node.files.put(`${STATE}/${file}.json`, 'lost')
      isDocumentLost ||= what === 'document'
      await restart()
    },
    /** Throws where this agent is not as a correct one would be; true: this very content is in force. */
    check(step: Step): boolean {
      const { generation } = agent.control.status()
      if (generation === undefined) {
        assert(isDocumentLost || floor.generation === 0, 'what was accepted is not forgotten')
      } else {
        const place = { epoch: keptEpoch(node), generation }
        assert(!isBefore(place, floor), `went back from ${placeOf(floor)} to ${placeOf(place)}`)
        isDocumentLost = false
        floor = place
        if (placeOf(place) === placeOf(step) && !contents.has(placeOf(place)))
          contents.set(placeOf(place), step)
      }
      const served = servedName(node)
      const content = generation === undefined ? undefined : contents.get(placeOf(floor))
      const [, epoch = 0, number = 0] = /place-(\d)-(\d)/.exec(served ?? '') ?? []
      const isKnown = !isBefore(floor, { epoch: Number(epoch), generation: Number(number) })
      assert(isKnown, `${served} is served, newer than all that was accepted`)
      if (content === undefined || content.mode !== 'enforce') return false
      assert(served === nameOf(content), `${served} is served, ${nameOf(content)} is in force`)
      return content === step
    },
    end: () => agent.kill(),
  }
}

await t.test('an older epoch or generation is never applied, the newest always is', async t => {
  const tally = { deaths: 0, applied: 0 }
  const steps = fc.array(step, { minLength: 3, maxLength: 8 })
  await hold(
    t,
    { values: steps, runs: numRuns, describe: list => JSON.stringify(list) },
    async list => {
      const lives = await createLives()
      for (const one of list) {
        if (await lives.give(one)) tally.deaths += 1
        if (lives.check(one)) tally.applied += 1
        await lives.lose(one.lost)
        lives.check(one)
      }
      lives.end()
    },
  )

  t.comment(JSON.stringify(tally))
  // Chance decides how many there are; usual are three times as many as there must be.
  t.ok(tally.deaths >= numRuns / 2, `${tally.deaths} deaths`)
  t.ok(tally.applied >= numRuns / 2, `${tally.applied} documents were applied`)
})
