// A sandbox node from outside: the executable systemctl, real processes, and their end.

import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { runCommand } from '../lab/command.ts'
import { until } from '../lab/until.ts'
import { createSandboxNode, type SandboxNode } from './sandbox.ts'

const UNIT = `[Service]
Type=notify
NotifyAccess=all
Environment=WHO=you
ExecStart=/bin/sh SCRIPT \${WHO}
[Install]
WantedBy=multi-user.target
`
// What systemd-notify does, for machines without it.
const READY = `perl -MSocket -e 'socket(S, AF_UNIX, SOCK_DGRAM, 0) or die;
  ($n = $ENV{NOTIFY_SOCKET}) =~ s/^@/\\0/; send(S, "READY=1", 0, pack_sockaddr_un($n))'`

await t.test('a node without services', async t => {
  const node = await createSandboxNode({ dir: t.testdir(), name: 'n1', services: [] })
  t.teardown(() => node.powerOff())
  const script = join(node.root, 'greet.sh')
  writeFileSync(script, `echo "hello $1"\n${READY}\nexec sleep 1000\n`)
  const unit = UNIT.replace('SCRIPT', script)
  const wants = join(node.root, 'etc/systemd/system/multi-user.target.wants')
  mkdirSync(wants, { recursive: true })
  symlinkSync('/etc/systemd/system/greet.service', join(wants, 'greet.service'))
  writeFileSync(join(node.root, 'etc/systemd/system/greet.service'), unit)

  await t.test(
    'starts what is told by the executable, with nothing but LC_ALL in its environment',
    async t => {
      const run = (...argv: readonly string[]) =>
        runCommand(node.systemctl, argv, { env: { LC_ALL: 'C' } })
      t.match(await run('start', 'greet'), { stdout: '', stderr: '', code: 0 })
      t.match(await run('is-active', 'greet'), { stdout: 'active\n', code: 0 })
      t.equal(node.log('greet.service'), 'hello you\n')
      t.match(await run('reload', 'greet'), { code: 3 })
    },
  )

  await t.test(
    'starts its enabled units again after power was lost, and nothing survives that',
    async t => {
      const before = await mainPid(node)
      await node.powerOff()
      await until(() => !isRunning(before), { what: 'the service is gone' })
      t.match(await node.run('is-active', 'greet'), { stderr: /Host is down/, code: 1 })

      await node.start()
      await until(async () => (await node.run('is-active', 'greet')).code === 0, {
        what: 'the service is back',
      })
      t.not(await mainPid(node), before)
    },
  )

  await t.test('leaves systemctl hanging while it is frozen', async t => {
    node.freeze()
    await t.rejects(
      runCommand(node.systemctl, ['is-active', 'greet'], { timeoutMs: 500 }),
      /no end within/,
    )
    node.thaw()
    t.match(await node.run('is-active', 'greet'), { code: 0 })
  })

  await t.test('ends its services in order when it is stopped', async t => {
    const pid = await mainPid(node)
    await node.stop()
    t.notOk(isRunning(pid))
  })
})

await t.test('a node ends with the process that owns it, however that ends', async t => {
  const dir = t.testdir()
  const program = `import { createSandboxNode } from ${JSON.stringify(join(import.meta.dirname, 'sandbox.ts'))}
    import { writeFileSync } from 'node:fs'
    const node = await createSandboxNode({ dir: ${JSON.stringify(dir)}, name: 'n1', services: [] })
    writeFileSync(node.root + '/etc/systemd/system/s.service', '[Service]\\nExecStart=/bin/sleep 1000\\n')
    await node.run('start', 's')
    process.stdout.write((await node.run('show', '--value', '--property=MainPID', 's')).stdout)
    process.kill(process.pid, 'SIGKILL')`

  const { stdout, stderr, code } = await runCommand(process.execPath, [
    '--input-type=module',
    '-e',
    program,
  ])

  t.equal(code, 137, stderr)
  t.match(stdout, /^\d+\n$/)
  await until(() => !isRunning(Number(stdout)), { what: 'its service is gone' })
})

async function mainPid(node: SandboxNode): Promise<number> {
  return Number((await node.run('show', '--value', '--property=MainPID', 'greet')).stdout)
}

/** A zombie that nobody has waited for yet no longer runs. */
function isRunning(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}
