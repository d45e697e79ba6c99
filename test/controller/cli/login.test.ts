import { chmodSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { configPath, readConfig } from '../../../controller/cli/context.ts'
import { tlsfleet, tlsfleetProgram } from './command.ts'
import { TOKEN, contextFile, listen, refusal, startFakeController } from './fake-controller.ts'

const whoami = { body: { name: 'admin', role: 'admin', fleet: 'prod' } }
const controller = await startFakeController({
  'GET /v1/whoami': whoami,
  'GET /v1/nodes': { body: { nodes: [] } },
})
const other = await startFakeController({ 'GET /v1/whoami': whoami })
t.teardown(() => Promise.all([controller.close(), other.close()]))

// Certificates are judged by it.
const nowMs = Date.now()
const octal = (path: string) => (statSync(path).mode & 0o777).toString(8)

await t.test('a login by pin is kept in a file that only its owner can read', async t => {
  const directory = t.testdir({ token: `${TOKEN}\n` })
  const config = join(directory, 'deep/tlsfleet/config.json')
  const argv = ['login', '--url', `${controller.url}/`, '--ca-pin', controller.caPin]

  const { code, out, err } = await tlsfleetProgram(
    [...argv, '--token-file', join(directory, 'token')],
    { config },
  )

  t.equal(err, '')
  t.equal(code, 0)
  t.equal(out, 'logged in to fleet prod as admin (admin), context prod\n')
  t.equal(octal(config), '600')
  t.equal(octal(join(config, '..')), '700')
  t.strictSame(readConfig(config), {
    version: 1,
    current: 'prod',
    contexts: { prod: { url: controller.url, token: TOKEN, ca: [controller.caPem] } },
  })
  t.equal((await tlsfleet(['node', 'ls'], { config })).code, 0)
})

await t.test('a second login adds a context, and --context chooses', async t => {
  const directory = t.testdir({ 'ca.pem': controller.caPem })
  const config = join(directory, 'config.json')
  const byFile = ['--url', controller.url, '--ca-file', join(directory, 'ca.pem'), '--token', '-']
  const input = `${TOKEN}\n`
  await tlsfleet(['login', ...byFile], { config, input })

  const second = await tlsfleet(['login', ...byFile, '--context', 'spare', '--json'], {
    config,
    input,
  })
  const unknown = await tlsfleet(['status', '--context', 'constructor'], { config })

  t.strictSame(JSON.parse(second.out), { context: 'spare', url: controller.url, ...whoami.body })
  t.strictSame(Object.keys(readConfig(config).contexts), ['prod', 'spare'])
  t.equal(readConfig(config).current, 'spare')
  t.equal((await tlsfleet(['status', '--context', 'prod'], { config })).code, 0)
  t.equal(
    unknown.err,
    'error: no login context named constructor (no-context)\nhint: contexts: prod, spare; choose one with --context\n',
  )
})

await t.test('a controller with another CA gets neither token nor login', async t => {
  const config = join(t.testdir(), 'config.json')
  const argv = ['login', '--url', other.url, '--ca-pin', controller.caPin, '--token', '-']

  const { code, err } = await tlsfleet(argv, { config, input: TOKEN, nowMs })

  t.equal(code, 1)
  t.match(err, /^error: could not log in at https:.* \(pin-mismatch\)\nhint: compare the pin/)
  t.strictSame(other.requests, [])
  t.strictSame(readConfig(config).contexts, {})
})

await t.test('a pinned controller must also have the name that it is called by', async t => {
  const elsewhere = await startFakeController({}, { names: { dns: ['else.example.org'], ip: [] } })
  t.teardown(() => elsewhere.close())
  const config = join(t.testdir(), 'config.json')
  const argv = ['login', '--url', elsewhere.url, '--ca-pin', elsewhere.caPin, '--token', '-']

  const byPin = await tlsfleet(argv, { config, input: TOKEN, nowMs })
  const byContext = await tlsfleet(['status'], { config: contextFile(elsewhere) })

  t.match(byPin.err, /does not cover 127\.0\.0\.1 \(controller-not-trusted\)\nhint: the pin fits/)
  t.match(byContext.err, /its certificate is not valid for 127\.0\.0\.1 \(controller-not-trusted\)/)
  t.strictSame(elsewhere.requests, [])
})

await t.test('a token as an argument works and is warned about', async t => {
  const config = join(t.testdir(), 'config.json')
  const argv = ['login', '--url', controller.url, '--ca-pin', controller.caPin]

  const typed = await tlsfleet([...argv, '--token', TOKEN], { config, nowMs })

  t.equal(typed.code, 0)
  t.match(typed.err, /^warning: a token on the command line can be seen/)
  t.notMatch(typed.out + typed.err, TOKEN)
})

await t.test('what cannot be a login is refused before anything is sent', async t => {
  const config = join(t.testdir({ empty: '' }), 'config.json')
  const login = async (...argv: string[]) =>
    (await tlsfleet(['login', ...argv], { config, input: 'two words' })).err
  const url = ['--url', controller.url]
  const pin = ['--ca-pin', controller.caPin]
  const before = controller.requests.length

  t.match(
    await login('--url', 'http://a.example', ...pin, '--token', '-'),
    /could not read the URL/,
  )
  t.match(await login(...url, ...pin), /exactly one of --token-file and --token/)
  t.match(await login(...url, '--token', 'x'), /exactly one of --ca-pin and --ca-file/)
  t.match(
    await login(...url, ...pin, '--token', '-'),
    /could not read the token: it is not one word/,
  )
  t.match(
    await login(...url, '--ca-pin', 'sha1:00', '--token', 'x'),
    /could not read the pin sha1:00/,
  )
  t.match(
    await login(...url, '--ca-file', join(config, '../empty'), '--token', 'x'),
    /could not read a certificate/,
  )
  t.equal(controller.requests.length, before)
})

await t.test('a refused token, a missing role and an odd answer say what to do', async t => {
  const refused = await tlsfleet(['status'], { config: contextFile(controller, 'old-token') })
  const config = contextFile(controller)
  const answers = { 'GET /v1/nodes/a': refusal(403, 'role-too-low', 'a viewer may not do this') }
  controller.answer({ ...answers, 'GET /v1/nodes/b': { text: '<html>' } })
  const role = await tlsfleet(['node', 'show', 'a'], { config })
  const odd = await tlsfleet(['node', 'show', 'b'], { config })
  const absent = await tlsfleet(['node', 'show', 'c'], { config })

  t.equal(refused.code, 1)
  t.match(
    refused.err,
    /^error: could not list nodes: the controller does not accept the token \(token-refused\)\nhint: .*tlsfleet login/,
  )
  t.match(
    role.err,
    /a viewer may not do this \(role-too-low\)\nhint: this needs a login with a higher role/,
  )
  t.match(
    odd.err,
    /^error: could not show node b: answer is not valid: .* \(malformed-answer\)\nhint: .*versions/,
  )
  t.match(absent.err, /^error: could not show node c: there is no such thing \(not-found\)\n$/)
})

await t.test('connection problems are told apart and say what to do', async t => {
  const gone = await startFakeController()
  await gone.close()
  const plain = createServer(socket => socket.end('HTTP/1.1 200 OK\r\n\r\n'))
  const port = await listen(plain)
  t.teardown(() => plain.close())
  const status = async (target: Pick<typeof controller, 'url' | 'caPem'>) =>
    (await tlsfleet(['status'], { config: contextFile({ ...controller, ...target }) })).err

  t.match(
    await status(gone),
    /nothing listens there \(controller-unreachable\)\nhint: check that tlsfleet-controller runs/,
  )
  t.match(
    await status({ ...controller, caPem: other.caPem }),
    /was not issued by the CA of this login \(controller-not-trusted\)\nhint: .*new pin/,
  )
  t.match(
    await status({ ...controller, url: `https://127.0.0.1:${port}` }),
    /no TLS 1\.3 connection .* \(controller-tls-failed\)\nhint: check that the port/,
  )
})

await t.test('the configuration is looked for where the environment says', async t => {
  t.equal(configPath({ TLSFLEET_CONFIG: '/a/b', XDG_CONFIG_HOME: '/x' }), '/a/b')
  t.equal(configPath({ XDG_CONFIG_HOME: '/x' }), '/x/tlsfleet/config.json')
  t.match(configPath({}), /\/\.config\/tlsfleet\/config\.json$/)
})

await t.test('a configuration that others can read, or that is broken, is refused', async t => {
  const config = contextFile(controller)
  chmodSync(config, 0o640)
  const open = await tlsfleet(['status'], { config })
  writeFileSync(config, '{"version":1')
  chmodSync(config, 0o600)
  const broken = await tlsfleet(['status'], { config })
  const directory = join(t.testdir(), 'directory')
  mkdirSync(directory, { mode: 0o700 })
  const unreadable = await tlsfleet(['status'], { config: directory })
  const none = await tlsfleet(['status'], { config: join(directory, 'config.json') })

  t.match(open.err, /can be read by other users \(config-not-private\)\nhint: .*chmod 600/)
  t.match(broken.err, /\(config-broken\)\nhint: remove the file/)
  t.notMatch(broken.err, TOKEN)
  t.match(unreadable.err, /\(config-unreadable\)/)
  t.match(none.err, 'error: not logged in to any controller (no-context)\nhint: log in first')
  t.notMatch(readFileSync(config, 'utf8'), TOKEN)
})
