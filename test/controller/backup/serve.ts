// A controller on a data directory that is there already.

import type { Test } from 'tap'
import { type Controller, createController } from '../../../controller/controller.ts'
import { silentLog } from '../../../shared/log.ts'
import type { Secret } from '../../../shared/secret.ts'

const LOOPBACK = { host: '127.0.0.1', port: 0 }

export async function serve(t: Test, dataDir: string, passphrase: Secret): Promise<Controller> {
  const controller = await createController({
    dataDir,
    passphrase,
    listen: { operator: LOOPBACK, agent: LOOPBACK, enroll: LOOPBACK },
    publicNames: ['localhost'],
    log: silentLog,
  })
  t.teardown(() => controller.close())
  return controller
}
