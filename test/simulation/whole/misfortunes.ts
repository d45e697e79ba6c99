// What goes wrong in a world, a little at a time, and how all of it ends.

import type { Random } from '../random.ts'
import type { Checks } from './checks.ts'
import { type Machine, SERVERS } from './machine.ts'
import type { Network } from './network.ts'
import type { Operators } from './operators.ts'
import type { Scenario } from './scenario.ts'
import type { Scheduler } from './scheduler.ts'

export interface Misfortunes {
  /** What goes wrong in a fifth of a minute. */
  happen(): Promise<void>
  end(): Promise<void>
}

export interface MisfortunesParts {
  readonly scenario: Scenario
  readonly random: Random
  readonly machines: ReadonlyMap<string, Machine>
  /** Nodes whose listeners others see as somebody else's, and since when. */
  readonly masked: Map<string, number>
  readonly network: Network
  readonly operators: Operators
  readonly checks: Checks
  readonly scheduler: Scheduler
  readonly trace: (line: string) => void
  readonly killController: (index: number) => void
  readonly backUp: () => void
  readonly restore: () => Promise<void>
}

const MINUTE_MS = 60_000

export function createMisfortunes(parts: MisfortunesParts): Misfortunes {
  const { random, machines, masked, network, operators, checks, scheduler, trace } = parts
  const { faults, nodes, controllers } = parts.scenario
  const is = (level: number) => random.chance(level * 0.2)

  function pick(): Machine {
    const machine = machines.get(random.pick(nodes))
    if (machine === undefined) throw new Error('no machine')
    return machine
  }

  function isolate(name: string): void {
    trace(`${name} is cut off`)
    network.cut.add(name)
    scheduler.after(random.below(5) * MINUTE_MS, () => network.cut.delete(name))
  }

  function mask(name: string): void {
    if (masked.has(name)) return
    trace(`${name} is masked`)
    masked.set(name, scheduler.nowMs())
    scheduler.after((1 + random.below(5)) * MINUTE_MS, () => masked.delete(name))
  }

  // Its service manager starts it again at once.
  function kill(machine: Machine): void {
    const { name, node, services } = machine
    const service = random.pick(services)
    if (node.unit(service).state !== 'active') return
    trace(`${service} of ${name} dies`)
    checks.disturbed(name)
    machine.startAlone(service)
  }

  function drift({ name, node }: Machine): void {
    const path = '/etc/influxdb/influxdb.conf'
    const text = node.files.text(path) ?? ''
    if (!text.includes('https-enabled = true')) return
    trace(`${name} drifts`)
    checks.disturbed(name)
    checks.edges.drifted(name)
    const { mode, uid, gid } = node.tree.get(path)?.owner ?? { mode: 0o644, uid: 0, gid: 0 }
    node.files.put(path, text.replace('https-enabled = true', 'https-enabled = false'), {
      mode,
      uid,
      gid,
    })
  }

  function edit(machine: Machine): void {
    trace(`${machine.name} is edited`)
    checks.disturbed(machine.name)
    machine.edit()
  }

  function repair(machine: Machine): void {
    if (!machine.isStuck()) return
    trace(`${machine.name} is repaired`)
    checks.disturbed(machine.name)
    machine.repair()
  }

  // One restore in a world: what it loses, takes it a while to come back to.
  let hasBackup = false
  let isRestored = false
  async function lose(): Promise<void> {
    if (isRestored) return
    if (random.chance(0.1)) {
      hasBackup = true
      parts.backUp()
      return
    }
    if (!hasBackup || !random.chance(faults.restore)) return
    isRestored = true
    await parts.restore()
  }

  return {
    async happen() {
      const machine = pick()
      const { name } = machine
      if (is(faults.agentKill) && machine.isUp()) machine.kill()
      if (is(faults.diskCut) && machine.isUp()) machine.cutAfter(random.below(40))
      if (is(faults.nodeCut)) isolate(name)
      if (is(faults.serviceDeath)) kill(machine)
      if (is(faults.drift)) drift(machine)
      if (is(faults.edit)) edit(machine)
      if (is(faults.mask)) mask(name)
      if (random.chance(0.05)) repair(machine)
      if (is(faults.reboot)) {
        trace(`${name} reboots`)
        checks.disturbed(name)
        machine.reboot()
      }
      if (is(faults.controllerKill)) parts.killController(random.below(controllers))
      if (faults.restore > 0) await lose()
      if (is(faults.freeze)) await operators.freeze()
      if (is(faults.operator)) await operators.operate()
    },
    async end() {
      network.cut.clear()
      masked.clear()
      for (const machine of machines.values()) {
        machine.node.cutAfter(undefined)
        for (const service of SERVERS)
          if (machine.node.unit(service).state !== 'active') checks.disturbed(machine.name)
        repair(machine)
      }
      await operators.thaw()
    },
  }
}
