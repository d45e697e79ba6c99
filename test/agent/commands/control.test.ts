// The socket between the daemon and the local command line.

import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { ServiceReport } from '../../../shared/contract/report.ts'
import { OperationalError } from '../../../shared/errors.ts'
import type { AgentControl } from '../../../agent/agent.ts'
import {
  askAgent,
  isAgentRunning,
  serveControl,
  tellEnrolled,
} from '../../../agent/commands/control.ts'

const REASON = { code: 'in-sync', message: 'as wanted' }
const SERVICE: ServiceReport = {
  service: 'influxdb',
  outcome: 'in-sync',
  reason: REASON,
  corrective: false,
  activation: 'none',
  activationReason: REASON,
  changes: [],
  served: [],
  notices: [],
  activations: 0,
}

const CONTROL: AgentControl = {
  status: () => ({
    node: 'n1',
    fleet: 'f',
    controller: 'https://c:8444',
    generation: 3,
    mode: 'enforce',
    lastPassAtMs: 1,
    problem: undefined,
    services: [SERVICE],
  }),
  metrics: () => '# metrics\n',
  plan: async () => [SERVICE],
  apply: async () => [{ ...SERVICE, outcome: 'changed' }],
  renew: async ([service = 'influxdb']) => [{ ...SERVICE, service }],
  enrolled: async () => {},
}

/** Short: the path of a socket may not be as long as that of a test's own directory. */
function socketPath(t: Test): string {
  const directory = mkdtempSync(join(tmpdir(), 'control-'))
  t.teardown(() => rmSync(directory, { recursive: true }))
  return join(directory, 'agent.sock')
}

async function serve(t: Test, control: Partial<AgentControl> = {}): Promise<string> {
  const path = socketPath(t)
  const server = await serveControl(path, { ...CONTROL, ...control })
  t.teardown(() => {
    server.close()
    server.closeAllConnections()
  })
  return path
}

await t.test('every question has its answer, and only its owner may ask', async t => {
  const path = await serve(t)

  t.strictSame(await askAgent(path, 'metrics'), { metrics: '# metrics\n', services: [] })

  t.match(await askAgent(path, 'status'), { node: 'n1', generation: 3, mode: 'enforce' })
  t.strictSame((await askAgent(path, 'plan')).services, [SERVICE])
  t.equal((await askAgent(path, 'apply')).services[0]?.outcome, 'changed')
  t.equal((await askAgent(path, 'renew/prometheus')).services[0]?.service, 'prometheus')
  t.equal(statSync(path).mode & 0o777, 0o600)
  t.equal(await isAgentRunning(path), true)
})

await t.test('an agent that runs is told that its node was enrolled', async t => {
  let told = 0
  const path = await serve(t, { enrolled: async () => void told++ })
  t.equal(await tellEnrolled(path), true)
  t.equal(told, 1)
  t.equal(await tellEnrolled(socketPath(t)), false, 'and without one there is nobody to tell')
})

await t.test('without an agent the error says how to start one', async t => {
  const path = socketPath(t)

  await t.rejects(askAgent(path, 'status'), { code: 'agent-not-running', hint: /systemctl start/ })
  t.equal(await isAgentRunning(path), false)
  writeFileSync(path, 'no socket')
  await t.rejects(askAgent(path, 'status'), { code: 'agent-not-running' })
  t.equal(await isAgentRunning(path), false)
})

await t.test('a path that is too long for a socket is said to be so', async t => {
  const path = join(socketPath(t), 'x'.repeat(120))

  await t.rejects(serveControl(path, CONTROL), { code: 'state-unusable' })
})

await t.test('an agent that hangs counts as running', async t => {
  const path = socketPath(t)
  const server = createServer(() => undefined)
  await new Promise<void>(resolve => server.listen(path, resolve))
  t.teardown(() => {
    server.close()
    server.closeAllConnections()
  })

  t.equal(await isAgentRunning(path), true)
})

await t.test(
  'the socket of an agent that died is taken over, that of a living one is not',
  async t => {
    const path = socketPath(t)
    writeFileSync(path, 'left over')
    const server = await serveControl(path, CONTROL)
    t.teardown(() => server.close())

    await t.rejects(serveControl(path, CONTROL), { code: 'agent-running' })
    t.match(await askAgent(path, 'status'), { node: 'n1' })
  },
)

await t.test(
  'an agent that is still starting answers an error, stays alive, and counts as running',
  async t => {
    const starting = () => {
      throw new OperationalError('agent-starting', 'the agent is still starting')
    }
    const path = await serve(t, { status: starting, plan: starting })

    await t.rejects(askAgent(path, 'status'), { code: 'agent-failed', message: /still starting/ })
    await t.rejects(askAgent(path, 'plan'), { code: 'agent-failed' })
    t.equal(await isAgentRunning(path), true)
    t.equal((await askAgent(path, 'apply')).services.length, 1)
  },
)

await t.test('an agent that ends while it is asked gives an error, not a stack', async t => {
  const path = socketPath(t)
  const server = await serveControl(path, {
    ...CONTROL,
    apply: () => {
      server.closeAllConnections()
      return new Promise(() => undefined)
    },
  })
  t.teardown(() => server.close())

  const error = await askAgent(path, 'apply').catch(caught => caught)

  t.match(error, { name: 'OperationalError', code: 'agent-failed' })
})

await t.test('what is no answer of an agent is an error, not a stack', async t => {
  const path = socketPath(t)
  const server = createServer((_, answer) => void answer.end('hello'))
  await new Promise<void>(resolve => server.listen(path, resolve))
  t.teardown(() => server.close())

  const error = await askAgent(path, 'status').catch(caught => caught)

  t.match(error, { name: 'OperationalError' })
})

await t.test('a question that nobody knows is refused', async t => {
  const path = await serve(t)
  const { request } = await import('node:http')
  const status = await new Promise(resolve => {
    request({ socketPath: path, method: 'POST', path: '/status' }, answer => {
      answer.resume()
      resolve(answer.statusCode)
    }).end()
  })

  t.equal(status, 404)
})
