// Another CA passphrase, by the command that operators type: afterwards nothing in the database opens with
// the one before, and everything with the next.

import { randomBytes } from 'node:crypto'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import t from 'tap'
import { makeAcmeKey, openAcmeKey } from '../../controller/ca/acme-key.ts'
import { openProvidedKey, sealProvidedKey } from '../../controller/ca/provided-key.ts'
import { createSealing } from '../../controller/ca/sealed-key.ts'
import { createController } from '../../controller/controller.ts'
import { runCommand } from '../../controller/main.ts'
import { openSqliteStore } from '../../controller/store/sqlite.ts'
import type { Transaction } from '../../controller/store/store.ts'
import { silentLog } from '../../shared/log.ts'
import { Secret } from '../../shared/secret.ts'

const directory = mkdtempSync(join(tmpdir(), 'tlsfleet-passphrase-'))
t.teardown(() => rmSync(directory, { recursive: true }))
const at = (name: string) => join(directory, name)
const dataDir = at('data')
const secretFile = (name: string, text: string, mode = 0o600) => {
  writeFileSync(at(name), text, { mode })
  return at(name)
}
const [OLD, NEXT] = ['the one that somebody has seen', 'the one that nobody has seen']
const passphraseFile = secretFile('passphrase', OLD)
const next = secretFile('next', NEXT)
const onController = ['--data-dir', dataDir, '--passphrase-file', passphraseFile]
const LOOPBACK = { host: '127.0.0.1', port: 0 }
const DIRECTORY = { directory: 'pebble', directoryUrl: 'https://acme.example.org/directory' }
const UPLOADED = new Secret('-----BEGIN PRIVATE KEY-----\nuploaded\n-----END PRIVATE KEY-----\n')

async function run(...argv: readonly string[]): Promise<string> {
  let text = ''
  await runCommand(argv, part => {
    text += part
  })
  return text
}

async function inStore<T>(work: (tx: Transaction) => Promise<T>): Promise<T> {
  const store = await openSqliteStore({
    path: join(dataDir, 'controller.db'),
    busyTimeoutMs: 1_000,
  })
  try {
    return await store.transaction(work)
  } finally {
    await store.close()
  }
}

/** Of every envelope, in whatever column of whatever table it stands. */
function salts(): readonly string[] {
  const database = new DatabaseSync(join(dataDir, 'controller.db'), { readOnly: true })
  const tables = database.prepare(`select name from sqlite_schema where type = 'table'`).all()
  const text = JSON.stringify(
    tables.map(({ name }) => database.prepare(`select * from "${String(name)}"`).all()),
  )
  database.close()
  return [...text.replaceAll('\\', '').matchAll(/"salt":"([^"]+)"/g)].map(([, salt = '']) => salt)
}

const change = (file = next) =>
  run('ca', 'passphrase', ...onController, '--new-passphrase-file', file)

/** Each as it is, to see what of it was lost. */
async function keysBy(passphrase: string) {
  const sealing = createSealing(new Secret(passphrase))
  return inStore(async tx => {
    const [account] = await tx.acme.accounts()
    const [pair] = await tx.provided.list()
    if (account === undefined || pair === undefined) throw new Error('they were put there')
    return [openAcmeKey(sealing, account).reveal(), openProvidedKey(sealing, pair).reveal()]
  })
}

await run('init', '--fleet', 'demo', '--public-name', 'localhost', ...onController)
await inStore(async tx => {
  const sealing = createSealing(new Secret(OLD))
  await tx.provided.put({
    name: 'wildcard',
    fingerprint: 'a'.repeat(64),
    certificateChain: '',
    trust: '',
    keySealed: sealProvidedKey(sealing, 'wildcard', UPLOADED, randomBytes),
    uploadedAtMs: 1,
    uploadedBy: 'ada',
  })
  await tx.acme.insertAccount({
    ...DIRECTORY,
    accountUrl: undefined,
    keySealed: makeAcmeKey(sealing, DIRECTORY.directory, randomBytes),
    createdAtMs: 1,
  })
})
// The key of a request that waits is sealed as well.
await run('ca', 'request', '--kind', 'service', '--out', at('request'), ...onController)

await t.test('what cannot be, changes nothing', async t => {
  const before = readFileSync(join(dataDir, 'controller.db'))
  const wrong = secretFile('wrong', 'it was never this one')

  const refusals = [
    [change(passphraseFile), 'usage', /the one that the keys have now/],
    [change(secretFile('short', 'short')), 'passphrase-weak', /./],
    [change(secretFile('open', NEXT, 0o644)), 'passphrase-exposed', /./],
    [change(at('none')), 'passphrase-missing', /./],
    [run('ca', 'passphrase', ...onController), 'usage', /--new-passphrase-file/],
    [
      run(
        'ca',
        'passphrase',
        '--data-dir',
        dataDir,
        '--passphrase-file',
        wrong,
        '--new-passphrase-file',
        next,
      ),
      'wrong-passphrase',
      /./,
    ],
  ] as const
  for (const [refused, code, message] of refusals) await t.rejects(refused, { code, message })

  t.ok(readFileSync(join(dataDir, 'controller.db')).equals(before))
})

await t.test('a controller that runs has its keys for itself', async t => {
  const controller = await createController({
    dataDir,
    passphrase: new Secret(OLD),
    publicNames: ['localhost'],
    listen: { operator: LOOPBACK, agent: LOOPBACK, enroll: LOOPBACK },
    log: silentLog,
  })
  await t.rejects(change(), { code: 'store-locked' })
  await controller.close()
})

await t.test('every key has the next passphrase, and only that', async t => {
  const [old, keys] = [new Set(salts()), await keysBy(OLD)]
  const count = salts().length
  const backup = at('before.backup')
  await run('backup', '--out', backup, ...onController)

  const said = await change()

  t.match(said, new RegExp(`^${count} keys are sealed with the passphrase of ${next} now`))
  t.match(said, passphraseFile, 'where it is to be put')
  t.equal(salts().length, count, 'of two CAs, a request, a pair and an account')
  t.equal(count, 7)
  t.strictSame(
    salts().filter(salt => old.has(salt)),
    [],
    'wherever an envelope stands',
  )
  const files = readdirSync(dataDir).map(name => readFileSync(join(dataDir, name), 'latin1'))
  t.notOk(
    files.some(text => [...old].some(salt => text.includes(salt))),
    'nor is there one in a page that is free',
  )
  t.strictSame(await keysBy(NEXT), keys)
  await t.rejects(keysBy(OLD), { code: 'wrong-passphrase' })
  await t.rejects(change(), { code: 'wrong-passphrase' }, 'the file has the one before still')
  t.match(await inStore(tx => tx.audit.list({ after: 0, limit: 100 })), [
    {},
    {},
    { action: 'ca-passphrase', actor: 'local' },
  ])
  const check = (file: string) => run('backup', '--check', backup, '--passphrase-file', file)
  t.match(await check(passphraseFile), 'before.backup', 'a backup opens as it did when it was made')
  await t.rejects(check(next), { code: 'wrong-passphrase' })
})

await t.test('the controller starts with it, and with no other', async t => {
  const options = {
    dataDir,
    publicNames: ['localhost'],
    listen: { operator: LOOPBACK, agent: LOOPBACK, enroll: LOOPBACK },
    log: silentLog,
  }
  await t.rejects(createController({ ...options, passphrase: new Secret(OLD) }), {
    code: 'wrong-passphrase',
  })
  const controller = await createController({ ...options, passphrase: new Secret(NEXT) })
  await controller.close()
})
