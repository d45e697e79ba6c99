// R17 on the production engine: nodes of a coordinated phase that ask, crash, fail and come back in any
// order, under pauses and aborts. No process on the new content runs beside one on the old, nothing is
// stopped before all are prepared and have taken their snapshots, and once the faults are over every node is up again.

import fc from 'fast-check'
import t from 'tap'
import { decide } from '../../controller/rollout/decide.ts'
import { evolveAll, hasEnded, publishes, startRollout } from '../../controller/rollout/evolve.ts'
import { isRefusal, request } from '../../controller/rollout/request.ts'
import { maySection } from '../../controller/rollout/section.ts'
import type { FleetView, NodeView, Rollout } from '../../controller/rollout/rollout.ts'
import { stepOf } from '../../controller/rollout/steps.ts'
import { nowAt, planOf, samplePlannedNode } from '../contract/samples.ts'

type Place = 'idle' | 'saving' | 'saved' | 'stopped' | 'switched' | 'started' | 'restored'

interface Machine {
  readonly name: string
  generation: number
  mode: 'none' | 'stage' | 'enforce'
  place: Place
  isUp: boolean
  live: 'old' | 'new'
  outcome: NodeView['outcome']
  observed: number | undefined
  sequence: number
  silentMs: number
  isAway: boolean
}

const APPLY_MS_MAX = 5_000

const action = fc.oneof(
  { weight: 12, arbitrary: fc.record({ kind: fc.constant('act'), node: fc.nat(4) }) },
  { weight: 8, arbitrary: fc.record({ kind: fc.constant('tick'), node: fc.nat(4) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constantFrom('fail', 'leave', 'return', 'give-up'),
      node: fc.nat(4),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constantFrom('pause', 'resume', 'promote', 'abort'),
      node: fc.nat(4),
    }),
  },
)

type Action = Readonly<{ kind: string; node: number }>

class Section {
  readonly machines: readonly Machine[]
  rollout: Rollout
  timeMs = 0
  hasStarted = false
  wasSentBack = false

  constructor(count: number, ranks: readonly number[]) {
    const names = Array.from({ length: count }, (_, index) => `n${index}`)
    const nodes = names.map(name => ({
      ...samplePlannedNode(name),
      together: 'prometheus' as const,
    }))
    const phases = [{ name: 'together', coordinated: true, nodes }]
    const made = planOf(
      { revision: 1, author: 'ann', nodes: [], phases },
      { applyMsMax: APPLY_MS_MAX },
    )
    const ranked = made.phases.map(phase => ({
      ...phase,
      batches: phase.batches.map(batch => ({
        ...batch,
        nodes: batch.nodes.map((node, index) => ({ ...node, rank: ranks[index] ?? 0 })),
      })),
    }))
    this.rollout = startRollout('r1', { ...made, phases: ranked }, { kind: 'planned', ...nowAt() })
    this.machines = names.map(name => ({
      name,
      generation: 0,
      mode: 'none',
      place: 'idle',
      isUp: true,
      live: 'old',
      outcome: undefined,
      observed: undefined,
      sequence: 1,
      silentMs: 0,
      isAway: false,
    }))
  }

  fleet(): FleetView {
    const nodes = new Map(
      this.machines.map((machine): [string, NodeView] => [
        machine.name,
        {
          node: machine.name,
          online: !machine.isAway,
          highestGeneration: machine.generation,
          observedGeneration: machine.observed,
          observedContent: undefined,
          sequence: machine.sequence,
          outcome: machine.outcome,
          reason: { code: 'said', message: 'it says so' },
          silentMs: machine.silentMs,
          inactive: false,
          broken: false,
        },
      ]),
    )
    return { nodes, groups: new Map(), groupsOf: new Map() }
  }

  now() {
    return { atMs: nowAt().atMs, timeMs: this.timeMs }
  }

  apply(events: ReturnType<typeof decide>): void {
    for (const event of events) {
      this.rollout = evolveAll(this.rollout, [event])
      if (event.kind === 'section-moved') this.moved(event.to)
      if (!publishes(event)) continue
      const machine = this.machines.find(({ name }) => name === event.node)
      if (machine === undefined) continue
      machine.generation = event.generation
      machine.mode = event.kind === 'node-permitted' ? 'enforce' : 'stage'
    }
  }

  moved(to: 'stop' | 'switch' | 'start' | 'back'): void {
    const places = this.machines.map(({ place }) => place)
    if (to === 'back') {
      if (this.hasStarted) throw new Error('R17: sent back when some may have started')
      this.wasSentBack = true
    }
    if (to === 'stop' && places.some(place => place === 'idle' || place === 'saving'))
      throw new Error(`R17: all may stop, and they are ${places.join()}`)
    if (to === 'start') {
      if (places.some(place => place !== 'switched'))
        throw new Error(`R17: all may start, and they are ${places.join()}`)
      this.hasStarted = true
    }
  }

  tick(): void {
    this.timeMs += 1_000
    for (const machine of this.machines) if (machine.isAway) machine.silentMs += 1_000
    this.apply(decide(this.rollout, this.fleet(), this.now()))
  }

