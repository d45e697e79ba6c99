// The commands against the controller itself, from init on. There is no agent, so what nodes answer
// is left to the tests with the fake controller.

import { readFileSync, writeFileSync } from 'node:fs'
import { get } from 'node:https'
import { join } from 'node:path'
import t from 'tap'
import { readConfig, storeContext } from '../../../controller/cli/context.ts'
import { createController } from '../../../controller/controller.ts'
import { readPassphrase } from '../../../controller/passphrase.ts'
import { createLogger } from '../../../shared/log.ts'
import { tlsfleet } from './command.ts'

const directory = t.testdir()
const config = join(directory, 'login/config.json')
const dataDir = join(directory, 'controller')
const command = (...argv: string[]) => tlsfleet(argv, { config, nowMs: Date.now() })
const spec = (text: string): string => {
  const path = join(directory, 'fleet.yaml')
  writeFileSync(path, text)
  return path
}
const GOOD = 'version: 1\nfleet: demo\nservices:\n  - service: prometheus\n    nodes: all\n'

const initArguments = ['init', '--dir', dataDir, '--fleet', 'demo', '--host', '127.0.0.1']
const made = await command(...initArguments)

await t.test('init makes a controller and a login, and never shows the token', async t => {
  const context = readConfig(config).contexts['demo']

  t.equal(made.code, 0)
  t.match(made.out, `The controller of fleet demo is ready in ${dataDir}.`)
  t.match(made.out, `\n  tlsfleet-controller serve --data-dir ${dataDir}\n`)
  t.match(readFileSync(join(dataDir, 'controller.toml'), 'utf8'), 'publicNames = ["127.0.0.1"]')
  t.match(context, { url: 'https://127.0.0.1:8443', token: /^tlsf_/ })
  t.notMatch(made.out + made.err, context?.token ?? 'no token')
})

await t.test('init never makes a controller twice, and never loses a login', async t => {
  const before = readFileSync(config, 'utf8')

  const again = await command(...initArguments)
  const other = await command(
    'init',
    '--dir',
    `${dataDir}2`,
    '--fleet',
    'demo',
    '--host',
    'b.example',
  )

  t.equal(again.code, 1)
  t.match(again.err, /\(already-initialised\)\nhint: /)
  t.equal(other.code, 1)
  t.match(
    other.err,
    /^error: could not make a login context demo: .* \(context-exists\)\nhint: .*--context/,
  )
  t.equal(readFileSync(config, 'utf8'), before)
})

const anywhere = { host: '127.0.0.1', port: 0 }
const controller = await createController({
  dataDir,
  listen: { operator: anywhere, agent: anywhere, enroll: anywhere },
  publicNames: ['127.0.0.1'],
  passphrase: readPassphrase(join(directory, 'ca-passphrase')),
  log: createLogger({ name: 'controller', level: 'silent' }),
})
t.teardown(() => controller.close())

await t.test('the login of init works, and so does one by pin', async t => {
  const context = readConfig(config).contexts['demo']
  if (context === undefined) throw new Error('init stored no context')
  const url = controller.urls.operator

  const login = await tlsfleet(
    ['login', '--url', url, '--ca-pin', controller.pin, '--token', '-'],
    {
      config,
      nowMs: Date.now(),
      input: context.token ?? '',
    },
  )
  storeContext(config, 'by-init', { ...context, url })
  const status = await command('status')

  t.equal(login.err, '')
  t.equal(login.out, 'logged in to fleet demo as admin (admin), context demo\n')
  t.equal(status.err, '')
  t.equal(status.out, 'no nodes yet; add one: tlsfleet node add NAME --dns NAME\n')
})

await t.test('the CA of the controller is another one than that of the services', async t => {
  const health = (ca: string) => {
    const { hostname, port } = new URL(controller.urls.operator)
    return new Promise<number | undefined>((resolve, reject) => {
      const asked = get({ hostname, port, path: '/v1/healthz', ca }, answer => {
        answer.resume()
        resolve(answer.statusCode)
      })
      asked.on('error', reject)
    })
  }
  const [own, services] = [await command('trust', '--controller'), await command('trust')]

  t.strictSame([own.err, services.err], ['', ''])
  t.type(await health(own.out), 'number')
  await t.rejects(health(services.out), { code: /CERT|ISSUER/ })
})

