// What drivers ask to see: files, directories, stores of secrets, outputs of commands. Asked again
// until they want nothing new.

import { unreachable } from '../shared/assert.ts'
import type { ServiceTls } from '../shared/contract/service.ts'
import { describeError } from '../shared/errors.ts'
import type { Host, UnitState } from './host.ts'
import type { ProgramAnswer, ProgramAnswers } from './program-answers.ts'
import { type KeystoreFile, observeKeystore } from './resources/keystore-file.ts'
import { type TextFile, observeTextFile } from './resources/text-file.ts'
import type { Registry } from './services/registry.ts'
import type { Input, Seen, SeenCommand, SeenFile } from './services/service.ts'

/** Takes down the version of a path, so that a change of it makes the observation stale. */
export type Note = (path: string) => Promise<void>

export interface Sight {
  readonly seen: Seen
  readonly files: ReadonlyMap<string, TextFile>
  readonly keystores: ReadonlyMap<string, KeystoreFile>
  /** Monotonic: when something of it is too old to be believed, were nothing to change. */
  readonly staleAtMs: number
}

export interface SeeTools {
  readonly host: Host
  readonly unit: UnitState
  readonly note: Note
  readonly answers: ProgramAnswers
  readonly registry: Registry
}

// A driver asks for more as it sees more; a chain of more rounds than this is a bug of the driver.
const ROUNDS_MAX = 8

export async function see(tools: SeeTools, tls: ServiceTls): Promise<Sight> {
  const { host, unit, note, registry } = tools
  const files = new Map<string, TextFile>()
  // For as long as the driver looks: what it makes of them is forgotten with them.
  const texts = new Map<string, SeenFile>()
  const directories = new Map<string, readonly string[]>()
  const keystores = new Map<string, KeystoreFile>()
  const commands = new Map<string, SeenCommand>()
  let staleAtMs = Number.POSITIVE_INFINITY
  const seen: Seen = {
    unit,
    file: path => texts.get(path) ?? files.get(path),
    directory: path => directories.get(path),
    keystore: path => keystores.get(path)?.seen,
    command: argv => commands.get(argv.join('\0')),
  }
  const isKnown = (input: Input): boolean => {
    switch (input.kind) {
      case 'file':
        return files.has(input.path)
      case 'directory':
        return directories.has(input.path)
      case 'keystore':
        return keystores.has(input.path)
      case 'command':
        return commands.has(input.argv.join('\0'))
      default:
        return unreachable(input)
    }
  }
  for (let round = 0; round < ROUNDS_MAX; round++) {
    const fresh = registry
      .inputs(tls, seen, { servicePath: host.servicePath })
      .filter(input => !isKnown(input))
    if (fresh.length === 0) break
    for (const input of fresh) {
      if (input.kind === 'command') {
        const run = await runCommand(tools, input)
        commands.set(input.argv.join('\0'), run.seen)
        staleAtMs = Math.min(staleAtMs, run.staleAtMs)
        continue
      }
      await note(input.path)
      if (input.kind === 'file') {
        const file = await observeTextFile(host.files, input.path)
        files.set(input.path, file)
        if (file.kind === 'text') texts.set(input.path, { kind: 'text', text: file.text })
      } else if (input.kind === 'directory')
        directories.set(input.path, await host.files.list(input.path))
      else keystores.set(input.path, await noteKeystore(tools, input))
    }
  }
  return { seen, files, keystores, staleAtMs }
}

async function noteKeystore(
  { host, note }: SeeTools,
  input: Extract<Input, { kind: 'keystore' }>,
): Promise<KeystoreFile> {
  if (input.passphraseFile !== undefined) await note(input.passphraseFile)
  return observeKeystore(host.files, input)
}

async function runCommand(
  { host, unit, note, answers }: SeeTools,
  input: Extract<Input, { kind: 'command' }>,
): Promise<ProgramAnswer> {
  const dependencies = [input.argv[0] ?? '', ...input.dependsOn]
  const versions: string[] = [
    unit.environment === undefined ? '' : JSON.stringify(unit.environment),
  ]
  for (const path of dependencies) await note(path)
  versions.push(...(await host.files.versions(dependencies)).values())
  const question = {
    argv: input.argv,
    versions: versions.join('\0'),
    invocationId: unit.invocationId,
    nowMs: host.clock.monotonic(),
  }
  const known = answers.recall(question)
  if (known !== undefined) return known
  const seen = await runOnce(host, unit, input)
  const staleAtMs = host.clock.monotonic() + (input.maxAgeMs ?? Number.POSITIVE_INFINITY)
  answers.keep(question, { seen, staleAtMs })
  return { seen, staleAtMs }
}

async function runOnce(
  host: Host,
  unit: UnitState,
  input: Extract<Input, { kind: 'command' }>,
): Promise<SeenCommand> {
  try {
    const options = {
      timeoutMs: input.timeoutMs ?? COMMAND_TIMEOUT_MS,
      ...(input.asService ? { asServiceOf: unit } : {}),
    }
    return { kind: 'ran', ...(await host.commands.run(input.argv, options)) }
  } catch (error) {
    return { kind: 'failed', reason: { code: 'command-failed', message: describeError(error) } }
  }
}

// `--version` and the like; systemd-run included.
const COMMAND_TIMEOUT_MS = 20_000
