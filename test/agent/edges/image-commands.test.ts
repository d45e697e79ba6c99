// With this machine's own root as the image; another one is in test/integration/image.test.ts.

import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { createFiles } from '../../../agent/edges/files.ts'
import { createImageCommands } from '../../../agent/edges/image-commands.ts'
import type { UnitState } from '../../../agent/host.ts'

const UNIT: UnitState = {
  unit: 'x.service',
  loaded: true,
  activeState: 'inactive',
  subState: 'dead',
  result: 'success',
  restarts: 0,
  invocationId: undefined,
  mainPid: undefined,
  startedAtMs: undefined,
  busy: false,
  user: 'someone',
  group: 'some',
  type: 'simple',
  canReload: false,
  needsDaemonReload: false,
  execStart: [],
  environment: {},
  environmentFiles: [],
  fragmentPath: undefined,
  dropInPaths: [],
}
const accounts = {
  user: async (name: string) => (name === 'someone' ? { uid: 7100, gid: 7101 } : undefined),
  group: async (name: string) => (name === 'some' ? 7102 : undefined),
}
const timeoutMs = 10_000
const NEEDS_ROOT = process.geteuid?.() === 0 ? false : 'only root may change its root'

function commandsOf(root: string) {
  return createImageCommands({ root, files: createFiles({ root }), accounts })
}

await t.test(
  'a program runs as root, or as the user of its unit',
  { skip: NEEDS_ROOT },
  async t => {
    const commands = commandsOf('/')
    const ids = async (unit?: UnitState) => {
      const options = unit === undefined ? { timeoutMs } : { timeoutMs, asServiceOf: unit }
      const argv = ['/bin/sh', '-c', 'id -u; id -g; id -G']
      return (await commands.run(argv, options)).stdout.trim().split('\n')
    }

    t.match(await ids(), ['0', '0'])
    t.match(await ids({ ...UNIT, user: 'root' }), ['0', '0'])
    t.same(await ids(UNIT), ['7100', '7102', '7102'], 'and in no group of ours')
    t.same(await ids({ ...UNIT, group: '' }), ['7100', '7101', '7101'])
    await t.rejects(ids({ ...UNIT, user: 'nobody-here' }), { code: 'command-failed-to-start' })
  },
)

await t.test(
  'its environment is the unit’s, but nothing for a loader',
  { skip: NEEDS_ROOT },
  async t => {
    const environment = {
      A: 'two words',
      LC_ALL: 'de_DE',
      LD_PRELOAD: '/x.so',
      GLIBC_TUNABLES: 'x',
    }

    const { code, stdout } = await commandsOf('/').run(['/usr/bin/env', '-0'], {
      timeoutMs,
      asServiceOf: { ...UNIT, environment },
    })

    t.equal(code, 0)
    // tap puts itself into every child of its tests.
    const own = stdout.split('\0').filter(one => !/^(NODE_OPTIONS|_TAPJS_\w+)=/.test(one))
    t.same(
      own.filter(one => one !== ''),
      ['A=two words', 'LC_ALL=C'],
    )
  },
)

await t.test(
  'a status of the program is told apart from chroot’s own',
  { skip: NEEDS_ROOT },
  async t => {
    const commands = commandsOf('/')
    for (const status of [1, 125, 126, 127])
      t.match(await commands.run(['/bin/sh', '-c', `exit ${status}`], { timeoutMs }), {
        code: status,
      })

    const root = imageWith(t, '#!/no/such/interpreter\n')
    await t.rejects(commandsOf(root).run(['/program'], { timeoutMs }), {
      code: 'command-failed-to-start',
      message: /^could not run \/program of .*: failed to run command/,
    })
    await t.rejects(commandsOf(root).run(['/missing'], { timeoutMs }), { code: 'command-missing' })
  },
)

await t.test('who is not root is told so', { skip: NEEDS_ROOT }, async t => {
  const root = imageWith(t, '#!/bin/sh\n')
  const commands = commandsOf(root)
  process.seteuid?.(7100)

  try {
    await t.rejects(commands.run(['/program'], { timeoutMs }), {
      code: 'command-failed-to-start',
      message: /only root can run programs of another root$/,
    })
  } finally {
    process.seteuid?.(0)
  }
})

function imageWith(t: Test, program: string): string {
  const root = t.testdir()
  writeFileSync(join(root, 'program'), program)
  chmodSync(join(root, 'program'), 0o755)
  return root
}
