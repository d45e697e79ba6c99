// What ships runs: the programs as the bundle makes them, the parts that they load late included.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { bundle, type PROGRAMS } from '../../systemd/bundle.ts'
import { runCommand } from '../lab/command.ts'

const directory = t.testdir({ desired: { 'node.yaml': 'version: 1\nservices: []\n' } })
await bundle(join(directory, 'dist'))

const run = (program: keyof typeof PROGRAMS, ...argv: readonly string[]) =>
  runCommand(process.execPath, [join(directory, 'dist', `${program}.mjs`), ...argv])

await t.test('every program tells its version and its help', async t => {
  for (const program of ['tlsfleet-agent', 'tlsfleet-controller', 'tlsfleet'] as const) {
    t.match(await run(program, '--version'), { code: 0, stdout: /\d+\.\d+\.\d+\n$/ }, program)
    t.match(await run(program, '--help'), { code: 0, stdout: /--help/ }, program)
  }
})

await t.test(
  'what is loaded late is there: YAML, TOML, schemas, the description of the API',
  async t => {
    const desired = join(directory, 'desired', 'node.yaml')
    const config = ['--root', directory, '--config', '/agent.toml']
    writeFileSync(join(directory, 'agent.toml'), 'interval = "1m"\n')

    const plan = await run('tlsfleet-agent', 'plan', '--desired', desired, ...config, '--json')

    t.equal(plan.code, 0, plan.stderr)
    t.same(JSON.parse(plan.stdout), { ok: true, changed: 0, changes: 0, services: [] })
    t.equal(typeof JSON.parse((await run('tlsfleet-agent', 'schema')).stdout), 'object')
    t.match(JSON.parse((await run('tlsfleet-controller', 'openapi')).stdout), { openapi: /^3\.1/ })
  },
)

await t.test('a controller is made by it', async t => {
  const data = join(directory, 'data')
  const made = await run(
    'tlsfleet-controller',
    'init',
    '--json',
    '--fleet',
    'f',
    '--data-dir',
    data,
  )
  t.equal(made.code, 0, made.stderr)
  t.match(JSON.parse(made.stdout), { fleet: 'f', pin: /^sha256:/, adminToken: /^tlsf_/ })
})
