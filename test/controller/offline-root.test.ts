// Roots that are kept offline, from init to the next intermediate and the next root, by the commands that
// operators type; OpenSSL has the last word on what the zones are worth.

import { execFileSync, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { checkBackup } from '../../controller/backup/check.ts'
import { writeBackup } from '../../controller/backup/backup.ts'
import { restoreBackup } from '../../controller/backup/restore.ts'
import { openAuthorities } from '../../controller/authorities.ts'
import { createController } from '../../controller/controller.ts'
import { issueLeaf } from '../../controller/ca/authority.ts'
import { createSealing } from '../../controller/ca/sealed-key.ts'
import { runCommand } from '../../controller/main.ts'
import { rootPassphrase } from '../../controller/root-passphrase.ts'
import { openSqliteStore } from '../../controller/store/sqlite.ts'
import type { AuthorityRecord } from '../../controller/store/store.ts'
import { silentLog } from '../../shared/log.ts'
import { OperationalError } from '../../shared/errors.ts'
import { parseCertificate } from '../../shared/pki/pem.ts'
import { generateKey } from '../../shared/pki/keys.ts'
import { Secret } from '../../shared/secret.ts'

const directory = mkdtempSync(join(tmpdir(), 'tlsfleet-offline-'))
t.teardown(() => rmSync(directory, { recursive: true }))
const at = (name: string) => join(directory, name)
const [dataDir, roots] = [at('data'), at('safe')]
const PASSPHRASE = 'the controller has this one'
const ROOT_PASSPHRASE = 'and this one lies in a safe'
const secretFile = (name: string, text: string) => {
  writeFileSync(at(name), text, { mode: 0o600 })
  return at(name)
}
const passphraseFile = secretFile('passphrase', PASSPHRASE)
const rootPassphraseFile = secretFile('root-passphrase', ROOT_PASSPHRASE)
const onController = ['--data-dir', dataDir, '--passphrase-file', passphraseFile]
const onRoots = ['--root', roots, '--root-passphrase-file', rootPassphraseFile]

async function run(...argv: readonly string[]): Promise<string> {
  let text = ''
  await runCommand(argv, part => {
    text += part
  })
  return text
}

async function inStore<T>(
  work: (list: Record<'identity' | 'service', readonly AuthorityRecord[]>) => T,
  path = dataDir,
): Promise<T> {
  const store = await openSqliteStore({ path: join(path, 'controller.db'), busyTimeoutMs: 1_000 })
  try {
    return await store.transaction(async tx =>
      work({
        identity: await tx.authorities.list('identity'),
        service: await tx.authorities.list('service'),
      }),
    )
  } finally {
    await store.close()
  }
}

/** What OpenSSL says to a leaf below the root of the file. */
function verdict(leafPem: string, intermediatePem: string, rootFile: string): string {
  writeFileSync(at('leaf.pem'), leafPem)
  writeFileSync(at('intermediate.pem'), intermediatePem)
  const { status, stdout, stderr } = spawnSync(
    'openssl',
    ['verify', '-CAfile', rootFile, '-untrusted', at('intermediate.pem'), at('leaf.pem')],
    { encoding: 'utf8' },
  )
  return status === 0
    ? 'ok'
    : (/error \d+ at \d depth lookup: (.*)/.exec(stderr + stdout)?.[1] ?? stderr)
}

const code = (error: unknown) => (error instanceof OperationalError ? error.code : error)

await t.test('init keeps the roots elsewhere, and the store never sees their keys', async t => {
  const init = ['init', '--fleet', 'demo', '--public-name', 'localhost', ...onController]
  const zones = ['--zone', 'prod.example', '--zone', 'Db.Test.', '--ip-range', '10.0.0.0/8']
  const elsewhere = ['--offline-root', roots, '--root-passphrase-file', rootPassphraseFile]
  const text = await run(...init, ...zones, ...elsewhere)

  t.match(text, /root keys +.*safe: identity-root-[0-9a-f]{8}\.key, service-root-[0-9a-f]{8}\.key/)
  const files = readdirSync(roots).toSorted()
  t.equal(files.length, 4)
  t.equal(statSync(roots).mode & 0o777, 0o700)
  for (const file of files) t.equal(statSync(join(roots, file)).mode & 0o777, 0o600, file)
  const keyFile = files.find(file => /^service-.*\.key$/.test(file)) ?? ''
  const plain = execFileSync(
    'openssl',
    ['pkey', '-in', join(roots, keyFile), '-passin', `file:${rootPassphraseFile}`],
    { encoding: 'utf8' },
  )
  t.match(plain, /BEGIN PRIVATE KEY/, 'OpenSSL opens it too')
  await inStore(({ identity: [identity], service: [service] }) => {
    t.equal(identity?.rootKeySealed, undefined)
    t.equal(service?.rootKeySealed, undefined)
    t.match(service, { id: 'service-1', state: 'active' })
  })
  t.equal(await run('ca', 'intermediate', ...onController).catch(code), 'root-offline')
  await t.rejects(run('init', '--fleet', 'demo', ...onController, '--offline-root', at('other')), {
    code: 'already-initialised',
  })
  t.notOk(existsSync(at('other')), 'and nothing is left of it')
})

await t.test('a leaf outside of the zones fails, whoever signs it', async t => {
  const store = await openSqliteStore({
    path: join(dataDir, 'controller.db'),
    busyTimeoutMs: 1_000,
  })
  const sealing = createSealing(new Secret(PASSPHRASE))
  const { service } = await store.transaction(tx => openAuthorities(tx, 'demo', sealing))
  await store.close()
  const rootFile = join(
    roots,
    readdirSync(roots).find(file => /^service-.*\.pem$/.test(file)) ?? '',
  )
  const { publicKeyPem } = await generateKey('ec-p256')
  const issuing = { nowMs: Date.now(), random: randomBytes }
  const request = (dns: string[], ip: string[]) =>
    ({ profile: 'server', publicKeyPem, lifetimeMs: 86_400_000, names: { dns, ip } }) as const
  const inside = issueLeaf(
    service.issuer,
    request(['a.prod.example', 'db.test'], ['10.1.2.3']),
    issuing,
  )
  t.equal(verdict(inside.certificatePem, service.issuer.certificatePem, rootFile), 'ok')
  for (const [dns, ip] of [
    [['a.test'], []],
    [['a.prod.example'], ['192.0.2.1']],
  ] as const)
    t.throws(() => issueLeaf(service.issuer, request([...dns], [...ip]), issuing), {
      code: 'outside-name-constraints',
    })

  // Whoever has stolen the key of the intermediate does not ask this program.
  const forge = (names: string, name: string) => {
    writeFileSync(at('ca.key'), service.issuer.keyPem.reveal(), { mode: 0o600 })
    writeFileSync(at('ca.pem'), service.issuer.certificatePem)
    writeFileSync(at(`${name}.cnf`), `subjectAltName=${names}\nbasicConstraints=CA:FALSE\n`)
    const openssl = (...argv: string[]) => execFileSync('openssl', argv, { stdio: 'pipe' })
    openssl(
      'req',
      '-new',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
      '-subj',
      '/CN=x',
      '-keyout',
      at('x.key'),
      '-out',
      at('x.csr'),
    )
    openssl(
      'x509',
      '-req',
      '-in',
      at('x.csr'),
      '-CA',
      at('ca.pem'),
      '-CAkey',
      at('ca.key'),
      '-days',
      '1',
      '-extfile',
      at(`${name}.cnf`),
      '-out',
      at(`${name}.pem`),
    )
    return readFileSync(at(`${name}.pem`), 'utf8')
  }
  const judge = (pem: string) => verdict(pem, service.issuer.certificatePem, rootFile)
  t.equal(judge(forge('DNS:b.prod.example', 'in')), 'ok')
  t.match(judge(forge('DNS:b.example', 'dns')), /permitted subtree violation/)
  t.match(judge(forge('DNS:b.prod.example,IP:192.0.2.1', 'ip')), /permitted subtree violation/)
  t.match(judge(forge('IP:2001:db8::1', 'ip6')), /permitted subtree|excluded subtree/)
})

await t.test('an intermediate is asked for, signed elsewhere, and taken over', async t => {
  const text = await run('ca', 'request', '--out', at('request'), ...onController)
  t.match(text, /holds no secret/)
  t.notMatch(readFileSync(at('request'), 'utf8'), /PRIVATE/)
  t.match(JSON.parse(readFileSync(at('request'), 'utf8')), {
    fleet: 'demo',
    kind: 'service',
    zones: { dnsZones: ['db.test', 'prod.example'], ipRanges: ['10.0.0.0/8'] },
  })
  const sign = (out: string, file = 'request', passphrase = rootPassphraseFile) =>
    run(
      'ca',
      'sign',
      '--root',
      roots,
      '--root-passphrase-file',
      passphrase,
      '--request',
      at(file),
      '--out',
      at(out),
    )
  t.equal(await sign('answer', 'request', passphraseFile).catch(code), 'wrong-passphrase')
  t.match(await sign('answer'), /signs for +db\.test, prod\.example, 10\.0\.0\.0\/8/)
  t.equal(await sign('answer').catch(code), 'file-unwritable', 'nothing is replaced')
  const other = { ...JSON.parse(readFileSync(at('request'), 'utf8')), kind: 'identity' }
  writeFileSync(at('changed'), JSON.stringify(other))
  t.equal(await sign('never', 'changed').catch(code), 'request-broken', 'the kind is signed')

  const refused = async (what: string, change: object) => {
    writeFileSync(
      at('bad'),
      JSON.stringify({ ...JSON.parse(readFileSync(at('answer'), 'utf8')), ...change }),
    )
    t.equal(await run('ca', 'import', at('bad'), ...onController).catch(code), 'answer-unfit', what)
  }
  const before = await inStore(list => list.service[0])
  await refused('another fleet', { fleet: 'other' })
  await refused('another key', { intermediate: before?.intermediateCertificate })
  await refused('no root of it', {
    root: (await inStore(list => list.identity[0]))?.rootCertificate,
  })
  await refused('nothing was asked for', { kind: 'identity' })
  t.same(await inStore(list => list.service[0]), before)

  t.match(await run('ca', 'import', at('answer'), ...onController), /^service-1 signs with another/)

  const after = await inStore(list => list.service[0])
  t.same(after?.formerIntermediates, [before?.intermediateCertificate])
  t.equal(after?.formerKeySealed, before?.intermediateKeySealed)
  t.not(after?.intermediateCertificate, before?.intermediateCertificate)
  t.equal(
    await run('ca', 'import', at('answer'), ...onController).catch(code),
    'answer-unfit',
    'once',
  )
  // A forged answer with a root that is not ours, without constraints.
  t.equal(parseCertificate(after?.intermediateCertificate ?? '').ca, true)
})

await t.test('a new root makes a CA of its own, prepared for a rotation', async t => {
  const made = await run('ca', 'root', '--fleet', 'demo', '--kind', 'identity', ...onRoots)
  t.match(made, /new identity root of fleet demo/)
  await run('ca', 'request', '--kind', 'identity', '--out', at('request-2'), ...onController)
  t.match(
    await run('ca', 'sign', ...onRoots, '--request', at('request-2'), '--out', at('answer-2')),
    /signs for +identities of agents/,
  )
  t.match(
    await run('ca', 'import', at('answer-2'), ...onController),
    /^identity-2 is there, prepared/,
  )
  await inStore(({ identity }) => {
    t.match(identity, [
      { id: 'identity-1', state: 'active' },
      { id: 'identity-2', state: 'prepared', rootKeySealed: undefined },
    ])
  })
})

await t.test('a controller works with it, and knows what it cannot make', async t => {
  const listen = { host: '127.0.0.1', port: 0 }
  const controller = await createController({
    dataDir,
    passphrase: new Secret(PASSPHRASE),
    listen: { operator: listen, agent: listen, enroll: listen },
    publicNames: ['localhost'],
    log: silentLog,
  })
  const { authorities } = controller.context
  const { service, identity } = authorities.current()
  t.equal(service.all[0]?.formerIntermediates.length, 1)
  t.equal(service.signers.size, 2, 'documents that name the one before are served on')
  t.equal(identity.roots.length, 1)
  await t.rejects(authorities.make('service'), { code: 'root-offline' })
  await controller.close()
})

await t.test('a backup holds all of it but the root keys, and comes back', async t => {
  await writeBackup({ dataDir, out: at('backup'), nowMs: Date.now(), version: 'test' })
  await checkBackup(at('backup'), new Secret(PASSPHRASE))
  await t.rejects(checkBackup(at('backup'), new Secret('another passphrase')), {
    code: 'wrong-passphrase',
  })
  const { pin } = await restoreBackup({
    from: at('backup'),
    dataDir: at('restored'),
    passphrase: new Secret(PASSPHRASE),
    nowMs: Date.now(),
  })
  t.match(pin, /^sha256:/)
  const [was, is] = [await inStore(list => list), await inStore(list => list, at('restored'))]
  t.same(is, was)
  t.equal(is.identity.length, 2)
})

await t.test('with the root in the store, an intermediate is renewed under it', async t => {
  const online = ['--data-dir', at('online'), '--passphrase-file', passphraseFile]
  await run('init', '--fleet', 'demo', '--public-name', 'localhost', ...online)
  const before = await inStore(list => list, at('online'))
  t.match(
    await run('ca', 'intermediate', '--zone', 'prod.example', ...online),
    /^service-1 signs with another.*\n.*tlsfleet apply/,
  )
  await run('ca', 'intermediate', '--kind', 'identity', ...online)
  const after = await inStore(list => list, at('online'))
  t.equal(after.service[0]?.rootCertificate, before.service[0]?.rootCertificate)
  t.same(after.service[0]?.formerIntermediates, [before.service[0]?.intermediateCertificate])
  t.same(after.identity[0]?.formerIntermediates, [before.identity[0]?.intermediateCertificate])
  t.equal(
    await run('ca', 'intermediate', '--kind', 'identity', '--zone', 'a.test', ...online).catch(
      code,
    ),
    'usage',
  )
  const other = secretFile('other-passphrase', 'not that of this controller')
  const wrong = ['--data-dir', at('online'), '--passphrase-file', other]
  t.equal(await run('ca', 'request', '--out', at('no'), ...wrong).catch(code), 'wrong-passphrase')
  t.equal(await run('ca').catch(code), 'usage')
  t.equal(await run('ca', 'sign', '--kind', 'x').catch(code), 'usage')
})

await t.test('the passphrase of a root is asked for, twice where it is new', async t => {
  const asking = (...answers: string[]) => ({
    canAsk: true,
    askSecretly: async () => answers.shift() ?? '',
  })
  const long = 'a passphrase that is long'
  t.equal((await rootPassphrase(undefined, asking(long), { isNew: false })).reveal(), long)
  t.equal((await rootPassphrase(undefined, asking(long, long), { isNew: true })).reveal(), long)
  const failing = (terminal: Parameters<typeof rootPassphrase>[1]) =>
    rootPassphrase(undefined, terminal, { isNew: true }).catch(code)
  t.equal(await failing(asking(long, 'another')), 'passphrase-differs')
  t.equal(await failing(asking('short', 'short')), 'passphrase-weak')
  t.equal(await failing({ ...asking(), canAsk: false }), 'passphrase-missing')
})
