// The CAs of a running controller as operators see them, and a login that goes with them: when the
// identity CA is followed by another one, the context learns its root by the trust that it has.

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { readConfig, storeContext } from '../../../controller/cli/context.ts'
import { authoritiesText } from '../../../controller/cli/views/authorities.ts'
import { plainPaint } from '../../../controller/cli/output.ts'
import { createController } from '../../../controller/controller.ts'
import { readPassphrase } from '../../../controller/passphrase.ts'
import type { AuthorityState } from '../../../controller/store/store.ts'
import { AuthorityList } from '../../../shared/contract/authorities.ts'
import { silentLog } from '../../../shared/log.ts'
import { spkiPin } from '../../../shared/pki/pin.ts'
import { bundleFingerprints } from '../../../shared/pki/trust.ts'
import { tlsfleet } from './command.ts'

const directory = t.testdir()
const config = join(directory, 'login/config.json')
const dataDir = join(directory, 'controller')
const command = (...argv: string[]) => tlsfleet(argv, { config, nowMs: Date.now() })
const zones = ['--zone', 'prod.example', '--ip-range', '10.0.0.0/8']
const initArguments = ['init', '--dir', dataDir, '--fleet', 'demo', '--host', '127.0.0.1']
await command(...initArguments, ...zones)
const anywhere = { host: '127.0.0.1', port: 0 }
const controller = await createController({
  dataDir,
  listen: { operator: anywhere, agent: anywhere, enroll: anywhere },
  publicNames: ['127.0.0.1'],
  passphrase: readPassphrase(join(directory, 'ca-passphrase')),
  log: silentLog,
})
t.teardown(() => controller.close())
const { context } = controller
const made = readConfig(config).contexts['demo']
if (made === undefined) throw new Error('init stored no context')
const login = { ...made, url: controller.urls.operator }
storeContext(config, 'demo', login)
storeContext(config, 'sleepy', login)
storeContext(config, 'demo', login)

const change = async (changes: Readonly<Record<string, AuthorityState>>) => {
  await context.store.transaction(async tx => {
    for (const [id, state] of Object.entries(changes))
      await tx.authorities.setState(id, state, Date.now())
  })
  await context.refreshAuthorities()
}
const known = (name = 'demo') => readConfig(config).contexts[name]?.ca ?? []

await t.test('ca ls shows state, dates, zones and where the root key is', async t => {
  const { code, out } = await command('ca', 'ls')
  t.equal(code, 0)
  t.match(out, /^CA +STATE +SINCE +SIGNS UNTIL +ROOT UNTIL +ROOT KEY +ROOT +SIGNED WITH +ZONES\n/)
  t.match(out, /^identity-1 +active +\d+ s ago +\d{4}-\d\d-\d\d +\d{4}-\d\d-\d\d +sealed .* -$/m)
  t.match(out, /^service-1 +active .* prod\.example 10\.0\.0\.0\/8$/m)
  const { authorities } = AuthorityList.parse(JSON.parse((await command('ca', 'ls', '--json')).out))
  t.match(authorities, [
    { id: 'identity-1', pin: controller.pin, former: [] },
    { id: 'service-1', zones: { dns: ['prod.example'], ip: ['10.0.0.0/8'] } },
  ])
  const [first] = authorities
  if (first === undefined) throw new Error('no CA')
  const options = { paint: plainPaint, width: undefined, nowMs: first.createdAtMs }
  const tainted = { ...first, taintedAtMs: first.createdAtMs, rootKey: 'offline' as const }
  t.match(authoritiesText([tainted], options), /active, tainted .* offline /)
  t.notMatch((await command('ca', 'ls', '--json')).out, /PRIVATE|sealed":|"key/)
})

await t.test(
  'a name outside of the zones is told when the node is added, and when it is planned',
  async t => {
    const refused = await command('node', 'add', 'a', '--dns', 'a.test')
    t.equal(refused.code, 1)
    t.match(
      refused.err,
      /a\.test is outside of the zones of the service CA \(prod\.example, 10\.0\.0\.0\/8\)/,
    )
    t.match(refused.err, /\(outside-name-constraints\)\nhint: .*--outside-zones/)
    t.equal(
      (await command('node', 'add', 'b', '--dns', 'b.prod.example', '--ip', '10.1.1.1')).code,
      0,
    )
    t.equal((await command('node', 'add', 'a', '--dns', 'a.test', '--outside-zones')).code, 0)

    const plan = (issuer: string) => {
      const path = join(directory, 'fleet.yaml')
      const entry = `  - service: prometheus\n    nodes: all\n    issuer: ${issuer}\n`
      writeFileSync(path, `version: 1\nfleet: demo\nservices:\n${entry}`)
      return command('plan', '-f', path, '--wait', '1s')
    }
    const planned = await plan('internal')
    t.match(planned.err, /node a: a\.test is outside of the zones of the service CA/)
    t.match(planned.err, /invalid-spec/)
    t.notMatch((await plan('files')).err, /outside of the zones/, 'another issuer may')
  },
)

await t.test('a login learns the next root while it knows the one before', async t => {
  t.same(known(), [controller.identityRoot])
  const record = await context.authorities.make('identity')
  await context.store.transaction(tx => tx.authorities.insert(record))
  const both = bundleFingerprints([controller.identityRoot, record.rootCertificate])
  await command('node', 'ls')
  t.same(known(), [controller.identityRoot], 'prepared is no reason')

  await change({ 'identity-2': 'trusted' })
  t.equal((await command('node', 'ls')).code, 0)
  t.same(bundleFingerprints(known()), both, 'whatever was asked')
  t.same(known('sleepy'), [controller.identityRoot], 'each login for itself')
  const before = readFileSync(config, 'utf8')
  await command('node', 'ls')
  t.equal(readFileSync(config, 'utf8'), before, 'and once')

  await change({ 'identity-1': 'outgoing', 'identity-2': 'active' })
  const { code, err } = await command('node', 'ls')
  t.equal(code, 0, err)
  const pinned = await tlsfleet(
    [
      'login',
      '--url',
      login.url,
      '--ca-pin',
      spkiPin(record.rootCertificate),
      '--token',
      '-',
      '--context',
      'new',
    ],
    { config, input: `${login.token}\n`, nowMs: Date.now() },
  )
  t.equal(pinned.code, 0, pinned.err)
  t.same(known('new'), [record.rootCertificate], 'the root itself, not what vouches for it')

  await change({ 'identity-1': 'retired' })
  t.equal((await command('node', 'ls', '--context', 'demo')).code, 0)
  t.same(known(), [record.rootCertificate])
  t.equal((await command('node', 'ls', '--context', 'sleepy')).code, 0, 'one that slept through it')
  t.same(known('sleepy'), [record.rootCertificate])

  storeContext(config, 'lost', login)
  await change({ 'identity-1': 'denied' })
  const lost = await command('node', 'ls', '--context', 'lost')
  t.equal(lost.code, 1)
  t.match(lost.err, /not trusted|controller-not-trusted/)
  t.match((await command('ca', 'ls', '--context', 'new')).out, /^identity-1 +denied .* destroyed /m)
})
