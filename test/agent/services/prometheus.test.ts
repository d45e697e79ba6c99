// From the files of Debian and of a guide to a Prometheus with TLS, which its own scrape jobs follow.

import t from 'tap'
import {
  applied,
  CA,
  codes,
  compiledOn,
  lineChanges,
  look,
  prometheusTls,
  RELEASE,
  textOf,
  verdict,
} from './fake-node.ts'
import { ENVIRONMENT, golden, prometheusNode, SCRAPE, WEB } from './prometheus-node.ts'

const WITH_FLAG = `ARGS="--web.config.file=${WEB}"`

await t.test('the stock files of Debian get TLS, and nothing else in them changes', async t => {
  const node = prometheusNode()

  const compiled = compiledOn(prometheusTls(), node)
  const after = applied(node, compiled)

  t.same(
    compiled.files.map(file => [file.path, file.reason.code, file.createMode]),
    [
      [ENVIRONMENT, 'flags-required', 0o644],
      [SCRAPE, 'self-scrape', undefined],
      [WEB, 'tls-required', 0o640],
    ],
    'the file that makes a running server use another pair is switched last',
  )
  t.same(lineChanges(textOf(node, ENVIRONMENT), textOf(after, ENVIRONMENT)), [
    '- ARGS=""',
    `+ ARGS="--web.config.file=${WEB} --web.external-url=https://m1.example.com:9090/"`,
  ])
  t.equal(textOf(after, SCRAPE), golden('prometheus-debian-2.42.after.yml'))
  t.equal(
    textOf(after, WEB),
    `tls_server_config:
  cert_file: /etc/prometheus/tls/releases/${RELEASE}/chain.pem
  key_file: /etc/prometheus/tls/releases/${RELEASE}/key.pem
`,
  )
  t.equal(compiled.version, '2.42.0+ds')
  t.same(compiled.notices, [])
  t.same(
    compiled.loads.map(load => [load.name, load.activation, load.provenBy]),
    [
      ['listener', 'restart', 'ledger'],
      ['certificate', 'none', 'handshake'],
      ['options', 'none', 'ledger'],
      ['external-url', 'restart', 'ledger'],
      ['scrape', 'reload', 'ledger'],
    ],
  )
  t.same(compiled.listeners, [
    {
      name: 'https 0.0.0.0:9090',
      host: '127.0.0.1',
      port: 9090,
      serverName: 'm1.example.com',
      healthPath: '/-/ready',
      healthyStatuses: [200],
      scheme: 'https',
      clientCertificate: false,
    },
  ])
  t.same(
    compiled.validators.map(validator => validator.argv.join(' ')),
    [
      `/usr/bin/promtool check web-config {staged}${WEB}`,
      `/usr/bin/promtool check config --syntax-only {staged}${SCRAPE}`,
    ],
  )
})

await t.test('a second look over the edited files asks for no further edit', async t => {
  for (const tls of [
    prometheusTls(),
    prometheusTls({ clientAuth: 'required', minVersion: '1.3' }),
    prometheusTls({ options: { externalUrl: 'leave' } }),
  ]) {
    const once = applied(prometheusNode(), compiledOn(tls, prometheusNode()))
    const again = compiledOn(tls, once)
    t.same(applied(once, again).files, once.files)
    t.equal(again.loads[0]?.value, compiledOn(tls, prometheusNode()).loads[0]?.value)
    t.equal(again.loads[0]?.provenBy, 'handshake', 'the flag is there, so what is served proves it')
  }
})

await t.test('a renewal changes the web configuration alone, and needs no activation', async t => {
  const tls = prometheusTls({ options: { externalUrl: 'leave' } })
  const before = applied(prometheusNode(), compiledOn(tls, prometheusNode()))

  const after = applied(before, compiledOn(tls, before), 'ffff0000')

  t.same(
    Object.keys(after.files).filter(path => after.files[path] !== before.files[path]),
    [WEB],
  )
  t.match(textOf(after, WEB), /releases\/ffff0000\/chain\.pem/)
})

await t.test('versions decide', async t => {
  const of = (version: string) => verdict(prometheusTls(), prometheusNode({ version }))
  t.equal(of('2.23.0'), 'version-unsupported')
  t.equal(of('2.24.0'), 'compiled')
  t.equal(of('2.24.0-rc.0'), 'compiled')
  t.equal(of('3.0.0'), 'compiled')
  t.equal(of('unknown'), 'version-unknown')
  t.equal(verdict(prometheusTls(), { ...prometheusNode(), commands: {} }), 'version-unknown')
  t.equal(
    verdict(
      prometheusTls(),
      prometheusNode({ unit: { execStart: ['/bin/sh', '-c', 'prometheus'] } }),
    ),
    'program-unknown',
  )

  const two = 'ARGS="--web.listen-address=127.0.0.1:9090 --web.listen-address=[::]:9091"'
  t.equal(verdict(prometheusTls(), prometheusNode({ args: two })), 'flag-repeated')
  t.same(
    compiledOn(prometheusTls(), prometheusNode({ args: two, version: '3.0.0' })).listeners.map(
      ({ host, port }) => [host, port],
    ),
    [
      ['127.0.0.1', 9090],
      ['::1', 9091],
    ],
  )
  t.match(
    compiledOn(prometheusTls(), prometheusNode({ version: '2.24.0' })).validators[1]?.argv.join(
      ' ',
    ),
    /check config \{staged\}/,
    'an older promtool does not know how to check the syntax only',
  )
})