  order(kind: 'pause' | 'resume' | 'promote' | 'abort'): void {
    const reason = { code: 'operator', message: 'an operator' }
    const command =
      kind === 'promote' ? { kind, by: 'bob' } : kind === 'resume' ? { kind } : { kind, reason }
    const events = request(this.rollout, command, this.fleet(), this.now())
    if (!isRefusal(events)) this.apply(events)
  }

  /** What the agent of a node does next. */
  act(machine: Machine): void {
    if (machine.isAway) return
    machine.silentMs = 0
    if (machine.place === 'idle') return this.begin(machine)
    if (machine.place === 'saving') return void (machine.place = 'saved')
    const next = { saved: 'stop', stopped: 'switch', switched: 'start' } as const
    if (machine.place === 'started' || machine.place === 'restored') return
    const act = next[machine.place]
    const { name: node, generation, sequence } = machine
    const question = { kind: 'claim', node, generation, sequence, act } as const
    const events = request(this.rollout, question, this.fleet(), this.now())
    if (isRefusal(events)) return this.goBack(machine)
    this.apply(events)
    const step = stepOf(this.rollout, node)
    const answer = step && maySection(this.rollout, step, act)
    if (answer === undefined || answer.kind === 'back') return this.goBack(machine)
    if (answer.kind === 'wait') return
    if (act === 'stop') Object.assign(machine, { place: 'stopped', isUp: false })
    else if (act === 'switch') Object.assign(machine, { place: 'switched', live: 'new' })
    else {
      Object.assign(machine, { place: 'started', isUp: true })
      this.report(machine, 'changed')
    }
  }

  begin(machine: Machine): void {
    const { name: node, generation, sequence, mode } = machine
    if (mode === 'none') return
    if (mode === 'stage') return this.report(machine, 'staged')
    if (machine.observed === generation) return
    const question = { kind: 'claim', node, generation, sequence } as const
    const events = request(this.rollout, question, this.fleet(), this.now())
    if (isRefusal(events)) return
    this.apply(events)
    machine.place = 'saving'
  }

  /** It puts back what was there, whatever others do. */
  goBack(machine: Machine): void {
    if (machine.place === 'idle' || machine.place === 'started') return
    Object.assign(machine, { live: 'old', isUp: true, place: 'restored' })
    this.report(machine, 'restored')
  }

  report(machine: Machine, outcome: NodeView['outcome']): void {
    Object.assign(machine, {
      outcome,
      observed: machine.generation,
      sequence: machine.sequence + 1,
    })
  }

  perform({ kind, node }: Action): void {
    const machine = this.machines[node % this.machines.length]
    if (machine === undefined) return
    switch (kind) {
      case 'act':
        return this.act(machine)
      case 'fail':
      case 'give-up':
        return machine.place !== 'idle' && machine.place !== 'restored'
          ? this.goBack(machine)
          : undefined
      case 'leave':
        machine.isAway = true
        return
      case 'return':
        machine.isAway = false
        machine.silentMs = 0
        return
      case 'pause':
      case 'resume':
      case 'promote':
      case 'abort':
        return this.order(kind)
      default:
        return this.tick()
    }
  }

  /** Operators let it go on, and everybody is there. */
  round(): void {
    this.order('resume')
    if (this.rollout.acknowledgedBy === undefined) this.order('promote')
    for (const [node, machine] of this.machines.entries()) {
      this.perform({ kind: 'return', node })
      this.act(machine)
      this.check()
    }
    this.tick()
    this.check()
  }

  check(): void {
    const up = this.machines.filter(({ isUp }) => isUp)
    const isNew = up.some(({ live }) => live === 'new')
    if (isNew && !this.hasStarted) throw new Error('R17: one has started before all may')
    const old = up.filter(({ live }) => live === 'old')
    const isExcused = old.every(({ place }) => place === 'restored')
    if (isNew && !isExcused) throw new Error('R17: old and new run beside each other')
    const isDown = this.machines.some(({ place }) => place === 'stopped')
    if (isDown && this.machines.some(({ place }) => place === 'idle'))
      throw new Error('R17: one was stopped before all had their permits')
  }
}

await t.test('old and new never run beside each other, whatever fails', async t => {
  let started = 0
  let sentBack = 0
  const runs = fc.record({
    count: fc.integer({ min: 2, max: 5 }),
    ranks: fc.array(fc.nat(1), { minLength: 5, maxLength: 5 }),
    /** Rounds in which nothing goes wrong. */
    calm: fc.nat(9),
    actions: fc.array(action, { maxLength: 90 }),
  })
  fc.assert(
    fc.property(runs, ({ count, ranks, calm, actions }) => {
      const section = new Section(count, ranks)
      for (let round = 0; round < calm; round++) section.round()
      for (const one of actions) {
        section.perform(one)
        section.check()
      }
      // The faults are over: operators let it go on, and everybody is there.
      for (let round = 0; round < 80 && !hasEnded(section.rollout); round++) {
        section.round()
      }
      if (!hasEnded(section.rollout)) throw new Error(`R20: it is ${section.rollout.status} still`)
      for (const { name, isUp } of section.machines)
        if (!isUp) throw new Error(`R17: ${name} is still stopped`)
      if (section.hasStarted) started++
      if (section.wasSentBack) sentBack++
    }),
    { numRuns: 3_000 },
  )
  t.ok(started > 300, `${started} runs came to their start`)
  t.ok(sentBack > 100, `${sentBack} were sent back`)
})
