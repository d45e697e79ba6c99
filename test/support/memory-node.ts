// A whole node in memory behind the agent's Host interface: files, two products under a service
// manager, a network, a clock that only sleeps move. The agent on it can be killed at any change.

import { X509Certificate, createHash, randomBytes } from 'node:crypto'
import { isIP } from 'node:net'
import { OperationalError } from '../../shared/errors.ts'
import { pathReasons } from '../../shared/pki/path.ts'
import { splitPemCertificates } from '../../shared/pki/pem.ts'
import type {
  CommandResult,
  Handshake,
  HandshakeTarget,
  Host,
  UnitState,
} from '../../agent/host.ts'
import {
  type MemoryFiles,
  type Power,
  type Tree,
  canRead,
  createMemoryFiles,
  createPower,
} from './memory-files.ts'
import { createMemoryTrees } from './memory-trees.ts'
import {
  type Product,
  type Running,
  type Serving,
  influxdbProduct,
  prometheusProduct,
} from './memory-products.ts'

interface Unit extends UnitOf {
  /** Drop-ins as the service manager has read them. */
  dropIns: Readonly<Record<string, string>>
  running: Running | undefined
  /** Text of the settings when the running process read them. */
  loaded: string
  state: 'active' | 'failed' | 'inactive'
  restarts: number
  invocation: number
  startedAtMs: number
}

export interface UnitOf {
  readonly product: Product
  readonly program: string
  readonly argv: readonly string[]
  readonly user: string
  readonly environmentFile: string
}

/** More products than the two of every node, and programs that only they have. */
export interface Guests {
  readonly units: Readonly<Record<string, UnitOf>>
  /** Undefined: no program of theirs. `change` is called before something is written. */
  run(
    argv: readonly string[],
    stdin: string,
    files: MemoryFiles,
    change: () => void,
  ): CommandResult | undefined
}

export interface MemoryNode {
  readonly host: Host
  readonly files: MemoryFiles
  readonly tree: Tree
  /** Starts, restarts and signals that units were given, in order. */
  readonly activations: string[]
  /** What a new connection to a product gets now: fingerprint of the leaf, `plaintext` or `dead`. */
  served(service: string): string
  /** The same with the chain. */
  serving(service: string): Serving
  /** The settings file as the running process read it; empty when none runs. */
  loaded(service: string): string
  /** The agent's power from now on; the products go on. Returns the count of changes so far. */
  cutAfter(changes: number | undefined): void
  changes(): number
  /** The node itself loses power and comes up again: units start with the files as they are. */
  reboot(): void
  stop(service: string): void
  start(service: string): void
  unit(service: string): { readonly state: string; readonly restarts: number }
  advance(ms: number): void
  /** Called before a change is made; may throw an OperationalError. */
  fault: ((operation: string, path: string) => void) | undefined
  /** Whether a service may come up; a way to make a good configuration fail. */
  refuseStart: ((service: string) => boolean) | undefined
  nowMs(): number
}

export interface StockFiles {
  readonly influxdbConf: string
  readonly prometheusYml: string
  readonly defaultPrometheus: string
}

