// The list that is redrawn in place needs a terminal: `script` of util-linux lends one.

import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { stripVTControlCharacters } from 'node:util'
import t from 'tap'
import { contextFile, startFakeController } from './fake-controller.ts'
import { NOW_MS, nodeView, rolloutView, step } from './views.ts'

const SCRIPT = '/usr/bin/script'
const PROGRAM = join(import.meta.dirname, '../../../controller/cli/main.ts')
const skip = existsSync(SCRIPT) ? false : `${SCRIPT} is not installed`

await t.test('on a terminal every node is a row that ends with its outcome', { skip }, async t => {
  const reason = { code: 'restored-after-failure', message: 'did not come up' }
  const running = rolloutView({
    steps: [step({ node: 'data-1', state: 'applying' }), step({ node: 'prom-1' })],
  })
  const failed = rolloutView({
    status: 'failed',
    steps: [
      step({ node: 'data-1', state: 'done', generation: 4 }),
      step({ node: 'prom-1', state: 'reverted', generation: 4, reason }),
    ],
  })
  const event = { version: 1, atMs: NOW_MS, kind: 'permit-claimed', node: 'data-1' }
  const controller = await startFakeController({
    'GET /v1/rollouts/r7/events': ({ path }) =>
      path.endsWith('after=0&wait=0')
        ? { body: { rollout: running, events: [] } }
        : path.includes('after=0')
          ? { body: { rollout: running, events: [event] } }
          : { body: { rollout: failed, events: [] } },
    'GET /v1/nodes': { body: { nodes: [nodeView({ name: 'data-1' }), nodeView()] } },
  })
  t.teardown(() => controller.close())

  const command = `stty rows 30 cols 120; "${process.execPath}" "${PROGRAM}" rollout follow r7`
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
  const shown = stripVTControlCharacters(await text(child.stdout))

  t.equal(await ended, 3)
  t.match(shown, 'data-1  switching')
  t.match(shown, /✔ data-1 {2}done\r?\n/)
  t.match(shown, /✖ prom-1 {2}failed, previous state restored: did not come up\r?\n/)
  t.match(shown, /NODE +OK +CHANGED/)
})
