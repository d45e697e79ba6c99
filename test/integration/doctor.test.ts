// `doctor` of both sides on a real controller and a real agent: what is well, and what is found.

import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { Finding } from '../../shared/findings.ts'
import { runCommand } from '../lab/command.ts'
import { until } from '../lab/until.ts'
import { freePort } from '../sandbox/sandbox.ts'
import { createSandboxFleet } from '../support/sandbox-fleet.ts'

t.setTimeout(900_000)
const AGENT = join(import.meta.dirname, '../../agent/main.ts')
const STATE = 'var/lib/tlsfleet/agent'

const fleet = await createSandboxFleet(t)
const node = await fleet.addNode('n1', [
  { service: 'prometheus', port: await freePort(), version: '2.42.0' },
])
const place = ['--root', node.root, '--systemctl', node.systemctl]

async function onNode(): Promise<{ readonly code: number; readonly findings: Finding[] }> {
  const { code, stdout, stderr } = await runCommand(process.execPath, [
    AGENT,
    'doctor',
    '--json',
    ...place,
  ])
  if (stdout === '') throw new Error(stderr)
  return { code, findings: JSON.parse(stdout).findings }
}

const stateOf = (findings: readonly Finding[], check: string) =>
  findings.filter(one => one.check === check).map(({ state }) => state)

await t.test('a node that is well, seen from both sides', async t => {
  await until(
    async () =>
      (await runCommand(process.execPath, [AGENT, 'status', ...place])).code === 0 &&
      JSON.parse((await fleet.cli('--json', 'node', 'show', 'n1')).out).online === true,
    { what: 'n1 runs and is online' },
  )
  const { code, findings } = await onNode()

  t.same(
    findings.filter(({ state }) => state === 'failed'),
    [],
  )
  t.equal(code, 0)
  for (const check of ['identity', 'controller', 'clock', 'agent'])
    t.same(stateOf(findings, check), ['ok'], check)

  const operator = await fleet.cli('doctor')
  t.equal(operator.code, 0, operator.out + operator.err)
  t.match(operator.out, /ok +nodes +1 node, none in trouble/)
  t.match(operator.out, /ok +CAs +2 active CAs/)
})

await t.test('a program that is to save a service must be there, and of root', async t => {
  const file = join(node.root, 'etc/tlsfleet/agent.toml')
  const before = existsSync(file) ? readFileSync(file, 'utf8') : ''
  mkdirSync(join(node.root, 'etc/tlsfleet'), { recursive: true, mode: 0o755 })
  const wish = '[snapshots.prometheus]\ncommand = ["/usr/bin/save"]\n'
  writeFileSync(file, `${before}\n${wish}`, { mode: 0o600 })
  t.teardown(() => writeFileSync(file, before, { mode: 0o600 }))

  const missing = await onNode()
  t.same(stateOf(missing.findings, 'snapshots'), ['failed'])
  t.equal(missing.code, 1)
  writeFileSync(join(node.root, 'usr/bin/save'), '', { mode: 0o755 })
  t.same(stateOf((await onNode()).findings, 'snapshots'), ['ok'])
  chmodSync(join(node.root, 'usr/bin/save'), 0o777)
  t.same(stateOf((await onNode()).findings, 'snapshots'), ['failed'])
})

await t.test('a state that others can read is found, and mended by what is said', async t => {
  chmodSync(join(node.root, STATE), 0o755)
  const open = await onNode()
  t.equal(open.code, 1)
  t.same(stateOf(open.findings, 'state'), ['failed'])
  t.match(open.findings.find(({ check }) => check === 'state')?.fix, /^chmod 700/)
  chmodSync(join(node.root, STATE), 0o700)
  t.equal((await onNode()).code, 0)
})

await t.test('a controller that is away: services go on, the way to it is what failed', async t => {
  await fleet.running.controller.close()
  const { code, findings } = await onNode()
  t.equal(code, 1)
  t.same(stateOf(findings, 'controller'), ['failed'])
  t.match(
    findings.find(({ check }) => check === 'controller')?.message,
    /\(controller-unreachable\)/,
  )
  t.same(stateOf(findings, 'identity'), ['ok'])
  const operator = await fleet.cli('doctor')
  t.equal(operator.code, 1)
  t.match(operator.out, /failed +connection .*controller-unreachable/)
})

await t.test('a node that was never enrolled is told how', async t => {
  const { code, stdout } = await runCommand(process.execPath, [
    AGENT,
    'doctor',
    '--state-dir',
    '/var/lib/tlsfleet/nobody',
    ...place,
  ])
  t.equal(code, 1)
  t.match(stdout, /failed +identity +this node is not enrolled\n +→ get a line to paste/)
  t.match(stdout, /failed +agent +it is not running/)
})