await t.test('nodes are added, listed, shown, given tokens', async t => {
  const added = await command('node', 'add', 'prom-1', '--dns', 'P1.example.org', '--label', 'a=b')
  const twice = await command('node', 'add', 'prom-1', '--dns', 'p1.example.org')
  await command('node', 'add', 'prom-2', '--ip', '192.0.2.1')
  const bad = await command('node', 'add', 'Prom_3', '--dns', 'p3.example.org')

  t.match(added.out, /^tlsfleet-agent enroll --token tfe1\.\S+\n$/)
  t.match(added.err, 'it is shown once and ends in 60 min:')
  t.match(twice.err, /\(already-exists\)/)
  t.match(bad.err, /^name: .*\nerror: could not add node Prom_3: .* \(malformed-request\)/)
  t.match((await command('node', 'ls', '--label', 'a=b')).out, /^NODE .*\nprom-1  pending .*\n$/)
  t.match((await command('node', 'show', 'prom-1')).out, /\n  dns +p1\.example\.org\n/)
  t.match((await command('node', 'token', 'prom-1')).out, /^tlsfleet-agent enroll/)
  t.match((await command('node', 'show', 'prom-9')).err, /there is no node prom-9 \(not-found\)/)
  t.match((await command('status')).out, /\n2 nodes: 2 pending\n$/)
})

await t.test('before there is a node the certificates are those of the CAs', async t => {
  const all = await command('certs')
  const soon = await command('certs', '--forecast')
  const late = await command('certs', '--expiring', '1100d', '--json')

  t.strictSame([all.err, all.code, all.out.match(/\(?service-root/g)?.length], ['', 0, 1])
  t.match(all.out, /\n4 certificates: 4 ok; the first ends in 109\d d \((identity|service)-inter/)
  t.strictSame([soon.code, soon.out], [0, 'no certificates end within 30d if nothing changes\n'])
  t.equal(late.code, 2)
  t.match(JSON.parse(late.out).certificates, [{ unrenewed: { code: 'ca-not-renewed' } }, {}])
  t.match((await command('certs', '--node', 'prom-9')).err, /no node prom-9 \(not-found\)/)
})

await t.test('mistakes in a spec are shown with their lines', async t => {
  const file = spec(GOOD.replace('services', 'sevrices'))

  const { code, err } = await command('plan', '-f', file)

  t.equal(code, 1)
  t.match(err, `${file}:3:1: unknown key \`sevrices\`; did you mean \`services\`?\n`)
  t.match(err, /\nerror: could not plan .* \(invalid-spec\)\n$/)
})

await t.test('a plan says that nodes without an agent are unreachable', async t => {
  const { code, out } = await command('plan', '-f', spec(GOOD), '--wait', '1s')

  t.equal(code, 2)
  t.match(out, /^prom-1  unreachable: no agent has enrolled .* \(not-enrolled\)/)
  t.match(out, 'Plan: 2 nodes, 0 changes, 0 restarts, 2 nodes unreachable')
})

await t.test(
  'a rollout is applied, listed and followed, and cannot be aborted after its end',
  async t => {
    const file = spec(GOOD)

    const applied = await command('apply', '-f', file, '--yes', '--quiet')
    const list = await command('rollout', 'ls', '--json')
    const [rollout] = JSON.parse(list.out).rollouts
    const followed = await command('rollout', 'follow', rollout.id)
    const aborted = await command('rollout', 'abort', rollout.id, '--yes')

    t.equal(applied.err, '')
    t.equal(applied.code, 3)
    t.match(applied.out, /  rollout planned\n/)
    t.match(applied.out, /\nprom-1 +0 +0 +0 +1 +0 +0 +0  the agent is not connected/)
    t.match(applied.out, /\nRollout \S+ of revision 1 reached 0 of 2 nodes only/)
    t.equal(followed.code, 3)
    t.equal(followed.out.split('\n').at(-2), applied.out.split('\n').at(-2))
    t.match(aborted.err, /\(illegal-transition\)/)
  },
)

await t.test('a removed node is gone', async t => {
  t.equal((await command('node', 'rm', 'prom-2', '--yes')).out, 'node prom-2 removed\n')
  t.match((await command('node', 'ls')).out, /^NODE .*\nprom-1 .*\n$/)
})
