// A node of paper for drivers: files and outputs of commands in memory. What a driver asks for is
// looked up here, and what it compiles can be applied as the agent would.

import { assert, unreachable } from '../../../shared/assert.ts'
import type { UnitState } from '../../../agent/host.ts'
import { renderFile } from '../../../agent/resources/managed-file.ts'
import { compileService, wantedInputs } from '../../../agent/services/registry.ts'
import type {
  Compilation,
  Compiled,
  DriverContext,
  Input,
  Seen,
  SeenCommand,
  SeenFile,
  SeenKeystore,
} from '../../../agent/services/service.ts'
import {
  type ServiceName,
  ServiceTls,
  type ServiceTlsOf,
} from '../../../shared/contract/service.ts'
import type { Secret } from '../../../shared/secret.ts'

export interface FakeNode {
  readonly unit: UnitState
  readonly files: Readonly<Record<string, string | SeenFile>>
  /** Output by command line. */
  readonly commands: Readonly<Record<string, string | SeenCommand>>
  /** Entries of stores of secrets, by path. */
  readonly keystores?: Readonly<Record<string, ReadonlyMap<string, Secret> | SeenKeystore>>
}

export const RELEASE = '0123abcd'
export const SAME: DriverContext = { servicePath: path => path }
export const CA = '-----BEGIN CERTIFICATE-----\nca\n-----END CERTIFICATE-----\n'

// A driver that asks for ever, each time for more, is a bug.
const ROUNDS_MAX = 6

/** Everything that the driver of `tls` asks for, until it asks for nothing new. */
export function look(
  tls: ServiceTls,
  node: FakeNode,
  context: DriverContext = SAME,
): { readonly seen: Seen; readonly inputs: readonly Input[]; readonly rounds: number } {
  const files = new Map<string, SeenFile>()
  const commands = new Map<string, SeenCommand>()
  const directories = new Map<string, readonly string[]>()
  const keystores = new Map<string, SeenKeystore>()
  const seen: Seen = {
    unit: node.unit,
    file: path => files.get(path),
    command: argv => commands.get(argv.join(' ')),
    directory: path => directories.get(path),
    keystore: path => keystores.get(path),
  }
  const known = () => files.size + commands.size + directories.size + keystores.size
  for (let rounds = 1; rounds <= ROUNDS_MAX; rounds++) {
    const inputs = wantedInputs(tls, seen, context)
    const before = known()
    for (const input of inputs) {
      switch (input.kind) {
        case 'file':
          files.set(input.path, fileOn(node, input.path))
          break
        case 'directory':
          directories.set(input.path, namesIn(node, input.path))
          break
        case 'keystore':
          keystores.set(input.path, keystoreOn(node, input.path))
          break
        case 'command':
          commands.set(input.argv.join(' '), commandOn(node, input.argv.join(' ')))
          break
        default:
          return unreachable(input)
      }
    }
    if (known() === before) return { seen, inputs, rounds }
  }
  throw new Error(`no end of inputs after ${ROUNDS_MAX} rounds`)
}

export function compileOn(
  tls: ServiceTls,
  node: FakeNode,
  context: DriverContext = SAME,
): Compilation {
  return compileService(tls, look(tls, node, context).seen, context)
}

export function compiledOn(
  tls: ServiceTls,
  node: FakeNode,
  context: DriverContext = SAME,
): Compiled {
  const compilation = compileOn(tls, node, context)
  assert(compilation.kind === 'compiled', `not compiled: ${JSON.stringify(compilation)}`)
  return compilation.compiled
}

/** The reason code of a compilation that is unsupported, or `compiled`. */
export function verdict(tls: ServiceTls, node: FakeNode, context: DriverContext = SAME): string {
  const compilation = compileOn(tls, node, context)
  return compilation.kind === 'compiled' ? 'compiled' : compilation.reason.code
}

/** The node after the files were edited. */
export function applied(node: FakeNode, compiled: Compiled, release: string = RELEASE): FakeNode {
  const files: Record<string, string | SeenFile> = { ...node.files }
  for (const intent of compiled.files) {
    const before = fileOn(node, intent.path)
    const result = renderFile(intent, before.kind === 'text' ? before.text : undefined, release)
    assert(result.kind === 'rendered', `${intent.path} refused: ${JSON.stringify(result)}`)
    if (intent.kind === 'content' && intent.text === undefined) delete files[intent.path]
    else files[intent.path] = result.text
  }
  return { ...node, files }
}

