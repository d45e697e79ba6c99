// Renewals and corrections under the budget of their group: a real controller, agents as processes on
// sandbox nodes.

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { connect } from 'node:tls'
import t from 'tap'
import { z } from 'zod'
import type { LeaseRecord } from '../../controller/store/store.ts'
import { runCommand } from '../lab/command.ts'
import { until } from '../lab/until.ts'
import { freePort, type SandboxNode } from '../sandbox/sandbox.ts'
import { createSandboxFleet } from '../support/sandbox-fleet.ts'

const AGENT = join(import.meta.dirname, '../../agent/main.ts')
const CONF = 'etc/influxdb/influxdb.conf'
const NAMES = ['n1', 'n2', 'n3'] as const
t.setTimeout(900_000)

const { cli, addNode, directory, running, startAgent, stopAgent } = await createSandboxFleet(t)
const { store } = running.controller.context
const nodes = new Map<string, { readonly sandbox: SandboxNode; readonly port: number }>()
for (const name of NAMES) {
  const port = await freePort()
  const influxdb = { service: 'influxdb', port, path: '/ping', version: '1.6.7' } as const
  nodes.set(name, { port, sandbox: await addNode(name, [influxdb]) })
}

const spec = join(directory, 'fleet.yaml')
writeFileSync(
  spec,
  `version: 1
fleet: demo
defaults:
  issuer: self-signed
  verify: { stableFor: 1s, deadline: 2m }
groups:
  - { name: pair, kind: pool, percent: 50, nodes: { names: [n1, n2] } }
services:
${NAMES.map(name => `  - { service: influxdb, port: ${nodes.get(name)?.port}, nodes: { names: [${name}] } }`).join('\n')}
`,
)

function nodeOf(name: string) {
  const found = nodes.get(name)
  if (found === undefined) throw new Error(`no node ${name}`)
  return found
}

/** Of the certificate that is served; undefined: nobody answers, or without TLS. */
function fingerprint(name: string): Promise<string | undefined> {
  return new Promise(resolve => {
    // What is trusted is not the question here.
    const socket = connect({ port: nodeOf(name).port, rejectUnauthorized: false })
    socket.once('secureConnect', () => {
      resolve(socket.getPeerX509Certificate()?.fingerprint256)
      socket.destroy()
    })
    socket.once('error', () => resolve(undefined))
  })
}

function ask(name: string, ...argv: readonly string[]) {
  const { root, systemctl } = nodeOf(name).sandbox
  const place = ['--root', root, '--systemctl', systemctl]
  return runCommand(process.execPath, [AGENT, ...argv, ...place])
}

const Status = z.object({
  services: z.array(z.object({ outcome: z.string(), reason: z.object({ code: z.string() }) })),
})

async function standing(name: string): Promise<string> {
  const { code, stdout } = await ask(name, 'status', '--json')
  if (code !== 0) return 'not running'
  const [service] = Status.parse(JSON.parse(stdout)).services
  return `${service?.outcome} ${service?.reason.code}`
}

const leases = () => store.transaction(tx => tx.leases.all())

/** TLS is switched off by hand, and the restart that loads that is made as well. */
async function spoil(name: string): Promise<void> {
  const { sandbox } = nodeOf(name)
  // An agent that runs puts the file back before the restart.
  await stopAgent(name)
  const path = join(sandbox.root, CONF)
  const text = readFileSync(path, 'utf8')
  writeFileSync(path, text.replace('https-enabled = true', 'https-enabled = false'))
  await sandbox.run('restart', 'influxdb')
  startAgent(name)
}

await t.test('all of them are brought to TLS', async t => {
  const applied = await cli('apply', '-f', spec, '--yes')
  t.equal(applied.code, 0, `${applied.out}${applied.err}`)
  for (const name of NAMES) t.type(await fingerprint(name), 'string')
  await until(async () => (await leases()).length === 0, { what: 'no lease', everyMs: 50 })
})

