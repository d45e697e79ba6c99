// What programs say of themselves is asked once, and a new process of the agent knows it.

import t from 'tap'
import type { Host } from '../../agent/host.ts'
import { OperationalError } from '../../shared/errors.ts'
import {
  inputFor,
  type MemoryNode,
  newAgent,
  newNode,
  outcomes,
  STATE,
  wish,
} from '../support/memory-fleet.ts'

const services = await wish()
const FILE = `${STATE}/programs.json`

/** A node whose agent notes which programs it asks for their version. */
function listening(node: MemoryNode, fail: () => boolean = () => false) {
  const asked: string[] = []
  const run: Host['commands']['run'] = async (argv, options) => {
    const isVersion = /^(--)?version$/.test(argv[1] ?? '')
    if (isVersion) asked.push(argv[0] ?? '')
    const outcome = await node.host.commands.run(argv, options)
    return isVersion && fail() ? { ...outcome, code: 1 } : outcome
  }
  const host = { ...node.host, commands: { ...node.host.commands, run } }
  const agent = () => newAgent(node, { host })
  const pass = async () => outcomes(await (await agent()).pass(inputFor(services)))
  /** Programs that a new process asks. */
  const asks = async (work: () => Promise<unknown>) => {
    asked.length = 0
    await work()
    return asked.toSorted()
  }
  const plan = async () => (await agent()).plan(services)
  return { agent, pass, plan, asks }
}

const BOTH = ['/usr/bin/influxd', '/usr/bin/prometheus']

await t.test('a new process asks nothing that has not changed, and writes nothing', async t => {
  const node = newNode()
  const { pass, plan, asks } = listening(node)
  t.same(await asks(pass), BOTH)
  const written = node.files.text(FILE)

  t.same(await asks(plan), [])
  const changes = node.changes()
  t.same(await asks(pass), [])
  t.equal(node.changes(), changes)
  t.equal(node.files.text(FILE), written)

  node.files.put('/usr/bin/prometheus', '/usr/bin/prometheus', { mode: 0o755 })
  t.same(await asks(plan), ['/usr/bin/prometheus'], 'it was replaced')
  t.equal(node.files.text(FILE), written, 'a plan writes nothing')
  t.same(await asks(pass), ['/usr/bin/prometheus'])
  t.same(await asks(pass), [])
})

await t.test('who was started anew is asked anew, by a process that did not see it', async t => {
  const node = newNode()
  const { agent, pass, plan, asks } = listening(node)
  await pass()
  const old = await agent()
  await old.pass(inputFor(services))

  node.stop('influxdb')
  node.start('influxdb')

  t.same(await asks(plan), ['/usr/bin/influxd'])
  t.same(await asks(() => old.pass(inputFor(services))), [], 'it has seen the file all the time')
  t.same(await asks(plan), [], 'and has written down that it is the same')
})

await t.test('a failure is no answer for others', async t => {
  const node = newNode()
  let isBroken = false
  const { pass, plan, asks } = listening(node, () => isBroken)
  await pass()
  node.files.put('/usr/bin/influxd', '/usr/bin/influxd', { mode: 0o755 })
  isBroken = true
  await pass()
  isBroken = false

  t.same(await asks(plan), ['/usr/bin/influxd'])
})

await t.test('a damaged file and a disk that takes nothing cost a question', async t => {
  const node = newNode()
  const { pass, plan, asks } = listening(node)
  await pass()
  node.files.put(FILE, 'torn')
  t.same(await asks(plan), BOTH)
  t.ok(node.files.text(`${FILE}.damaged`))

  node.fault = (_, path) => {
    if (path.startsWith(`${STATE}/.tlsfleet-programs`))
      throw new OperationalError('disk-full', `no space for ${path}`)
  }
  t.same(await pass(), { prometheus: 'in-sync', influxdb: 'in-sync' })
  t.equal(node.files.text(FILE), undefined)
  node.fault = undefined
  t.same(await asks(pass), BOTH)
  t.ok(node.files.text(FILE))
})

await t.test('where something is refused nothing is written', async t => {
  const node = newNode()
  const { agent } = listening(node)
  const reports = await (await agent()).pass(inputFor(services, { mode: 'audit' }))

  t.not(outcomes(reports)['influxdb'], 'in-sync')
  t.equal(node.files.text(FILE), undefined)
})
