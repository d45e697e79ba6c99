// Stage two: what is on the node. Reads only. Everything that a file decides is kept until one of
// the files it came from changes, so that looking at a converged node costs some stats and one
// handshake per listener.

import { describeError } from '../shared/errors.ts'
import type { ServiceTls } from '../shared/contract/service.ts'
import type { HandshakeTarget, Host, UnitState } from './host.ts'
import type { NodeFacts, ServedListener, ServiceObservation } from './observation.ts'
import { type LocalIssuers, observeLocalTrust, observeSource } from './issuers.ts'
import { clientTrust } from './client-trust.ts'
import {
  observeMaterial,
  CHAIN_FILE,
  KEY_FILE,
  materialPaths,
  releaseDirectory,
} from './resources/material.ts'
import { type TextFile, observeTextFile } from './resources/text-file.ts'
import { compileService, unitsOf, wantedInputs } from './services/registry.ts'
import type { Compilation, Compiled, Input, Seen, SeenCommand } from './services/service.ts'

export interface Observer {
  observe(tls: ServiceTls): Promise<ServiceObservation>
  /** Handshakes with the listeners of an observation, again. */
  serve(
    tls: ServiceTls,
    compiled: Compiled,
    facts: Pick<NodeFacts, 'material' | 'issuerTrust'>,
  ): Promise<readonly ServedListener[]>
  /** Every file that the observations kept depend on. */
  watched(): readonly string[]
  /** Forget what was kept of a service: the next observation reads everything again. */
  forget(service: ServiceTls['service']): void
}

interface Kept {
  readonly tls: string
  readonly observation: Extract<ServiceObservation, { kind: 'observed' }>
  readonly invocation: string | undefined
  /** Path and version of everything that it was made from. */
  readonly versions: ReadonlyMap<string, string>
}

export function createObserver(host: Host, issuers: LocalIssuers): Observer {
  const kept = new Map<string, Kept>()
  const commands: CommandCache = new Map()

  async function observe(tls: ServiceTls): Promise<ServiceObservation> {
    const last = kept.get(tls.service)
    const changed = last === undefined ? 'unit' : await whatChanged(host, last, tls)
    if (last !== undefined && changed === 'nothing') {
      const observation = await withServed(last.observation)
      if (observation.kind === 'observed' && everyListenerSpeaksTls(observation)) return observation
    }
    kept.delete(tls.service)
    // A file that somebody has changed says nothing new about the process and its unit.
    const unit = changed === 'files' ? last?.observation.unit : undefined
    const fresh = await observeAfresh(host, issuers, tls, commands, unit)
    if (fresh.observation.kind === 'not-installed') return fresh.observation
    kept.set(tls.service, { tls: JSON.stringify(tls), ...fresh, observation: fresh.observation })
    return withServed(fresh.observation)
  }

  async function withServed(
    observation: Extract<ServiceObservation, { kind: 'observed' }>,
  ): Promise<ServiceObservation> {
    const { tls, compilation, node } = observation
    if (compilation.kind !== 'compiled' || node === undefined) return observation
    return {
      ...observation,
      node: { ...node, served: await serve(tls, compilation.compiled, node) },
    }
  }

  async function serve(
    tls: ServiceTls,
    compiled: Compiled,
    facts: Pick<NodeFacts, 'material' | 'issuerTrust'>,
  ) {
    if (host.isOffline) return []
    const current = facts.material.releases.find(release => release.id === facts.material.current)
    const trust = clientTrust(tls, facts.issuerTrust, current?.chainPem)
    const served: ServedListener[] = []
    for (const listener of compiled.listeners) {
      const target: HandshakeTarget = {
        host: listener.host,
        port: listener.port,
        serverName: listener.serverName,
        trust: trust === '' ? [] : [trust],
        httpGet: listener.healthPath,
        timeoutMs: HANDSHAKE_TIMEOUT_MS,
      }
      const clientCertificate = listener.clientCertificate
        ? await clientPair(host, compiled.material.directory, current?.id)
        : undefined
      served.push({
        listener,
        handshake: await host.network.handshake(
          clientCertificate === undefined ? target : { ...target, clientCertificate },
        ),
      })
    }
    return served
  }

  return {
    observe,
    serve,
    watched: () => [...new Set([...kept.values()].flatMap(one => [...one.versions.keys()]))],
    forget(service) {
      kept.delete(service)
    },
  }
}

