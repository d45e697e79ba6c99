// Flags of a Prometheus: found and edited where they stand, said where nobody can edit them.

import t from 'tap'
import {
  applied,
  codes,
  compiledOn,
  compileOn,
  prometheusTls,
  textOf,
  verdict,
} from '../fake-node.ts'
import { ENVIRONMENT, prometheusNode, SCRAPE, WEB } from '../prometheus-node.ts'

await t.test('flags are found and edited where they stand', async t => {
  const edited = (args: string) => {
    const node = prometheusNode({ args })
    return textOf(applied(node, compiledOn(prometheusTls(), node)), ENVIRONMENT)
  }
  t.match(
    edited(`ARGS="--web.page-title='A B' --storage.tsdb.retention.time 30d"`),
    /^ARGS="--web\.page-title='A B' --storage\.tsdb\.retention\.time 30d --web\.config\.file=/m,
  )
  t.match(
    edited(`ARGS="--web.config.file ${WEB} --log.level=debug"`),
    /ARGS="--web\.config\.file \//,
  )
  t.equal(
    verdict(
      prometheusTls(),
      prometheusNode({ args: 'ARGS="--web.config.file=/a --web.config.file=/b"' }),
    ),
    'flag-repeated',
  )
  t.equal(
    verdict(prometheusTls(), prometheusNode({ args: 'ARGS="@/etc/flags"' })),
    'command-line-unclear',
  )
  t.equal(
    verdict(prometheusTls(), prometheusNode({ args: 'ARGS="--web.listen-address=:http"' })),
    'listen-address-unclear',
  )
})

await t.test('an ExecStart without a variable is used as it is, or reported', async t => {
  const fixed = (...flags: readonly string[]) =>
    prometheusNode({
      unit: { execStart: ['/opt/prometheus/prometheus', ...flags], environmentFiles: [] },
    })
  const commands = { '/opt/prometheus/prometheus --version': 'prometheus, version 2.45.0\n' }
  const none = { ...fixed(), commands }
  const own = '/opt/prometheus/web.yml'
  const flagged = { ...fixed(`--web.config.file=${own}`), commands }

  const refused = compileOn(prometheusTls(), none)
  const compiled = compiledOn(prometheusTls(), flagged)

  t.equal(refused.kind === 'unsupported' && refused.reason.code, 'flags-not-editable')
  t.match(
    refused.kind === 'unsupported' && refused.reason.message,
    `put --web.config.file=${WEB} into its ExecStart`,
  )
  t.same(
    compiled.files.map(file => file.path),
    [SCRAPE, own],
  )
  t.same(codes(compiled.notices), ['external-url-not-editable'])
  t.equal(compiled.validators[0]?.argv[0], '/opt/prometheus/promtool')
  t.equal(
    verdict(prometheusTls(), { ...fixed('--web.config.file=/home/prometheus/web.yml'), commands }),
    'path-not-allowed',
  )
})

await t.test('an optional environment file that is not there yet is made', async t => {
  const node = prometheusNode({
    unit: { environmentFiles: [{ path: '/etc/sysconfig/prometheus', optional: true }] },
  })

  const after = applied(node, compiledOn(prometheusTls(), node))

  t.equal(
    textOf(after, '/etc/sysconfig/prometheus'),
    `ARGS="--web.config.file=${WEB} --web.external-url=https://m1.example.com:9090/"\n`,
  )
  const inUnit = { environment: { ARGS: '--log.level=debug' }, environmentFiles: [] }
  t.equal(
    verdict(prometheusTls(), prometheusNode({ unit: inUnit })),
    'flags-not-editable',
    'a file would hide the words that the unit gives to the variable',
  )
})

await t.test('the external address becomes https where it is this server’s own', async t => {
  const address = (args: string, tls = prometheusTls()) => {
    const node = prometheusNode({ args })
    const after = applied(node, compiledOn(tls, node))
    return /--web\.external-url=(\S*?)["\s]/.exec(textOf(after, ENVIRONMENT))?.[1]
  }
  const set = (url: string) => address(`ARGS="--web.external-url=${url} --log.level=info"`)
  t.equal(set('http://m1.example.com:9090/prom'), 'https://m1.example.com:9090/prom')
  t.equal(set('http://10.0.0.7:9090'), 'https://10.0.0.7:9090')
  t.equal(set('https://m1.example.com:9090/'), 'https://m1.example.com:9090/')
  t.equal(set('http://m1.example.com/prom'), 'http://m1.example.com/prom', 'a proxy, on port 80')
  t.equal(set('http://proxy.example.com:9090/'), 'http://proxy.example.com:9090/')
  t.equal(address('ARGS=""', prometheusTls({ options: { externalUrl: 'leave' } })), undefined)
  const names = { dns: ['*.example.com'], ip: ['2001:db8::1'] }
  const certificate = { ...prometheusTls().certificate, names }
  t.equal(address('ARGS=""', prometheusTls({ certificate })), 'https://[2001:db8::1]:9090/')
  t.equal(
    address('ARGS="--web.listen-address=:80 --web.external-url=http://m1.example.com/x "'),
    'https://m1.example.com:80/x',
  )

  const prefixed = (args: string) =>
    compiledOn(prometheusTls(), prometheusNode({ args })).listeners[0]?.healthPath
  t.equal(prefixed('ARGS="--web.external-url=http://proxy/prom/"'), '/prom/-/ready')
  t.equal(prefixed('ARGS="--web.external-url=http://proxy/prom/ --web.route-prefix=/"'), '/-/ready')
})
