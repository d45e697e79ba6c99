// A node of paper for drivers: files and outputs of commands in memory. What a driver asks for is
// looked up here, and what it compiles can be applied as the agent would.

import { assert } from '../../../shared/assert.ts'
import type { ServiceTlsOf } from '../../../shared/contract/service.ts'
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
} from '../../../agent/services/service.ts'
import type { ServiceTls } from '../../../shared/contract/service.ts'

export interface FakeNode {
  readonly unit: UnitState
  readonly files: Readonly<Record<string, string | SeenFile>>
  /** Output by command line. */
  readonly commands: Readonly<Record<string, string | SeenCommand>>
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
  const seen: Seen = {
    unit: node.unit,
    file: path => files.get(path),
    command: argv => commands.get(argv.join(' ')),
  }
  for (let rounds = 1; rounds <= ROUNDS_MAX; rounds++) {
    const inputs = wantedInputs(tls, seen, context)
    const known = files.size + commands.size
    for (const input of inputs) {
      if (input.kind === 'file') files.set(input.path, fileOn(node, input.path))
      else commands.set(input.argv.join(' '), commandOn(node, input.argv.join(' ')))
    }
    if (files.size + commands.size === known) return { seen, inputs, rounds }
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
    files[intent.path] = result.text
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

const COMMON: Omit<ServiceTlsOf<'prometheus'>, 'service' | 'options'> = {
  certificate: {
    issuer: 'internal',
    names: { dns: ['m1.example.com', 'localhost'], ip: ['10.0.0.7', '127.0.0.1'] },
    key: 'ec-p256',
    lifetimeMs: 30 * 86_400_000,
    renewBeforeMs: 10 * 86_400_000,
  },
  trust: [CA],
  clientAuth: 'none',
  minVersion: '1.2',
  verify: { stableForMs: 5_000, deadlineMs: 300_000 },
}

export function prometheusTls(
  tls: Partial<ServiceTlsOf<'prometheus'>> = {},
): ServiceTlsOf<'prometheus'> {
  return {
    service: 'prometheus',
    ...COMMON,
    options: { externalUrl: 'manage' },
    ...tls,
  }
}

export function influxdbTls(tls: Partial<ServiceTlsOf<'influxdb'>> = {}): ServiceTlsOf<'influxdb'> {
  return {
    service: 'influxdb',
    ...COMMON,
    options: { meta: 'leave', cluster: 'leave' },
    ...tls,
  }
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
