// One node of a simulated fleet: products and files in memory, and on them the production agent as a
// process that can be killed at any write. What it sees of time and of the network is the world's.

import { X509Certificate } from 'node:crypto'
import type { Clock } from '../../../shared/clock.ts'
import { silentLog } from '../../../shared/log.ts'
import type { AgentControl } from '../../../agent/agent.ts'
import type { Handshake, HandshakeTarget, Host } from '../../../agent/host.ts'
import type { Remote } from '../../../agent/remote.ts'
import { PowerCut } from '../../support/memory-files.ts'
import { STATE, STOCK_FILES } from '../../support/memory-fleet.ts'
import { createMemoryNode, type MemoryNode } from '../../support/memory-node.ts'
import { influxdbProduct } from '../../support/memory-products.ts'
import type { Random } from '../random.ts'
import { Violation } from '../violation.ts'
import type { Product } from './product.ts'
import type { Scheduler } from './scheduler.ts'
import { type Client, layTelegraf, loadClient, telegrafUnit } from './telegraf.ts'
import { T0, type Trust } from './trust.ts'

export const SERVERS = ['influxdb', 'prometheus'] as const
export type Service = (typeof SERVERS)[number] | 'telegraf'

/** What the agent does to its node, told before it happens. */
export type Act =
  /** Its journal says from now on that live files may be another release. */
  | { readonly kind: 'begin' }
  | { readonly kind: 'activate'; readonly verb: string; readonly unit: string }
  | { readonly kind: 'switch'; readonly path: string }

export interface Machine {
  readonly name: string
  readonly node: MemoryNode
  readonly services: readonly Service[]
  readonly isUp: () => boolean
  readonly control: () => AgentControl | undefined
  boot(): void
  kill(): void
  /** The agent dies of its so many-th change from now on. */
  cutAfter(changes: number): void
  reboot(): void
  wake(): void
  /** A change is under way: switched, not yet proven or put back. */
  hasJournal(): boolean
  /** A product is not there to be used. */
  isDown(): boolean
  isStarting(unit?: string): boolean
  /** A service that does not come up again, whatever its settings are. */
  isStuck(): boolean
  /** Generation in whose switch that has happened: before it, the node was well. */
  wasStuckAt(): number
  /** It switches, or a service of it starts. */
  isBusy(): boolean
  /** No controller has heard of its agent for so long that all of them know. */
  isAway(): boolean
  /** A certificate that is served has ended. */
  hasEnded(): boolean
  /** Somebody has found out why, and started it. */
  repair(): void
  /** Its operator has it try again what has failed. */
  retry(): void
  /** Of the running process; undefined: the node has none, or it is not up. */
  client(): Client | undefined
  /** Edits by hand so far, of which nobody is told. */
  edits(): number
  edit(): void
  /** The running process has loaded the files as they are: to restart it is to no purpose. */
  isLoaded(unit: string): boolean
  /** Something outside of the agent has started it. */
  startAlone(service: Service): void
  /** Generation that is on disk. */
  storedGeneration(): number
}

export interface MachineParts {
  readonly name: string
  readonly product: Product
  readonly scheduler: Scheduler
  readonly random: Random
  readonly trust: Trust
  readonly connect: (isDead: () => boolean) => Remote
  /** Nodes that its Telegraf writes to; undefined: it has none. */
  readonly writesTo: readonly string[] | undefined
  /** What somebody on this node sees of a listener on another one. */
  readonly handshake: (target: HandshakeTarget) => Promise<Handshake>
  readonly idleRestart: () => number
  /** Chance of each restart: the service stays down until somebody repairs it. */
  readonly staysDown: () => number
  /** Does a product come up with these settings? */
  readonly comesUp: (settings: string) => boolean
  readonly onAct: (machine: Machine, act: Act) => void
  readonly onStuck: (machine: Machine, unit: string) => void
  /** A process runs, or does not run, on other files than before. */
  readonly onLoaded: () => void
  readonly isAway: () => boolean
  readonly onDeath: (machine: Machine) => void
  readonly onFailure: (error: unknown) => void
}

interface Life {
  isDead: boolean
}

const FOREVER: Promise<never> = new Promise(() => {})
// A cut that does not end the process by itself, because nothing was written any more.
const LAST_MS = 60_000

