// What a seed makes: nodes, groups, contents, and how bad everything is. Swarm testing: each seed has
// a part of the faults only, some of them strong, so that one does not hide the others.

import { contentDigestOf, type DesiredContent } from '../../shared/contract/desired-state.ts'
import type { GivenSettings } from '../../controller/rollout/settings.ts'
import { sampleContent } from '../contract/samples.ts'
import type { Fate } from './agent.ts'
import type { Random } from './random.ts'

export interface Faults {
  readonly lossy: number
  readonly offline: number
  readonly agentCrash: number
  readonly controllerCrash: number
  readonly rival: number
  readonly stop: number
  readonly pause: number
  readonly freeze: number
  readonly abort: number
  readonly skip: number
  readonly sleep: number
  readonly renewal: number
  readonly drift: number
  readonly verdict: number
  readonly lie: number
  /** A node vanishes in the middle of a switch. */
  readonly away: number
}

export interface Content {
  readonly content: DesiredContent
  readonly digest: string
}

export interface Scenario {
  readonly names: readonly string[]
  /** YAML. */
  readonly spec: string
  readonly faults: Faults
  readonly settings: GivenSettings
  readonly controllers: number
  readonly fateOf: (node: string, digest: string) => Fate
  readonly contentOf: (node: string, variant: number) => Content
  /** Of groups that have a leader: who leads it, as long as it is there, else the next one. */
  readonly leaders: ReadonlyMap<string, readonly string[]>
  /** Every node that takes this variant fails. */
  readonly badVariant: number | undefined
}

const BAD_FATES = ['refusing', 'late-refusing', 'restoring', 'breaking'] as const

export function createScenario(random: Random): Scenario {
  const names = Array.from({ length: 3 + random.below(10) }, (_, index) => `n${10 + index}`)
  const badness = random.pick([0, 0, 0.05, 0.2])
  const badVariant = random.chance(0.25) ? 2 : undefined
  const badFate = random.pick(BAD_FATES)
  const fates = new Map<string, Fate>()
  const variants = new Map<string, number>()
  const contents = new Map<string, Content>()
  const fateRandom = random.split('fates')
  const { spec, rafts } = specOf(names, random.split('groups'))

  return {
    names,
    spec,
    leaders: leadersOf(rafts, random.split('leaders')),
    faults: faultsOf(random.split('faults')),
    settings: settingsOf(random.split('settings')),
    controllers: random.pick([1, 1, 2, 3]),
    badVariant,
    contentOf(node, variant) {
      const key = `${node} ${variant}`
      const known = contents.get(key)
      if (known !== undefined) return known
      const content = variant === 0 ? { services: [] } : sampleContent(node, variant)
      const made = { content, digest: contentDigestOf(content) }
      contents.set(key, made)
      variants.set(made.digest, variant)
      return made
    },
    fateOf(node, digest) {
      const variant = variants.get(digest) ?? 0
      // What a node has had before is proven.
      if (variant <= 1) return 'good'
      if (variant === badVariant) return badFate
      const key = `${node} ${variant}`
      const fate =
        fates.get(key) ?? (fateRandom.chance(badness) ? fateRandom.pick(BAD_FATES) : 'good')
      fates.set(key, fate)
      return fate
    },
  }
}

function faultsOf(random: Random): Faults {
  const level = () => random.pick([0, 0, 0.2, 1, 3])
  return {
    lossy: random.pick([0, 0, 0.1, 0.4]),
    offline: level(),
    agentCrash: level(),
    controllerCrash: random.pick([0, 0, 0.02, 0.1]),
    rival: random.pick([0, 0, 0.05, 0.3]),
    stop: level(),
    pause: level(),
    freeze: level(),
    abort: random.pick([0, 0, 0, 0.3]),
    skip: random.pick([0, 0, 0.5]),
    sleep: level(),
    renewal: level(),
    drift: level(),
    verdict: random.pick([0, 0.3]),
    lie: random.pick([0, 0, 0, 0.3]),
    away: random.pick([0, 0, 0.3]),
  }
}

// Times are small, so that a few hundred actions see all of them pass.
function settingsOf(random: Random): GivenSettings {
  const ramp = random.pick([[], [], [10, 50, 100], [50]])
  const percent = random.chance(0.2) ? { maxFailuresPercent: random.pick([10, 15, 25]) } : undefined
  return {
    ramp,
    ...(percent ?? { maxFailures: random.pick([0, 0, 0, 1, 2]) }),
    maxParallel: 1 + random.below(4),
    minHealthyMs: random.pick([0, 0, 3_000]),
    soakCanaryMs: random.pick([0, 5_000, 8_000]),
    soakMs: random.pick([0, 4_000]),
    progressDeadlineMs: 120_000,
    permitTtlMs: random.pick([6_000, 30_000]),
    applyMsMax: random.pick([5_000, 20_000]),
    deferDeadlineMs: random.pick([0, 10_000, 40_000]),
    promote: random.pick(['none', 'none', 'none', 'canary', 'every'] as const),
    gates: random.pick([[], [], ['cluster']]),
    approvals: random.pick([0, 0, 0, 1]),
    autoRollback: random.chance(0.2),
  }
}

// One cluster in a fleet: what a node says of its cluster, it says of all of its groups.
function leadersOf(
  rafts: readonly (readonly [string, readonly string[]])[],
  random: Random,
): ReadonlyMap<string, readonly string[]> {
  const [first] = rafts
  if (first === undefined || random.chance(0.3)) return new Map()
  const [name, members] = first
  const start = random.below(members.length)
  return new Map([[name, [...members.slice(start), ...members.slice(0, start)]]])
}

function specOf(names: readonly string[], random: Random) {
  const lines = ['version: 1', 'fleet: demo', 'services: []']
  const groups: string[] = []
  const rafts: (readonly [string, readonly string[]])[] = []
  for (let index = 0; index < random.below(4); index++) {
    const members = random.some(names, random.pick([0.3, 0.6, 1]))
    if (members.length === 0) continue
    const kind = random.pick(['raft', 'replicated', 'pool', 'raft'] as const)
    if (kind === 'raft') rafts.push([`g${index}`, members])
    const size = { raft: '', replicated: ', replication: 3', pool: ', percent: 40' }[kind]
    const most = random.pick(['', '', ', maxUnavailable: 2'])
    const nodes = `nodes: { names: [${members.join(', ')}] }`
    groups.push(
      `  - { name: g${index}, kind: ${kind}${size}${most}, acceptQuorumLoss: true, ${nodes} }`,
    )
  }
  if (groups.length > 0) lines.push('groups:', ...groups)
  return { spec: `${lines.join('\n')}\n`, rafts }
}