await t.test('only the keys of TLS are edited in a web configuration', async t => {
  const web = `# kept
basic_auth_users:
  admin: $2b$12$hNf2lSsxfm0.i4a.1kVpSOVyBCfIB51VRjgBUyv6kdnyTlgWj81Ay
tls_server_config:
  cert_file: old.crt   # relative to this file
  key_file: old.key
  max_version: TLS13
  cipher_suites: [TLS_AES_128_GCM_SHA256]
http_server_config:
  http2: false
`
  const node = prometheusNode({ args: WITH_FLAG, web })

  const compiled = compiledOn(prometheusTls({ minVersion: '1.3' }), node)

  t.same(lineChanges(web, textOf(applied(node, compiled), WEB)), [
    '-   cert_file: old.crt   # relative to this file',
    '-   key_file: old.key',
    `+   cert_file: /etc/prometheus/tls/releases/${RELEASE}/chain.pem   # relative to this file`,
    `+   key_file: /etc/prometheus/tls/releases/${RELEASE}/key.pem`,
    '+   min_version: TLS13',
  ])
  t.same(compiled.listeners[0]?.healthyStatuses, [200, 401], 'health is behind the passwords')
})

await t.test(
  'client certificates are demanded with the CA that verifies them, or not at all',
  async t => {
    const set = 'tls_server_config:\n  client_auth_type: RequestClientCert\n  client_ca_file: /ca\n'
    const webFor = (tls: Parameters<typeof prometheusTls>[0], web: string) => {
      const node = prometheusNode({ args: WITH_FLAG, web })
      return textOf(applied(node, compiledOn(prometheusTls(tls), node)), WEB)
    }
    const none = webFor({}, set)
    const optional = webFor({ clientAuth: 'optional' }, set)
    const required = webFor({ clientAuth: 'required' }, '')

    t.notMatch(none, /client_/)
    t.match(optional, /client_auth_type: VerifyClientCertIfGiven\n/)
    t.match(required, /client_auth_type: RequireAndVerifyClientCert\n/)
    for (const web of [optional, required])
      t.match(web, /client_ca_file: \/etc\/prometheus\/tls\/ca\.pem\n/)
    t.equal(
      verdict(prometheusTls({ clientAuth: 'required', trust: [] }), prometheusNode()),
      'client-trust-missing',
    )

    const compiled = compiledOn(prometheusTls({ clientAuth: 'required' }), prometheusNode())
    t.ok(compiled.material.clientUse)
    t.ok(compiled.listeners[0]?.clientCertificate)
    t.match(
      textOf(applied(prometheusNode(), compiled), SCRAPE),
      /key_file: \/etc\/prometheus\/tls\/current\/key\.pem/,
    )
    t.notOk(
      compiled.validators.some(validator => validator.argv.includes('web-config')),
      'promtool would look for the CA file, which is not there before the first switch',
    )
    const trusting = prometheusNode({ files: { '/etc/prometheus/tls/ca.pem': CA } })
    t.ok(
      compiledOn(prometheusTls({ clientAuth: 'required' }), trusting).validators.some(validator =>
        validator.argv.includes('web-config'),
      ),
    )
  },
)

await t.test('what followed the guides is put right, and said', async t => {
  const guideWeb = `tls_server_config:
  cert_file: /home/prometheus/certs/example.com/example.com.crt
  key_file: /home/prometheus/certs/example.com/example.com.key
`
  const guided = prometheusNode({ args: WITH_FLAG, web: guideWeb })
  const compiled = compiledOn(prometheusTls(), guided)
  t.equal(compiled.files.at(-1)?.reason.code, 'guide-home-path')
  t.same(codes(compiled.notices), ['guide-leftover', 'guide-leftover'])
  const cured = compiledOn(prometheusTls(), applied(guided, compiled))
  t.same(cured.notices, [])
  t.equal(cured.files.at(-1)?.reason.code, 'tls-settings')

  const home = '/home/prometheus/web-config.yml'
  const atHome = (web: string | undefined, activeState: 'active' | 'failed') =>
    prometheusNode({
      args: `ARGS="--web.config.file=${home}"`,
      unit: { activeState },
      files: web === undefined ? {} : { [home]: web },
    })
  for (const node of [atHome(guideWeb, 'active'), atHome(undefined, 'failed')]) {
    const moved = compiledOn(prometheusTls(), node)
    t.equal(moved.files[0]?.reason.code, 'guide-home-path')
    t.match(textOf(applied(node, moved), ENVIRONMENT), `--web.config.file=${WEB} `)
  }
  const withUsers = `${guideWeb}basic_auth_users: {admin: x}\n`
  t.equal(verdict(prometheusTls(), atHome(withUsers, 'failed')), 'path-not-allowed')
  t.equal(
    verdict(prometheusTls(), atHome(undefined, 'active')),
    'path-not-allowed',
    'a running server has something in it that the agent does not see',
  )

  const inline = prometheusNode({
    args: WITH_FLAG,
    web: 'tls_server_config: {cert: "x", key: "y"}\n',
  })
  const replaced = compiledOn(prometheusTls(), inline)
  t.equal(replaced.files.at(-1)?.reason.code, 'inline-pem-replaced')
  t.notMatch(textOf(applied(inline, replaced), WEB), /\b(cert|key):/)
})

