// The unix socket between the daemon and the local command line: mode 0600 in the agent's own
// directory, so that only the agent's user gets to it. It also shows whether an agent is running.

import type { Server } from 'node:http'
import { chmodSync, rmSync } from 'node:fs'
import * as z from 'zod/mini'
import { Reason, parser } from '../../shared/contract/schema.ts'
import { SERVER_SERVICES, type ServiceName } from '../../shared/contract/service.ts'
import { ServiceReport } from '../../shared/contract/report.ts'
import { OperationalError, describeError, systemErrorCode } from '../../shared/errors.ts'
import type { AgentControl } from '../agent.ts'

// As an import it would load all that Node has for fetch as well, because that is named there too:
// 33 ms of a start, and 6 MiB for as long as the agent lives. Asked for late because plans of a file
// need none of it.
const http = () => process.getBuiltinModule('node:http')

const ControlAnswer = z.object({
  node: z.optional(z.string()),
  fleet: z.optional(z.string()),
  controller: z.optional(z.string()),
  generation: z.optional(z.int()),
  mode: z.optional(z.string()),
  lastPassAtMs: z.optional(z.int()),
  problem: z.optional(Reason),
  /** In the text format of Prometheus. */
  metrics: z.optional(z.string()),
  services: z.array(ServiceReport),
})
export type ControlAnswer = Readonly<z.infer<typeof ControlAnswer>>

const parseAnswer = parser('answer of the agent', ControlAnswer)

// A pass with two restarts and their proofs may take minutes.
const ANSWER_TIMEOUT_MS = 900_000

// sockaddr_un of Linux, without its closing zero.
const SOCKET_PATH_BYTES_MAX = 107

export async function serveControl(path: string, control: AgentControl): Promise<Server> {
  const answers: Readonly<Record<string, () => unknown>> = {
    'GET /status': () => control.status(),
    'GET /metrics': () => ({ metrics: control.metrics(), services: [] }),
    'GET /plan': async () => ({ services: await control.plan() }),
    'POST /enrolled': async () => {
      await control.enrolled()
      return { services: [] }
    },
    'POST /apply': async () => ({ services: await control.apply() }),
    ...Object.fromEntries(
      SERVER_SERVICES.map(name => [
        `POST /renew/${name}`,
        async () => ({ services: await control.renew([name]) }),
      ]),
    ),
  }
  const server = http().createServer((question, answer) => {
    const handle = answers[`${question.method} ${question.url}`]
    const reply = (status: number, body: unknown) => {
      answer.writeHead(status, { 'content-type': 'application/json' })
      answer.end(JSON.stringify(body))
    }
    if (handle === undefined) {
      reply(404, { message: 'no such question' })
      return
    }
    // Also what is thrown at once, by an agent that is still starting, is an answer.
    Promise.resolve()
      .then(handle)
      .then(
        body => reply(200, body),
        error => reply(500, { message: describeError(error) }),
      )
  })
  if (await isAgentRunning(path)) {
    throw new OperationalError(
      'agent-running',
      'could not start: another agent is running with the same state directory',
    )
  }
  if (Buffer.byteLength(path) > SOCKET_PATH_BYTES_MAX) {
    throw new OperationalError(
      'state-unusable',
      `could not make the socket ${path}: its path is longer than ${SOCKET_PATH_BYTES_MAX} bytes`,
    )
  }
  rmSync(path, { force: true })
  const umask = process.umask(0o177)
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(path, resolve)
    })
    chmodSync(path, 0o600)
  } finally {
    process.umask(umask)
  }
  return server
}

export function isAgentRunning(path: string): Promise<boolean> {
  return isHeard(path, 'GET', '/status')
}

/** Has a running agent look at who it is. False: there is none. */
export function tellEnrolled(path: string): Promise<boolean> {
  return isHeard(path, 'POST', '/enrolled')
}

async function isHeard(path: string, method: string, url: string): Promise<boolean> {
  try {
    await ask(path, method, url, ALIVE_TIMEOUT_MS)
    return true
  } catch (error) {
    // Whoever answers, or is connected and too busy to, is there.
    return error instanceof OperationalError
  }
}

const ALIVE_TIMEOUT_MS = 2_000

const ABSENT: readonly string[] = ['ENOENT', 'ECONNREFUSED', 'EACCES', 'ENOTSOCK', 'EINVAL']

type Question = 'status' | 'metrics' | 'plan' | 'apply' | `renew/${ServiceName}`
const LOOKS: readonly Question[] = ['status', 'metrics', 'plan']

/** Throws `agent-not-running` or `agent-failed`. */
export async function askAgent(path: string, what: Question): Promise<ControlAnswer> {
  try {
    return parseAnswer(await ask(path, LOOKS.includes(what) ? 'GET' : 'POST', `/${what}`))
  } catch (error) {
    const code = systemErrorCode(error)
    if (error instanceof OperationalError) throw error
    if (code === undefined || !ABSENT.includes(code))
      throw new OperationalError('agent-failed', 'the agent ended before it answered', {
        cause: error,
      })
    throw new OperationalError('agent-not-running', 'could not reach the agent of this node', {
      cause: error,
      hint:
        code === 'EACCES'
          ? 'run it as root'
          : 'start it with "systemctl start tlsfleet-agent", or give --desired FILE',
    })
  }
}

function ask(
  path: string,
  method: string,
  url: string,
  timeoutMs = ANSWER_TIMEOUT_MS,
): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const question = http().request(
      { socketPath: path, method, path: url, timeout: timeoutMs },
      answer => {
        let text = ''
        answer.setEncoding('utf8')
        answer.on('data', chunk => {
          text += chunk
        })
        answer.on('error', reject)
        answer.on('end', () => {
          if (answer.statusCode === 200) resolve(parseJson(text))
          else
            reject(
              new OperationalError(
                'agent-failed',
                `the agent could not answer: ${text.slice(0, 500)}`,
              ),
            )
        })
      },
    )
    question.on('error', reject)
    question.on('timeout', () =>
      question.destroy(
        new OperationalError('agent-failed', `the agent did not answer within ${timeoutMs} ms`),
      ),
    )
    question.end()
  })
}

// What is not JSON is no answer of an agent: the parser behind says so.
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
