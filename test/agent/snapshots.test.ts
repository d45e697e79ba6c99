// Before a service is stopped with those of other nodes it is saved: by a program of the node's operator
// while it runs, and by a copy while it is stopped. What cannot be saved is not stopped.

import t from 'tap'
import type { CommandOptions } from '../../agent/host.ts'
import type { ReconcilerOptions } from '../../agent/reconciler.ts'
import type { AskAct, SectionPermit } from '../../agent/section.ts'
import { type Registry, REGISTRY } from '../../agent/services/registry.ts'
import type { SnapshotPolicy } from '../../agent/snapshot-policy.ts'
import type { ServiceName } from '../../shared/contract/service.ts'
import { sha256 } from '../../shared/digest.ts'
import { OperationalError } from '../../shared/errors.ts'
import { silentLog } from '../../shared/log.ts'
import {
  inputFor,
  type MemoryNode,
  newAgent,
  newNode,
  STATE,
  untilCut,
  wish,
} from '../support/memory-fleet.ts'

const CONF = '/etc/influxdb/influxdb.conf'
const DATA = '/var/lib/influxdb/meta'
const PROGRAM = '/usr/local/sbin/save'
const KEPT = `${STATE}/snapshots/influxdb`
const COORDINATED = { code: 'coordinated-change', message: 'all of them at once' }

/** The database stands for one of which the agent knows what to copy. */
function registryWith(directories: readonly string[] | undefined): Registry {
  return {
    ...REGISTRY,
    compile(tls, seen, context) {
      const compilation = REGISTRY.compile(tls, seen, context)
      if (compilation.kind === 'unsupported' || tls.service !== 'influxdb') return compilation
      const { compiled } = compilation
      const isOn = compiled.files.length === 0
      const more = directories === undefined ? {} : { snapshot: { directories } }
      const cutting = isOn ? {} : { coordinated: COORDINATED }
      return { kind: 'compiled', compiled: { ...compiled, ...more, ...cutting } }
    },
  }
}

const services = await wish({ services: ['influxdb'] })
const permit = (generation: number): SectionPermit => ({ generation, digest: sha256('document') })
const together = (generation = 7) =>
  new Map<ServiceName, SectionPermit>([['influxdb', permit(generation)]])

interface Parts {
  readonly policy?: Partial<SnapshotPolicy>
  readonly directories?: readonly string[] | undefined
  readonly program?: (
    options: CommandOptions,
    argv: readonly string[],
  ) => { code: number; stderr?: string }
  readonly askAct?: AskAct
  readonly freeBytes?: () => number
}

function nodeWithData(): MemoryNode {
  const node = newNode()
  node.files.put(`${DATA}/raft.db`, 'raft', { mode: 0o600, uid: 998, gid: 997 })
  node.files.put(`${DATA}/snapshots/1/state.bin`, 'state', { mode: 0o640, uid: 998, gid: 997 })
  node.files.put(PROGRAM, 'it', { mode: 0o755 })
  return node
}

/** What happened, in order, beside what the node itself notes. */
async function agentOn(node: MemoryNode, parts: Parts = {}) {
  const happened: string[] = []
  const logged: Record<string, unknown>[] = []
  const { policy, freeBytes, program = () => ({ code: 0 }) } = parts
  const directories = 'directories' in parts ? parts.directories : [DATA]
  const note = (what: string) => happened.push(`${what}, ${node.unit('influxdb').state}`)
  const host: ReconcilerOptions['host'] = {
    ...node.host,
    files: { ...node.host.files, freeBytes: async () => freeBytes?.() },
    commands: {
      async run(argv, options) {
        if (argv[0] !== PROGRAM) return node.host.commands.run(argv, options)
        note('program')
        return { stdout: '', stderr: '', ...program(options, argv) }
      },
    },
  }
  const askAct: AskAct = async (sectionPermit, act) => {
    note(act)
    return parts.askAct?.(sectionPermit, act)
  }
  const policies =
    policy === undefined
      ? {}
      : { influxdb: { command: undefined, timeoutMs: 60_000, isCopied: true, ...policy } }
  const info = (fields: Readonly<Record<string, unknown>> | string, message?: string) => {
    if (message === 'snapshot taken' && typeof fields !== 'string') logged.push(fields)
  }
  const agent = await newAgent(node, {
    registry: registryWith(directories),
    host,
    askAct,
    snapshots: { policies, node: () => 'n1' },
    log: { ...silentLog, info },
  })
  const pass = async (generation?: number) =>
    (await agent.pass(inputFor(services, { together: together(generation) })))[0]
  return { agent, happened, logged, pass }
}

const copies = async (node: MemoryNode) => node.files.list(KEPT)

