// The agent as it ships keeps what the engine has compiled of it, and runs what is in its files
// whatever was kept.

import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { Script } from 'node:vm'
import t from 'tap'
import { bundleProgram } from '../../../systemd/bundle.ts'
import { readCompiled } from '../../../systemd/start/kept-code.ts'
import { type Outcome, runCommand } from '../../lab/command.ts'

const UID = process.getuid?.() ?? 0
const directory = t.testdir()
const dist = join(directory, 'dist')
await bundleProgram(dist, 'tlsfleet-agent', '1.2.3')

function run(cache: string | undefined, ...argv: readonly string[]): Promise<Outcome> {
  const env = cache === undefined ? {} : { NODE_COMPILE_CACHE: cache }
  return runCommand(process.execPath, [join(dist, 'tlsfleet-agent.mjs'), ...argv], {
    env: { PATH: process.env['PATH'], ...env },
    timeoutMs: 60_000,
  })
}

function scriptWith(words: string): { readonly script: string; readonly text: string } {
  const scripts = readdirSync(dist).map(name => join(dist, name))
  const found = scripts.find(path => readFileSync(path, 'utf8').includes(words))
  if (found === undefined) throw new Error(`no script has ${words}`)
  return { script: found, text: readFileSync(found, 'utf8') }
}

const codeFiles = (cache: string) => readdirSync(cache).filter(name => name.endsWith('.code'))

await t.test('one file a command, written once, with the functions that were called', async t => {
  const cache = join(directory, 'once')
  const schema = await run(cache, 'schema')
  t.equal(schema.code, 0, schema.stderr)
  t.same(codeFiles(cache), ['tlsfleet-agent-schema.code'])

  const path = join(cache, 'tlsfleet-agent-schema.code')
  const first = statSync(path)
  const kept = readCompiled(path, UID)
  t.ok(kept.has('tlsfleet-agent.cjs'), 'by their names')
  const late = [...kept.keys()].filter(name => name.startsWith('desired-file-'))
  t.equal(late.length, 1, 'and what is loaded late')

  const again = await run(cache, 'schema')
  t.equal(again.stdout, schema.stdout)
  t.equal(statSync(path).ino, first.ino, 'not written again')

  const text = readFileSync(join(dist, 'tlsfleet-agent.cjs'), 'latin1')
  const script = new Script(`(function(exports,require,module){${text}\n})`)
  const loaded = script.createCachedData().length
  const code = kept.get('tlsfleet-agent.cjs')?.code.length ?? 0
  t.ok(code > 1.25 * loaded, `${code} bytes, of which loading compiles ${loaded}`)
})

await t.test('what is damaged, or of another text, is compiled again', async t => {
  const cache = join(directory, 'again')
  const path = join(cache, 'tlsfleet-agent-schema.code')
  const wanted = await run(cache, 'schema')
  const whole = readFileSync(path)

  for (let at = 100; at < whole.length; at += Math.ceil(whole.length / 7)) {
    const damaged = Buffer.from(whole)
    damaged.fill(0xff, at, at + 64)
    writeFileSync(path, damaged)
    t.match(await run(cache, 'schema'), { code: 0, stdout: wanted.stdout, stderr: '' }, `at ${at}`)
    t.not(readCompiled(path, UID).size, 0, 'and kept again')
  }

  // Of the same length, which is all that the engine looks at.
  const told = await run(cache, 'schema', '--help')
  const help = 'keeps the TLS of the services'
  t.match(told.stdout, help)
  const { script, text } = scriptWith(help)
  t.teardown(() => writeFileSync(script, text))
  writeFileSync(script, text.replace(help, help.toUpperCase()))
  t.equal(
    (await run(cache, 'schema', '--help')).stdout,
    told.stdout.replace(help, help.toUpperCase()),
  )
})

await t.test('what docs/from-source.md copies runs', async t => {
  const document = readFileSync(join(import.meta.dirname, '../../../docs/from-source.md'), 'utf8')
  const copy = /^cp dist\/.*$/m.exec(document)?.[0] ?? 'false'
  const installed = join(directory, 'installed')
  mkdirSync(installed)
  const done = await runCommand('/bin/sh', ['-euc', copy.replace('/usr/lib/tlsfleet', installed)], {
    cwd: directory,
  })
  t.match(done, { code: 0, stderr: '' })
  const told = await runCommand(process.execPath, [
    join(installed, 'tlsfleet-agent.mjs'),
    '--version',
  ])
  t.match(told, { code: 0, stdout: 'tlsfleet-agent 1.2.3\n' }, told.stderr)
})

