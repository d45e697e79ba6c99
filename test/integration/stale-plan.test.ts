// What an operator has seen is what is done: a plan is kept in a file, a node is edited by hand, and
// the plan applied. Agents as processes on sandbox nodes, and the operator's command line.

import { appendFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { RolloutList } from '../../shared/contract/operator-api.ts'
import { RolloutPlanView } from '../../shared/contract/rollout-plan.ts'
import { freePort } from '../sandbox/sandbox.ts'
import { probe } from '../simulators/probe.ts'
import { createSandboxFleet } from '../support/sandbox-fleet.ts'

t.setTimeout(900_000)

const { cli, addNode, directory } = await createSandboxFleet(t)
const ports = { n1: await freePort(), n2: await freePort() }
const influxdb = (port: number) =>
  ({ service: 'influxdb', version: '1.12.3', port, path: '/ping' }) as const
await addNode('n1', [influxdb(ports.n1)])
const edited = await addNode('n2', [influxdb(ports.n2)])
const conf = join(edited.root, 'etc/influxdb/influxdb.conf')

const specFile = join(directory, 'fleet.yaml')
const specWith = (more: string) =>
  writeFileSync(
    specFile,
    `version: 1
fleet: demo
rollout: { maxFailures: 1 }
defaults:
  lifetime: 30d
  verify: { stableFor: 300ms, deadline: 2m }
services:
  - { service: influxdb, port: ${ports.n1}, nodes: { names: [n1] } }
  - { service: influxdb, port: ${ports.n2}, nodes: { names: [n2] } }
${more}`,
  )
specWith('')
const saved = join(directory, 'plan.json')

await t.test('a plan tells batches, limits and diffs, and is kept in a file', async t => {
  const { code, out, err } = await cli('plan', '-f', specFile, '--out', saved)

  t.equal(code, 2, err)
  t.match(out, /\+ +https-enabled = true|https-enabled = true/)
  t.match(out, /Batch 1 of 1, 2 nodes: n1 \(rolling\), n2 \(rolling\)/)
  t.match(out, `tlsfleet apply --plan ${saved}`)
  const again = await cli('--json', 'plan', '-f', specFile)
  t.equal(JSON.parse(again.out).digest, JSON.parse(readFileSync(saved, 'utf8')).digest)
  t.equal((await cli('plan', '-f', specFile, '--out', saved)).code, 1, 'it is not replaced')
})

await t.test('a node that was edited since refuses, the others are changed', async t => {
  appendFileSync(conf, '\n# by hand\n')
  const before = readFileSync(conf, 'utf8')

  const { code, out, err } = await cli('apply', '--plan', saved)

  t.equal(code, 3, err)
  t.match(out, /plan is stale: .*influxdb\.conf/)
  t.equal(readFileSync(conf, 'utf8'), before)
  t.notOk(existsSync(join(edited.root, 'etc/influxdb/tls')), 'nothing was prepared')
  t.match(await probe({ port: ports.n2, path: '/ping' }), { status: 204 })
  const { rollouts } = RolloutList.parse(JSON.parse((await cli('--json', 'rollout', 'ls')).out))
  t.match(rollouts[0], {
    status: 'partial',
    steps: [
      { node: 'n1', state: 'done' },
      { node: 'n2', state: 'refused', reason: { code: 'stale-plan' } },
    ],
  })
})

await t.test('the stored plan shows what each node had said', async t => {
  const { rollouts } = RolloutList.parse(JSON.parse((await cli('--json', 'rollout', 'ls')).out))
  const id = rollouts[0]?.id ?? ''

  const { out } = await cli('--json', 'rollout', 'show', id, '--plan')
  const plan = RolloutPlanView.parse(JSON.parse(out))
  const text = (await cli('rollout', 'show', id, '--plan', '--node', 'n2')).out

  t.equal(plan.digest, JSON.parse(readFileSync(saved, 'utf8')).digest)
  const [n1] = plan.phases[0]?.batches[0]?.nodes ?? []
  t.match(n1, { node: 'n1', disruption: 'rolling', preview: { result: 'changes' } })
  t.match(text, /https-enabled = true/)
  t.match(text, /^n2$/m)
  t.notMatch(text, /^n1$/m)
})

await t.test(
  'planned again it is applied; the old plan is refused, and so is one of another spec',
  async t => {
    const old = await cli('apply', '--plan', saved)
    t.match([old.code, old.err], [1, /\(stale-plan\)\nhint: plan again/])
    const shown = JSON.parse((await cli('--json', 'plan', '-f', specFile)).out).digest
    specWith('  # the same\n')
    const { code, err } = await cli('apply', '-f', specFile, '--plan', shown)
    t.equal(code, 0, err)
    t.match(readFileSync(conf, 'utf8'), /# by hand/)
    const empty = await cli('--json', 'plan', '-f', specFile)
    t.match([empty.code, JSON.parse(empty.out)], [0, { digest: 'none' }], 'nothing is left to do')
    specWith('  - { service: prometheus, nodes: { names: [n1] } }\n')
    const other = await cli('apply', '-f', specFile, '--plan', 'none')
    t.match([other.code, other.err], [1, /stale-plan/])
  },
)

await t.test('what is tried again and taken back is held to what was said, too', async t => {
  const list = async () =>
    RolloutList.parse(JSON.parse((await cli('--json', 'rollout', 'ls')).out)).rollouts
  // Edited between the plan and its execution, so that there is something to try again.
  specWith('')
  const stricter = readFileSync(specFile, 'utf8')
    .replace('defaults:', 'defaults:\n  minVersion: "1.3"')
    .replace('maxFailures: 1', 'maxFailures: 1, autoStart: false')
  writeFileSync(specFile, stricter)
  const kept = join(directory, 'stricter.json')
  await cli('plan', '-f', specFile, '--out', kept)
  appendFileSync(conf, '# once more\n')
  t.equal((await cli('apply', '--plan', kept, '--detach')).code, 0)
  const first = (await list())[0]?.id ?? ''
  await cli('rollout', 'start', first, '--yes')
  t.equal((await cli('rollout', 'follow', first)).code, 3)
  t.match((await list())[0]?.steps, [{ state: 'done' }, { state: 'refused' }])

  // The same again for the rollout that follows from it.
  const made = await cli('rollout', 'retry', first, '--yes')
  t.equal(made.code, 0, made.err)
  t.notMatch(made.out, 'held to no diff')
  appendFileSync(conf, '# and again\n')
  const before = readFileSync(conf, 'utf8')
  const retry = (await list())[0]?.id ?? ''
  await cli('rollout', 'start', retry, '--yes')
  t.equal((await cli('rollout', 'follow', retry)).code, 3)
  t.match((await list())[0]?.steps, [
    { node: 'n2', state: 'refused', reason: { code: 'stale-plan' } },
  ])
  t.equal(readFileSync(conf, 'utf8'), before, 'it is not touched')

  const rollback = await cli('rollout', 'rollback', first, '--yes')
  t.equal(rollback.code, 0, rollback.err)
  const back = (await list())[0]?.id ?? ''
  t.equal((await cli('rollout', 'follow', back)).code, 0)
  // InfluxDB keeps a stricter minimum, and so its node has said.
  const shown = (await cli('rollout', 'show', back, '--plan')).out
  t.match(shown, /^n1 +no changes$/m)
})