await t.test('a program saves it while it runs, before it is asked for the stop', async t => {
  const node = nodeWithData()
  const told: (CommandOptions & { readonly argv: readonly string[] })[] = []
  const { pass, happened, logged } = await agentOn(node, {
    policy: { command: [PROGRAM, 'arg'], timeoutMs: 5_000 },
    directories: undefined,
    program: (options, argv) => {
      told.push({ ...options, argv })
      return { code: 0 }
    },
  })

  t.match(await pass(), { outcome: 'changed' })

  t.strictSame(happened, ['program, active', 'stop, active', 'switch, inactive', 'start, inactive'])
  t.equal(told.length, 1)
  t.match(told[0], {
    argv: [PROGRAM, 'arg'],
    timeoutMs: 5_000,
    unit: 'tlsfleet-snapshot-influxdb.service',
    environment: { TLSFLEET_SERVICE: 'influxdb', TLSFLEET_NODE: 'n1', TLSFLEET_GENERATION: '7' },
  })
  t.match(logged, [{ service: 'influxdb', command: [PROGRAM, 'arg'], tookMs: Number }])
  t.strictSame(await copies(node), [])
})

const FAILURES = {
  'ends with an error': [() => ({ code: 3, stderr: 'no space\n' }), /exit 3: no space/],
  'does not end': [
    () => {
      const details = { stderr: 'half of it' }
      throw new OperationalError('command-timeout', 'late', { details })
    },
    /did not end within 1m: half of it/,
  ],
  'cannot be started': [
    () => {
      throw new OperationalError('command-failed-to-start', 'no memory')
    },
    /no memory/,
  ],
} as const

for (const [what, [program, message]] of Object.entries(FAILURES))
  await t.test(`a program that ${what}: nothing is stopped, nothing has changed`, async t => {
    const node = nodeWithData()
    const before = node.files.text(CONF)
    const { pass, happened } = await agentOn(node, { policy: { command: [PROGRAM] }, program })

    const report = await pass()

    t.match(report, { outcome: 'restored', reason: { code: 'snapshot-failed', message } })
    t.strictSame(happened, ['program, active'])
    t.strictSame(node.activations, [])
    t.equal(node.files.text(CONF), before)
    t.strictSame(await copies(node), [])
  })

await t.test(
  'a program that others could replace is refused before anything is claimed',
  async t => {
    for (const [owner, why] of [
      [{ mode: 0o775 }, /can be written by others/],
      [{ mode: 0o755, uid: 1000 }, /belongs to user id 1000/],
      [{ mode: 0o644 }, /is no program/],
    ] as const) {
      const node = nodeWithData()
      node.files.put(PROGRAM, 'it', owner)
      const { pass, happened } = await agentOn(node, { policy: { command: [PROGRAM] } })
      t.match(await pass(), {
        outcome: 'failed',
        reason: { code: 'snapshot-program-unusable', message: why },
      })
      t.strictSame(happened, [])
      t.strictSame(node.activations, [])
    }
  },
)

await t.test('the agent copies what it knows while the service is stopped', async t => {
  const node = nodeWithData()
  const { pass, happened, logged } = await agentOn(node)

  t.match(await pass(), { outcome: 'changed' })

  t.strictSame(happened, ['stop, active', 'switch, inactive', 'start, inactive'])
  const [name = ''] = await copies(node)
  t.match(name, /^20261122T\d{6}Z-7$/)
  const root = `${KEPT}/${name}`
  t.match(logged, [{ service: 'influxdb', path: root, tookMs: Number }])
  t.equal(node.files.text(`${root}/files${DATA}/raft.db`), 'raft')
  t.equal(node.files.text(`${root}/files${DATA}/snapshots/1/state.bin`), 'state')
  t.match(await node.files.stat(`${root}/files${DATA}/snapshots/1/state.bin`), {
    mode: 0o640,
    uid: 0,
  })
  for (const path of [`${STATE}/snapshots`, KEPT, root])
    t.match(await node.files.stat(path), { kind: 'directory', mode: 0o700, uid: 0 }, path)
  t.match(JSON.parse(node.files.text(`${root}/manifest.json`) ?? ''), {
    version: 1,
    service: 'influxdb',
    node: 'n1',
    generation: 7,
    directories: [
      {
        path: DATA,
        entries: [
          { path: '.', kind: 'directory' },
          { path: 'raft.db', kind: 'file', mode: '0600', uid: 998, gid: 997, bytes: 4 },
          { path: 'snapshots' },
          { path: 'snapshots/1' },
          { path: 'snapshots/1/state.bin', mode: '0640', uid: 998, gid: 997, bytes: 5 },
        ],
      },
    ],
  })
})

await t.test('with a program the copy is made as well, unless the node says no', async t => {
  for (const [isCopied, count] of [
    [true, 1],
    [false, 0],
  ] as const) {
    const node = nodeWithData()
    const { pass } = await agentOn(node, { policy: { command: [PROGRAM], isCopied } })
    t.match(await pass(), { outcome: 'changed' })
    t.equal((await copies(node)).length, count)
  }
})

