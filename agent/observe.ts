// Stage two: what is on the node. Reads only. Everything that a file decides is kept until one of
// the files it came from changes, so that looking at a converged node costs some stats and one
// handshake per listener.

import { dirname } from 'node:path/posix'
import type { ServiceTls } from '../shared/contract/service.ts'
import { authoritiesOf, certifiedTls } from './client-trust.ts'
import type { Host, UnitState } from './host.ts'
import { type LocalIssuers, observeLocalTrust, observeSource } from './issuers.ts'
import { serveListeners, speaksAsWanted } from './listeners.ts'
import type { NodeFacts, ServiceObservation } from './observation.ts'
import { type KeystoreFile, observeKeystore } from './resources/keystore-file.ts'
import { materialPaths, observeMaterial } from './resources/material.ts'
import { observeStorePassword, storePasswordPath } from './resources/store.ts'
import { type TextFile, observeTextFile } from './resources/text-file.ts'
import { createAnswers, type ProgramAnswers } from './program-answers.ts'
import { type Note, type Sight, see } from './see.ts'
import { REGISTRY, type Registry } from './services/registry.ts'
import type { Compiled } from './services/service.ts'
import { createUpstreamWatch } from './upstreams.ts'

export interface Observer {
  observe(tls: ServiceTls): Promise<ServiceObservation>
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
  /** Monotonic: what it was made from is too old then, though nothing has changed. */
  readonly staleAtMs: number
}

export function createObserver(
  host: Host,
  issuers: LocalIssuers,
  registry: Registry = REGISTRY,
  answers: ProgramAnswers = createAnswers(),
): Observer {
  const kept = new Map<string, Kept>()
  const upstreams = createUpstreamWatch(host)

  async function observe(tls: ServiceTls): Promise<ServiceObservation> {
    const last = kept.get(tls.service)
    const changed = last === undefined ? 'unit' : await whatChanged(host, last, tls)
    if (last !== undefined && changed === 'nothing') {
      const observation = await withServed(last.observation)
      if (observation.kind === 'observed' && isServedAsKept(observation)) return observation
    }
    kept.delete(tls.service)
    // A file that somebody has changed says nothing new about the process and its unit.
    const unit = changed === 'files' ? last?.observation.unit : undefined
    const fresh = await observeAfresh({ host, issuers, answers, registry }, tls, unit)
    if (fresh.observation.kind === 'not-installed') return fresh.observation
    kept.set(tls.service, { tls: JSON.stringify(tls), ...fresh, observation: fresh.observation })
    return withServed(fresh.observation)
  }

  async function withServed(
    observation: Extract<ServiceObservation, { kind: 'observed' }>,
  ): Promise<ServiceObservation> {
    const { tls, compilation, node } = observation
    if (compilation.kind !== 'compiled' || node === undefined) return observation
    const { compiled } = compilation
    const { credentials } = issuers
    const served = await serveListeners({ host, tls, compiled, facts: node, credentials })
    const upstreamNotices = await upstreams.look(tls.service, compiled.upstreams)
    return { ...observation, node: { ...node, served, upstreamNotices } }
  }

  return {
    observe,
    watched: () => [...new Set([...kept.values()].flatMap(one => [...one.versions.keys()]))],
    forget(service) {
      kept.delete(service)
    },
  }
}

function isServedAsKept(observation: Extract<ServiceObservation, { kind: 'observed' }>): boolean {
  return observation.node?.served.every(speaksAsWanted) === true
}

type Changed = 'nothing' | 'files' | 'unit'

/** What moved since the last observation; `unit` where that cannot be ruled out. */
async function whatChanged(host: Host, last: Kept, tls: ServiceTls): Promise<Changed> {
  const { unit } = last.observation
  const isSettled = unit.activeState === 'active' && !unit.busy
  if (last.invocation === undefined || !isSettled) return 'unit'
  if ((await host.services.peekInvocation(unit.unit)) !== last.invocation) return 'unit'
  const isFresh = host.clock.monotonic() < last.staleAtMs
  let changed: Changed = isFresh && last.tls === JSON.stringify(tls) ? 'nothing' : 'files'
  const versions = await host.files.versions([...last.versions.keys()])
  for (const [path, version] of last.versions) {
    if (versions.get(path) === version) continue
    if (path === unit.fragmentPath || unit.dropInPaths.includes(path)) return 'unit'
    changed = 'files'
  }
  return changed
}

interface ObserveTools {
  readonly host: Host
  readonly issuers: LocalIssuers
  readonly answers: ProgramAnswers
  readonly registry: Registry
}