await t.test('a run that failed, and a daemon, keep nothing', async t => {
  const cache = join(directory, 'nothing')
  t.equal((await run(cache, 'plan', '--desired', join(directory, 'none'))).code, 1)
  t.equal((await run(cache, 'nonsense')).code, 64)
  t.equal((await run(cache, '../schema')).code, 64)
  t.equal((await run(cache, '--version')).stdout, 'tlsfleet-agent 1.2.3\n')
  t.equal((await run(cache, 'run', '--root', directory, '--config', '/none.toml')).code, 1)
  t.same(existsSync(cache) ? codeFiles(cache) : [], [])
})

await t.test('scripts that another run needed are kept with those of this one', async t => {
  const cache = join(directory, 'both')
  const path = join(cache, 'tlsfleet-agent-plan.code')
  const plan = async (name: string, text: string) => {
    const file = join(directory, name)
    writeFileSync(file, text)
    const at = ['--root', directory, '--desired', file, '--json']
    const outcome = await run(cache, 'plan', ...at)
    t.match(outcome, { code: 0, stdout: /"ok":true/ }, outcome.stderr)
    return new Set(readCompiled(path, UID).keys())
  }
  const yaml = await plan('node.yaml', 'version: 1\nservices: []\n')
  const gone = 'chunk-GONE.cjs'
  t.ok([...yaml].some(name => name.startsWith('yaml-text-')))
  t.notOk(yaml.has(gone))
  rmSync(path)
  const json = await plan('node.json', '{"version": 1, "services": []}')
  t.notOk(
    [...json].some(name => name.startsWith('yaml-text-')),
    'JSON needs no YAML',
  )
  const both = await plan('node.yaml', 'version: 1\nservices: []\n')
  t.same(new Set([...json, ...both]), both)
  const after = statSync(path).ino
  t.same(await plan('node.json', '{"version": 1, "services": []}'), both)
  t.equal(statSync(path).ino, after, 'and both run with it')
})

await t.test('where nothing can be kept, everything runs', async t => {
  const blocked = join(directory, 'blocked')
  writeFileSync(blocked, '')
  for (const cache of [undefined, join(blocked, 'cache')])
    t.match(await run(cache, 'schema'), { code: 0, stderr: '' }, String(cache))

  const here = t.testdir({})
  const off = { NODE_COMPILE_CACHE: join(here, 'off'), NODE_DISABLE_COMPILE_CACHE: '1' }
  for (const env of [{ NODE_COMPILE_CACHE: '' }, off]) {
    const argv = [join(dist, 'tlsfleet-agent.mjs'), 'schema']
    const outcome = await runCommand(process.execPath, argv, { cwd: here, env })
    t.match(outcome, { code: 0, stderr: '' }, Object.keys(env).join())
  }
  t.same(readdirSync(here), [], 'it is switched off as for Node')

  const open = join(directory, 'open')
  const first = await run(open, 'schema')
  const path = join(open, 'tlsfleet-agent-schema.code')
  // What others could have written is not run, even if it is whole.
  const other = join(directory, 'again', 'tlsfleet-agent-schema.code')
  writeFileSync(path, readFileSync(other))
  chmodSync(path, 0o666)
  t.equal((await run(open, 'schema')).stdout, first.stdout)
  t.equal(statSync(path).mode & 0o777, 0o600, 'it is replaced')
})

await t.test('who loses what it waits for has failed', async t => {
  const { script, text } = scriptWith('process.exitCode=')
  t.teardown(() => writeFileSync(script, text))
  // As a promise that nobody keeps would leave it.
  const lost = text.replace(/\w+\(process\.argv\.slice\(2\)\)\.catch/, 'new Promise(()=>{}).catch')
  t.not(lost, text)
  writeFileSync(script, lost)
  t.match(await run(undefined, 'schema'), { code: 1, stdout: '' })
})
