// What a person on the node sees when the controller refuses it, and how it comes back: a real
// process of the agent, a real controller.

import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import t from 'tap'
import { TokenAnswer } from '../../shared/contract/operator-api.ts'
import { addNode, operatorOf, parsed, startController } from '../controller/api/support.ts'
import { runCommand } from '../lab/command.ts'
import { until } from '../lab/until.ts'
import { createSandboxNode } from '../sandbox/sandbox.ts'

const AGENT = join(dirname(dirname(import.meta.dirname)), 'agent/main.ts')
const TIMEOUT_MS = 60_000

t.setTimeout(900_000)

// Short, because the path of a socket in it must be.
const directory = mkdtempSync(join(tmpdir(), 'agent-'))
t.teardown(() => rmSync(directory, { recursive: true, force: true }))

await t.test('a revoked node says so, keeps running, and comes back with a token', async t => {
  const running = await startController(t)
  const operator = operatorOf(running)
  const node = await createSandboxNode({ dir: directory, name: 'n1', services: [] })
  t.teardown(() => node.stop())
  const place = ['--root', node.root, '--systemctl', node.systemctl]
  const run = (argv: readonly string[], input?: string) =>
    runCommand(process.execPath, [AGENT, ...argv, ...place], {
      timeoutMs: TIMEOUT_MS,
      ...(input === undefined ? {} : { input }),
    })
  const enroll = async (token: string) => {
    const outcome = await run(['enroll', '--token-file', '-'], token)
    t.equal(outcome.code, 0, outcome.stderr)
  }
  const statusThat = (what: string, check: (text: string) => boolean) =>
    until(
      async () => {
        const { code, stdout } = await run(['status'])
        return code === 0 && check(stdout) ? stdout : undefined
      },
      { what, everyMs: 100 },
    )
  await enroll(await addNode(operator, 'n1'))
  const daemon = spawn(process.execPath, [AGENT, 'run', ...place], { stdio: 'ignore' })
  const ended = new Promise<number | null>(resolve => daemon.once('exit', resolve))
  t.teardown(() => daemon.kill('SIGKILL'))
  await statusThat('the agent runs', text => text.startsWith('node n1 of fleet demo'))

  t.equal((await operator('POST', '/v1/nodes/n1/revoke')).status, 200)

  const told = await statusThat('it is refused', text => text.includes('identity-refused'))
  t.match(told, /^problem: .*identity-revoked; .*tlsfleet node token NAME \(identity-refused\)$/m)
  t.equal(daemon.exitCode, null, 'it runs on')

  const { token } = parsed(TokenAnswer, await operator('POST', '/v1/nodes/n1/token'))
  await enroll(token)
  await statusThat('it is accepted again', text => !text.includes('problem:'))
  t.equal(daemon.exitCode, null, 'without a restart')
  daemon.kill('SIGTERM')
  t.equal(await ended, 0)
})
