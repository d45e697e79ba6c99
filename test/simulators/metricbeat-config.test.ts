import { createDecipheriv, pbkdf2Sync } from 'node:crypto'
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  statSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { runCommand } from '../lab/command.ts'
import { createCa, issue, write } from './certificates.ts'
import { fakeElasticsearch } from './fake-elasticsearch.ts'
import { type Flags, parseFlags } from './metricbeat/flags.ts'
import { readKeystore, writeKeystore } from './metricbeat/keystore.ts'
import { initialize, loadModules, openOutput } from './metricbeat/load.ts'
import { parseConfig, type Settings, textsAt, isSettings, valueAt } from './metricbeat/ucfg.ts'
import { certificateReload, canRestartItself, panicsAtRestart } from './metricbeat/versions.ts'

const METRICBEAT = join(import.meta.dirname, 'metricbeat/metricbeat-sim.ts')
const NODE_COMPILE_CACHE = join(tmpdir(), 'node-compile-cache')
const STOCK = join(import.meta.dirname, 'metricbeat/stock')

await t.test('every spelling is one setting; a scalar in two spellings is refused', async t => {
  const parse = (text: string): Settings => {
    const parsed = parseConfig(text, '/m.yml')
    return isSettings(parsed) ? parsed : {}
  }
  const ca = 'output.elasticsearch.ssl.certificate_authorities'
  for (const text of [
    `${ca}: [x]`,
    'output.elasticsearch:\n  ssl.certificate_authorities: [x]',
    'output:\n  elasticsearch:\n    ssl:\n      certificate_authorities: x',
    'output.elasticsearch.hosts: [h]\noutput:\n  elasticsearch.ssl.certificate_authorities: [x]',
  ]) {
    t.same(textsAt(parse(text), ca), ['x'], text)
  }
  t.same(
    parse(
      'output.elasticsearch.hosts: [a]\noutput.elasticsearch:\n  ssl.enabled: true\n  username: u\n',
    ),
    { output: { elasticsearch: { hosts: ['a'], ssl: { enabled: true }, username: 'u' } } },
  )
  for (const [text, path] of [
    [
      'output.elasticsearch.username: a\noutput.elasticsearch: {username: b}\n',
      'output.elasticsearch.username',
    ],
    [
      'output.elasticsearch: {username: a}\noutput.elasticsearch.username: b\n',
      'output.elasticsearch.username',
    ],
    ['a: {b.c: 1, b: {c: 1}}\n', 'a.b.c'],
    ['a.b: [1]\na: {b: [2]}\n', 'a.b'],
  ] as const) {
    const message = `duplicate key accessing '${path}' (source:'/m.yml')`
    t.throws(() => parse(text), { message }, text)
  }
  t.same(parse('a: 1\na: 2\n'), { a: 2 }, 'of one key in one map the last one counts')
  t.same(parse('a: yes\nb: "yes"\n'), { a: true, b: 'yes' })
  t.throws(() => parse('output.elasticsearch:\n  hosts: [a]\n setup: b\n'), {
    message: /^yaml: line/,
  })
  // What the guide has: no colon, and keys of a list's item at one space.
  t.throws(() => parse('setup.kibana\n  host: "x"\n'), {
    message:
      /^yaml: line \d: (mapping values are not allowed in this context|could not find expected ':')$/,
  })
  t.throws(() => parse('- module: elasticsearch\n xpack.enabled: true\n'), {
    message: /^yaml: line/,
  })
})

await t.test('variables: other settings, then the keystore, then the environment', async t => {
  const { load } = layOut(t)
  const settings = (text: string, env: NodeJS.ProcessEnv = {}) => load(text, env).settings
  const value = (text: string, env: NodeJS.ProcessEnv = {}) =>
    valueAt(settings(`x: ${text}\n`, env), 'x')

  t.equal(value('"${KEY}"', { KEY: 'of the environment' }), 'of the keystore')
  t.equal(value('"${OTHER}"', { OTHER: 'y' }), 'y')
  t.equal(value('"a-${OTHER}-b"', { OTHER: 'y' }), 'a-y-b')
  t.equal(value('"${OTHER:z}"'), 'z')
  t.match(value('"${path.config}/x"'), /\/x$/)
  t.equal(value('"$KEY"'), '$KEY')
  t.same(
    value('"${HOSTS}"', { HOSTS: 'a,b' }),
    ['a', 'b'],
    'a comma in the environment makes a list',
  )
  const missing = load('output.elasticsearch: {hosts: [x], password: "${NONE}"}\n')
  t.throws(() => openOutput(missing, () => {}), {
    message:
      /^error initializing publisher: missing field accessing 'output.elasticsearch.password' \(source:'.*metricbeat.yml'\)$/,
  })
})

