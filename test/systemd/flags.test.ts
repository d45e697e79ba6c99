// The flags of Node are in three places that no program brings together: the list, the unit, and what
// docs/from-source.md installs.

import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t from 'tap'
import { AGENT_FLAGS, COMMAND_FLAGS, FLAGS_VARIABLE } from '../../systemd/flags.ts'
import { runCommand } from '../lab/command.ts'

const PROJECT = dirname(dirname(import.meta.dirname))
const read = (path: string) => readFileSync(join(PROJECT, path), 'utf8')
/** The commands of docs/from-source.md that install the programs, for another machine than this. */
const INSTALL =
  /^install_program\(\) \{\n[\s\S]*?^\}$/m.exec(read('docs/from-source.md'))?.[0] ?? ''

// Says how it was started.
const PROBE = `
  import { getCompileCacheDir } from 'node:module'
  import { dirname } from 'node:path'
  const [flags, argv, gc] = [process.execArgv, process.argv.slice(2), typeof globalThis.gc]
  console.log(JSON.stringify({ flags, argv, gc, cache: dirname(getCompileCacheDir() ?? '') }))
`

await t.test('the unit runs the agent with the flags of the list', async t => {
  const unit = read('systemd/tlsfleet-agent.service')
  t.match(unit, `\nEnvironment="${FLAGS_VARIABLE}=${AGENT_FLAGS.join(' ')}"\n`)
})

await t.test(
  'what docs/from-source.md installs hands the flags, and its arguments, to Node',
  async t => {
    const root = t.testdir({ lib: { 'probe.mjs': PROBE }, bin: {} })
    const script = INSTALL.replaceAll('/usr/bin', `${root}/bin`)
      .replaceAll('/usr/lib/tlsfleet/node', process.execPath)
      .replaceAll('/usr/lib/tlsfleet', `${root}/lib`)
      .replaceAll('/var/cache/tlsfleet', `${root}/cache`)
    const installed = await runCommand('/bin/sh', [
      '-euc',
      `${script}\ninstall_program probe '${COMMAND_FLAGS.join(' ')}'`,
    ])
    t.equal(installed.code, 0, installed.stderr)

    const env = { PATH: process.env['PATH'] }
    const argv = ['one word', '$HOME']
    const plain = await runCommand(join(root, 'bin/probe'), argv, { env })
    const flagged = await runCommand(join(root, 'bin/probe'), argv, {
      env: { ...env, [FLAGS_VARIABLE]: AGENT_FLAGS.join(' ') },
    })

    const cache = join(root, 'cache')
    t.same(JSON.parse(plain.stdout), { flags: COMMAND_FLAGS, argv, gc: 'undefined', cache })
    t.same(JSON.parse(flagged.stdout), { flags: AGENT_FLAGS, argv, gc: 'function', cache })
    t.equal(flagged.stderr, '', 'this Node knows all of them')
  },
)

await t.test('the agent is installed with the flags of its commands', async t => {
  const flags = COMMAND_FLAGS.join(' ')
  t.match(read('docs/from-source.md'), `\ninstall_program tlsfleet-agent '${flags}'\n`)
})

await t.test('who cannot write the cache is not told', async t => {
  const dir = t.testdir({ 'a-file': '' })
  const env = { PATH: process.env['PATH'], NODE_COMPILE_CACHE: join(dir, 'a-file', 'cache') }
  const outcome = await runCommand(process.execPath, ['-e', '0'], { env })
  t.match(outcome, { code: 0, stdout: '', stderr: '' })
})
