// `rollout watch` on a terminal, which `script` of util-linux lends, and elsewhere.

import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { stripVTControlCharacters } from 'node:util'
import t from 'tap'
import { contextFile, startFakeController } from './fake-controller.ts'
import { tlsfleet } from './command.ts'
import { NOW_MS, nodeView, rolloutView, step } from './views.ts'

const SCRIPT = '/usr/bin/script'
const PROGRAM = join(import.meta.dirname, '../../../controller/cli/main.ts')
const skip = existsSync(SCRIPT) ? false : `${SCRIPT} is not installed`

const running = rolloutView({ steps: [step({ node: 'data-1', state: 'applying' })] })
const over = rolloutView({
  status: 'succeeded',
  steps: [step({ node: 'data-1', state: 'done', generation: 4 })],
})
const event = { version: 1, atMs: NOW_MS, kind: 'permit-claimed', node: 'data-1' }
const stepList = {
  status: 'running',
  pausedBy: [],
  phase: 0,
  batch: 0,
  batches: 1,
  steps: [{ node: 'data-1', state: 'applying', batch: 0 }],
}

/** The rollout ends once its steps were asked for twice: what came of the first time was drawn before that. */
async function watchable() {
  let looks = 0
  const drawn = Promise.withResolvers<void>()
  const controller = await startFakeController({
    'GET /v1/rollouts/r7/steps': () => {
      looks++
      if (looks === 2) drawn.resolve()
      return { body: stepList }
    },
    'GET /v1/groups': { body: { groups: [] } },
    'GET /v1/rollouts/r7/events': async ({ path }) => {
      if (path.endsWith('after=0&wait=0')) return { body: { rollout: running, events: [] } }
      if (path.includes('after=0')) return { body: { rollout: running, events: [event] } }
      await drawn.promise
      return { body: { rollout: over, events: [] } }
    },
    'GET /v1/nodes': { body: { nodes: [nodeView({ name: 'data-1' })] } },
  })
  return controller
}

await t.test(
  'a terminal gets a screen of its own, and its old one back with the recap',
  { skip },
  async t => {
    const controller = await watchable()
    t.teardown(() => controller.close())
    const command = `stty rows 30 cols 120; "${process.execPath}" "${PROGRAM}" rollout watch r7`
    const child = spawn(SCRIPT, ['-qfec', command, '/dev/null'], {
      env: {
        TLSFLEET_CONFIG: contextFile(controller),
        PATH: process.env['PATH'],
        TERM: 'xterm',
        LANG: 'C.UTF-8',
      },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const ended = new Promise(resolve => child.once('close', resolve))
    const shown = await text(child.stdout)

    t.equal(await ended, 0)
    const enter = shown.indexOf('\u001b[?1049h')
    const leave = shown.indexOf('\u001b[?1049l')
    t.ok(enter >= 0 && leave > enter, 'the alternate screen, and back')
    const screen = stripVTControlCharacters(shown.slice(enter, leave))
    t.match(screen, /▸ batch 1 of 1/)
    t.match(screen, /data-1 +1 {2}applying/)
    t.match(stripVTControlCharacters(shown.slice(leave)), /NODE +OK +CHANGED/, 'the recap stays')
  },
)

await t.test('elsewhere it is plain lines', async t => {
  const controller = await watchable()
  t.teardown(() => controller.close())
  controller.answer({
    'GET /v1/rollouts/r7/events': ({ path }) =>
      path.includes('after=0')
        ? { body: { rollout: over, events: [event] } }
        : { body: { rollout: over, events: [] } },
  })

  const { code, out } = await tlsfleet(['rollout', 'watch', 'r7'], {
    config: contextFile(controller),
  })

  t.equal(code, 0)
  t.match(out, /12:00:00Z {2}data-1 {2}switching\n/)
  t.notMatch(out, '\u001b')
})
