// A program of the node's operator: as a unit of its own where there is systemd, ended when nobody waits
// for it any longer; else as a child of the agent.

import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { createCommands } from '../../../agent/edges/commands.ts'
import { ownUnitArgv } from '../../../agent/edges/own-unit.ts'
import { OUTPUT_BYTES_MAX } from '../../../agent/edges/run-program.ts'
import { until } from '../../lab/until.ts'

const UNIT = 'tlsfleet-snapshot-x.service'
const timeoutMs = 10_000
const sh = (script: string, ...more: readonly string[]) => ['/bin/sh', '-c', script, 'sh', ...more]

await t.test('it is asked for as root, outside of the sandbox, for so long at most', t => {
  const argv = ownUnitArgv({
    systemdRun: '/usr/bin/systemd-run',
    argv: ['/usr/local/sbin/save', '$HOME'],
    unit: UNIT,
    environment: { TLSFLEET_NODE: 'n1' },
    timeoutMs: 1_500,
  })

  t.strictSame(argv, [
    '/usr/bin/systemd-run',
    '--quiet',
    '--pipe',
    '--wait',
    '--collect',
    `--unit=${UNIT}`,
    '--service-type=exec',
    '--property=RuntimeMaxSec=3',
    '--property=TimeoutStopSec=5',
    '--setenv=TLSFLEET_NODE=n1',
    '--',
    '/usr/local/sbin/save',
    '$$HOME',
  ])
  t.end()
})

/** Stand-ins that write down how they are called; that of systemd-run runs what stands behind `--`. */
function standIns(t: Test) {
  const directory = t.testdir({})
  const log = join(directory, 'log')
  const program = (name: string, script: string) => {
    const path = join(directory, name)
    writeFileSync(path, `#!/bin/sh\necho "${name} $*" >>${log}\n${script}\n`, { mode: 0o755 })
    chmodSync(path, 0o755)
    return path
  }
  const systemctl = program('systemctl', 'exit 5')
  const run = 'while [ "$1" != -- ]; do shift; done; shift; exec "$@"'
  const systemdRun = program('systemd-run', run)
  const accounts = { user: async () => undefined, group: async () => undefined }
  const called = () =>
    (existsSync(log) ? readFileSync(log, 'utf8') : '')
      .trim()
      .split('\n')
      .map(line => line.split(' ').slice(0, 3).join(' '))
  return {
    called,
    commands: createCommands({ systemctl, systemdRun, accounts }),
    plain: createCommands({ systemctl, systemdRun: undefined, accounts }),
  }
}

const STOP = `systemctl stop ${UNIT}`
const RUN = 'systemd-run --quiet --pipe'

await t.test(
  'one that is left of before is ended first, and its result is the program’s',
  async t => {
    const { commands, called } = standIns(t)

    const result = await commands.run(sh('echo out; echo err >&2; exit 7'), {
      timeoutMs,
      unit: UNIT,
      environment: { A: 'b' },
    })

    t.same(result, { code: 7, stdout: 'out\n', stderr: 'err\n' })
    t.strictSame(called(), [STOP, RUN])
  },
)

await t.test('whoever does not wait any longer ends it', async t => {
  const late = standIns(t)
  await t.rejects(late.commands.run(sh('exec sleep 30'), { timeoutMs: 200, unit: UNIT }), {
    code: 'command-timeout',
  })
  // How far the program had come by then is for the machine to say.
  const stops = late.called().filter(line => line !== RUN)
  t.strictSame([stops, late.called().at(-1)], [[STOP, STOP], STOP])

  const left = standIns(t)
  const stop = new AbortController()
  const running = left.commands.run(sh('exec sleep 30'), {
    timeoutMs,
    unit: UNIT,
    signal: stop.signal,
  })
  const interrupted = t.rejects(running, { code: 'interrupted' })
  await until(() => left.called().includes(RUN), { what: 'it runs', everyMs: 10 })
  stop.abort()
  await interrupted
  t.strictSame(left.called(), [STOP, RUN, STOP])
})

await t.test('without systemd it is a child, with what it is told and a usual path', async t => {
  const { plain, called } = standIns(t)
  const environment = { TLSFLEET_NODE: 'n1' }

  const { stdout } = await plain.run(sh('env'), { timeoutMs, unit: UNIT, environment })

  t.match(stdout, /^TLSFLEET_NODE=n1$/m)
  t.match(stdout, /^PATH=\/usr\/local\/sbin:.*:\/bin$/m)
  t.strictSame(called(), [''])
  const loud = sh(`head -c ${2 * OUTPUT_BYTES_MAX} /dev/zero`)
  const { code } = await plain.run(loud, { timeoutMs, unit: UNIT })
  t.equal(code, 0, 'it may say more than a checker')
})
