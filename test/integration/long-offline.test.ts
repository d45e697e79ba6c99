// A node that was away for weeks: its identity has ended, two revisions have passed it by. It comes back
// to the one that holds, prepared like all others and by the lease of its group.

import { X509Certificate } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import t from 'tap'
import { databasePath } from '../../controller/init.ts'
import { NodeView, RolloutList, type RolloutView } from '../../shared/contract/operator-api.ts'
import { until } from '../lab/until.ts'
import { freePort, type SandboxNode } from '../sandbox/sandbox.ts'
import { createSandboxFleet } from '../support/sandbox-fleet.ts'

const WEEKS_MS = 21 * 86_400_000
// Longer than an agent may be silent.
const SILENCE_MS = 100_000
const AWAY = 'n1'
const NAMES = [AWAY, 'n2', 'n3'] as const
const IDENTITY = 'var/lib/tlsfleet/agent/identity.json'

t.setTimeout(900_000)

const fleet = await createSandboxFleet(t)
const { cli, running, directory } = fleet
const database = new DatabaseSync(databasePath(running.dataDir), { readOnly: true })
t.teardown(() => database.close())

const nodes = new Map<string, SandboxNode>()
const ports = new Map<string, number>()
for (const name of NAMES) {
  const port = await freePort()
  ports.set(name, port)
  nodes.set(name, await fleet.addNode(name, [{ service: 'influxdb', port, version: '1.6.7' }]))
}

// For another key influxdb is restarted. Two of the three may be out.
function specOf(key: string, waitForOffline: string): string {
  const file = join(directory, `${key}.yaml`)
  const entries = NAMES.map(
    name => `  - { service: influxdb, port: ${ports.get(name)}, nodes: { names: [${name}] } }`,
  )
  const text = [
    'version: 1',
    'fleet: demo',
    `rollout: { waitForOffline: ${waitForOffline}, progressDeadline: 12h }`,
    `defaults: { key: ${key}, lifetime: 60d, verify: { stableFor: 300ms, deadline: 2m } }`,
    'services:',
    ...entries,
    'groups:',
    '  - { name: databases, kind: pool, percent: 70, nodes: all }',
    '',
  ]
  writeFileSync(file, text.join('\n'))
  return file
}

async function latest(): Promise<RolloutView> {
  const { rollouts } = RolloutList.parse(JSON.parse((await cli('--json', 'rollout', 'ls')).out))
  const [newest] = rollouts
  if (newest === undefined) throw new Error('there is no rollout')
  return newest
}

async function untilLatest(what: string, isIt: (view: RolloutView) => boolean) {
  let last = ''
  const look = async () => {
    const view = await latest()
    last = JSON.stringify(view)
    return isIt(view) && view
  }
  return until(look, { what, everyMs: 200, timeoutMs: 180_000 }).catch(error => {
    throw new Error(`${String(error)}: ${last}`)
  })
}

function identityOfAway(): X509Certificate {
  const { root = '' } = nodes.get(AWAY) ?? {}
  const stored: { identity?: { certificateChain: string }; value?: object } = JSON.parse(
    readFileSync(join(root, IDENTITY), 'utf8'),
  )
  const found = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/.exec(
    JSON.stringify(stored).replaceAll('\\n', '\n'),
  )
  return new X509Certificate(found?.[0] ?? '')
}

function eventsOf(rollout: string, node: string): readonly string[] {
  const rows = database
    .prepare('select event_json from rollout_events where rollout = ? order by version')
    .all(rollout)
  return rows.flatMap(row => {
    const event: { kind: string; node?: string } = JSON.parse(String(row['event_json']))
    return event.node === node ? [event.kind] : []
  })
}

const apply = (file: string) => cli('apply', '-f', file, '--yes', '--quiet')
const detached = (file: string) => cli('apply', '-f', file, '--yes', '--quiet', '--detach')
const startsOf = (name: string) =>
  nodes.get(name)?.run('show', '--property=InvocationID', '--value', 'influxdb')

await t.test('three nodes come to TLS, and one goes away', async t => {
  const applied = await apply(specOf('ec-p256', '0s'))
  t.equal(applied.code, 0, applied.out + applied.err)
  await fleet.stopAgent(AWAY)
  // Its last words may come after its end; the others are there when they wait for news.
  const present = async () => {
    running.elapse(SILENCE_MS)
    const shown = NAMES.map(name => cli('--json', 'node', 'show', name))
    return (await Promise.all(shown)).map(({ out }) => NodeView.parse(JSON.parse(out)).online)
  }
  await until(async () => (await present()).join() === 'false,true,true', {
    what: `all but ${AWAY} are there`,
    everyMs: 200,
  })
})

await t.test('two revisions pass it by; the second waits for it', async t => {
  const partial = await apply(specOf('rsa-2048', '0s'))
  t.equal(partial.code, 3, partial.out + partial.err)
  t.match(await latest(), { status: 'partial' })

  const started = await detached(specOf('rsa-3072', '30d'))
  t.equal(started.code, 0, started.err)
  const waiting = await untilLatest('the others are there', ({ steps }) =>
    steps.every(({ node, state }) => state === (node === AWAY ? 'deferred' : 'done')),
  )
  t.equal(waiting.status, 'running')
})

await t.test('with an identity that has ended it comes to what holds now', async t => {
  running.advance(-WEEKS_MS)
  await fleet.enrollAgain(AWAY)
  running.advance(WEEKS_MS)
  const old = identityOfAway()
  t.ok(old.validToDate.getTime() < Date.now(), `ended ${old.validTo}`)
  const before = (await startsOf(AWAY))?.stdout
  const holders = new Set<string>()
  const leases = database.prepare('select node, purpose from leases')
  const watch = setInterval(() => {
    for (const { node, purpose } of leases.all()) holders.add(`${String(node)} ${String(purpose)}`)
  }, 10)
  t.teardown(() => clearInterval(watch))

  fleet.startAgent(AWAY)

  const { id } = await untilLatest('it has ended', ({ endedAtMs }) => endedAtMs !== undefined)
  clearInterval(watch)
  t.match(await latest(), { status: 'succeeded', revision: 3 })
  t.strictSame(eventsOf(id, AWAY), [
    'node-deferred',
    'node-returned',
    'node-assigned',
    'node-staged',
    'node-permitted',
    'permit-claimed',
    'node-done',
  ])
  t.strictSame([...holders], [`${AWAY} rollout`])
  await until(() => leases.all().length === 0, { what: 'the lease is given back' })
  t.ok(identityOfAway().validToDate.getTime() > Date.now(), 'it has another identity')
  t.not((await startsOf(AWAY))?.stdout, before, 'restarted for it')
  const shown = async () =>
    NodeView.parse(JSON.parse((await cli('--json', 'node', 'show', AWAY)).out))
  const view = await until(
    async () => {
      const now = await shown()
      return now.observedGeneration === now.generation && now
    },
    { what: `${AWAY} has said that it has what holds now` },
  )
  t.match(view, { state: 'converged', mode: 'enforce', revision: 3 })
})