await t.test('what cannot be understood is left alone', async t => {
  const of = (change: Parameters<typeof prometheusNode>[0]) =>
    verdict(prometheusTls(), prometheusNode(change))
  const args = WITH_FLAG
  t.equal(of({ args, web: 'tls_server_config: [\n' }), 'config-unparsable')
  t.equal(of({ args, web: 'tls_server_config: yes\n' }), 'config-unexpected')
  t.equal(of({ args, web: 'tls_server_config: {max_version: TLS11}\n' }), 'max-version-too-low')
  t.equal(of({ scrape: 'scrape_configs: [\n' }), 'config-unparsable')
  const unreadable = { kind: 'unreadable', reason: { code: 'x', message: 'too large' } } as const
  t.equal(of({ files: { [SCRAPE]: unreadable } }), 'config-unreadable')
  t.equal(of({ files: { [ENVIRONMENT]: unreadable } }), 'config-unreadable')
  t.equal(
    of({ unit: { environmentFiles: [{ path: '/etc/p.d/*', optional: true }] } }),
    'command-line-unclear',
  )
  t.equal(
    verdict(
      prometheusTls({
        certificate: { ...prometheusTls().certificate, names: { dns: [], ip: [] } },
      }),
      prometheusNode(),
    ),
    'names-missing',
  )
})

await t.test('jobs that watch this server follow it to https, all others stay', async t => {
  const scrape = golden('scrape-jobs.yml')
  const node = prometheusNode({ scrape })

  const compiled = compiledOn(prometheusTls(), node)

  t.equal(textOf(applied(node, compiled), SCRAPE), golden('scrape-jobs.after.yml'))
  t.same(codes(compiled.notices), [
    'scrape-job-mixed',
    'scrape-job-relabelled',
    'scrape-job-discovered',
    'scrape-config-elsewhere',
  ])
  t.match(compiled.notices[0]?.message, 'scrape job mixed in')
})

await t.test('the bundle is named in a job only where there is one', async t => {
  const issued = (issuer: 'files' | 'self-signed' | 'local-ca') => {
    const tls = prometheusTls({
      trust: [],
      certificate: { ...prometheusTls().certificate, issuer },
    })
    return textOf(applied(prometheusNode(), compiledOn(tls, prometheusNode())), SCRAPE)
  }
  t.notMatch(issued('files'), /ca_file/)
  t.match(issued('self-signed'), /ca_file/)
  t.match(issued('local-ca'), /ca_file/)
})

await t.test(
  'a missing or unknown file of scrape jobs does not keep TLS from the server',
  async t => {
    const relative = prometheusNode({ args: 'ARGS="--config.file=prometheus.yml"' })
    t.same(codes(compiledOn(prometheusTls(), relative).notices), ['scrape-config-not-found'])
    const elsewhere = prometheusNode({ args: 'ARGS="--config.file=/srv/prometheus.yml"' })
    t.same(codes(compiledOn(prometheusTls(), elsewhere).notices), ['scrape-config-not-found'])
  },
)

await t.test('paths in product files are those that the service sees', async t => {
  const context = { servicePath: (path: string) => `/tmp/node${path}` }
  const node = prometheusNode({ args: `ARGS="--config.file=/tmp/node${SCRAPE}"` })

  const compiled = compiledOn(prometheusTls(), node, context)
  const after = applied(node, compiled)
  const again = compiledOn(prometheusTls(), after, context)

  t.match(textOf(after, ENVIRONMENT), `--web.config.file=/tmp/node${WEB}`)
  t.match(textOf(after, WEB), 'cert_file: /tmp/node/etc/prometheus/tls/releases/')
  t.match(textOf(after, SCRAPE), 'ca_file: /tmp/node/etc/prometheus/tls/ca.pem')
  t.same(
    again.files.map(file => file.path),
    [ENVIRONMENT, SCRAPE, WEB],
  )
  t.same(applied(after, again).files, after.files)
})

await t.test('a unit without ExecReload is told of new scrape jobs by a signal', async t => {
  const node = prometheusNode({ unit: { canReload: false } })
  t.equal(compiledOn(prometheusTls(), node).loads.at(-1)?.activation, 'hangup')
})

await t.test('the version is asked for as the service user', async t => {
  const { inputs } = look(prometheusTls(), prometheusNode())
  t.match(
    inputs.find(input => input.kind === 'command'),
    { asService: true, dependsOn: ['/usr/bin/prometheus'] },
  )
})
