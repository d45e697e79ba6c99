// The program that saves a service may run for long: the agent lives meanwhile, ends it when it is stopped
// itself, and has it run again when it was killed before that was noted.

import t from 'tap'
import type { CommandOptions, CommandResult } from '../../agent/host.ts'
import type { SnapshotPolicy } from '../../agent/snapshot-policy.ts'
import { sealDesiredState } from '../../shared/contract/desired-state.ts'
import { OperationalError } from '../../shared/errors.ts'
import { CONF, scene, seen, services, TLS, turns } from '../support/agent-scene.ts'
import { documentOf } from '../support/fake-controller.ts'
import { startAgent } from '../support/memory-agent.ts'
import { newNode } from '../support/memory-fleet.ts'

const PROGRAM = '/usr/local/sbin/save'
const DONE: CommandResult = { code: 0, stdout: '', stderr: '' }

/** The program ends when the test says so. */
async function saving(t: Parameters<typeof scene>[0]) {
  const node = newNode()
  node.files.put(PROGRAM, 'it', { mode: 0o755 })
  const runs: {
    readonly options: CommandOptions
    readonly end: (result: CommandResult) => void
  }[] = []
  const run = (argv: readonly string[], options: CommandOptions) => {
    if (argv[0] !== PROGRAM) return node.host.commands.run(argv, options)
    return new Promise<CommandResult>((resolve, reject) => {
      runs.push({ options, end: resolve })
      const stop = () => reject(new OperationalError('interrupted', 'interrupted'))
      options.signal?.addEventListener('abort', stop, { once: true })
    })
  }
  const policy: SnapshotPolicy = { command: [PROGRAM], timeoutMs: 60_000, isCopied: true }
  const parts = { host: { commands: { run } }, snapshots: { influxdb: policy } }
  const found = await scene(t, parts, node)
  const { controller } = found
  controller.answerLease = async () => ({
    granted: true,
    reason: { code: 'section-reached', message: 'go' },
  })
  const { digest: _, contentDigest: __, ...document } = documentOf({ generation: 1, services })
  const joined = sealDesiredState({ ...document, permit: true, together: 'influxdb' })
  const asked = () => controller.leases.flatMap(({ act }) => act ?? [])
  const untilRun = (count: number) => seen('the program runs', () => runs.length === count)
  return { ...found, runs, joined, asked, untilRun, parts }
}

await t.test(
  'the loop shows that it lives while the program runs, and asks for nothing',
  async t => {
    const { agent, controller, node, runs, joined, asked, untilRun } = await saving(t)
    const done = agent.afterPass(() => controller.offer(joined))
    await untilRun(1)
    const before = agent.heartbeats()

    for (let round = 0; round < 3; round++) {
      agent.advance(5_000)
      await turns()
    }

    t.ok(agent.heartbeats() >= before + 3, `${before} and then ${agent.heartbeats()}`)
    t.strictSame(asked(), [])
    t.equal(node.served('influxdb'), 'plaintext')
    runs[0]?.end(DONE)
    await done
    t.match(node.served('influxdb'), TLS)
  },
)

await t.test('stopped meanwhile, it ends the program and leaves the node as it was', async t => {
  const { agent, controller, node, joined, asked, untilRun } = await saving(t)
  const plain = node.files.text(CONF)
  const done = agent.afterPass(() => controller.offer(joined))
  await untilRun(1)

  await agent.stop()
  await done

  t.equal(node.served('influxdb'), 'plaintext')
  t.equal(node.files.text(CONF), plain)
  t.strictSame(asked(), [])
  t.notOk(node.files.text('/var/lib/tlsfleet/agent/journal.json'))
  t.match(
    agent.control.status().services.find(one => one.service === 'influxdb'),
    { outcome: 'restored', reason: { code: 'stopping' } },
  )
})

await t.test('killed meanwhile, the next process has it run again', async t => {
  const { agent, controller, node, runs, joined, untilRun, parts } = await saving(t)
  void agent.afterPass(() => controller.offer(joined))
  await untilRun(1)

  agent.kill()
  let isReady = false
  const starting = startAgent(node, controller, { ...parts, onReady: () => (isReady = true) })
  await untilRun(2)
  t.ok(isReady, 'its start does not wait for it')
  runs[1]?.end(DONE)
  const next = await starting
  t.teardown(() => next.kill())

  t.match(node.served('influxdb'), TLS)
  t.equal(runs.length, 2)
})