export function createMemoryNode(stock: StockFiles, guests?: Guests): MemoryNode {
  let nowMs = Date.UTC(2026, 10, 22, 12)
  let power: Power = createPower(undefined)
  const tree: Tree = new Map()
  const activations: string[] = []
  const node: { fault: MemoryNode['fault']; refuseStart: MemoryNode['refuseStart'] } = {
    fault: undefined,
    refuseStart: undefined,
  }
  const files = createMemoryFiles(
    tree,
    () => nowMs,
    () => power,
    (operation, path) => node.fault?.(operation, path),
  )
  files.put('/etc/influxdb/influxdb.conf', stock.influxdbConf)
  files.put('/etc/prometheus/prometheus.yml', stock.prometheusYml)
  files.put('/etc/default/prometheus', stock.defaultPrometheus)
  for (const program of ['/usr/bin/influxd', '/usr/bin/prometheus', '/usr/bin/promtool'])
    files.put(program, program, { mode: 0o755 })
  files.put('/var/lib/placeholder', '')

  const units: Record<string, Unit> = {
    'influxdb.service': newUnit(
      influxdbProduct,
      '/usr/bin/influxd',
      ['-config', '/etc/influxdb/influxdb.conf'],
      'influxdb',
      '/etc/default/influxdb',
    ),
    'prometheus.service': newUnit(
      prometheusProduct,
      '/usr/bin/prometheus',
      ['$ARGS'],
      'prometheus',
      '/etc/default/prometheus',
    ),
  }
  for (const [name, { product, program, argv, user, environmentFile }] of Object.entries(
    guests?.units ?? {},
  ))
    units[name] = newUnit(product, program, argv, user, environmentFile)
  const readUnits = () => {
    for (const [name, unit] of Object.entries(units)) unit.dropIns = dropInsOf(tree, name)
  }
  let invocations = 0
  const startUnit = (name: string, unit: Unit) => {
    invocations += 1
    nowMs += 5
    unit.invocation = invocations
    unit.startedAtMs = nowMs
    unit.running =
      node.refuseStart?.(name) === true ? undefined : unit.product.start(files, environmentOf(unit))
    unit.loaded = unit.running === undefined ? '' : (files.text(unit.product.settings) ?? '')
    unit.state = unit.running === undefined ? 'failed' : 'active'
    // Restart=on-failure: five times in a moment, then the manager gives up.
    unit.restarts = unit.running === undefined ? unit.restarts + 5 : unit.restarts
  }
  for (const [name, unit] of Object.entries(units)) startUnit(name, unit)

  const show = (name: string): UnitState | undefined => {
    const unit = units[name]
    if (unit === undefined) return undefined
    return {
      unit: name,
      loaded: true,
      activeState: unit.state,
      subState: unit.state === 'active' ? 'running' : 'dead',
      result: unit.state === 'failed' ? 'exit-code' : 'success',
      restarts: unit.restarts,
      invocationId: unit.state === 'active' ? `invocation-${unit.invocation}` : undefined,
      mainPid: 1000 + unit.invocation,
      startedAtMs: unit.startedAtMs,
      busy: false,
      user: unit.user,
      group: unit.user,
      type: 'simple',
      canReload: unit.user === 'prometheus',
      needsDaemonReload: JSON.stringify(dropInsOf(tree, name)) !== JSON.stringify(unit.dropIns),
      execStart: [unit.program, ...unit.argv],
      environment: environmentOf(unit),
      environmentFiles: [{ path: unit.environmentFile, optional: true }],
      fragmentPath: `/lib/systemd/system/${name}`,
      dropInPaths: Object.keys(unit.dropIns),
    }
  }

  const host: Host = {
    files,
    trees: createMemoryTrees(files),
    clock: {
      now: () => nowMs,
      monotonic: () => nowMs,
      async sleep(delayMs) {
        power.check()
        nowMs += delayMs
      },
    },
    random: size => randomBytes(size),
    servicePath: path => path,
    isOffline: false,
    accounts: {
      user: async name => Object.values(units).find(unit => unit.user === name)?.product.user,
      group: async name => Object.values(units).find(unit => unit.user === name)?.product.user.gid,
    },
    services: {
      show: async name => {
        power.check()
        return show(name)
      },
      peekInvocation: async name => show(name)?.invocationId,
      async activate(name, verb) {
        power.change()
        activations.push(`${verb} ${name}`)
        const unit = units[name]
        if (unit === undefined)
          throw new OperationalError('service-manager-unreachable', `no ${name}`)
        if (verb === 'restart' || verb === 'start') startUnit(name, unit)
        else if (verb === 'stop') Object.assign(unit, { running: undefined, state: 'inactive' })
        // influxd 1.6.7 dies of it, and its manager takes that for a clean exit.
        else if (unit.user === 'influxdb')
          Object.assign(unit, { running: undefined, state: 'inactive' })
      },
      async resetFailed() {
        power.change()
      },
      async daemonReload() {
        power.change()
        activations.push('daemon-reload')
        readUnits()
      },
    },
    commands: {
      async run(argv, { asServiceOf, stdin }) {
        power.check()
        const change = () => power.change()
        const result = guests?.run(argv, stdin?.reveal() ?? '', files, change)
        if (result !== undefined) return result
        return runCommand(tree, units, argv, asServiceOf)
      },
    },
    network: { handshake: async target => handshake(units, target, nowMs) },
  }
  return Object.assign(node, {
    host,
    files,
    tree,
    activations,
    loaded: (service: string) => units[`${service}.service`]?.loaded ?? '',
    served: (service: string) => servedWord(units[`${service}.service`]),
    serving: (service: string) => servingOf(units[`${service}.service`]),
    cutAfter(changes: number | undefined) {
      power = createPower(changes)
    },
    changes: () => power.changes(),
    reboot() {
      nowMs += 30_000
      readUnits()
      for (const [name, unit] of Object.entries(units)) {
        unit.restarts = 0
        if (unit.state !== 'inactive') startUnit(name, unit)
      }
    },
    stop(service: string) {
      const unit = units[`${service}.service`]
      if (unit !== undefined) Object.assign(unit, { running: undefined, state: 'inactive' })
    },
    start(service: string) {
      const unit = units[`${service}.service`]
      if (unit !== undefined) startUnit(`${service}.service`, unit)
    },
    unit(service: string) {
      const unit = units[`${service}.service`]
      return { state: unit?.state ?? 'none', restarts: unit?.restarts ?? 0 }
    },
    advance(ms: number) {
      nowMs += ms
    },
    nowMs: () => nowMs,
  })
}