await t.test(
  'a service that its operator has stopped is prepared, whatever there is of it',
  async t => {
    const node = newNode()
    node.stop('influxdb')
    const { pass } = await agentOn(node)
    t.match(await pass(), { outcome: 'waiting', reason: { code: 'inactive' } })
  },
)

await t.test(
  'without room for the copy nothing is begun, and nobody is kept from waiting',
  async t => {
    const node = nodeWithData()
    const { pass, happened } = await agentOn(node, { freeBytes: () => 4_500_000 })

    t.match(await pass(), {
      outcome: 'waiting',
      reason: { code: 'disk-full', message: /5120 KiB left, which its snapshot needs/ },
    })

    t.strictSame(happened, [])
  },
)

await t.test('where the room has gone since it was claimed, nothing is stopped', async t => {
  const node = nodeWithData()
  const small = 4_500_000
  const sizes = [100 * small]
  const { agent, happened } = await agentOn(node, { freeBytes: () => sizes.at(-1) ?? small })
  const claim = async () => void sizes.push(small)

  const [report] = await agent.pass(inputFor(services, { together: together(), claim }))

  t.match(report, {
    outcome: 'restored',
    reason: { code: 'disk-full', message: /could not copy influxdb: .* less than 5120 KiB left/ },
  })
  t.strictSame(happened, [])
  t.strictSame(node.activations, [])
})

await t.test('a symlink out of the tree is not followed, and nothing is begun', async t => {
  const node = nodeWithData()
  node.files.put('/var/lib/other/wal', 'x')
  await node.files.switchLink(`${DATA}/wal`, '../../other/wal')
  const { pass, happened } = await agentOn(node)

  t.match(await pass(), {
    outcome: 'failed',
    reason: {
      code: 'snapshot-failed',
      message: /wal in it is a symlink to ..\/..\/other\/wal/,
    },
  })

  t.strictSame(happened, [])
})

await t.test('a copy that fails has the service started again with what was there', async t => {
  const node = nodeWithData()
  const before = node.files.text(CONF)
  node.fault = (operation, path) => {
    if (operation === 'create' && path.endsWith('raft.db'))
      throw new OperationalError('write-failed', 'the disk is broken')
  }
  const { pass, happened } = await agentOn(node)

  const report = await pass()

  t.match(report, {
    outcome: 'restored',
    reason: {
      code: 'snapshot-failed',
      message: /could not copy .*meta of influxdb: the disk is broken/,
    },
  })
  t.strictSame(happened, ['stop, active'])
  t.strictSame(node.activations, ['stop influxdb.service', 'restart influxdb.service'])
  t.equal(node.files.text(CONF), before)
  t.strictSame(await copies(node), [], 'half a copy does not count')
})

await t.test(
  'killed anywhere, it has one whole copy in the end, and the program ran before',
  async t => {
    const parts = { policy: { command: [PROGRAM] } } as const
    const whole = nodeWithData()
    const { pass } = await agentOn(whole, parts)
    const begun = whole.changes()
    await pass()
    const total = whole.changes() - begun
    t.ok(total > 20, `${total} changes`)
    let runsAgain = 0
    for (let cut = 0; cut < total; cut++) {
      const node = nodeWithData()
      const first = await agentOn(node, parts)
      node.cutAfter(cut)
      t.ok(await untilCut(() => first.pass()), `cut ${cut}`)
      node.cutAfter(undefined)
      const next = await agentOn(node, parts)

      await next.agent.resume(services)
      const report = await next.pass()

      t.match(report?.outcome, /^(changed|in-sync)$/, `cut ${cut}`)
      const names = await copies(node)
      t.equal(names.length, 1, `cut ${cut}: ${names.join()}`)
      t.equal(node.files.text(`${KEPT}/${names[0]}/files${DATA}/raft.db`), 'raft')
      t.ok(node.files.text(`${KEPT}/${names[0]}/manifest.json`))
      const happened = [...first.happened, ...next.happened]
      t.ok(happened.indexOf('program, active') < happened.indexOf('stop, active'), `cut ${cut}`)
      if (happened.filter(one => one.startsWith('program')).length > 1) runsAgain++
    }
    t.ok(runsAgain <= 2, `run again only where it was not noted: ${runsAgain}`)
  },
)

await t.test(
  'where nothing saves a service that is stopped as a whole, the plan says so',
  async t => {
    const notices = async (parts: Parts) => {
      const { agent } = await agentOn(nodeWithData(), parts)
      const [report] = await agent.plan(services)
      return report?.notices.map(({ code }) => code).filter(code => code.startsWith('snapshot'))
    }

    t.strictSame(await notices({ directories: undefined }), ['snapshot-none'])
    t.strictSame(await notices({ policy: { isCopied: false } }), ['snapshot-none'])
    t.strictSame(await notices({}), [])
    t.strictSame(await notices({ directories: undefined, policy: { command: [PROGRAM] } }), [])
  },
)
