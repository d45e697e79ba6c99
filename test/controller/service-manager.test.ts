// The service manager hears that the controller is ready and, as often as it asked, that it is alive.

import { chmodSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { tellServiceManager } from '../../controller/service-manager.ts'
import { until } from '../lab/until.ts'

/** Writes down what it was told. */
function fakeNotify(t: Test) {
  const directory = t.testdir({
    heard: '',
    notify: '#!/bin/sh\necho "$NOTIFY_SOCKET $1" >>"$(dirname "$0")/heard"\n',
  })
  chmodSync(join(directory, 'notify'), 0o755)
  const heard = () => readFileSync(join(directory, 'heard'), 'utf8').trim().split('\n')
  return { program: join(directory, 'notify'), heard }
}

await t.test('it is told ready once and alive again and again, until the end', async t => {
  const { program, heard } = fakeNotify(t)
  const environment = { NOTIFY_SOCKET: '/run/s', WATCHDOG_USEC: '40000' }
  const end = tellServiceManager({ environment, program, failed: reason => t.fail(reason) })

  const count = (told: string) => heard().filter(line => line === `/run/s ${told}`).length
  await until(() => count('WATCHDOG=1') >= 3, { what: 'three signs of life', everyMs: 20 })
  // Each is told by a program of its own: the first one may be the last.
  await until(() => count('--ready') > 0, { what: 'ready', everyMs: 20 })
  end()

  t.equal(count('--ready'), 1)
})

await t.test('without a watchdog it is told ready only; without a manager nothing', async t => {
  const { program, heard } = fakeNotify(t)
  const failed = (reason: string) => t.fail(reason)
  tellServiceManager({ environment: {}, program, failed })
  const end = tellServiceManager({ environment: { NOTIFY_SOCKET: '/run/s' }, program, failed })

  await until(async () => heard().includes('/run/s --ready'), { what: 'ready', everyMs: 20 })

  t.same(heard(), ['/run/s --ready'])
  end()
})

await t.test('a manager that cannot be told is a reason, not an error', async t => {
  const environment = { NOTIFY_SOCKET: '/run/s' }
  const reason = await new Promise<string>(failed => {
    tellServiceManager({ environment, failed, program: '/nowhere/notify' })
  })
  t.match(reason, /ENOENT/)
})
