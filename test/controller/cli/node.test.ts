import t from 'tap'
import { tlsfleet } from './command.ts'
import { contextFile, refusal, startFakeController } from './fake-controller.ts'
import { NOW_MS, fleet, nodeView } from './views.ts'

const command = 'tlsfleet-agent enroll --token tfe1.abc'
const enrollment = { token: 'tfe1.abc', expiresAtMs: NOW_MS + 3_600_000, command }
const controller = await startFakeController({
  'POST /v1/nodes': { body: { node: nodeView(), enrollment } },
  'POST /v1/nodes/prom-1/token': { body: enrollment },
  'POST /v1/nodes/prom-1/revoke': { body: nodeView() },
  'DELETE /v1/nodes/prom-1': { status: 204, text: '' },
})
t.teardown(() => controller.close())
const config = contextFile(controller)

await t.test('adding a node prints the line to paste, alone on standard output', async t => {
  const argv = ['node', 'add', 'prom-1', '--dns', 'prom-1.example.org', 'prom-1']
  const more = ['--label', 'role=prometheus', '--label', 'path=a=b', '--ip', '192.0.2.11']

  const { code, out, err } = await tlsfleet([...argv, ...more], { config })

  t.equal(code, 0)
  t.equal(out, `${command}\n`)
  t.equal(
    err,
    'node prom-1 added\npaste this line on prom-1; it is shown once and ends in 60 min:\n',
  )
  t.strictSame(controller.requests.at(-1)?.body, {
    name: 'prom-1',
    labels: { role: 'prometheus', path: 'a=b' },
    names: { dns: ['prom-1.example.org', 'prom-1'], ip: ['192.0.2.11'] },
  })
})

await t.test('a node without any name is refused before it is sent', async t => {
  const before = controller.requests.length

  const { code, err } = await tlsfleet(['node', 'add', 'prom-1'], { config })

  t.equal(code, 1)
  t.match(err, /^error: could not add node prom-1: it has no name .* \(usage\)\nhint: .*--dns NAME/)
  t.equal(controller.requests.length, before)
})

await t.test('what the controller finds wrong with a request is listed by its keys', async t => {
  const problems = [{ path: '/names/dns/0', message: 'is too long' }]
  controller.answer({
    'POST /v1/nodes': refusal(400, 'malformed-request', 'the request is not valid', { problems }),
  })

  const { err } = await tlsfleet(['node', 'add', 'a', '--dns', 'b'], { config })

  t.equal(
    err,
    'names.dns.0: is too long\nerror: could not add node a: the request is not valid (malformed-request)\n',
  )
})

await t.test('labels and names are changed, and what was not named stays as it is', async t => {
  controller.answer({ 'PATCH /v1/nodes/prom-1': { body: nodeView() } })
  const labels = ['--label', 'role=web', '--unlabel', 'old', 'older', '--reason', 'moved']
  const { code, out, err } = await tlsfleet(['node', 'set', 'prom-1', ...labels], { config })
  t.equal(code, 0, err)
  t.match(out, /prom-1/)
  t.match(err, /tlsfleet apply/)
  t.strictSame(controller.requests.at(-1)?.body, {
    labels: { role: 'web', old: null, older: null },
    reason: 'moved',
  })
  await tlsfleet(['node', 'set', 'prom-1', '--dns', 'a', 'b', '--outside-zones'], { config })
  t.strictSame(controller.requests.at(-1)?.body, { names: { dns: ['a', 'b'] }, outsideZones: true })

  const before = controller.requests.length
  const nothing = await tlsfleet(['node', 'set', 'prom-1'], { config })
  t.match(nothing, { code: 1, err: /nothing is to be changed .*--unlabel/s })
  t.equal(controller.requests.length, before)
})

await t.test('a new token is printed in the same way', async t => {
  const text = await tlsfleet(['node', 'token', 'prom-1'], { config })
  const json = await tlsfleet(['node', 'token', 'prom-1', '--json'], { config })

  t.equal(text.out, `${command}\n`)
  t.strictSame(JSON.parse(json.out), enrollment)
  t.equal(json.err, '')
})