// A listener on the same machine answers in milliseconds; one that takes longer is hung.
const HANDSHAKE_TIMEOUT_MS = 5_000

async function clientPair(host: Host, directory: string, release: string | undefined) {
  if (release === undefined) return undefined
  const path = releaseDirectory(directory, release)
  const [key, chain] = [
    await host.files.read(`${path}/${KEY_FILE}`),
    await host.files.read(`${path}/${CHAIN_FILE}`),
  ]
  if (key === undefined || chain === undefined) return undefined
  return {
    chainPem: Buffer.from(chain).toString('utf8'),
    keyPem: Buffer.from(key).toString('utf8'),
  }
}

function everyListenerSpeaksTls(
  observation: Extract<ServiceObservation, { kind: 'observed' }>,
): boolean {
  return observation.node?.served.every(({ handshake }) => handshake.kind === 'tls') === true
}

type Changed = 'nothing' | 'files' | 'unit'

/** What moved since the last observation; `unit` where that cannot be ruled out. */
async function whatChanged(host: Host, last: Kept, tls: ServiceTls): Promise<Changed> {
  const { unit } = last.observation
  const isSettled = unit.activeState === 'active' && !unit.busy
  if (last.invocation === undefined || !isSettled) return 'unit'
  if ((await host.services.peekInvocation(unit.unit)) !== last.invocation) return 'unit'
  let changed: Changed = last.tls === JSON.stringify(tls) ? 'nothing' : 'files'
  for (const [path, version] of last.versions) {
    if ((await versionOf(host, path)) === version) continue
    if (path === unit.fragmentPath || unit.dropInPaths.includes(path)) return 'unit'
    changed = 'files'
  }
  return changed
}

// The object itself and what it leads to: a switched symlink counts, and so does a change behind it.
async function versionOf(host: Host, path: string): Promise<string> {
  const stat = await host.files.stat(path)
  if (stat === undefined) return 'none'
  if (stat.kind !== 'symlink') return stat.version
  return `${stat.version} ${(await host.files.statFollowed(path))?.version ?? 'none'}`
}

async function observeAfresh(
  host: Host,
  issuers: LocalIssuers,
  tls: ServiceTls,
  commands: CommandCache,
  known: UnitState | undefined,
) {
  const unit = known ?? (await findUnit(host, tls.service))
  if (unit === undefined)
    return {
      observation: { kind: 'not-installed', tls } as const,
      invocation: undefined,
      versions: new Map(),
    }
  // Versions are taken before anything is read, so that a change in between makes it stale.
  const versions = new Map<string, string>()
  const running = await host.services.peekInvocation(unit.unit)
  // Started anew since it was shown: what is known of the unit is about another process.
  const invocation = running === unit.invocationId ? running : undefined
  const note = async (path: string) => {
    if (!versions.has(path)) versions.set(path, await versionOf(host, path))
  }
  for (const path of [unit.fragmentPath, ...unit.dropInPaths])
    if (path !== undefined) await note(path)
  const { seen, files } = await see(host, tls, unit, note, commands)
  const compilation = compileService(tls, seen, { servicePath: host.servicePath })
  const node =
    compilation.kind === 'compiled'
      ? await observeNode(host, issuers, tls, unit, compilation, files, note)
      : undefined
  return {
    observation: { kind: 'observed', tls, unit, compilation, node } as const,
    invocation,
    versions,
  }
}

async function findUnit(
  host: Host,
  service: ServiceTls['service'],
): Promise<UnitState | undefined> {
  for (const name of unitsOf(service)) {
    const unit = await host.services.show(name)
    if (unit !== undefined) return unit
  }
  return undefined
}

type Note = (path: string) => Promise<void>
type CommandCache = Map<string, { readonly versions: string; readonly seen: SeenCommand }>

// A driver asks for more as it sees more; a chain of more rounds than this is a bug of the driver.
const ROUNDS_MAX = 8

