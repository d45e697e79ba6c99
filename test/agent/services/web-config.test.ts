// The web configuration that prometheus, alertmanager and node_exporter share, for all three: the
// same files, flags and drop-ins, on and off.

import t from 'tap'
import type { ServiceTlsOf } from '../../../shared/contract/service.ts'
import {
  applied,
  codes,
  compiledOn,
  compileOn,
  lineChanges,
  RELEASE,
  serverTls,
  textOf,
  verdict,
  type FakeNode,
} from './fake-node.ts'
import {
  debianNode,
  DROP_IN,
  environmentOf,
  PRODUCTS,
  SCRAPE,
  tarballNode,
  UNIT,
  WEB_SERVICES,
  type WebService,
} from './web-nodes.ts'

type Intent = ServiceTlsOf<WebService>

const on = (service: WebService): Intent => serverTls(service)
const off = (service: WebService): Intent => ({ ...serverTls(service), tls: 'off' })
const obeyed = (tls: Intent, node: FakeNode) => applied(node, compiledOn(tls, node))
const pairIn = (directory: string) => `tls_server_config:
  cert_file: ${directory}/releases/${RELEASE}/chain.pem
  key_file: ${directory}/releases/${RELEASE}/key.pem
`
const changed = (before: FakeNode, after: FakeNode) =>
  [...new Set([...Object.keys(before.files), ...Object.keys(after.files)])].filter(
    path => before.files[path] !== after.files[path],
  )

const FLAGS = {
  alertmanager:
    '--web.config.file=/etc/alertmanager-tls/web-config.yml --web.external-url=https://m1.example.com:9093/',
  'node-exporter': '--web.config.file=/etc/node-exporter-tls/web-config.yml',
  prometheus:
    '--web.config.file=/etc/prometheus/web-config.yml --web.external-url=https://m1.example.com:9090/',
} as const

await t.test('stock files of Debian get TLS, and a second pass nothing more', async t => {
  for (const service of WEB_SERVICES) {
    const { web, directory, port } = PRODUCTS[service]
    const environment = environmentOf(service)
    const node = debianNode(service)

    const compiled = compiledOn(on(service), node)
    const after = applied(node, compiled)

    t.same(lineChanges(textOf(node, environment), textOf(after, environment)), [
      '- ARGS=""',
      `+ ARGS="${FLAGS[service]}"`,
    ])
    t.equal(textOf(after, web), pairIn(directory))
    t.equal(compiled.files.at(-1)?.path, web, 'what makes the pair be used is switched last')
    t.same(compiled.material.directory, directory)
    t.match(compiled.listeners, [
      { name: `https 0.0.0.0:${port}`, host: '127.0.0.1', port, scheme: 'https' },
    ])
    const again = compiledOn(on(service), after)
    t.same(changed(after, applied(after, again)), [])
    t.equal(again.loads[0]?.provenBy, 'handshake')
  }
})

const VERSIONS = {
  alertmanager: ['0.22.0', '0.25.0', '0.27.0', '0.34.0'],
  'node-exporter': ['1.0.0', '1.4.1', '1.5.0', '1.8.2', '1.12.1'],
  prometheus: ['2.24.0', '2.42.0+ds', '2.45.0', '2.53.0', '3.0.0', '3.5.0', '3.8.0'],
} as const