async function observeAfresh(
  { host, issuers, answers, registry }: ObserveTools,
  tls: ServiceTls,
  known: UnitState | undefined,
) {
  const unit = known ?? (await findUnit(host, registry.unitsOf(tls.service)))
  if (unit === undefined)
    return {
      observation: { kind: 'not-installed', tls } as const,
      invocation: undefined,
      versions: new Map(),
      staleAtMs: 0,
    }
  // Versions are taken before anything is read, so that a change in between makes it stale.
  const versions = new Map<string, string>()
  const running = await host.services.peekInvocation(unit.unit)
  // Started anew since it was shown: what is known of the unit is about another process.
  const invocation = running === unit.invocationId ? running : undefined
  const note = async (path: string) => {
    if (versions.has(path)) return
    for (const [at, version] of await host.files.versions([path])) versions.set(at, version)
  }
  for (const path of [unit.fragmentPath, ...unit.dropInPaths])
    if (path !== undefined) await note(path)
  const sight = await see({ host, unit, note, answers, registry }, tls)
  const compilation = registry.compile(tls, sight.seen, { servicePath: host.servicePath })
  const node =
    compilation.kind === 'compiled'
      ? await observeNode({
          host,
          issuers,
          tls,
          unit,
          compiled: compilation.compiled,
          sight,
          note,
        })
      : undefined
  return {
    observation: { kind: 'observed', tls, unit, compilation, node } as const,
    invocation,
    versions,
    staleAtMs: sight.staleAtMs,
  }
}

async function findUnit(host: Host, names: readonly string[]): Promise<UnitState | undefined> {
  for (const name of names) {
    const unit = await host.services.show(name)
    if (unit !== undefined) return unit
  }
  return undefined
}

interface NodeQuestion {
  readonly host: Host
  readonly issuers: LocalIssuers
  readonly tls: ServiceTls
  readonly unit: UnitState
  readonly compiled: Compiled
  readonly sight: Sight
  readonly note: Note
}

async function observeNode(question: NodeQuestion): Promise<NodeFacts> {
  const { host, issuers, tls, unit, compiled, note } = question
  const { directory, trustFile, bundleMode, store } = compiled.material
  const certified = certifiedTls(tls, compiled)
  const keystores = await observeKeystores(question)
  const issuerTrust =
    certified === undefined ? [] : await observeLocalTrust(host, issuers, certified, note)
  if (store !== undefined) await note(storePasswordPath(directory))
  const storePassword =
    certified === undefined || store === undefined
      ? undefined
      : await observeStorePassword(host.files, directory, store, keystores[store.adopt.keystore])
  const trust = authoritiesOf(tls, issuerTrust)
  const material = await observeMaterial(host.files, directory, {
    isBundleWanted: bundleMode !== undefined,
    store:
      store === undefined
        ? undefined
        : { password: storePassword?.password, trust, carried: store.carry?.alias },
  })
  for (const path of materialPaths(directory, material)) await note(path)
  const files = await observeFiles(question, certified === undefined ? [] : [trustFile])
  const current = material.releases.find(release => release.id === material.current)
  return {
    owner: await ownerOf(host, unit),
    material,
    files,
    missingDirectories: await missingDirectories(question, files),
    keystores,
    storePassword,
    issuerTrust,
    source:
      certified === undefined ? undefined : await observeSource(host, issuers, certified, note),
    served: [],
    upstreamNotices: [],
    isOffline: host.isOffline,
    // Stores of secrets are left out: products write to their own when they start.
    inputsChangedAtMs: Math.max(
      0,
      ...Object.values(files).map(file => (file.kind === 'text' ? file.stat.changedAtMs : 0)),
      certified === undefined ? 0 : (current?.stats.chain.changedAtMs ?? 0),
    ),
  }
}

async function observeFiles(
  { host, compiled, sight, note }: NodeQuestion,
  more: readonly string[],
): Promise<Readonly<Record<string, TextFile>>> {
  const files: Record<string, TextFile> = {}
  for (const path of [...more, ...compiled.files.map(file => file.path)]) {
    await note(path)
    files[path] = sight.files.get(path) ?? (await observeTextFile(host.files, path))
  }
  return files
}

/** Those that entries are wanted in, and the one whose password is taken over. */
async function observeKeystores({
  host,
  compiled,
  sight,
  note,
}: NodeQuestion): Promise<Readonly<Record<string, KeystoreFile>>> {
  const keystores: Record<string, KeystoreFile> = {}
  for (const intent of compiled.keystores) {
    for (const path of [intent.path, intent.passphraseFile])
      if (path !== undefined) await note(path)
    keystores[intent.path] =
      sight.keystores.get(intent.path) ?? (await observeKeystore(host.files, intent))
  }
  const adopted = compiled.material.store?.adopt.keystore
  const seen = adopted === undefined ? undefined : sight.keystores.get(adopted)
  if (adopted !== undefined && seen !== undefined) keystores[adopted] ??= seen
  return keystores
}

/** Parents first. The directories of the material are planned on their own. */
async function missingDirectories(
  { host, compiled, note }: NodeQuestion,
  files: Readonly<Record<string, TextFile>>,
): Promise<readonly string[]> {
  const missing = new Set<string>()
  for (const { path, createMode, ...intent } of compiled.files) {
    const isRemoved = intent.kind === 'content' && intent.text === undefined
    if (files[path]?.kind !== 'missing' || createMode === undefined || isRemoved) continue
    for (let at = dirname(path); at !== '/' && !missing.has(at); at = dirname(at)) {
      if ((await host.files.statFollowed(at)) !== undefined) break
      await note(at)
      missing.add(at)
    }
  }
  return [...missing].toSorted()
}

async function ownerOf(host: Host, unit: UnitState) {
  const user = await host.accounts.user(unit.user === '' ? 'root' : unit.user)
  if (user === undefined) return undefined
  const gid = unit.group === '' ? user.gid : await host.accounts.group(unit.group)
  return gid === undefined ? undefined : { uid: user.uid, gid }
}
