// Completion: what could come next, and the scripts in the shells themselves.

import { execFile } from 'node:child_process'
import { existsSync, mkdtempSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { until } from '../../lab/until.ts'
import { tlsfleet } from './command.ts'
import { contextFile, startFakeController } from './fake-controller.ts'
import { nodeView, rolloutView } from './views.ts'

const execute = promisify(execFile)
const PROGRAM = join(import.meta.dirname, '../../../controller/cli/main.ts')

const controller = await startFakeController({
  'GET /v1/nodes': {
    body: { nodes: [nodeView({ name: 'data-1' }), nodeView({ name: 'data-2' })] },
  },
  'GET /v1/rollouts': { body: { rollouts: [rolloutView({ id: 'r7' })] } },
})
t.teardown(() => controller.close())
const config = contextFile(controller)

async function next(...words: readonly string[]): Promise<readonly string[]> {
  const { code, out, err } = await tlsfleet(['__complete', '--', ...words], { config })
  if (code !== 0) throw new Error(err)
  return out
    .trimEnd()
    .split('\n')
    .filter(line => line !== '')
    .map(line => line.split('\t')[0] ?? '')
}

// A controller that a busy machine lets wait for longer than a prompt does has no names.
function names(...words: readonly string[]): Promise<readonly string[]> {
  return until(
    async () => {
      const found = await next(...words)
      return found.length > 0 && found
    },
    { what: `names for ${words.join(' ')}` },
  )
}

await t.test('commands, then their commands, then what they take', async t => {
  const first = await next('')
  t.ok(first.includes('rollout') && first.includes('status'))
  t.notOk(first.includes('__complete'), 'not what is not for people')
  t.same(await next('roll'), ['rollout'])
  const verbs = await next('rollout', '')
  t.ok(verbs.includes('watch') && verbs.includes('force-release'))
  t.same(await names('rollout', 'watch', ''), ['r7'])
  t.same(await names('rollout', 'skip', 'r7', 'data-'), ['data-1', 'data-2'])
  t.same(await next('completion', ''), ['bash', 'zsh', 'fish'])
  t.same(await next('node', 'add', ''), [], 'a new name is nobody else’s to guess')
})

await t.test('options, and their values', async t => {
  t.ok((await next('status', '--')).includes('--label'))
  t.ok((await next('status', '--')).includes('--context'), 'those of every command too')
  t.same(await next('status', '--output', ''), ['table', 'wide', 'json', 'yaml'])
  t.same(await next('status', '--output', 'j'), ['json'])
  t.same(await next('--output', 'json', 'rollout', 'wat'), ['watch'], 'values are no commands')
  t.equal((await next('status', '--context', '')).length, 1)
  t.same(await next('plan', '-f', ''), [':files'])
})

await t.test('without a controller there are no names, and no error', async t => {
  const nowhere = join(mkdtempSync(join(tmpdir(), 'completion-')), 'config.json')
  const { code, out, err } = await tlsfleet(['__complete', '--', 'node', 'show', ''], {
    config: nowhere,
  })
  t.same({ code, out, err }, { code: 0, out: '', err: '' })
})

await t.test('a shell that is not known is a mistake, with those that are', async t => {
  const { code, err } = await tlsfleet(['completion', 'csh'], { config })
  t.equal(code, 1)
  t.match(err, /bash, zsh, fish/)
})

/** A directory with `tlsfleet` for PATH. */
function programDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'completion-'))
  symlinkSync(process.execPath, join(directory, 'node'))
  writeFileSync(join(directory, 'tlsfleet'), `#!/bin/sh\nexec node '${PROGRAM}' "$@"\n`, {
    mode: 0o755,
  })
  return directory
}

const SHELL_SCRIPTS = {
  bash: `source <(tlsfleet completion bash)
ask() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _tlsfleet; echo "\${COMPREPLY[*]}"; }
ask tlsfleet roll
ask tlsfleet rollout skip r7 da
ask tlsfleet plan -f package.j`,
  // What zsh offers is shown by its line editor only; here by functions of the same names.
  zsh: `compdef() { }
_describe() { print -l -- "\${(@P)@[-1]}"; }
_files() { print -l -- $words[-1]*; }
source <(tlsfleet completion zsh)
ask() { words=("$@"); CURRENT=$#; _tlsfleet; }
ask tlsfleet roll
ask tlsfleet rollout skip r7 da
ask tlsfleet plan -f package.j`,
  fish: `tlsfleet completion fish | source
complete -C 'tlsfleet roll'
complete -C 'tlsfleet rollout skip r7 da'
complete -C 'tlsfleet plan -f package.j'`,
} as const

// Of a user's own settings, nothing.
const QUIET = { bash: ['--norc'], zsh: ['-f'], fish: ['--no-config'] } as const

for (const shell of ['bash', 'zsh', 'fish'] as const) {
  const path = ['/usr/bin', '/bin'].map(bin => join(bin, shell)).find(one => existsSync(one))
  const skip = path === undefined && process.env['CI'] !== 'true' ? `${shell} is not here` : false
  await t.test(`${shell} itself completes commands, names and files`, { skip }, async t => {
    const home = mkdtempSync(join(tmpdir(), 'completion-home-'))
    const options = {
      cwd: join(import.meta.dirname, '../../..'),
      env: {
        PATH: `${programDirectory()}:/usr/bin:/bin`,
        TLSFLEET_CONFIG: config,
        HOME: home,
        TERM: 'dumb',
        LANG: 'C.UTF-8',
      },
    }
    const argv = [...QUIET[shell], '-c', SHELL_SCRIPTS[shell]]
    const stdout = await until(
      async () => {
        const printed = (await execute(path ?? shell, argv, options)).stdout
        return printed.includes('data-1') && printed
      },
      { what: 'a name that the controller knows' },
    )
    t.match(stdout, /rollout/, 'a command')
    t.match(stdout, /package\.json/, 'a file')
  })
}