await t.test('every version gets the flag under the name that it knows', async t => {
  for (const service of WEB_SERVICES)
    for (const version of VERSIONS[service]) {
      const after = obeyed(on(service), debianNode(service, { version }))
      const flag = /^1\.[0-4]\./.test(version) ? '--web.config' : '--web.config.file'
      const words = textOf(after, environmentOf(service)).split(/[" ]/)
      t.ok(words.includes(`${flag}=${PRODUCTS[service].web}`), `${service} ${version}`)
      t.equal(textOf(after, PRODUCTS[service].web), pairIn(PRODUCTS[service].directory))
    }
  t.equal(
    verdict(on('alertmanager'), debianNode('alertmanager', { version: '0.21.0' })),
    'version-unsupported',
  )
  t.equal(
    verdict(on('node-exporter'), debianNode('node-exporter', { version: '0.18.1' })),
    'version-unsupported',
  )
})

await t.test('node_exporter that was upgraded gets its flag under the new name', async t => {
  const old = '--web.config=/srv/web.yml --collector.ntp'
  const upgraded = debianNode('node-exporter', { args: old })
  const environment = environmentOf('node-exporter')

  const after = obeyed(on('node-exporter'), upgraded)
  const before = obeyed(
    on('node-exporter'),
    debianNode('node-exporter', { args: old, version: '1.4.1' }),
  )

  t.match(
    textOf(after, environment),
    /^ARGS="--collector\.ntp --web\.config\.file=\/srv\/web\.yml"$/m,
  )
  t.equal(textOf(after, '/srv/web.yml'), pairIn('/etc/node-exporter-tls'))
  t.match(textOf(before, environment), `ARGS="${old}"`)
})

await t.test('a key that a version refuses keeps TLS from being tried', async t => {
  const of = (service: WebService, version: string, web: string) => {
    const path = PRODUCTS[service].web
    const args = FLAGS[service].split(' ')[0] ?? ''
    return verdict(on(service), debianNode(service, { version, args, files: { [path]: web } }))
  }
  const sans = 'tls_server_config: {client_allowed_sans: [a]}\n'
  const headers = 'http_server_config: {headers: {X-Frame-Options: deny}}\n'
  const rate = 'rate_limit: {interval: 1s, burst: 5}\n'
  const refused = 'web-config-key-unknown'
  t.same(
    [of('prometheus', '2.42.0', sans), of('prometheus', '2.45.0', sans)],
    [refused, 'compiled'],
  )
  t.same(
    [of('alertmanager', '0.25.0', sans), of('alertmanager', '0.26.0', sans)],
    [refused, 'compiled'],
  )
  t.same(
    [of('node-exporter', '1.5.0', sans), of('node-exporter', '1.6.0', sans)],
    [refused, 'compiled'],
  )
  t.same(
    [of('node-exporter', '1.0.1', headers), of('node-exporter', '1.3.0', headers)],
    [refused, 'compiled'],
  )
  t.same([of('prometheus', '3.5.0', rate), of('prometheus', '3.8.0', rate)], [refused, 'compiled'])
  t.equal(of('prometheus', '2.42.0', 'tls_config: {}\n'), refused)
  t.equal(of('prometheus', '9.0.0', 'tomorrow: {}\n'), 'compiled', 'left to the program')
  t.equal(
    of('prometheus', '2.42.0', 'tls_server_config: {cert: x, key: y}\n'),
    'compiled',
    'a key that is taken out is no obstacle',
  )
})

await t.test('a guide’s pair in a home directory is replaced, for all three', async t => {
  const guide = `tls_server_config:
  cert_file: /home/prometheus/certs/example.com/example.com.crt
  key_file: /home/prometheus/certs/example.com/example.com.key
`
  for (const service of WEB_SERVICES) {
    const { web, directory } = PRODUCTS[service]
    const node = debianNode(service, { args: FLAGS[service], files: { [web]: guide } })

    const compiled = compiledOn(on(service), node)

    t.equal(compiled.files.at(-1)?.reason.code, 'guide-home-path')
    t.same(codes(compiled.notices), ['guide-leftover', 'guide-leftover'])
    t.equal(textOf(applied(node, compiled), web), pairIn(directory))
  }
})

await t.test('without TLS a node that never had it is left as it is', async t => {
  for (const service of WEB_SERVICES) {
    const users = 'basic_auth_users: {a: b}\n'
    const own = '/srv/web.yml'
    const nodes = [
      debianNode(service),
      debianNode(service, { version: '0.1.0' }),
      debianNode(service, { args: `--web.config.file=${own}`, files: { [own]: users } }),
      debianNode(service, { args: `--web.config.file=${own}`, files: { [own]: '' } }),
      tarballNode(service, `${PRODUCTS[service].upstream} --log.level=info`),
    ]
    for (const node of nodes) {
      const compiled = compiledOn(off(service), node)
      t.same(compiled.files, [])
      t.same(compiled.notices, [])
      t.notOk(compiled.material.isWanted)
      t.same(
        compiled.loads.map(load => [load.name, load.value, load.activation, load.provenBy]),
        [['listener', 'http', 'restart', 'handshake']],
      )
      t.match(compiled.listeners, [{ scheme: 'http', port: PRODUCTS[service].port }])
    }
  }
})

await t.test('off takes back what on did, and on again does the same', async t => {
  for (const service of WEB_SERVICES) {
    const { web } = PRODUCTS[service]
    const stock = debianNode(service)
    const secure = obeyed(on(service), stock)

    const plain = obeyed(off(service), secure)

    const url = `http://m1.example.com:${PRODUCTS[service].port}/`
    const args = service === 'node-exporter' ? '' : `--web.external-url=${url}`
    t.same(
      lineChanges(textOf(stock, environmentOf(service)), textOf(plain, environmentOf(service))),
      args === '' ? [] : ['- ARGS=""', `+ ARGS="${args}"`],
    )
    t.equal(plain.files[web], undefined, 'the file that only held our keys is gone')
    t.equal(plain.files[SCRAPE], stock.files[SCRAPE], 'jobs are as they were')
    t.same(changed(plain, obeyed(off(service), plain)), [])
    t.same(
      changed(secure, obeyed(on(service), plain)).map(path =>
        lineChanges(textOf(secure, path), textOf(obeyed(on(service), plain), path)),
      ),
      args === ''
        ? []
        : [
            [
              `- ARGS="${FLAGS[service]}"`,
              `+ ARGS="${FLAGS[service].split(' ').toReversed().join(' ')}"`,
            ],
          ],
      'but for the order of two flags',
    )
  }
})

await t.test('off leaves an operator’s own settings of a web configuration', async t => {
  const web = `# kept
basic_auth_users:
  admin: $2b$12$x
tls_server_config:
  cert_file: a.crt
  key_file: a.key
  client_auth_type: RequireAndVerifyClientCert
  client_ca_file: ca.crt
  cipher_suites: [TLS_AES_128_GCM_SHA256]
  min_version: TLS13
`
  const path = PRODUCTS.prometheus.web
  const node = debianNode('prometheus', {
    args: `--web.config.file=${path}`,
    files: { [path]: web },
  })

  const compiled = compiledOn(off('prometheus'), node)

  t.same(lineChanges(web, textOf(applied(node, compiled), path)), [
    '-   cert_file: a.crt',
    '-   key_file: a.key',
    '-   client_auth_type: RequireAndVerifyClientCert',
    '-   client_ca_file: ca.crt',
  ])
  t.same(
    compiled.files.map(file => file.path),
    [path],
    'the flag stays for the passwords',
  )
  t.same(compiled.listeners[0]?.healthyStatuses, [200, 401])

  const commented = debianNode('alertmanager', {
    args: FLAGS.alertmanager,
    files: {
      [PRODUCTS.alertmanager.web]:
        '# mine\ntls_server_config: {cert_file: a, key_file: b, min_version: TLS12}\n',
    },
  })
  const after = obeyed(off('alertmanager'), commented)
  t.equal(textOf(after, PRODUCTS.alertmanager.web), '# mine\n')
  t.notMatch(textOf(after, environmentOf('alertmanager')), 'web.config')

  t.equal(
    verdict(off('prometheus'), debianNode('prometheus', { args: '--web.config.file=web.yml' })),
    'path-not-allowed',
  )
})

await t.test('a file that the unit itself names stays, without TLS', async t => {
  const { upstream, web, directory } = PRODUCTS.alertmanager
  const node = tarballNode('alertmanager', `${upstream} --web.config.file=${web}`, {
    files: { [web]: pairIn(directory) },
  })

  const after = obeyed(off('alertmanager'), node)

  t.equal(textOf(after, web), '')
  t.equal(after.files[DROP_IN], undefined)
  t.same(changed(after, obeyed(off('alertmanager'), after)), [])
})

await t.test('a unit without room for flags gets a drop-in, which goes with TLS', async t => {
  for (const service of WEB_SERVICES) {
    const { upstream, web } = PRODUCTS[service]
    const exec = `-${upstream} --log.level=info \\\n  # why\n  "--web.page-title=A B" \\\n  $EXTRA`
    const argv = [upstream, '--log.level=info', '--web.page-title=A', 'B', '$EXTRA']
    const node = tarballNode(service, exec, { argv })

    const compiled = compiledOn(on(service), node)
    const after = applied(node, compiled)

    t.equal(textOf(after, UNIT), textOf(node, UNIT))
    t.equal(
      textOf(after, DROP_IN),
      `# Kept by tlsfleet: the command line of tarball.service with flags for TLS.
[Service]
ExecStart=
ExecStart=-${upstream} --log.level=info "--web.page-title=A B" $EXTRA ${FLAGS[service]}
`,
    )
    t.equal(compiled.files.find(file => file.path === DROP_IN)?.reason.code, 'drop-in-required')
    t.equal(compiled.loads[0]?.provenBy, 'ledger')

    const flags = FLAGS[service].split(' ')
    const loaded = {
      ...after,
      unit: { ...node.unit, execStart: [...argv, ...flags], dropInPaths: [DROP_IN] },
    }
    for (const again of [after, loaded]) {
      const second = compiledOn(on(service), again)
      t.same(changed(again, applied(again, second)), [])
      t.equal(second.loads[0]?.provenBy, 'handshake')
      t.same(
        second.loads.map(load => load.value),
        compiled.loads.map(load => load.value),
      )
    }
    t.same(changed(node, obeyed(off(service), loaded)), [])
    t.equal(loaded.files[web], pairIn(PRODUCTS[service].directory))
  }
})

await t.test('a flag in the unit itself is used, or replaced in the drop-in', async t => {
  const { upstream, web } = PRODUCTS['node-exporter']
  const home = '/home/node/web.yml'
  const files = { [home]: 'tls_server_config: {cert_file: a, key_file: b}\n' }
  const commandOf = (exec: string) => {
    const node = tarballNode('node-exporter', `${upstream} ${exec}`, { files })
    const after = obeyed(on('node-exporter'), node)
    t.same(changed(after, obeyed(on('node-exporter'), after)), [])
    const loaded = { ...after, unit: { ...after.unit, dropInPaths: [DROP_IN] } }
    t.same(
      changed(loaded, obeyed(off('node-exporter'), loaded)).filter(path => path === DROP_IN),
      [],
      'what the unit itself says must not come back',
    )
    return after.files[DROP_IN] === undefined ? undefined : textOf(after, DROP_IN).split('\n')[3]
  }
  t.equal(commandOf('--web.config.file=/etc/node/web.yml --collector.ntp'), undefined)
  for (const flag of [`--web.config.file=${home}`, `--web.config.file "${home}"`])
    t.equal(
      commandOf(`${flag} --collector.ntp`),
      `ExecStart=${upstream} --web.config.file=${web} --collector.ntp`,
    )
  t.equal(
    commandOf('--collector.ntp --web.config=/srv/web.yml'),
    `ExecStart=${upstream} --collector.ntp --web.config.file=/srv/web.yml`,
  )
})

await t.test('a drop-in is made only where the command line can be repeated', async t => {
  const { upstream } = PRODUCTS.alertmanager
  const of = (exec: string, change: Parameters<typeof tarballNode>[2] = {}) => {
    const compilation = compileOn(
      on('alertmanager'),
      tarballNode('alertmanager', exec, { argv: [upstream], ...change }),
    )
    return compilation.kind === 'compiled' ? 'compiled' : compilation.reason
  }
  t.equal(of(upstream), 'compiled')
  const refused = (exec: string, why: RegExp, change: Parameters<typeof tarballNode>[2] = {}) =>
    t.match(of(exec, change), { code: 'flags-not-editable', message: why })
  refused(`${upstream} --x=\\x20`, /escapes or specifiers/)
  refused(`${upstream} --x=%H`, /escapes or specifiers/)
  refused(`@${upstream} alertmanager`, /prefix @/)
  refused(`${upstream} ; /bin/true`, /several commands/)
  refused(`${upstream} "--x`, /quote/)
  refused(`${upstream} -- x`, /bare --/)
  refused(`${upstream}\nExecStart=/bin/true`, /several ExecStart/)
  refused('/opt/other/alertmanager', /its files start/)
  const later = '/etc/systemd/system/tarball.service.d/90-later.conf'
  refused(upstream, /90-later\.conf sets ExecStart after/, {
    dropIns: { [later]: `[Service]\nExecStart=\nExecStart=${upstream} --later\n` },
  })
  const earlier = '/run/systemd/system/tarball.service.d/10-a.conf'
  const dropIns = { [earlier]: `[Service]\nExecStart=\nExecStart=${upstream} --earlier\n` }
  const node = tarballNode('alertmanager', upstream, { argv: [upstream, '--earlier'], dropIns })
  t.match(
    textOf(obeyed(on('alertmanager'), node), DROP_IN),
    `\nExecStart=${upstream} --earlier --web`,
  )
})