await t.test('nodes come in pages, filtered by the controller', async t => {
  controller.answer({
    'GET /v1/nodes': ({ path }) =>
      path.includes('after=prom-1')
        ? { body: { nodes: fleet.slice(2) } }
        : { body: { nodes: fleet.slice(0, 2), next: 'prom-1' } },
  })
  const before = controller.requests.length

  const { out } = await tlsfleet(['node', 'ls', '--label', 'a=b', 'c=d', '--json'], { config })

  t.strictSame(
    JSON.parse(out).nodes.map((node: { name: string }) => node.name),
    ['data-1', 'prom-1', 'prom-2', 'spare-1'],
  )
  t.strictSame(
    controller.requests.slice(before).map(request => request.path),
    [
      '/v1/nodes?limit=200&label=a%3Db&label=c%3Dd',
      '/v1/nodes?limit=200&label=a%3Db&label=c%3Dd&after=prom-1',
    ],
  )
})

await t.test('a node is removed when a person says so, or --yes does', async t => {
  const removals = () => controller.requests.filter(request => request.method === 'DELETE').length
  const rm = ['node', 'rm', 'prom-1']

  const silent = await tlsfleet(rm, { config })
  const refused = await tlsfleet(rm, { config, typed: '' })
  t.equal(removals(), 0)
  const agreed = await tlsfleet(rm, { config, typed: 'y' })
  const given = await tlsfleet([...rm, '--yes', '--json'], { config })

  t.equal(removals(), 2)
  t.equal(silent.code, 1)
  t.match(
    silent.err,
    /^error: could not remove node prom-1: .* \(confirmation-needed\)\nhint: give --yes/,
  )
  t.equal(refused.code, 1)
  t.match(refused.err, /\[y\/N\] nothing was removed\n$/)
  t.equal(agreed.out, 'node prom-1 removed\n')
  t.strictSame(JSON.parse(given.out), { removed: 'prom-1' })
})

await t.test('a node is revoked when a person says so, or --yes does', async t => {
  const sent = () => controller.requests.filter(({ path }) => path.endsWith('/revoke')).length
  const revoke = ['node', 'revoke', 'prom-1']

  const refused = await tlsfleet(revoke, { config, typed: '' })
  t.equal(sent(), 0)
  const given = await tlsfleet([...revoke, '--yes'], { config })
  const json = await tlsfleet([...revoke, '--yes', '--json'], { config })

  t.equal(sent(), 2)
  t.equal(refused.code, 1)
  t.match(refused.err, /cut off until it is enrolled .* \[y\/N\] nothing was revoked\n$/)
  t.equal(given.out, 'node prom-1 revoked; to take it back: tlsfleet node token prom-1\n')
  t.equal(JSON.parse(json.out).name, 'prom-1')
})

await t.test('a name is one segment of a path, whatever it holds', async t => {
  await tlsfleet(['node', 'show', '../v1/plans?x'], { config })

  t.equal(controller.requests.at(-1)?.path, '/v1/nodes/..%2Fv1%2Fplans%3Fx')
})

await t.test('a node cannot write to the terminal of an operator', async t => {
  const evil = nodeView({ facts: { 'os\u001b[2J': 'debian\u001b]0;owned\u0007\u009b31m\u202e' } })
  controller.answer({ 'GET /v1/nodes/prom-1': { body: evil } })

  const text = await tlsfleet(['node', 'show', 'prom-1'], { config })
  const json = await tlsfleet(['node', 'show', 'prom-1', '--json'], { config })

  t.match(text.out, 'os\\u001b[2J=debian\\u001b]0;owned\\u0007\\u009b31m\\u202e')
  // oxlint-disable-next-line no-control-regex
  t.notMatch(text.out, /[\u001b\u0007\u009b\u202e]/)
  t.strictSame(JSON.parse(json.out).facts, evil.facts)
})
