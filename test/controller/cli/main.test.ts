// The program as people run it: exit codes, streams, and nothing else on standard output.

import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { EXIT_CODES_HELP } from '../../../controller/cli/exit-codes.ts'
import { tlsfleet, tlsfleetProgram } from './command.ts'
import { contextFile, refusal, startFakeController } from './fake-controller.ts'
import { emptyPlan, fleet, nodeView, plan, rolloutView } from './views.ts'

const controller = await startFakeController()
t.teardown(() => controller.close())
const config = contextFile(controller)
const file = join(t.testdir({ 'fleet.yaml': 'fleet: prod\n' }), 'fleet.yaml')

await t.test('plan exits with 2 when something would change', async t => {
  controller.answer({ 'POST /v1/plans': { body: plan } })

  const { code, out, err } = await tlsfleetProgram(['plan', '-f', file, '--wait', '2s'], { config })

  t.equal(code, 2)
  t.match(out, /\nPlan: 3 nodes, 3 changes, 1 restart/)
  t.notMatch(out, '\u001b', 'no colours off a terminal')
  t.equal(err, '')
  t.strictSame(controller.requests.at(-1)?.body, { spec: 'fleet: prod\n', waitMs: 2_000 })
})

await t.test('plan exits with 0 when nothing would change, and reads standard input', async t => {
  controller.answer({ 'POST /v1/plans': { body: emptyPlan } })

  const { code } = await tlsfleetProgram(['plan', '-f', '-'], { config, input: 'fleet: piped\n' })

  t.equal(code, 0)
  t.strictSame(controller.requests.at(-1)?.body, { spec: 'fleet: piped\n', waitMs: 15_000 })
})

await t.test('a mistake in the spec is shown with its line, as compilers do', async t => {
  const problems = [
    { message: 'unknown key `sevrices`; did you mean `services`?', line: 12, column: 5 },
    { message: 'is missing', path: 'fleet' },
  ]
  controller.answer({
    'POST /v1/plans': refusal(422, 'spec-invalid', 'the fleet spec has 2 problems', { problems }),
  })

  const text = await tlsfleetProgram(['plan', '-f', 'fleet.yaml'], { config })
  const shown = await tlsfleet(['plan', '-f', file], { config })
  const json = await tlsfleet(['plan', '-f', file, '--json'], { config })

  t.equal(text.code, 1)
  t.match(
    text.err,
    'error: could not read fleet.yaml: there is no file fleet.yaml (file-unreadable)',
  )
  t.equal(shown.code, 1)
  t.equal(
    shown.err,
    [
      `${file}:12:5: unknown key \`sevrices\`; did you mean \`services\`?`,
      `${file}: fleet: is missing`,
      `error: could not plan ${file}: the fleet spec has 2 problems (spec-invalid)`,
      '',
    ].join('\n'),
  )
  t.equal(shown.out + json.out, '')
  t.strictSame(JSON.parse(json.err), {
    error: {
      code: 'spec-invalid',
      message: `could not plan ${file}: the fleet spec has 2 problems`,
      document: file,
      problems,
    },
  })
})

await t.test('with --json there is one document on standard output', async t => {
  controller.answer({
    'POST /v1/plans': { body: plan },
    'GET /v1/nodes': { body: { nodes: fleet } },
    'GET /v1/rollouts': { body: { rollouts: [rolloutView()] } },
    'GET /v1/nodes/prom-1': { body: nodeView() },
  })
  const document = async (...argv: string[]) =>
    JSON.parse((await tlsfleet(['--json', ...argv], { config, columns: 80 })).out)

  t.strictSame(await document('plan', '-f', file), plan)
  t.strictSame(await document('status'), JSON.parse(JSON.stringify({ nodes: fleet })))
  t.strictSame(await document('node', 'ls'), JSON.parse(JSON.stringify({ nodes: fleet })))
  t.strictSame(await document('node', 'show', 'prom-1'), nodeView())
  t.strictSame(await document('rollout', 'ls'), { rollouts: [rolloutView()] })
})

await t.test('colours are for terminals, and can be turned off', async t => {
  const colours = async (argv: string[], environment = {}, columns?: number) =>
    (
      await tlsfleet(['status', ...argv], {
        config,
        environment,
        ...(columns === undefined ? {} : { columns }),
      })
    ).out.includes('\u001b')

  t.equal(await colours([], {}, 200), true)
  t.equal(await colours([]), false)
  t.equal(await colours(['--no-color'], {}, 200), false)
  t.equal(await colours([], { NO_COLOR: '1' }, 200), false)
  t.equal(await colours([], { TERM: 'dumb' }, 200), false)
})

await t.test('mistakes on the command line say what is meant', async t => {
  const typo = await tlsfleetProgram(['statsu'], { config })
  const missing = await tlsfleet(['plan', '--json'], { config })
  const label = await tlsfleet(['node', 'add', 'a', '--dns', 'a.b', '--label', 'x'], { config })
  const wait = await tlsfleet(['plan', '-f', file, '--wait', '2h'], { config })

  t.equal(typo.code, 1)
  t.equal(typo.err, "error: unknown command 'statsu' (usage)\nhint: did you mean status?\n")
  t.equal(missing.code, 1)
  t.equal(JSON.parse(missing.err).error.code, 'usage')
  t.match(label.err, 'error: could not read the label x (usage)\nhint: a label is key=value')
  t.match(wait.err, 'error: could not read --wait 2h (usage)\nhint: give a time of at most 60s')
})

await t.test('help, exit codes and version answer without a controller', async t => {
  const none = { config: '/nonexistent/config.json' }
  const help = await tlsfleet(['--help'], none)
  const codes = await tlsfleet(['help', 'exit-codes'], none)
  const version = await tlsfleet(['--version'], none)
  const bare = await tlsfleet([], none)

  t.strictSame([help.code, codes.code, version.code, bare.code], [0, 0, 0, 1])
  t.match(help.out, EXIT_CODES_HELP)
  t.equal(codes.out, `${EXIT_CODES_HELP}\n`)
  t.match(version.out, /^\d+\.\d+\.\d+\n$/)
  t.match(bare.err, 'Usage: tlsfleet')
})

await t.test('a reader that goes away is no error', async t => {
  const many = Array.from({ length: 400 }, (_, index) => nodeView({ name: `node-${index}` }))
  controller.answer({ 'GET /v1/nodes': { body: { nodes: many } } })

  const program = join(import.meta.dirname, '../../../controller/cli/main.ts')
  const { stdout, stderr } = await promisify(execFile)(
    '/bin/sh',
    ['-c', '"$1" "$2" node ls --json | head -n 1', 'sh', process.execPath, program],
    { env: { TLSFLEET_CONFIG: config, PATH: process.env['PATH'] } },
  )

  t.equal(stdout, '{\n')
  t.equal(stderr, '')
})