await t.test('files that others may write are refused', async t => {
  const { directory, load, flags } = layOut(t)
  const check = (mode: number, path = 'metricbeat.yml') => {
    load('')
    chmodSync(join(directory, path), mode)
    try {
      loadModules(initialize(flags(), { version: '8.15.0', env: {} }))
      return ''
    } catch (error) {
      return error instanceof Error ? error.message : ''
    } finally {
      chmodSync(join(directory, path), 0o600)
    }
  }
  const file = join(directory, 'metricbeat.yml')

  t.equal(check(0o644), '')
  t.equal(
    check(0o664),
    `error loading config file: config file ("${file}") can only be writable by the owner but the permissions are "-rw-rw-r--" (to fix the permissions use: 'chmod go-w ${file}')`,
  )
  t.match(check(0o602), 'the permissions are "-rw-----w-"')
  write(directory, 'modules.d/x.yml', '- module: system\n')
  t.match(
    check(0o660, 'modules.d/x.yml'),
    /^loading configs: 1 error: invalid config: config file \(".*x\.yml"\) can only be writable by the owner/,
  )
  t.equal(check(0o640, 'modules.d/x.yml'), '')
  t.match(
    check(0o640, 'data/metricbeat.keystore'),
    /^could not initialize the keystore: file \(".*"\) can only be writable and readable by the owner but the permissions are "-rw-r-----" \(to fix the permissions use: 'chmod go-wrx .*'\)$/,
  )
  chmodSync(file, 0o666)
  t.ok(initialize(flags('-strict.perms=false'), { version: '8.15.0', env: {} }))
})

await t.test('what stops the start', async t => {
  const { directory, load } = layOut(t)
  const ca = createCa(directory)
  const [a, b] = [issue(ca, 'a'), issue(ca, 'b')]
  const refusal = (text: string, version = '8.15.0') => {
    try {
      const beat = load(text, {}, version)
      openOutput(beat, () => {})
      loadModules(beat)
      return ''
    } catch (error) {
      return error instanceof Error ? error.message : ''
    }
  }
  const output = (ssl: string) => refusal(`output.elasticsearch: {hosts: [x], ssl: {${ssl}}}\n`)

  t.equal(output(''), '')
  t.equal(output(`certificate_authorities: ["${ca.certFile}"]`), '')
  t.equal(
    output('certificate_authorities: [elasticsearch-ca.pem]'),
    'error initializing publisher: open elasticsearch-ca.pem: no such file or directory reading elasticsearch-ca.pem',
  )
  t.match(output(`certificate_authorities: ["${ca.keyFile}"]`), 'to the list of known CAs')
  t.equal(output('enabled: false, certificate_authorities: [none.pem]'), '')
  t.match(output(`certificate: "${a.certFile}"`), 'key file not configured')
  t.match(output(`key: "${a.keyFile}"`), 'certificate file not configured')
  t.equal(output(`certificate: "${a.certFile}", key: "${a.keyFile}"`), '')
  t.match(
    output(`certificate: "${a.certFile}", key: "${b.keyFile}"`),
    'tls: private key does not match public key',
  )
  t.match(output('verification_mode: some'), "unsupported verification mode 'some'")
  t.match(output('restart_on_cert_change.period: 500ms'), 'must be equal or greather than 1s')
  t.match(
    refusal('output: {elasticsearch: {}, logstash: {}}\n'),
    "more than one namespace configured accessing 'output'",
  )
  t.equal(refusal('output: {elasticsearch: {}, logstash: {enabled: false}}\n'), '')
  t.match(refusal('x: 1\n'), 'No outputs are defined.')
  write(
    directory,
    'modules.d/x.yml',
    '- module: elasticsearch\n  ssl.certificate_authorities: [no.pem]\n',
  )
  t.match(output(''), 'loading configs: 1 error: open no.pem: no such file or directory')
  write(directory, 'modules.d/x.yml', '- metricsets: [cpu]\n')
  t.match(output(''), "missing required field accessing 'module'")
})

await t.test('versions', async t => {
  const panics = '8.16.6 8.16.9 8.17.3 8.17.10 8.18.0 8.18.6 8.19.0 8.19.3 9.0.0 9.0.6 9.1.0 9.1.3'
  for (const version of panics.split(' ')) t.ok(panicsAtRestart(version), version)
  const fine = '8.8.0 8.15.5 8.16.5 8.17.2 8.18.7 8.19.4 9.0.7 9.1.4 9.2.0'
  for (const version of fine.split(' ')) t.notOk(panicsAtRestart(version), version)
  t.same(['8.7.9', '8.8.0', '9.4.9', '9.5.0'].map(canRestartItself), [false, true, true, false])
  const reload = (version: string) => certificateReload(version, undefined)
  t.same(['8.15.0', '9.3.5', '9.3.6', '9.5.0'].map(reload), ['unknown', 'unknown', 'off', 'on'])
  t.equal(certificateReload('9.4.0', 'off'), 'off')
})

