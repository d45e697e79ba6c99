// `tlsfleet elastic users` against servers that are strict: what is asked, what is written, what is
// said, and that no password is ever said.

import { chmodSync, existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { ADMIN, API_KEY, type FakeElastic, startFakeElastic } from '../elastic/fake-elastic.ts'
import { tlsfleet, tlsfleetProgram } from './command.ts'
import { listen } from './fake-controller.ts'

const NAMES = [
  'metricbeat_setup',
  'metricbeat_monitoring',
  'metricbeat_writer',
  'metricbeat_reader',
] as const
const none = '/nonexistent/config.json'

interface Place {
  readonly directory: string
  readonly passwords: string
  readonly base: readonly string[]
}

function place(t: Test, elastic: FakeElastic): Place {
  const directory = t.testdir({ ca: elastic.caPem, admin: `${ADMIN.password}\n` })
  const passwords = join(directory, 'passwords')
  const files = ['--ca-file', join(directory, 'ca'), '--password-file', join(directory, 'admin')]
  const base = ['elastic', 'users', '--elasticsearch', elastic.url, ...files]
  return { directory, passwords, base }
}

async function started(t: Test, options = {}) {
  const elastic = await startFakeElastic(options)
  t.teardown(() => elastic.close())
  return { elastic, ...place(t, elastic) }
}

const octal = (path: string) => (statSync(path).mode & 0o777).toString(8)

await t.test('an empty cluster gets all of it, and the second run writes nothing', async t => {
  const { elastic, passwords, base } = await started(t)
  const argv = [...base, '--kibana', elastic.kibanaUrl, '--passwords-dir', passwords]

  const plan = await tlsfleet([...argv, '--plan'], { config: none })
  const before = [...elastic.writes(), ...(existsSync(passwords) ? [passwords] : [])]
  const first = await tlsfleetProgram([...argv, '--yes'], { config: none })
  const written = elastic.writes()
  const second = await tlsfleet([...argv, '--yes'], { config: none })
  const secondPlan = await tlsfleet([...argv, '--plan', '--json'], { config: none })

  t.equal(plan.code, 2)
  t.strictSame(before, [], 'a plan changes nothing, here neither')
  t.match(plan.out, /^prod {2}Elasticsearch 8\.15\.2 at https:/)
  t.match(plan.out, '\n  + role metricbeat_writer: create\n      + cluster: monitor\n')
  t.match(plan.out, '\n      + metricbeat-*: auto_configure\n')
  t.match(plan.out, 'because there is no such role (role-missing)')
  t.match(plan.out, '\nPlan: 8 changes\n')

  t.equal(first.err, '')
  t.equal(first.code, 0)
  t.strictSame(written, [
    ...NAMES.slice(0, 3).map(name => `PUT /_security/role/${name}`),
    'kibana PUT /api/security/role/metricbeat_reader',
    ...NAMES.map(name => `PUT /_security/user/${name}`),
  ])
  for (const name of NAMES) {
    const password = readFileSync(join(passwords, name), 'utf8')
    t.match(password, /^[\w-]{43}$/, 'random, and without a line feed for the keystore')
    t.equal(octal(join(passwords, name)), '600')
    t.equal(elastic.users.get(name)?.password, password)
    for (const text of [plan, first, second, secondPlan])
      t.notMatch(text.out + text.err, password, 'it is not told')
  }
  t.equal(octal(passwords), '700')
  t.match(first.out, `user metricbeat_writer created, password in ${passwords}/metricbeat_writer\n`)
  t.match(
    first.out,
    `metricbeat keystore add ES_PWD --stdin --force < ${passwords}/metricbeat_writer`,
  )

  t.equal(second.code, 0)
  t.match(second.out, '\nPlan: no changes\n')
  t.equal(secondPlan.code, 0)
  t.strictSame(elastic.writes(), written, 'nothing was written again')
})

await t.test(
  'accounts made by a guide are brought up to date, and what is not ours stays',
  async t => {
    const { elastic, directory, passwords, base } = await started(t, { version: '9.1.0' })
    const index = (...privileges: string[]) => [{ names: ['metricbeat-*'], privileges }]
    elastic.roles.set('metricbeat_setup', {
      cluster: ['manage_ilm', 'monitor'],
      indices: index('manage', 'write'),
      metadata: { team: 'observability' },
      description: 'ours',
    })
    elastic.roles.set('metricbeat_reader', {
      cluster: [],
      indices: index('read'),
      applications: [
        {
          application: 'kibana-.kibana',
          privileges: ['feature_discover_v2.all', 'feature_dashboard.read'],
          resources: ['space:default'],
        },
      ],
      metadata: {},
    })
    elastic.users.set('metricbeat_reader', {
      password: 'p@ssw0rd',
      roles: ['beats_admin', 'monitoring_user', 'metricbeat_reader'],
      full_name: 'A Reader',
      metadata: { desk: 7 },
    })
    elastic.users.set('metricbeat_setup', {
      password: 'p@ssw0rd',
      roles: ['ingest_admin', 'kibana_admin', 'metricbeat_setup'],
      enabled: false,
    })
    writeFileSync(join(directory, 'reader'), 'p@ssw0rd\r\n')
    const only = ['--only', 'metricbeat_setup', 'metricbeat_reader', '--passwords-dir', passwords]
    const given = ['--password-file-for', `metricbeat_reader=${join(directory, 'reader')}`]
    const argv = [...base, '--kibana', elastic.kibanaUrl, ...only, ...given, '--yes']

    const { code, out, err } = await tlsfleet(argv, { config: none })
    const again = await tlsfleet([...argv, '--json'], { config: none })

    t.equal(err, '')
    t.equal(code, 0)
    t.match(out, /- metricbeat-\*: write\n.*setup writes no documents \(role-of-guide\)/)
    t.match(
      out,
      /- role beats_admin\n.*central management of Beats is gone \(user-roles-of-guide\)/,
    )
    t.match(out, '! password of metricbeat_setup: skipped: somebody disabled the user')
    t.match(elastic.roles.get('metricbeat_setup'), {
      metadata: { team: 'observability' },
      description: 'ours',
    })
    t.strictSame(elastic.roles.get('metricbeat_reader')?.applications?.[0]?.privileges.toSorted(), [
      'feature_dashboard_v2.read',
      'feature_discover_v2.all',
      'feature_infrastructure.read',
      'feature_savedQueryManagement.read',
      'feature_visualize_v2.read',
    ])
    t.match(elastic.users.get('metricbeat_reader'), {
      password: 'p@ssw0rd',
      full_name: 'A Reader',
      metadata: { desk: 7 },
      enabled: true,
    })
    t.equal(elastic.users.get('metricbeat_setup')?.enabled, false)
    t.notMatch(out, 'p@ssw0rd')
    t.equal(again.code, 0)
    t.strictSame(
      JSON.parse(again.out).entries.map((entry: { action: string }) => entry.action),
      ['none', 'none', 'none', 'skip', 'none', 'none'],
    )
  },
)

await t.test('a password is reset only when it is refused, or a new one is asked for', async t => {
  const { elastic, directory, passwords, base } = await started(t)
  const only = [...base, '--only', 'metricbeat_writer', '--yes']
  const given = join(directory, 'writer')
  writeFileSync(given, 'from the operator\n')
  const run = async (...argv: string[]) => {
    const before = elastic.writes().length
    const { code, out, err } = await tlsfleet([...only, ...argv], { config: none })
    t.equal(`${code}${err}`, '0')
    t.notMatch(out, elastic.users.get('metricbeat_writer')?.password ?? 'none')
    return { out, writes: elastic.writes().slice(before) }
  }
  const file = ['--password-file-for', `metricbeat_writer=${given}`]
  const SET = 'POST /_security/user/metricbeat_writer/_password'

  const created = await run(...file)
  t.match(created.out, `tr -d '\\r\\n' < ${given} | metricbeat keystore add ES_PWD`)
  t.equal(elastic.users.get('metricbeat_writer')?.password, 'from the operator')
  t.strictSame((await run(...file)).writes, [])
  t.match((await run()).out, 'no password is at hand to check; it stays as it is')

  writeFileSync(given, 'another of the operator')
  const reset = await run(...file)
  t.strictSame(reset.writes, [SET])
  t.match(reset.out, 'password of metricbeat_writer set')

  const rotated = await run('--passwords-dir', passwords, '--rotate', 'metricbeat_writer')
  t.strictSame(rotated.writes, [SET])
  const password = readFileSync(join(passwords, 'metricbeat_writer'), 'utf8')
  t.equal(elastic.users.get('metricbeat_writer')?.password, password)
  t.strictSame((await run('--passwords-dir', passwords)).writes, [])
})

await t.test('a run that is cut off says where, and the next one makes the rest', async t => {
  const { elastic, passwords, base } = await started(t)
  const argv = [...base, '--passwords-dir', passwords, '--only', 'metricbeat_writer', '--yes']
  const reason = '.security index is unavailable, it was sent BODY'
  elastic.override('PUT /_security/user/metricbeat_writer', {
    status: 503,
    text: `{"error":{"type":"unavailable_shards_exception","reason":${JSON.stringify(reason)}}}`,
  })
  const cut = await tlsfleet(argv, { config: none })
  const password = readFileSync(join(passwords, 'metricbeat_writer'), 'utf8')
  elastic.restore()
  const next = await tlsfleet([...argv, '--json'], { config: none })

  t.equal(cut.code, 1)
  t.match(cut.err, 'could not write user metricbeat_writer at Elasticsearch https://')
  t.match(cut.err, '1 of 2 changes are made; the same command makes the rest')
  t.match(cut.err, 'it was sent {"roles":')
  t.notMatch(cut.out + cut.err, password)
  t.equal(next.code, 0)
  t.strictSame(JSON.parse(next.out).passwordFiles, {
    metricbeat_writer: join(passwords, 'metricbeat_writer'),
  })
  t.equal(elastic.users.get('metricbeat_writer')?.password, password, 'the file was used')
})

await t.test('what was written is proven', async t => {
  const { elastic, passwords, base } = await started(t)
  const argv = [...base, '--passwords-dir', passwords, '--yes', '--only']
  elastic.override('kibana PUT /api/security/role/metricbeat_reader', { status: 204 })
  const kibana = ['--kibana', elastic.kibanaUrl]
  const elsewhere = await tlsfleet([...argv, 'metricbeat_reader', ...kibana], { config: none })
  elastic.override('GET /_security/_authenticate', { status: 401, body: {} })
  const refused = await tlsfleet([...argv, 'metricbeat_writer'], { config: none })

  t.match(elsewhere.err, /only one of Kibana and Elasticsearch \(kibana-of-other-cluster\)/)
  t.match(refused.err, /set and is not accepted \(password-not-accepted\)\nhint: the native realm/)
})

await t.test('without Kibana readers are left out, with the reason', async t => {
  const { elastic, base } = await started(t)
  const plan = await tlsfleet([...base, '--plan', '--only', 'metricbeat_reader'], { config: none })

  t.equal(plan.code, 0)
  t.match(plan.out, /! role metricbeat_reader: skipped: .*--kibana \(kibana-not-given\)/)
  t.match(plan.out, '! user metricbeat_reader: skipped')
  t.notOk(elastic.requests.some(({ line }) => line.includes('metricbeat_reader')))
})

await t.test('who it is comes from a file, from standard input or from a person', async t => {
  const { elastic, directory, base } = await started(t)
  const asked = base.slice(0, 6)
  writeFileSync(join(directory, 'key'), `${API_KEY}\n`)
  const run = async (argv: readonly string[], more = {}) =>
    await tlsfleet([...argv, '--plan'], { config: none, ...more })

  const typed = await run(asked, { typed: '', typedSecretly: ADMIN.password })
  const key = await run([...asked, '--api-key-file', join(directory, 'key')])
  const piped = await run([...asked, '--password-file', '-'], { input: `${ADMIN.password}\n` })
  const nobody = await run(asked)
  const both = await run([...base, '--api-key-file', 'x'])
  const wrong = await run([...asked, '--password-file', '-'], { input: 'wrong-password' })

  t.strictSame([typed.code, key.code, piped.code], [2, 2, 2])
  t.equal(typed.err, 'password of elastic: ')
  t.match(nobody.err, /there is no terminal to ask.*\(usage\)\nhint: keep it in a file/)
  t.match(both.err, 'only one of --password-file and --api-key-file')
  t.match(wrong.err, /does not accept these credentials \(credentials-refused\)/)
  t.notMatch([typed, key, piped, wrong].map(({ out, err }) => out + err).join(), /dmin:|wrong-pass/)
  t.notOk(elastic.requests.some(({ line }) => line.includes('kibana')))
})

await t.test('nothing is changed without consent, or without a place for passwords', async t => {
  const { elastic, directory, passwords, base } = await started(t)
  const argv = [...base, '--passwords-dir', passwords]
  const refused = await tlsfleet(argv, { config: none, typed: 'n' })
  const script = await tlsfleet(argv, { config: none })
  const placeless = await tlsfleet([...base, '--yes'], { config: none })
  writeFileSync(join(directory, 'metricbeat_writer'), 'secret-of-writer')
  const open = await tlsfleet([...base, '--passwords-dir', directory], { config: none })
  chmodSync(join(directory, 'metricbeat_writer'), 0o600)
  chmodSync(directory, 0o770)
  const shared = await tlsfleet([...base, '--passwords-dir', directory, '--yes'], { config: none })

  t.match(refused.err, 'Make these changes? [y/N] nothing was changed')
  t.match(script.err, /\(confirmation-needed\)\nhint: give --yes/)
  t.match(placeless.err, /make a password for metricbeat_setup.*\(password-place-needed\)/)
  t.match(open.err, /can be read by other users \(password-not-private\)\nhint: .*chmod 600/)
  t.match(shared.err, /can be written by other users \(password-not-private\)/)
  t.strictSame(
    [refused, script, placeless, open, shared].map(({ code }) => code),
    [1, 1, 1, 1, 1],
  )
  t.strictSame(
    elastic.writes().filter(line => line.includes('/user/')),
    [],
  )
})

await t.test('mistakes on the command line are told before anything is sent', async t => {
  const { elastic, directory, base } = await started(t)
  writeFileSync(join(directory, 'short'), 'short')
  writeFileSync(join(directory, 'lines'), 'two\nlines of it')
  const run = async (...argv: string[]) =>
    (await tlsfleet([...base, ...argv, '--plan'], { config: none })).err
  const at = async (url: string) => await run('--elasticsearch', url)
  const file = (name: string) => ['--password-file-for', `metricbeat_writer=${directory}/${name}`]

  t.match(
    await run('--only', 'writer'),
    /no account writer of Metricbeat.*\nhint: accounts: metric/,
  )
  t.match(await run('--password-file-for', 'metricbeat_writer'), 'it is NAME=FILE')
  t.match(await run(...file('short')), /not of 6 to 1024 characters \(password-unusable\)/)
  t.match(await run(...file('lines')), /not one line of plain text \(password-unusable\)/)
  t.match(await run(...file('missing')), /could not read .*missing.*\(file-unreadable\)/)
  t.match(await run(...file('admin'), '--rotate', 'metricbeat_writer'), /leave --rotate out/)
  t.match(
    await run('--only', 'metricbeat_setup', '--rotate', 'metricbeat_writer'),
    '--only leaves it out',
  )
  t.match(await run('--ca-file', join(directory, 'admin')), /could not read a certificate/)
  t.match(await at('es-1:9200'), /could not read the URL/)
  t.match(await at('http://es-1.example.org:9200'), /in clear \(plaintext-refused\)\nhint: switch/)
  t.match(await at('https://elastic:sesame@es-1:9200'), 'it holds credentials')
  t.notMatch(await at('https://elastic:sesame@es-1:9200'), 'sesame')
  t.strictSame(elastic.requests, [])
})

await t.test('a server that is not what it should be is told apart', async t => {
  const { elastic, directory, base } = await started(t)
  const argv = [...base, '--plan']
  const run = async (...more: string[]) =>
    (await tlsfleet([...argv, ...more], { config: none })).err
  const answered = async (line: string, status: number, body: unknown) => {
    elastic.override(line, { status, body })
    const err = await run('--kibana', elastic.kibanaUrl)
    elastic.restore()
    return err
  }
  const HAS = 'POST /_security/user/_has_privileges'
  const old = { cluster_name: 'x', version: { number: '7.8.1' } }
  const serverless = {
    cluster_name: 'x',
    version: { number: '8.11.0', build_flavor: 'serverless' },
  }
  const other = { cluster_name: 'x', version: { number: '2.19.0', distribution: 'opensearch' } }
  const disabled = { error: 'no handler found for uri [/_security/user/_has_privileges]' }

  t.match(await answered('GET /', 200, old), /version 7\.8\.1, .* came with 7\.9 \(version-unsup/)
  t.match(await answered('GET /', 200, serverless), /no users of its own \(version-unsupported\)/)
  t.match(await answered('GET /', 200, other), /not from Elasticsearch \(not-elasticsearch\)/)
  t.match(await answered('GET /', 302, undefined), /status 302 that is not .*\(not-elasticsearch\)/)
  t.match(await answered('GET /', 502, undefined), /status 502 \(elasticsearch-unavailable\)/)
  t.match(
    await answered(HAS, 400, disabled),
    /switched off .*\(security-disabled\)\nhint: set xpack/,
  )
  t.match(await answered('kibana GET /api/status', 200, {}), /not from Kibana \(not-kibana\)/)
  t.match(
    await answered('kibana GET /api/security/role/metricbeat_reader', 200, {
      elasticsearch: {},
      kibana: [],
    }),
    /only one of Kibana and Elasticsearch \(kibana-of-other-cluster\)/,
  )
  elastic.override('PUT /_security/role/metricbeat_setup', {
    status: 400,
    body: { error: { type: 'x', reason: 'Role [metricbeat_setup] is reserved' } },
  })
  const reserved = await tlsfleet([...base, '--passwords-dir', directory, '--yes'], {
    config: none,
  })
  t.match(reserved.err, /is reserved \(status 400\) \(request-refused\)\nhint: 0 of 6 changes/)
  elastic.state.mayManage = false
  t.match(await run(), /lack the cluster privilege manage_security \(privilege-missing\)/)
  t.strictSame(elastic.writes(), ['PUT /_security/role/metricbeat_setup'])
})

await t.test('connections that fail say why; TLS is always verified', async t => {
  const { elastic, base, directory } = await started(t)
  const misnamed = await startFakeElastic({ names: { dns: ['else.example.org'], ip: [] } })
  const plain = await startFakeElastic({ tls: false })
  const silent = createServer(socket => socket.destroy())
  const port = await listen(silent)
  t.teardown(() => [misnamed.close(), plain.close(), silent.close()])
  const run = async (url: string, ca = elastic.caPem) => {
    writeFileSync(join(directory, 'ca'), ca)
    return await tlsfleet([...base, '--plan', '--elasticsearch', url], { config: none })
  }
  const withoutCa = base.filter(word => word !== '--ca-file' && word !== join(directory, 'ca'))

  t.match((await run(elastic.url, misnamed.caPem)).err, /\(certificate-not-trusted\)\nhint: give/)
  t.match((await tlsfleet([...withoutCa, '--plan'], { config: none })).err, 'no CA that is trusted')
  t.match(
    (await run(misnamed.url, misnamed.caPem)).err,
    /not valid for 127\.0\.0\.1 \(certificate-not-trusted\)/,
  )
  t.match((await run(plain.url.replace('http:', 'https:'))).err, /\(tls-failed\)\nhint: check/)
  t.match((await run(elastic.url.replace('https:', 'http:'))).err, /there already, write https:/)
  t.match((await run(`https://127.0.0.1:${port}`)).err, /\(elasticsearch-unreachable\)/)
  t.equal((await run(plain.url)).code, 2, 'plain HTTP does for this host')
  t.strictSame([...elastic.requests, ...misnamed.requests], [])
})