await t.test('members whose renewals are due at once renew one after the other', async t => {
  const before = [await fingerprint('n1'), await fingerprint('n2')]
  const seen: LeaseRecord[][] = []
  let isOver = false
  const watching = (async () => {
    while (!isOver) {
      seen.push([...(await leases())])
      await new Promise(resolve => setTimeout(resolve, 5))
    }
  })()

  await Promise.all([ask('n1', 'renew', 'influxdb'), ask('n2', 'renew', 'influxdb')])
  await until(
    async () => {
      const now = [await fingerprint('n1'), await fingerprint('n2')]
      return now.every((one, index) => one !== undefined && one !== before[index])
    },
    { what: 'two new certificates', everyMs: 100, timeoutMs: 120_000 },
  )
  await until(async () => (await leases()).length === 0, { what: 'no lease', everyMs: 50 })
  isOver = true
  await watching

  t.equal(Math.max(...seen.map(({ length }) => length)), 1, 'one at a time')
  const held = new Set(seen.flat().map(({ node, purpose }) => `${node} ${purpose}`))
  t.strictSame([...held].toSorted(), ['n1 renewal', 'n2 renewal'])
})

await t.test('drift that needs a restart waits for the lease that another node holds', async t => {
  const desired = await store.transaction(tx => tx.desired.get('n2'))
  await store.transaction(tx =>
    tx.leases.take({
      group: 'pair',
      node: 'n2',
      purpose: 'correction',
      generation: desired?.state.generation ?? 0,
      takenAtMs: 0,
      takenTimeMs: 0,
      // Of a report that is never made.
      takenSequence: Number.MAX_SAFE_INTEGER,
    }),
  )

  await spoil('n1')
  await until(async () => (await standing('n1')) === 'waiting budget-leased', {
    what: 'n1 waits',
    everyMs: 100,
    timeoutMs: 120_000,
  })
  t.equal(await fingerprint('n1'), undefined)

  await store.transaction(tx => tx.leases.releaseNode('n2'))
  running.controller.context.wakeRunner()
  await until(async () => (await fingerprint('n1')) !== undefined, {
    what: 'n1 is healed',
    everyMs: 100,
    timeoutMs: 120_000,
  })
  await until(async () => (await leases()).length === 0, { what: 'no lease', everyMs: 50 })
})

await t.test('a freeze holds back who is in no group, and what is not urgent', async t => {
  t.match(await cli('freeze', 'set', 'quiet', '--reason', 'holidays'), { code: 0 })
  await spoil('n3')
  await until(async () => (await standing('n3')) === 'waiting frozen', {
    what: 'n3 waits',
    everyMs: 100,
    timeoutMs: 120_000,
  })
  const before = await fingerprint('n1')
  const renewed = await ask('n1', 'renew', 'influxdb')
  t.match(renewed.stdout, /freeze quiet: holidays/)
  t.equal(await fingerprint('n1'), before)

  t.match(await cli('freeze', 'rm', 'quiet', '--yes'), { code: 0 })
  const isDone = async () =>
    (await fingerprint('n3')) !== undefined &&
    ![undefined, before].includes(await fingerprint('n1'))
  await until(isDone, { what: 'both have gone on', everyMs: 100, timeoutMs: 120_000 })
})

await t.test(
  'without the controller a member waits, and who is in no group goes ahead',
  async t => {
    await running.controller.close()
    await Promise.all([spoil('n1'), spoil('n3')])

    await until(async () => (await fingerprint('n3')) !== undefined, {
      what: 'n3 is healed',
      everyMs: 100,
      timeoutMs: 120_000,
    })
    await until(async () => (await standing('n1')) === 'waiting lease-unanswered', {
      what: 'n1 waits',
      everyMs: 100,
      timeoutMs: 120_000,
    })
    t.equal(await fingerprint('n1'), undefined)
  },
)