await t.test('the stock files are accepted as they are', async t => {
  const { directory, flags } = layOut(t)
  copyFileSync(join(STOCK, 'metricbeat.yml'), join(directory, 'metricbeat.yml'))
  copyFileSync(join(STOCK, 'modules.d/system.yml'), join(directory, 'modules.d/system.yml'))
  const beat = initialize(flags(), { version: '8.15.0', env: {} })

  t.same(openOutput(beat, () => {}).settings.urls, ['http://localhost:9200'])
  t.same(
    loadModules(beat).modules.map(({ name, periodMs }) => `${name} ${periodMs}`),
    ['system 10000', 'system 60000', 'system 900000'],
  )
})

await t.test('sub-commands', async t => {
  const { directory, flags } = layOut(t)
  const elasticsearch = await fakeElasticsearch()
  t.teardown(() => elasticsearch.stop())
  const ca = createCa(directory)
  const a = issue(ca, 'a')
  const run = (argv: readonly string[], input?: string, env: NodeJS.ProcessEnv = {}) =>
    runCommand(process.execPath, [METRICBEAT, ...argv, ...pathFlags(directory)], {
      cwd: directory,
      env: { NODE_COMPILE_CACHE, ...env },
      ...(input === undefined ? {} : { input }),
    })
  const configure = (output: string, more = '') =>
    write(
      directory,
      'metricbeat.yml',
      'metricbeat.config.modules.path: ${path.config}/modules.d/*.yml\n' +
        `output.elasticsearch: {username: user, password: "\${ES_PWD}", ${output}}\n${more}`,
    )
  const tls = `hosts: ["https://localhost:${elasticsearch.port}"], ssl.certificate_authorities: [ca.crt]`
  configure(tls)
  const keystore = join(directory, 'data/metricbeat.keystore')

  await t.test('keystore', async t => {
    t.match(await run(['test', 'config']), {
      code: 1,
      stderr:
        /^Exiting: error initializing publisher: missing field accessing 'output\.elasticsearch\.password' \(source:'.*metricbeat\.yml'\)\n$/,
    })
    // A secret that is referred to can be added all the same.
    t.match(await run(['keystore', 'create', '--force']), {
      code: 0,
      stdout: 'Created metricbeat keystore\n',
    })
    t.equal(statSync(keystore).mode & 0o777, 0o600)
    t.match(readFileSync(keystore, 'utf8'), /^v1[A-Za-z0-9+/]+=*$/)
    t.match(await run(['keystore', 'add', 'ES_PWD', '--stdin', '--force'], 'wrong\n'), {
      code: 0,
      stdout: 'Successfully updated the keystore\n',
    })
    t.same(readKeystore(keystore, true), { ES_PWD: 'wrong\n' }, 'with the line end')
    const sealed = Buffer.from(readFileSync(keystore, 'utf8').slice(2), 'base64')
    t.same(decrypt(sealed), { ES_PWD: { value: 'd3JvbmcK' } }, 'as the format has it')
    t.match(await run(['keystore', 'add', 'ES_PWD', '--stdin'], 'x'), {
      code: 1,
      stderr: 'the settings ES_PWD already exist in the keystore use `--force` to replace it',
    })
    await run(['keystore', 'add', 'ES_PWD', '--stdin', '--force'], 'secret')
    t.match(await run(['keystore', 'list']), { stdout: 'ES_PWD\n' })
    t.match(await run(['keystore', 'remove', 'x']), { code: 1, stderr: "could not find key 'x'" })
    t.same(readdirSync(join(directory, 'data')).toSorted(), ['metricbeat.keystore'])
  })

  await t.test('test config and test output', async t => {
    configure(tls)
    await elasticsearch.serve(a)
    t.match(await run(['test', 'config']), { code: 0, stdout: 'Config OK\n' })
    t.match(await run(['test', 'output']), {
      code: 0,
      stdout:
        /security: server's certificate chain verification is enabled\n {4}handshake\.\.\. OK\n {4}TLS version: TLSv1\.3\n.*\n {2}talk to server\.\.\. OK\n {2}version: 8\.15\.0/,
    })
    await elasticsearch.serve()
    t.match(await run(['test', 'output']), {
      code: 1,
      stdout: /handshake\.\.\. ERROR http: server gave HTTP response to HTTPS client/,
    })
    configure(`hosts: ["localhost:${elasticsearch.port}"]`)
    t.match(await run(['test', 'output']), {
      code: 0,
      stdout: /TLS\.\.\. WARN secure connection disabled/,
    })
    configure(
      `hosts: ["localhost:${elasticsearch.port}"], password: x`.replace(', password: x', ''),
    )
    t.match(await run(['test', 'output', '-E', 'output.elasticsearch.password=x']), {
      code: 1,
      stdout: /talk to server\.\.\. ERROR 401 Unauthorized/,
    })
    await elasticsearch.serve(issue(createCa(directory, 'other'), 'stranger'))
    configure(tls)
    t.match(await run(['test', 'output']), {
      code: 1,
      stdout: /handshake\.\.\. ERROR x509: certificate signed by unknown authority/,
    })
    t.match(await run(['export', 'config']), { code: 0, stdout: /password: secret/ })
    await elasticsearch.stop()
    t.match(await run(['test', 'output']), {
      code: 1,
      stdout: /dial up\.\.\. ERROR .*connection refused/,
    })
  })

  await t.test('modules', async t => {
    const file = join(directory, 'modules.d/elasticsearch-xpack.yml')
    copyFileSync(join(STOCK, 'modules.d/elasticsearch-xpack.yml.disabled'), `${file}.disabled`)
    copyFileSync(join(STOCK, 'modules.d/system.yml'), join(directory, 'modules.d/system.yml'))
    t.match(await run(['modules', 'list']), {
      stdout: 'Enabled:\nsystem\n\nDisabled:\nelasticsearch-xpack\n',
    })
    t.match(await run(['modules', 'enable', 'elasticsearch-xpack']), {
      code: 0,
      stdout: 'Enabled elasticsearch-xpack\n',
    })
    t.ok(existsSync(file) && !existsSync(`${file}.disabled`))
    t.match(await run(['modules', 'enable', 'elasticsearch-xpack']), {
      code: 0,
      stdout: 'Module elasticsearch-xpack is already enabled\n',
    })
    t.match(await run(['test', 'modules', 'elasticsearch']), {
      code: 0,
      stdout: /^elasticsearch\.\.\.\n.*\n {4}error\.\.\. ERROR /,
    })
    t.match(await run(['modules', 'disable', 'elasticsearch-xpack']), {
      stdout: 'Disabled elasticsearch-xpack\n',
    })
    t.match(await run(['modules', 'enable', 'no']), {
      code: 1,
      stdout: "Module no doesn't exist!\n",
    })
    chmodSync(join(directory, 'metricbeat.yml'), 0o660)
    t.match(await run(['modules', 'list']), {
      code: 1,
      stderr: /can only be writable by the owner/,
    })
    chmodSync(join(directory, 'metricbeat.yml'), 0o600)
  })

  await t.test('setup and version', async t => {
    await elasticsearch.serve()
    const kibana = await fakeElasticsearch(a)
    t.teardown(() => kibana.stop())
    const hosts = `hosts: ["localhost:${elasticsearch.port}"]`
    configure(hosts, `setup.kibana.host: "https://localhost:${kibana.port}"\n`)
    t.match(await run(['setup', '-e']), {
      code: 1,
      stderr: /fail to get the Kibana version: .*x509: certificate signed by unknown authority/,
    })
    configure(`hosts: ["https://localhost:${elasticsearch.port}"]`)
    t.match(await run(['setup']), {
      code: 1,
      stderr: "couldn't connect to any of the configured Elasticsearch hosts. Errors: [",
    })
    t.match(await run(['version'], '', { SIM_VERSION: '9.1.2' }), {
      stdout: /^metricbeat version 9\.1\.2 /,
    })
    t.match(await run(['nothing']), { code: 1, stderr: 'unknown command "nothing"' })
    t.ok(flags())
  })
})