export function createMachine(parts: MachineParts): Machine {
  const { name, scheduler, random, product } = parts
  const node = newNode(parts.writesTo)
  const services: readonly Service[] = [
    ...SERVERS,
    ...(parts.writesTo === undefined ? [] : (['telegraf'] as const)),
  ]
  const starting = new Set<string>()
  const stuck = new Set<string>()
  const loaded = new Map<string, string>()
  let client: Client | undefined
  let edits = 0
  let stuckAt = 0
  const loadedNow = (unit: string) => {
    loaded.set(unit, filesOf(node, unit))
    if (unit === TELEGRAF_UNIT) client = loadClient(node.files)
    parts.onLoaded()
  }
  const isActive = (service: string) => node.unit(service).state === 'active'
  let life: Life = { isDead: true }
  let control: AgentControl | undefined
  let wake: ReturnType<Product['createWake']> | undefined

  const sync = () => {
    const behindMs = T0 + scheduler.nowMs() - node.nowMs()
    if (behindMs > 0) node.advance(behindMs)
  }

  node.refuseStart = unit => {
    if (stuck.has(unit)) return true
    if (unit === TELEGRAF_UNIT) return false
    const path = unit === 'influxdb.service' ? influxdbProduct.settings : '/etc/default/prometheus'
    return !parts.comesUp(node.files.text(path) ?? '')
  }
  node.fault = (operation, path) => {
    if (operation === 'switchLink') parts.onAct(machine, { kind: 'switch', path })
    if (path === JOURNAL && !machine.hasJournal()) parts.onAct(machine, { kind: 'begin' })
  }

  function clockOf(own: Life): Clock {
    return {
      now: () => {
        sync()
        return node.nowMs()
      },
      monotonic: () => scheduler.nowMs(),
      sleep: (delayMs, signal) =>
        new Promise(resolve => {
          const wakeUp = () => {
            cancel()
            signal?.removeEventListener('abort', wakeUp)
            if (own.isDead) return
            sync()
            resolve()
          }
          const cancel = scheduler.after(delayMs, wakeUp)
          if (signal?.aborted === true) wakeUp()
          else signal?.addEventListener('abort', wakeUp, { once: true })
        }),
    }
  }

  function startLater(unit: string): void {
    const service = unit.replace('.service', '')
    node.stop(service)
    starting.add(unit)
    parts.onLoaded()
    scheduler.after(500 + random.below(4_000), () => {
      // The node may have been rebooted meanwhile.
      if (!starting.delete(unit)) return
      sync()
      node.start(service)
      loadedNow(unit)
    })
  }

  function servicesOf(own: Life): Host['services'] {
    const { services } = node.host
    return {
      ...services,
      async show(unit) {
        if (own.isDead) return FOREVER
        const state = await services.show(unit)
        if (state === undefined || !starting.has(unit)) return state
        return {
          ...state,
          activeState: 'activating',
          subState: 'start',
          busy: true,
          invocationId: undefined,
        }
      },
      peekInvocation: async unit =>
        starting.has(unit) ? undefined : services.peekInvocation(unit),
      async activate(unit, verb) {
        if (own.isDead) return FOREVER
        parts.onAct(machine, { kind: 'activate', verb, unit })
        if (verb !== 'restart' && verb !== 'start') return services.activate(unit, verb)
        // Counts as a change of the node, and does nothing else.
        await services.resetFailed(unit)
        if (starting.has(unit) || random.chance(parts.idleRestart())) return undefined
        if (machine.hasJournal() && stuck.size === 0 && random.chance(parts.staysDown())) {
          stuck.add(unit)
          stuckAt = machine.storedGeneration()
          parts.onStuck(machine, unit)
        }
        startLater(unit)
        return undefined
      },
    }
  }

  async function run(own: Life): Promise<void> {
    const clock = clockOf(own)
    const host: Host = {
      ...node.host,
      clock,
      services: servicesOf(own),
      network: {
        handshake: target =>
          isHere(target.host, name) ? node.host.network.handshake(target) : parts.handshake(target),
      },
      random: size => Uint8Array.from({ length: size }, () => random.below(256)),
    }
    wake = product.createWake(clock)
    await product.prepareState(host, STATE)
    await product.runAgent(
      {
        host,
        stateDirectory: STATE,
        issuers: { files: {}, localCa: undefined },
        allow: { services: [...services], activations: ['none', 'reload', 'restart'] },
        intervalMs: 300_000,
        identity: parts.trust.identityOf(name).identity,
        connect: () => parts.connect(() => own.isDead),
        wake,
        heartbeat: () => {},
        heartbeatMs: 120_000,
        onReady: () => {},
        watch: () => {},
        onIdle: () => {},
        facts: { hostname: name },
        agentVersion: '0.0.0-test',
        log: silentLog,
        random: () => random.below(1_000_000) / 1_000_000,
      },
      new AbortController().signal,
      given => {
        control = given
      },
    )
  }

  function die(own: Life): void {
    if (own.isDead) return
    own.isDead = true
    node.cutAfter(undefined)
    control = undefined
    parts.onDeath(machine)
  }

  const machine: Machine = {
    name,
    node,
    isUp: () => !life.isDead,
    control: () => control,
    boot() {
      if (!life.isDead) return
      const own: Life = { isDead: false }
      life = own
      sync()
      node.cutAfter(undefined)
      run(own).then(
        () => {
          if (!own.isDead)
            parts.onFailure(new Violation(`the agent of ${name} has ended by itself`))
        },
        (error: unknown) => {
          if (own.isDead) return
          if (error instanceof PowerCut) die(own)
          else parts.onFailure(error)
        },
      )
    },
    kill: () => die(life),
    cutAfter(changes) {
      const own = life
      node.cutAfter(changes)
      scheduler.after(LAST_MS, () => die(own))
    },
    reboot() {
      die(life)
      starting.clear()
      node.reboot()
      for (const service of services) loadedNow(`${service}.service`)
    },
    wake: () => wake?.('timer'),
    services,
    hasJournal: () => node.files.text(JOURNAL) !== undefined,
    isDown: () => starting.size > 0 || services.some(service => !isActive(service)),
    isStuck: () => stuck.size > 0,
    wasStuckAt: () => stuckAt,
    isBusy: () => starting.size > 0 || machine.hasJournal(),
    isAway: () => parts.isAway(),
    hasEnded: () =>
      SERVERS.some(service => {
        const serving = node.serving(service)
        if (serving.kind !== 'tls') return false
        return new X509Certificate(serving.chainPem).validToDate.getTime() <= T0 + scheduler.nowMs()
      }),
    repair() {
      stuck.clear()
      for (const service of services)
        if (!isActive(service) && !starting.has(`${service}.service`)) machine.startAlone(service)
      machine.retry()
    },
    retry() {
      const hasFailed = control?.status().services.some(({ outcome }) => outcome === 'failed')
      // Whoever asked is told nothing by a process that dies over it.
      if (hasFailed === true) control?.apply().catch(() => {})
    },
    client: () => (isActive('telegraf') && !starting.has(TELEGRAF_UNIT) ? client : undefined),
    edits: () => edits,
    edit() {
      edits++
      const path = influxdbProduct.settings
      const { mode, uid, gid } = node.tree.get(path)?.owner ?? { mode: 0o644, uid: 0, gid: 0 }
      const text = `${node.files.text(path) ?? ''}\n# by hand, ${edits}\n`
      node.files.put(path, text, { mode, uid, gid })
    },
    isLoaded: unit =>
      isActive(unit.replace('.service', '')) && loaded.get(unit) === filesOf(node, unit),
    startAlone(service) {
      sync()
      node.start(service)
      loadedNow(`${service}.service`)
    },
    isStarting: unit => (unit === undefined ? starting.size > 0 : starting.has(unit)),
    storedGeneration() {
      const text = node.files.text(`${STATE}/ledger.json`)
      return Number(/"generation":(\d+)/.exec(text ?? '')?.[1] ?? 0)
    },
  }
  for (const service of services) loadedNow(`${service}.service`)
  return machine
}

const JOURNAL = `${STATE}/journal.json`
const TELEGRAF_UNIT = 'telegraf.service'

function newNode(writesTo: readonly string[] | undefined): MemoryNode {
  if (writesTo === undefined) return createMemoryNode(STOCK_FILES)
  const units = { [TELEGRAF_UNIT]: telegrafUnit }
  const node = createMemoryNode(STOCK_FILES, { units, run: () => undefined })
  layTelegraf(node.files, writesTo)
  node.start('telegraf')
  return node
}

function isHere(host: string, name: string): boolean {
  return host === name || host === 'localhost' || host === '127.0.0.1'
}

/** All that the product may read, as it is now: paths and versions. */
function filesOf({ tree }: MemoryNode, unit: string): string {
  const service = unit.replace('.service', '')
  return [...tree]
    .flatMap(([path, { kind, version }]) =>
      kind === 'directory' ||
      !path.startsWith('/etc/') ||
      !path.includes(service) ||
      /\/\.tlsfleet|\/releases\//.test(path)
        ? []
        : [`${path} ${version}`],
    )
    .toSorted()
    .join('\n')
}
