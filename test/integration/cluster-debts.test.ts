// A cluster of three nodes of Elasticsearch, a real controller, agents as processes: every restart is
// told to the cluster, and what a dead agent owes is paid by another one.

import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { get } from 'node:https'
import { join } from 'node:path'
import t from 'tap'
import { DEBT_PATIENCE_MS } from '../../controller/api/agent/debt-desk.ts'
import { until } from '../lab/until.ts'
import { ELASTIC_PASSWORD } from '../sandbox/elastic.ts'
import { freePort, type SandboxNode } from '../sandbox/sandbox.ts'
import { probe } from '../simulators/probe.ts'
import { createSandboxFleet } from '../support/sandbox-fleet.ts'

t.setTimeout(900_000)

const NAMES = ['es1', 'es2', 'es3'] as const
type Name = (typeof NAMES)[number]
const ENABLE = '"cluster.routing.allocation.enable":"primaries"'
const AS_ELASTIC = {
  authorization: `Basic ${Buffer.from(`elastic:${ELASTIC_PASSWORD}`).toString('base64')}`,
}

const { cli, addNode, directory, running, killAgent, startAgent } = await createSandboxFleet(t)
/** While it is there, a node of Elasticsearch that is started comes no further. */
const held = join(directory, 'held')
const { store } = running.controller.context
const ports = new Map<Name, { readonly http: number; readonly transport: number }>()
for (const name of NAMES) ports.set(name, { http: await freePort(), transport: await freePort() })
const portOf = (name: Name) => ports.get(name)?.http ?? 0

for (const name of NAMES) {
  const { http: port = 0, transport: transportPort = 0 } = ports.get(name) ?? {}
  const seeds = [...ports.values()].map(({ transport }) => `127.0.0.1:${transport}`)
  const cluster = { nodeName: name, seeds, masters: NAMES, recoveryMs: 300 }
  const service = {
    service: 'elasticsearch',
    version: '8.15.0',
    port,
    transportPort,
    cluster,
  } as const
  await addNode(name, [service], prepare)
}

function prepare({ root }: SandboxNode): void {
  const program = join(root, 'usr/share/elasticsearch/bin/systemd-entrypoint')
  const [head = '', ...rest] = readFileSync(program, 'utf8').split('\n')
  const hold = `while [ -e "${held}" ]; do sleep 0.05; done`
  writeFileSync(program, [head, hold, ...rest].join('\n'))
  mkdirSync(join(root, 'etc/tlsfleet'), { recursive: true })
  writeFileSync(join(root, 'etc/tlsfleet/password'), `${ELASTIC_PASSWORD}\n`)
  writeFileSync(
    join(root, 'etc/tlsfleet/agent.toml'),
    `[credentials.elasticsearch]
user = "elastic"
passwordFile = "/etc/tlsfleet/password"
overPlaintext = true
`,
  )
}

const spec = join(directory, 'fleet.yaml')
function specWith(minVersion: string): string {
  writeFileSync(
    spec,
    `version: 1
fleet: demo
defaults:
  issuer: self-signed
  verify: { stableFor: 1s, deadline: 5m }
rollout: { soak: 0s, canarySoak: 0s, progressDeadline: 2h }
services:
${NAMES.map(
  name =>
    `  - { service: elasticsearch, port: ${portOf(name)}, minVersion: '${minVersion}', nodes: { names: [${name}] } }`,
).join('\n')}
`,
  )
  return spec
}

async function ask(name: Name, path: string): Promise<string> {
  const port = portOf(name)
  return overTls(port, path).catch(
    async () => (await probe({ port, path, headers: AS_ELASTIC })).body,
  )
}

function overTls(port: number, path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    // Self-signed: what is trusted is not the question here.
    const options = { port, path, headers: AS_ELASTIC, rejectUnauthorized: false, agent: false }
    get({ host: '127.0.0.1', ...options }, answer => {
      let text = ''
      answer.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
      answer.on('end', () => resolve(text))
    }).on('error', reject)
  })
}