/** Salt, nonce, text, tag. */
function decrypt(data: Buffer): unknown {
  const key = pbkdf2Sync('', data.subarray(0, 64), 10_000, 32, 'sha512')
  const cipher = createDecipheriv('aes-256-gcm', key, data.subarray(64, 76))
  cipher.setAuthTag(data.subarray(-16))
  return JSON.parse(cipher.update(data.subarray(76, -16), undefined, 'utf8') + cipher.final('utf8'))
}

function pathFlags(directory: string): readonly string[] {
  return [
    '--path.home',
    directory,
    '--path.config',
    directory,
    '--path.data',
    join(directory, 'data'),
  ]
}

function layOut(t: Test) {
  const directory = t.testdir()
  mkdirSync(join(directory, 'modules.d'))
  mkdirSync(join(directory, 'data'))
  const flags = (...more: readonly string[]): Flags =>
    parseFlags([...pathFlags(directory), ...more])
  const load = (text: string, env: NodeJS.ProcessEnv = {}, version = '8.15.0') => {
    writeKeystore(join(directory, 'data/metricbeat.keystore'), { KEY: 'of the keystore' })
    const path = 'metricbeat.config.modules.path: ${path.config}/modules.d/*.yml\n'
    const file = write(directory, 'metricbeat.yml', path + text)
    chmodSync(file, 0o600)
    return initialize(flags(), { version, env })
  }
  return { directory, flags, load }
}
