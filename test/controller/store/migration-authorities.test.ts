// A database of the schema before CAs followed one another, with data in it: everything is there
// afterwards, and opens with the passphrase that it was sealed with.

import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { openAuthorities, openKey } from '../../../controller/authorities.ts'
import { createAuthority } from '../../../controller/ca/authority.ts'
import { createSealing } from '../../../controller/ca/sealed-key.ts'
import { createController } from '../../../controller/controller.ts'
import { migrate, MIGRATIONS } from '../../../controller/store/migrate.ts'
import { openSqliteStore } from '../../../controller/store/sqlite.ts'
import { silentLog } from '../../../shared/log.ts'
import { spkiPin } from '../../../shared/pki/pin.ts'
import { Secret } from '../../../shared/secret.ts'

const dataDir = mkdtempSync(join(tmpdir(), 'tlsfleet-migration-'))
t.teardown(() => rmSync(dataDir, { recursive: true }))
const path = join(dataDir, 'controller.db')
const passphrase = new Secret('correct horse battery staple')
const sealing = createSealing(passphrase)
const [nowMs, random] = [Date.now(), randomBytes]
const identity = await createAuthority({ kind: 'identity', fleet: 'demo', nowMs, random })
const service = await createAuthority({ kind: 'service', fleet: 'demo', nowMs, random })

const database = new DatabaseSync(path)
migrate(database, { path, nowMs, migrations: MIGRATIONS.slice(0, 3) })
database.exec(`insert into settings values ('fleet', 'demo')`)
for (const [kind, { root, intermediate }] of Object.entries({ identity, service })) {
  const seal = (part: string, keyPem: Secret) =>
    sealing.seal(keyPem, { purpose: `ca/${kind}/${part}`, random })
  database
    .prepare('insert into authorities values (?, ?, ?, ?, ?, ?)')
    .run(
      kind,
      root.certificatePem,
      intermediate.certificatePem,
      seal('root', root.keyPem),
      seal('intermediate', intermediate.keyPem),
      nowMs,
    )
}
database.exec(`
  insert into nodes values ('a', '{}', '{"dns":["a.test"],"ip":[]}', 1, null, null);
  insert into enrollment_tokens values ('t', 'a', 'hash', ${nowMs + 60_000}, null, 1)`)
database.close()

await t.test('both CAs are the first of their kind, active, with keys that open', async t => {
  const store = await openSqliteStore({ path, busyTimeoutMs: 1_000 })
  t.teardown(() => store.close())
  await store.transaction(async tx => {
    for (const [kind, made] of [
      ['identity', identity],
      ['service', service],
    ] as const) {
      const records = await tx.authorities.list(kind)
      t.match(records, [
        {
          id: `${kind}-1`,
          state: 'active',
          rootCertificate: made.root.certificatePem,
          intermediateCertificate: made.intermediate.certificatePem,
          formerIntermediates: [],
          formerKeySealed: undefined,
          taintedAtMs: undefined,
          createdAtMs: nowMs,
          changedAtMs: nowMs,
        },
      ])
      t.equal(records.length, 1)
      const [record] = records
      if (record === undefined) throw new Error('no record')
      const root = openKey(record, 'root', 'demo', sealing)
      t.equal(root?.keyPem.reveal(), made.root.keyPem.reveal())
    }
    const opened = await openAuthorities(tx, 'demo', sealing)
    t.equal(opened.identity.pin, spkiPin(identity.root.certificatePem))
    t.same(opened.service.ca.trust, [service.root.certificatePem])
    const outstanding = await tx.tokens.outstanding(nowMs)
    t.match(outstanding, [{ id: 't', node: 'a' }])
    t.equal(outstanding[0]?.pin, undefined, 'of before: it names the one root that there was')
  })
})

await t.test('a controller starts on it, and makes the next one', async t => {
  const listen = { host: '127.0.0.1', port: 0 }
  const controller = await createController({
    dataDir,
    passphrase,
    listen: { operator: listen, agent: listen, enroll: listen },
    publicNames: ['localhost'],
    log: silentLog,
  })
  t.teardown(() => controller.close())
  t.equal(controller.identityRoot, identity.root.certificatePem)
  t.match(await controller.context.authorities.make('service'), {
    id: 'service-2',
    state: 'prepared',
  })
})