function newUnit(
  product: Product,
  program: string,
  argv: readonly string[],
  user: string,
  environmentFile: string,
): Unit {
  return {
    product,
    program,
    argv,
    user,
    environmentFile,
    dropIns: {},
    running: undefined,
    loaded: '',
    state: 'inactive',
    restarts: 0,
    invocation: 0,
    startedAtMs: 0,
  }
}

function dropInsOf(tree: Tree, unit: string): Readonly<Record<string, string>> {
  const directory = `/etc/systemd/system/${unit}.d/`
  const found = [...tree].flatMap(([path, entry]) =>
    path.startsWith(directory) && /\/[^./][^/]*\.conf$/.test(path) && entry.kind === 'file'
      ? [[path, Buffer.from(entry.contents).toString('utf8')] as const]
      : [],
  )
  return Object.fromEntries(found)
}

function environmentOf({ dropIns }: Unit): Readonly<Record<string, string>> {
  const lines = Object.values(dropIns).flatMap(text => text.split('\n'))
  return Object.fromEntries(
    lines.flatMap(line => {
      const [, name, value] = /^Environment=(\w+)=(.*)$/.exec(line) ?? []
      return name === undefined ? [] : [[name, value ?? '']]
    }),
  )
}

function runCommand(
  tree: Tree,
  units: Record<string, Unit>,
  argv: readonly string[],
  asServiceOf: UnitState | undefined,
) {
  const [program, ...args] = argv
  const ran = (code: number, stdout = '') => ({ code, stdout, stderr: '' })
  if (program === '/usr/bin/test') {
    const user = units[asServiceOf?.unit ?? '']?.product.user ?? { uid: 0, gid: 0 }
    return ran(
      args.filter(word => word.startsWith('/')).every(path => canRead(tree, path, user)) ? 0 : 1,
    )
  }
  const unit = Object.values(units).find(one => one.program === program)
  if (unit !== undefined && (args[0] === 'version' || args[0] === '--version'))
    return ran(0, `${unit.product.version}\n`)
  if (program === '/usr/bin/promtool' || unit !== undefined) return ran(0)
  throw new OperationalError('command-missing', `could not run ${program}`)
}

function servedWord(unit: Unit | undefined): string {
  const serving = servingOf(unit)
  return serving.kind === 'tls' ? fingerprintOf(serving.chainPem) : serving.kind
}

function servingOf(unit: Unit | undefined): Serving {
  return unit?.running?.serve() ?? { kind: 'dead' }
}

function fingerprintOf(chainPem: string): string {
  const leaf = new X509Certificate(chainPem)
  return createHash('sha256').update(leaf.raw).digest('hex')
}

function handshake(units: Record<string, Unit>, target: HandshakeTarget, nowMs: number): Handshake {
  const unit = Object.values(units).find(one => one.product.port === target.port)
  const serving = unit?.running?.serve() ?? { kind: 'dead' as const }
  const status = target.httpGet === '/ping' ? 204 : 200
  const http = { status, headers: {}, body: '' }
  if (serving.kind === 'dead')
    return {
      kind: 'unreachable',
      reason: { code: 'connection-refused', message: `nobody listens on ${target.port}` },
    }
  if (serving.kind === 'plaintext') return { kind: 'plaintext', http }
  const chainPem = splitPemCertificates(serving.chainPem)
  const [leaf, ...intermediates] = chainPem.map(pem => new X509Certificate(pem))
  if (leaf === undefined)
    return { kind: 'unreachable', reason: { code: 'tls-alert', message: 'no certificate' } }
  const trust = target.trust.flatMap(splitPemCertificates).map(pem => new X509Certificate(pem))
  const untrusted =
    pathReasons({ leaf, intermediates, trust, purposes: ['server'], nowMs })[0] ??
    ((isIP(target.serverName) === 0
      ? leaf.checkHost(target.serverName)
      : leaf.checkIP(target.serverName)) === undefined
      ? { code: 'certificate-name-mismatch', message: `not for ${target.serverName}` }
      : undefined)
  return {
    kind: 'tls',
    fingerprint: fingerprintOf(serving.chainPem),
    chainPem,
    protocol: 'TLSv1.3',
    untrusted,
    http,
  }
}