async function see(
  host: Host,
  tls: ServiceTls,
  unit: UnitState,
  note: Note,
  commandCache: CommandCache,
): Promise<{ seen: Seen; files: Map<string, TextFile> }> {
  const files = new Map<string, TextFile>()
  const commands = new Map<string, SeenCommand>()
  const seen: Seen = {
    unit,
    file: path => {
      const file = files.get(path)
      return file?.kind === 'text' ? { kind: 'text', text: file.text } : file
    },
    command: argv => commands.get(argv.join('\0')),
  }
  for (let round = 0; round < ROUNDS_MAX; round++) {
    const fresh = wantedInputs(tls, seen, { servicePath: host.servicePath }).filter(input =>
      input.kind === 'file' ? !files.has(input.path) : !commands.has(input.argv.join('\0')),
    )
    if (fresh.length === 0) return { seen, files }
    for (const input of fresh) {
      if (input.kind === 'file') {
        await note(input.path)
        files.set(input.path, await observeTextFile(host.files, input.path))
      } else {
        commands.set(input.argv.join('\0'), await runCommand(host, unit, input, note, commandCache))
      }
    }
  }
  return { seen, files }
}

async function runCommand(
  host: Host,
  unit: UnitState,
  input: Extract<Input, { kind: 'command' }>,
  note: Note,
  cache: CommandCache,
): Promise<SeenCommand> {
  const dependencies = [input.argv[0] ?? '', ...input.dependsOn]
  const versions: string[] = [
    unit.environment === undefined ? '' : JSON.stringify(unit.environment),
  ]
  for (const path of dependencies) {
    await note(path)
    versions.push(await versionOf(host, path))
  }
  const key = input.argv.join('\0')
  const known = cache.get(key)
  if (known?.versions === versions.join('\0')) return known.seen
  const seen = await runOnce(host, unit, input)
  cache.set(key, { versions: versions.join('\0'), seen })
  return seen
}

async function runOnce(
  host: Host,
  unit: UnitState,
  input: Extract<Input, { kind: 'command' }>,
): Promise<SeenCommand> {
  try {
    const options = {
      timeoutMs: COMMAND_TIMEOUT_MS,
      ...(input.asService ? { asServiceOf: unit } : {}),
    }
    return { kind: 'ran', ...(await host.commands.run(input.argv, options)) }
  } catch (error) {
    return { kind: 'failed', reason: { code: 'command-failed', message: describeError(error) } }
  }
}

// `--version` and the like; systemd-run included.
const COMMAND_TIMEOUT_MS = 20_000

async function observeNode(
  host: Host,
  issuers: LocalIssuers,
  tls: ServiceTls,
  unit: UnitState,
  compilation: Extract<Compilation, { kind: 'compiled' }>,
  seenFiles: ReadonlyMap<string, TextFile>,
  note: Note,
): Promise<NodeFacts> {
  const { compiled } = compilation
  const { directory, trustFile } = compiled.material
  const material = await observeMaterial(host.files, directory)
  for (const path of materialPaths(directory, material)) await note(path)
  const files: Record<string, TextFile> = {}
  for (const path of [trustFile, ...compiled.files.map(file => file.path)]) {
    await note(path)
    files[path] = seenFiles.get(path) ?? (await observeTextFile(host.files, path))
  }
  const local = await observeLocalTrust(host, issuers, tls, note)
  const current = material.releases.find(release => release.id === material.current)
  return {
    owner: await ownerOf(host, unit),
    material,
    files,
    issuerTrust: local,
    source: await observeSource(host, issuers, tls, note),
    served: [],
    isOffline: host.isOffline,
    inputsChangedAtMs: Math.max(
      0,
      ...Object.values(files).map(file => (file.kind === 'text' ? file.stat.changedAtMs : 0)),
      current?.stats.chain.changedAtMs ?? 0,
    ),
  }
}

async function ownerOf(host: Host, unit: UnitState) {
  const user = await host.accounts.user(unit.user === '' ? 'root' : unit.user)
  if (user === undefined) return undefined
  const gid = unit.group === '' ? user.gid : await host.accounts.group(unit.group)
  return gid === undefined ? undefined : { uid: user.uid, gid }
}
