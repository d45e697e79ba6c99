// While nodes are asked for a plan, whoever waits is told how far that is.

import { join } from 'node:path'
import t from 'tap'
import type { PlanProgress } from '../../../shared/contract/operator-api.ts'
import { askingProgress } from '../../../controller/cli/asking.ts'
import { plainPaint, type Session, toJson } from '../../../controller/cli/output.ts'
import { tlsfleet } from './command.ts'
import { contextFile, startFakeController } from './fake-controller.ts'
import { plan } from './views.ts'

interface Told {
  readonly session: Session
  readonly text: () => string
  readonly elapse: (ms: number) => void
}

function listen({ json = false, isTerminal = false }): Told {
  let text = ''
  let nowMs = 0
  const never = async (): Promise<never> => {
    throw new Error('nothing is asked here')
  }
  const session: Session = {
    terminal: {
      out: () => {
        throw new Error('standard output is for the plan')
      },
      err: more => {
        text += more
      },
      canAsk: false,
      errorIsTerminal: isTerminal,
      size: undefined,
      ask: never,
      askSecretly: never,
      readInput: never,
    },
    json,
    document: toJson,
    event: toJson,
    paint: plainPaint,
    width: 80,
    contextName: undefined,
    environment: {},
    clock: { now: () => nowMs, monotonic: () => nowMs, sleep: async () => {} },
    signal: new AbortController().signal,
  }
  return {
    session,
    text: () => text,
    elapse: ms => {
      nowMs += ms
    },
  }
}

const at = (answered: number, silent = 0): PlanProgress => ({ of: 400, answered, silent })

await t.test('on a terminal one line is drawn anew, and wiped at the end', t => {
  const { session, text } = listen({ isTerminal: true })
  const asking = askingProgress(session)

  asking.update(at(0))
  asking.update(at(395, 3))
  asking.stop()

  const wipe = '\r\u001b[2K'
  t.equal(
    text(),
    `${wipe}asking what would change: 0 of 400 nodes answered …` +
      `${wipe}asking what would change: 395 of 400 nodes answered, 3 are silent …${wipe}`,
  )
  t.end()
})

await t.test('elsewhere it is a plain line now and then, and none for what is quick', t => {
  const { session, text, elapse } = listen({})
  const asking = askingProgress(session)

  for (const answered of [0, 100, 200]) {
    asking.update(at(answered))
    elapse(900)
  }
  t.equal(text(), '')
  asking.update(at(300))
  asking.update(at(301))
  asking.stop()

  t.equal(text(), 'asking what would change: 300 of 400 nodes answered\n')
  t.end()
})

await t.test('nothing is told to programs, and nothing is wiped that was not drawn', t => {
  const program = listen({ json: true, isTerminal: true })
  const asking = askingProgress(program.session)
  asking.update(at(1))
  asking.stop()
  t.equal(program.text(), '')

  const quick = listen({ isTerminal: true })
  askingProgress(quick.session).stop()
  t.equal(quick.text(), '')
  t.end()
})

await t.test('a plan comes as a stream, or from an older controller as it is', async t => {
  const controller = await startFakeController()
  t.teardown(() => controller.close())
  const config = contextFile(controller)
  const file = join(t.testdir({ 'fleet.yaml': 'fleet: prod\n' }), 'fleet.yaml')
  const frames = [
    `event: progress\ndata: ${JSON.stringify({ of: 2, answered: 1, silent: 0 })}\n\n`,
    `event: answer\ndata: ${JSON.stringify(plan)}\n\n`,
  ]
  const stream = { type: 'text/event-stream', text: frames.join('') }
  controller.answer({ 'POST /v1/plans': stream })
  const streamed = await tlsfleet(['plan', '-f', file, '--json'], { config })
  const headers = controller.requests.at(-1)?.headers
  controller.answer({ 'POST /v1/plans': { body: plan } })
  const whole = await tlsfleet(['plan', '-f', file, '--json'], { config })

  t.match(headers?.accept, /^text\/event-stream/)
  t.equal(headers?.['idempotency-key'], undefined, 'a stream is kept by nobody')
  t.strictSame(JSON.parse(streamed.out), JSON.parse(whole.out))
  t.equal(streamed.err, '')

  const problem = { type: 'about:blank', title: 'refused', status: 409, code: 'quorum-loss' }
  const detail = 'could not plan a change of group meta'
  const text = `event: problem\ndata: ${JSON.stringify({ ...problem, detail })}\n\n`
  controller.answer({ 'POST /v1/plans': { ...stream, text } })
  const refused = await tlsfleet(['plan', '-f', file], { config })
  t.equal(refused.code, 1)
  t.match(refused.err, /could not plan .*group meta.*quorum-loss/s)
})
