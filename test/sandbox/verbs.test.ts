// systemctl's verbs print, and a sandbox's units behave, as the golden transcript of the real ones.

import { mkdirSync, readlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t from 'tap'
import { golden } from './golden.ts'
import { runScenario } from './scenario.ts'
import { createUnits } from './supervisor.ts'
import { runVerb } from './verbs.ts'

await t.test('a sandbox gives the transcript of the real systemd', async t => {
  const root = t.testdir()
  const units = createUnits(root)
  t.teardown(() => units.destroy())

  const transcript = await runScenario({
    systemctl: argv => runVerb(units, argv),
    writeFile: async (path, contents) => {
      mkdirSync(dirname(join(root, path)), { recursive: true })
      writeFileSync(join(root, path), contents)
    },
    readLink: async path => {
      try {
        return readlinkSync(join(root, path))
      } catch {
        // The unit does not run.
        return undefined
      }
    },
  })

  t.equal(transcript, golden())
})

await t.test(
  'what the transcript has not: list-units, is-enabled, the manager, a mask',
  async t => {
    const root = t.testdir({
      etc: { systemd: { system: { 'masked.service': t.fixture('symlink', '/dev/null') } } },
      lib: {
        systemd: {
          system: {
            'a.service':
              '[Unit]\nDescription=It is A\n[Service]\nExecStart=/bin/sleep 100\n[Install]\nWantedBy=x\n',
            'b.service': '[Service]\nExecStart=/bin/sleep 100\n',
          },
        },
      },
    })
    const units = createUnits(root)
    t.teardown(() => units.destroy())
    const run = async (line: string) => await runVerb(units, line.split(' '))

    t.equal((await run('start a')).code, 0)
    t.match(await run('is-enabled a b'), { stdout: 'disabled\nstatic\n', code: 1 })
    t.match(await run('list-units'), {
      stdout: 'a.service loaded active running It is A\n',
      code: 0,
    })
    t.match(await run('is-system-running'), { stdout: 'running\n', code: 0 })
    t.match(await run('show --property=Version'), { stdout: /^Version=252/, code: 0 })
    t.match(await run('show --property=LoadState masked'), { stdout: 'LoadState=masked\n' })
    t.match(await run('start masked'), { stderr: /Unit masked.service is masked/, code: 1 })
    t.match(await run('show --nonsense'), { stderr: /nonsense/, code: 1 })

    const show = async () => (await run('show --property=NeedDaemonReload,ExecStart a')).stdout
    writeFileSync(
      join(root, 'lib/systemd/system/a.service'),
      '[Service]\nExecStart=/bin/sleep 200\n',
    )
    t.match(await show(), /sleep 100[^]*NeedDaemonReload=yes/)
    await run('daemon-reload')
    t.match(await show(), /sleep 200[^]*NeedDaemonReload=no/)
  },
)
