import { chmodSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { configText, parseAddress, readSettings } from '../../controller/config.ts'
import {
  passphrasePath,
  readOrMakePassphrase,
  readPassphrase,
} from '../../controller/passphrase.ts'

await t.test('without a file and flags everything but the names has a default', async t => {
  const settings = readSettings({ dataDir: t.testdir({}) }, 'Host.Example.org')

  t.match(settings, {
    listen: {
      operator: { host: '0.0.0.0', port: 8443 },
      agent: { port: 8444 },
      enroll: { port: 8445 },
    },
    publicNames: ['host.example.org'],
    logLevel: 'info',
    identity: { lifetimeMs: 7 * 86_400_000, graceMs: 30 * 86_400_000 },
  })
})

await t.test('the file in the data directory is read, and flags win over it', async t => {
  const dataDir = t.testdir({
    'controller.toml':
      'publicNames = ["a.example.org", "10.0.0.1"]\n[listen]\nagent = "[::1]:9444"\n[identity]\ngrace = "90d"\n',
  })

  const settings = readSettings({ dataDir, listenOperator: ':9443', logLevel: 'debug' }, 'h')

  t.match(settings, {
    publicNames: ['a.example.org', '10.0.0.1'],
    listen: { operator: { host: '0.0.0.0', port: 9443 }, agent: { host: '::1', port: 9444 } },
    logLevel: 'debug',
    identity: { lifetimeMs: 7 * 86_400_000, graceMs: 90 * 86_400_000 },
  })
})

await t.test('what init writes is read back as it was', async t => {
  const dataDir = t.testdir({})
  const settings = readSettings(
    { dataDir, publicNames: ['c.example.org', '::1'], listenAgent: '[::]:1' },
    'h',
  )
  writeFileSync(join(dataDir, 'controller.toml'), configText(settings))

  t.strictSame(readSettings({ dataDir }, 'other'), settings)
})

await t.test('mistakes are named with their place', async t => {
  const cases = {
    'listne = 1': /controller\.toml: unknown key listne, did you mean listen\?/,
    '[listen]\nagnt = ":1"': /unknown key agnt, did you mean agent\?/,
    'publicNames = "x"': /publicNames: Invalid input: expected array/,
    'a = \n': /controller\.toml:1:\d+: is not valid TOML/,
    '[listen]\nagent = "8444"': /8444 is not an address such as/,
    'logLevel = "loud"': /logLevel: Invalid option/,
    '[identity]\nlifetime = "1m"': /identity\.lifetime is 1m, not a duration from 15m to 90d/,
    '[identity]\ngrace = "soon"': /identity\.grace is soon, not a duration from 0s to 400d/,
    '[identity]\ngarce = "1d"': /unknown key garce, did you mean grace\?/,
    '[agents]\nofflineAfter = "1s"': /agents\.offlineAfter is 1s, not a duration from 15s to 1h/,
  }
  for (const [text, message] of Object.entries(cases)) {
    const dataDir = t.testdir({ 'controller.toml': text })
    t.throws(() => readSettings({ dataDir }, 'h'), { code: 'config-invalid', message }, text)
  }
  t.throws(() => readSettings({ config: '/nowhere/x.toml' }, 'h'), { code: 'config-unreadable' })
  t.throws(() => readSettings({ dataDir: '/nowhere', publicNames: ['a b'] }, 'h'), {
    code: 'name-invalid',
  })
  t.throws(() => readSettings({ dataDir: '/nowhere', logLevel: 'loud' }, 'h'), {
    code: 'config-invalid',
  })
})

await t.test('metrics without a token are for loopback, webhooks for https', async t => {
  const settings = (text: string) =>
    readSettings({ dataDir: t.testdir({ 'controller.toml': text }) }, 'h')
  t.match(settings('[metrics]\nlisten = "127.0.0.1:9109"'), {
    metricsListen: { host: '127.0.0.1', port: 9109 },
    webhooks: [],
  })
  t.equal(settings('').metricsListen, undefined)
  for (const open of ['0.0.0.0:9109', ':9109', '[::]:9109', '192.0.2.1:9109'])
    t.throws(() => settings(`[metrics]\nlisten = "${open}"`), { message: /loopback/ }, open)
  const hook = '[[webhooks]]\nname = "a"\nsecretFile = "/s"\nurl = '
  t.match(settings(`${hook}"https://x.test/"`).webhooks, [{ name: 'a', url: 'https://x.test/' }])
  t.throws(() => settings(`${hook}"http://x.test/"`), { code: 'config-invalid' })
})

await t.test('how long an agent may be silent', async t => {
  const settings = (text: string) =>
    readSettings({ dataDir: t.testdir({ 'controller.toml': text }) }, 'h')
  t.equal(settings('').offlineAfterMs, 90_000)
  t.equal(settings('[agents]\nofflineAfter = "5m"').offlineAfterMs, 300_000)
})

await t.test('addresses', async t => {
  t.strictSame(parseAddress('127.0.0.1:0'), { host: '127.0.0.1', port: 0 })
  for (const text of ['', 'x', '1.2.3.4', '::1:8443', '1.2.3.4:99999', ':x'])
    t.throws(() => parseAddress(text), { code: 'config-invalid' }, text)
})

await t.test('the passphrase comes from a file that only few can read', async t => {
  const directory = t.testdir({ credentials: { 'ca-passphrase': 'from the service manager' } })
  const dataDir = join(directory, 'state', 'data')
  const given = (credentialsDirectory: string | undefined, file?: string) =>
    passphrasePath({ file, credentialsDirectory, dataDir })
  chmodSync(join(directory, 'credentials/ca-passphrase'), 0o440)

  t.equal(given(undefined), join(directory, 'state/ca-passphrase'))
  t.equal(given(join(directory, 'nowhere')), join(directory, 'state/ca-passphrase'))
  const credential = given(join(directory, 'credentials'))
  t.equal(readPassphrase(credential).reveal(), 'from the service manager')
  t.equal(given(join(directory, 'credentials'), '/x'), '/x')

  const path = given(undefined)
  const made = readOrMakePassphrase(path, size => new Uint8Array(size).fill(7))
  t.equal(made.isNew, true)
  t.equal(statSync(path).mode & 0o777, 0o600)
  t.equal(
    readOrMakePassphrase(path, () => new Uint8Array()).passphrase.reveal(),
    made.passphrase.reveal(),
    'is never replaced',
  )
  t.ok(readFileSync(path, 'utf8').length > 40)

  chmodSync(path, 0o644)
  t.throws(() => readPassphrase(path), { code: 'passphrase-exposed' })
  chmodSync(path, 0o600)
  writeFileSync(path, 'short\n')
  t.throws(() => readPassphrase(path), { code: 'passphrase-weak' })
  t.throws(() => readPassphrase('/nowhere/x'), { code: 'passphrase-missing' })
  mkdirSync(join(directory, 'file'))
  writeFileSync(join(directory, 'file/x'), '')
  t.throws(() => readOrMakePassphrase(join(directory, 'file/x/y'), () => new Uint8Array()), {
    name: 'OperationalError',
  })
})