const settingsOf = (name: Name) => ask(name, '/_cluster/settings?flat_settings=true')
const debts = () => store.transaction(tx => tx.debts.all())
const untilGreen = (name: Name) =>
  until(
    async () =>
      /"status":"green".*"number_of_nodes":3/.test(
        await ask(name, '/_cluster/health').catch(() => ''),
      ),
    { what: 'the cluster is green', timeoutMs: 60_000, everyMs: 100 },
  )

await t.test(
  'a rollout tells the cluster of each restart, and owes nothing at its end',
  async t => {
    await untilGreen('es1')
    const owed = new Set<string>()
    let isOver = false
    const watching = (async () => {
      while (!isOver) {
        for (const { node } of await debts()) owed.add(node)
        await new Promise(resolve => setTimeout(resolve, 20))
      }
    })()
    const planned = await cli('plan', '-f', specWith('1.2'))
    t.match(planned.out, /allocates primary shards only/)
    t.notMatch(planned.out, /window-elasticsearch-copies|not told before its nodes restart/)
    const applied = await cli('apply', '-f', spec, '--yes')
    isOver = true
    await watching
    t.equal(applied.code, 0, `${applied.out}${applied.err}`)
    t.strictSame([...owed].toSorted(), NAMES, 'each of them, with the controller')
    t.strictSame(await debts(), [])
    t.notMatch(await settingsOf('es1'), /tlsfleet|allocation/)
    await untilGreen('es2')
  },
)

await t.test(
  'what an agent owes that is killed and never comes back, another one pays',
  async t => {
    // Whoever is away stays away, and so owes, until all have been asked.
    writeFileSync(held, '')
    const applying = cli('apply', '-f', specWith('1.3'), '--yes')
    let victim: Name | undefined
    await until(
      async () => {
        const [debt] = await debts()
        victim = NAMES.find(name => name === debt?.node)
        return victim !== undefined && (await settingsOf(other(victim))).includes(ENABLE)
      },
      { what: 'somebody owes', timeoutMs: 120_000, everyMs: 10 },
    )
    if (victim === undefined) throw new Error('somebody owes')
    await killAgent(victim)
    const listed = await cli('group', 'debts')
    t.match(listed.out, new RegExp(`${victim} +elasticsearch`))
    t.match((await cli('group', 'show')).out, /still thinks that es\d is away/)
    rmSync(held)

    await store.transaction(async tx => {
      const { version, timeMs } = await tx.controllerTime.get()
      await tx.controllerTime.advance(version, timeMs + DEBT_PATIENCE_MS)
    })
    await until(async () => (await debts()).length === 0, {
      what: 'it is paid',
      timeoutMs: 120_000,
      everyMs: 100,
    })
    t.notMatch(await settingsOf(other(victim)), /tlsfleet|allocation/)

    startAgent(victim)
    const { code, out, err } = await applying
    t.equal(code, 0, `${out}${err}`)
    t.strictSame(await debts(), [])
    t.notMatch(await settingsOf('es1'), /tlsfleet|allocation/)
  },
)

await t.test('a debt that was paid by hand is forgiven, once, with a reason', async t => {
  const debt = { debtId: '00112233445566ff', node: 'es1', service: 'elasticsearch' } as const
  await store.transaction(tx =>
    tx.debts.owe({ ...debt, groups: ['gone'], sinceMs: 0, sinceTimeMs: Number.MAX_SAFE_INTEGER }),
  )
  t.equal((await cli('group', 'forgive', debt.debtId)).code, 1, 'a reason is asked for')
  const forgiven = await cli('group', 'forgive', debt.debtId, '--reason', 'set back by hand')
  t.match(forgiven, { code: 0, out: /is forgotten; nothing was changed/ })
  t.match(await cli('group', 'debts'), { code: 0, out: /no node owes/ })
  t.match(await cli('group', 'forgive', debt.debtId, '--reason', 'x'), {
    code: 1,
    err: /paid already/,
  })
})

function other(name: Name): Name {
  return NAMES.find(one => one !== name) ?? name
}