export function textOf(node: FakeNode, path: string): string {
  const file = fileOn(node, path)
  assert(file.kind === 'text', `no text at ${path}`)
  return file.text
}

/** Lines of `after` that are not in `before`, and those that are gone. */
export function lineChanges(before: string, after: string): readonly string[] {
  const old = before.split('\n')
  const now = after.split('\n')
  return [
    ...old.filter(line => !now.includes(line)).map(line => `- ${line}`),
    ...now.filter(line => !old.includes(line)).map(line => `+ ${line}`),
  ]
}

export function codes(reasons: readonly { readonly code: string }[]): readonly string[] {
  return reasons.map(reason => reason.code)
}

export function fakeUnit(unit: Partial<UnitState>): UnitState {
  return {
    unit: 'some.service',
    loaded: true,
    activeState: 'active',
    subState: 'running',
    result: 'success',
    restarts: 0,
    invocationId: 'a'.repeat(32),
    mainPid: 100,
    startedAtMs: 2_000_000_000_000,
    busy: false,
    user: 'some',
    group: 'some',
    type: 'simple',
    canReload: false,
    needsDaemonReload: false,
    execStart: [],
    environment: {},
    environmentFiles: [],
    fragmentPath: '/usr/lib/systemd/system/some.service',
    dropInPaths: [],
    ...unit,
  }
}

const SERVER = {
  certificate: {
    issuer: 'internal',
    names: { dns: ['m1.example.com', 'localhost'], ip: ['10.0.0.7', '127.0.0.1'] },
    key: 'ec-p256',
    lifetimeMs: 30 * 86_400_000,
    renewBeforeMs: 10 * 86_400_000,
  },
  trust: [CA],
}

/** An intent with the defaults of the contract; `changes` over them. Products with a listener only. */
export function serverTls<S extends ServiceName>(
  service: S,
  changes: Partial<ServiceTlsOf<S>> = {},
): ServiceTlsOf<S> {
  return { ...ofService(service, ServiceTls.parse({ service, ...SERVER })), ...changes }
}

/** The same for products that are only clients. */
export function clientTls<S extends ServiceName>(
  service: S,
  changes: Partial<ServiceTlsOf<S>> = {},
): ServiceTlsOf<S> {
  return { ...ofService(service, ServiceTls.parse({ service })), ...changes }
}

function ofService<S extends ServiceName>(service: S, tls: ServiceTls): ServiceTlsOf<S> {
  assert(isOf(service, tls), `the intent is for ${service}`)
  return tls
}

function isOf<S extends ServiceName>(service: S, tls: ServiceTls): tls is ServiceTlsOf<S> {
  return tls.service === service
}

export function prometheusTls(
  tls: Partial<ServiceTlsOf<'prometheus'>> = {},
): ServiceTlsOf<'prometheus'> {
  return serverTls('prometheus', tls)
}

export function influxdbTls(
  tls: Partial<Omit<ServiceTlsOf<'influxdb'>, 'options'>> & {
    readonly options?: Partial<ServiceTlsOf<'influxdb'>['options']>
  } = {},
): ServiceTlsOf<'influxdb'> {
  const { options, ...rest } = tls
  const standard = serverTls('influxdb')
  return { ...standard, ...rest, options: { ...standard.options, ...options } }
}

function namesIn(node: FakeNode, path: string): readonly string[] {
  const names = Object.keys(node.files)
    .filter(file => file.startsWith(`${path}/`))
    .map(file => file.slice(path.length + 1).split('/')[0] ?? '')
  return [...new Set(names)].toSorted()
}

function keystoreOn(node: FakeNode, path: string): SeenKeystore {
  const keystore = node.keystores?.[path]
  if (keystore === undefined) return { kind: 'missing' }
  return keystore instanceof Map ? { kind: 'opened', entries: keystore } : asSeen(keystore)
}

function asSeen(keystore: ReadonlyMap<string, Secret> | SeenKeystore): SeenKeystore {
  return 'kind' in keystore ? keystore : { kind: 'opened', entries: keystore }
}

function fileOn(node: FakeNode, path: string): SeenFile {
  const file = node.files[path]
  if (file === undefined) return { kind: 'missing' }
  return typeof file === 'string' ? { kind: 'text', text: file } : file
}

function commandOn(node: FakeNode, line: string): SeenCommand {
  const command = node.commands[line]
  if (command === undefined)
    return { kind: 'failed', reason: { code: 'command-missing', message: `no ${line}` } }
  return typeof command === 'string'
    ? { kind: 'ran', code: 0, stdout: command, stderr: '' }
    : command
}
