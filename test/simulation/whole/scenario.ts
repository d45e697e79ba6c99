// What a seed makes: a small fleet, its groups, the specs that its operators want one after the other,
// and how bad everything is. As in the other layer each seed has a part of the faults only.

import type { Random } from '../random.ts'
import { FLEET, NODES } from './trust.ts'

export interface Faults {
  /** Part of the messages that are lost. */
  readonly loss: number
  /** Of a message, at most. */
  readonly slowMs: number
  /** Chance of each in a minute of the world. */
  readonly agentKill: number
  readonly diskCut: number
  readonly controllerKill: number
  readonly nodeCut: number
  readonly serviceDeath: number
  readonly drift: number
  readonly reboot: number
  readonly operator: number
  /** Chance of each restart: it changes nothing, the old process goes on. */
  readonly idleRestart: number
  /** Of each commit of a controller. */
  readonly commitDeath: number
  readonly freeze: number
  /** Somebody edits a file that is to be changed, without changing what it means. */
  readonly edit: number
  /** Others see something else of a node than it sees itself. */
  readonly mask: number
  /** Of each switch: a service stays down after it, whatever its settings are. */
  readonly staysDown: number
  /** The store is taken back to a backup. */
  readonly restore: number
}

export interface Scenario {
  readonly nodes: readonly string[]
  readonly controllers: number
  readonly faults: Faults
  /** What the rollouts of its specs tolerate. */
  readonly limits: { readonly maxFailures: number }
  /** Nodes with a Telegraf, and to which InfluxDBs it writes. */
  readonly writers: ReadonlyMap<string, readonly string[]>
  /** Do agents look at one another's listeners? */
  readonly looks: boolean
  /** Is the CA of services replaced? */
  readonly rotates: boolean
  /** In which a product does not come up with TLS 1.3 alone. */
  readonly badNodes: ReadonlySet<string>
  /** Text of a fleet spec; the last one of them is `final`. */
  readonly spec: (variant: Variant) => string
  readonly variants: readonly Variant[]
  readonly final: Variant
  /** How long operators and faults go on. */
  readonly busyMs: number
}

export interface Variant {
  readonly lifetime: string
  readonly renewBefore: string
  readonly minVersion: '1.2' | '1.3'
  readonly prometheus: boolean
}

const MINUTE_MS = 60_000

export function createScenario(random: Random): Scenario {
  const nodes = NODES.slice(0, 3 + random.below(4))
  const groups = groupsOf(nodes, random.split('groups'))
  const maxFailures = random.split('failures').pick([0, 0, 1, 2])
  const settings = settingsOf(maxFailures, random.split('settings'))
  const estate = random.split('estate')
  const writers = writersOf(nodes, estate.split('writers'))
  const prometheus = random.chance(0.5)
  const variants = Array.from(
    { length: 2 + random.below(2) },
    (_, index): Variant => ({
      lifetime: random.pick(['20m', '16m', '30d']),
      renewBefore: '10m',
      minVersion: index > 0 && random.chance(0.4) ? '1.3' : '1.2',
      prometheus,
    }),
  )
  const rotates = writers.size > 0 && estate.chance(0.5)
  const faults = faultsOf(random.split('faults'))
  return {
    nodes,
    limits: { maxFailures },
    writers,
    looks: estate.chance(0.5),
    rotates,
    controllers: random.pick([1, 1, 2, 3]),
    // What nobody has a backup of, is lost with it: CAs would be among that.
    faults: rotates ? { ...faults, restore: 0 } : faults,
    badNodes: new Set(random.chance(0.4) ? random.some(nodes, 0.4) : []),
    variants,
    final: { lifetime: '30d', renewBefore: '10d', minVersion: '1.2', prometheus },
    busyMs: (8 + random.below(14)) * MINUTE_MS,
    spec: variant =>
      [
        'version: 1',
        `fleet: ${FLEET}`,
        `rollout: ${settings}`,
        ...groups,
        'services:',
        serviceLine('influxdb', variant),
        ...(variant.prometheus ? [serviceLine('prometheus', variant)] : []),
        ...telegrafLine(writers),
        '',
      ].join('\n'),
  }
}

function serviceLine(service: string, { lifetime, renewBefore, minVersion }: Variant): string {
  return `  - { service: ${service}, nodes: all, lifetime: ${lifetime}, renewBefore: ${renewBefore}, minVersion: "${minVersion}", ${VERIFY} }`
}

const VERIFY = 'verify: { stableFor: 1s, deadline: 20s }'

function telegrafLine(writers: Scenario['writers']): readonly string[] {
  if (writers.size === 0) return []
  const names = [...writers.keys()].join(', ')
  return [`  - { service: telegraf, nodes: { names: [${names}] }, ${VERIFY} }`]
}

function writersOf(nodes: readonly string[], random: Random): Scenario['writers'] {
  if (random.chance(0.25)) return new Map()
  const names = random.some(nodes, 0.5)
  return new Map(
    names.map(name => {
      const first = random.pick(nodes)
      const others = random.chance(0.5) ? random.some(nodes, 0.3) : []
      return [name, [...new Set([first, ...others])]]
    }),
  )
}

function faultsOf(random: Random): Faults {
  const level = (most: number) => random.pick([0, 0, most / 10, most / 3, most])
  return {
    loss: random.pick([0, 0, 0.05, 0.25]),
    slowMs: random.pick([20, 200, 4_000]),
    agentKill: level(0.6),
    diskCut: level(1),
    controllerKill: level(0.3),
    nodeCut: level(0.2),
    serviceDeath: level(0.15),
    drift: level(0.3),
    reboot: level(0.1),
    operator: level(0.4),
    idleRestart: random.pick([0, 0, 0.1]),
    commitDeath: random.pick([0, 0, 0.002, 0.01]),
    freeze: level(0.3),
    edit: level(0.5),
    mask: level(0.2),
    staysDown: random.pick([0, 0, 0.05, 0.2]),
    restore: random.pick([0, 0, 0.05]),
  }
}

function groupsOf(nodes: readonly string[], random: Random): readonly string[] {
  const count = random.pick([1, 1, 2])
  const lines = Array.from({ length: count }, (_, index) => {
    const members = index === 0 && random.chance(0.5) ? nodes : random.some(nodes, 0.7)
    if (members.length === 0) return []
    const kind = random.pick(['raft', 'replicated, replication: 2', 'pool, percent: 50'])
    const names = `nodes: { names: [${members.join(', ')}] }`
    return [`  - { name: g${index}, kind: ${kind}, acceptQuorumLoss: true, ${names} }`]
  }).flat()
  return lines.length === 0 ? [] : ['groups:', ...lines]
}

function settingsOf(maxFailures: number, random: Random): string {
  const canary = random.pick(['0s', '20s'])
  const parts = [
    `maxFailures: ${maxFailures}`,
    `maxParallel: ${1 + random.below(3)}`,
    `canarySoak: ${canary}`,
    `soak: ${random.pick(['0s', '10s'])}`,
    `waitForOffline: ${random.pick(['0s', '3m'])}`,
    'progressDeadline: 10m',
    `ramp: ${random.pick(['[100]', '[50, 100]'])}`,
    `autoRollback: ${random.chance(0.2)}`,
  ]
  return `{ ${parts.join(', ')} }`
}
