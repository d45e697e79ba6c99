// A controller's ACME issuer in a process of its own that is killed without warning at a given point.
// Arguments: database, directory as JSON, request, point.

import { randomBytes } from 'node:crypto'
import { createSealing } from '../../controller/ca/sealed-key.ts'
import { runDnsProgram } from '../../controller/issuers/acme/dns-program.ts'
import { createAcmeIssuer } from '../../controller/issuers/acme/issuer.ts'
import type { AcmeDirectory } from '../../controller/issuers/acme/settings.ts'
import { openSqliteStore } from '../../controller/store/sqlite.ts'
import { systemClock } from '../../shared/clock.ts'
import { silentLog } from '../../shared/log.ts'
import { until } from '../lab/until.ts'
import { PASSPHRASE } from './acme-scene.ts'

const [path = '', directoryJson = '', request = '', point = ''] = process.argv.slice(2)
const directory: AcmeDirectory = JSON.parse(directoryJson)

function die(): void {
  process.kill(process.pid, 'SIGKILL')
}

const store = await openSqliteStore({ path, busyTimeoutMs: 2_000 })
const issuer = createAcmeIssuer({
  store: {
    ...store,
    async transaction(work) {
      const before = await store.transaction(tx => tx.acme.order(request))
      // The first thing that happens after the certificate was fetched.
      if (point === 'signed' && before?.state === 'finalizing') die()
      const result = await store.transaction(work)
      const after = await store.transaction(tx => tx.acme.order(request))
      if (point === 'ordered' && after?.state === 'ordered') die()
      return result
    },
  },
  sealing: createSealing(PASSPHRASE),
  clock: systemClock,
  log: silentLog,
  random: randomBytes,
  signal: new AbortController().signal,
  directories: [directory],
  httpChallenges: { show: () => {}, remove: () => {} },
  onSettled: () => {},
  async runDns(dns, verb, record, signal) {
    await runDnsProgram(dns, verb, record, signal)
    if (point === 'presented' && verb === 'present') die()
  },
  pollMs: 20,
})
await until(() => issuer.tick(), { what: 'this process is killed', timeoutMs: 120_000 })
