// What holds for every driver, whatever is on the node. Nodes are put together from pieces that
// operators, packages and guides leave behind, sound and broken ones.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import type { Names } from '../../../shared/contract/schema.ts'
import { isServer, SERVICE_NAMES, type ServiceTls } from '../../../shared/contract/service.ts'
import { compileService, DRIVERS, unitsOf, wantedInputs } from '../../../agent/services/registry.ts'
import type { Seen } from '../../../agent/services/service.ts'
import { webCases } from './arbitrary-web-nodes.ts'
import {
  applied,
  CA,
  compiledOn,
  compileOn,
  fakeUnit,
  influxdbTls,
  look,
  prometheusTls,
  SAME,
  type FakeNode,
} from './fake-node.ts'

const golden = (name: string) => readFileSync(join(import.meta.dirname, 'golden', name), 'utf8')

const common = fc.record({
  clientAuth: fc.constantFrom('none', 'optional', 'required'),
  minVersion: fc.constantFrom('1.2', '1.3'),
  trust: fc.constantFrom<string[][]>([CA], [CA, CA], []),
  certificate: fc.record({
    issuer: fc.constantFrom('internal', 'self-signed', 'files', 'local-ca'),
    names: fc.constantFrom<Names[]>(
      { dns: ['m1.example.com', 'localhost'], ip: ['127.0.0.1'] },
      { dns: ['*.example.com'], ip: [] },
      { dns: [], ip: ['2001:db8::1', '127.0.0.1'] },
    ),
    key: fc.constant('ec-p256'),
    lifetimeMs: fc.constant(86_400_000),
    renewBeforeMs: fc.constant(3_600_000),
  }),
})
const prometheusIntents: fc.Arbitrary<ServiceTls> = fc
  .tuple(common, fc.constantFrom('manage', 'leave'))
  .map(([tls, externalUrl]) => prometheusTls({ ...tls, options: { externalUrl } }))
const influxdbIntents: fc.Arbitrary<ServiceTls> = fc
  .tuple(
    common,
    fc.constantFrom('leave', 'leave', 'leave', 'tls', 'tls-insecure'),
    fc.constantFrom('leave', 'leave', 'leave', 'tls', 'tls-insecure'),
  )
  .map(([tls, meta, cluster]) => influxdbTls({ ...tls, options: { meta, cluster } }))

// Sound pieces first, then those that must make a driver keep its hands off.
const PROMETHEUS_ARGS = mostly(
  [
    '',
    'ARGS=""\n',
    'ARGS="--web.config.file=/etc/prometheus/own.yml --web.external-url=http://m1.example.com:9090/"\n',
    'ARGS="--web.listen-address=[::]:9443 --web.route-prefix=/x --enable-feature=agent"\n',
  ],
  [
    "ARGS='--web.config.file /home/p/web.yml'\n",
    'ARGS="--web.config.file=/a --web.config.file=/b"\n',
  ],
)
const WEB_CONFIGS = mostly(
  [
    undefined,
    '# nothing\n',
    'tls_server_config:\n  cert_file: a\n  key_file: b\n',
    'tls_server_config: {cert: x, key: y, client_auth_type: RequestClientCert}\r\nbasic_auth_users: {a: b}\r\n',
  ],
  ['tls_server_config: 1\n', 'tls_server_config: [\n'],
)
const SCRAPES = mostly(
  [
    undefined,
    golden('prometheus-debian-2.42.yml'),
    golden('scrape-jobs.yml'),
    'scrape_configs: []\n',
    'scrape_configs: [{job_name: a, scheme: http, static_configs: [{targets: [localhost:9090]}]}]\n',
  ],
  ['- no\n'],
)
const INFLUXDB_CONFIGS = mostly(
  [
    golden('influxdb-debian-1.6.7.conf'),
    golden('influxdb-guide.conf'),
    golden('influxdb-enterprise.conf'),
    '',
    'http = { https-enabled = false }\n',
    '[HTTP]\nHTTPS-Enabled = true\nhttps-enabled = false\n[cluster]\n',
  ],
  [undefined, '[http]\nenabled = false\n', '[[http]]\n'],
)
const INFLUXDB_ENVIRONMENTS = fc.constantFrom(
  '',
  'INFLUXDB_HTTP_HTTPS_ENABLED=false\nINFLUXD_OPTS="-config /srv/i.conf"\n',
  'INFLUXDB_TLS_MIN_VERSION=tls1.0\nINFLUXDB_CLUSTER_HTTPS_ENABLED=no\n',
)

function mostly<T>(sound: readonly T[], broken: readonly T[]): fc.Arbitrary<T> {
  return fc.oneof(
    { arbitrary: fc.constantFrom(...sound), weight: 9 },
    { arbitrary: fc.constantFrom(...broken), weight: 1 },
  )
}

function nodesThatStart(
  execStart: fc.Arbitrary<readonly string[]>,
  environment: fc.Arbitrary<string>,
): fc.Arbitrary<FakeNode> {
  return fc
    .record({
      prometheusVersion: mostly(['2.24.0', '2.42.0+ds', '3.0.0'], ['2.23.0', 'x']),
      influxdbVersion: mostly(
        ['1.6.1', '1.6.7~rc0', '1.8.10', '1.12.3-c1.12.3', '1.13.1'],
        ['2.7.0', 'x'],
      ),
      execStart,
      environment,
      web: WEB_CONFIGS,
      scrape: SCRAPES,
      influxdb: INFLUXDB_CONFIGS,
      activeState: fc.constantFrom('active', 'failed', 'inactive'),
      canReload: fc.boolean(),
      fixed: mostly<Record<string, string>>([{}], [{ INFLUXDB_HTTP_HTTPS_ENABLED: '0' }]),
    })
    .map(pieces => {
      const { activeState, canReload, fixed: environment } = pieces
      const environmentFiles = [{ path: '/etc/default/it', optional: true }]
      const files: Record<string, string> = { '/etc/default/it': pieces.environment }
      const add = (path: string, text: string | undefined) => {
        if (text !== undefined) files[path] = text
      }
      for (const path of [
        '/etc/prometheus/web-config.yml',
        '/etc/prometheus/own.yml',
        '/home/p/web.yml',
      ])
        add(path, pieces.web)
      add('/etc/prometheus/prometheus.yml', pieces.scrape)
      for (const path of ['/etc/influxdb/influxdb.conf', '/srv/i.conf']) add(path, pieces.influxdb)
      const { execStart } = pieces
      return {
        unit: fakeUnit({ execStart, activeState, canReload, environment, environmentFiles }),
        files,
        commands: {
          '/usr/bin/prometheus --version': `prometheus, version ${pieces.prometheusVersion}\n`,
          '/usr/bin/influxd version': `InfluxDB v${pieces.influxdbVersion} (git: x y)\n`,
          '/usr/bin/stat -L -c %.3Z /usr/bin/influxd': '1700000000.000\n',
        },
      }
    })
}

const cases: fc.Arbitrary<readonly [ServiceTls, FakeNode]> = fc.oneof(
  { arbitrary: webCases, weight: 3 },
  fc.tuple(
    prometheusIntents,
    nodesThatStart(
      mostly(
        [
          ['/usr/bin/prometheus', '$ARGS'],
          ['/usr/bin/prometheus', '--web.config.file=/etc/prometheus/own.yml'],
        ],
        [['/bin/sh', '-c', 'prometheus $ARGS']],
      ),
      PROMETHEUS_ARGS,
    ),
  ),
  fc.tuple(
    influxdbIntents,
    nodesThatStart(
      mostly(
        [
          ['/usr/bin/influxd', '-config', '/etc/influxdb/influxdb.conf', '$INFLUXD_OPTS'],
          ['/usr/lib/influxdb/scripts/influxd-systemd-start.sh'],
        ],
        [[]],
      ),
      INFLUXDB_ENVIRONMENTS,
    ),
  ),
)

await t.test('every service of the contract has a driver and units', async t => {
  t.same(Object.keys(DRIVERS).toSorted(), [...SERVICE_NAMES].toSorted())
  for (const service of SERVICE_NAMES) {
    t.equal(DRIVERS[service].service, service)
    t.ok(unitsOf(service).every(unit => unit.endsWith('.service')) && unitsOf(service).length > 0)
  }
})

await t.test('a driver is pure, and decides by nothing that it did not ask for', async t => {
  fc.assert(
    fc.property(cases, ([tls, node]) => {
      const { seen, inputs } = look(tls, node)
      const asked = new Set(
        inputs.map(input => (input.kind === 'command' ? input.argv.join(' ') : input.path)),
      )
      const strict: Seen = {
        unit: seen.unit,
        file: path => (asked.has(path) ? seen.file(path) : fail(path)),
        command: argv => (asked.has(argv.join(' ')) ? seen.command(argv) : fail(argv.join(' '))),
        directory: path => (asked.has(path) ? seen.directory(path) : fail(path)),
        keystore: path => (asked.has(path) ? seen.keystore(path) : fail(path)),
      }
      const first = compileService(tls, strict, SAME)
      const second = compileService(structuredClone(tls), strict, SAME)
      return (
        JSON.stringify(first) === JSON.stringify(second) &&
        JSON.stringify(wantedInputs(tls, strict, SAME)) === JSON.stringify(inputs)
      )
    }),
    { numRuns: 300 },
  )
  t.pass()
})

await t.test('what is compiled can be carried out', async t => {
  let compiledRuns = 0
  fc.assert(
    fc.property(cases, ([tls, node]) => {
      const compilation = compileOn(tls, node)
      if (compilation.kind === 'unsupported') return
      compiledRuns++
      const { material, files, loads, listeners, validators } = compilation.compiled
      unique(files.map(file => file.path))
      unique(loads.map(load => load.name))
      const paths = [material.directory, material.trustFile, ...files.map(file => file.path)]
      holds(paths.every(path => path.startsWith('/') && !path.includes('{')))
      holds(validators.every(({ argv, timeoutMs }) => argv[0]?.startsWith('/') && timeoutMs > 0))
      holds((material.keyMode & 0o077) === 0)
      holds(listeners.length > 0 && loads.some(load => load.provenBy === 'handshake'))
      holds(
        !material.isWanted ||
          loads.some(load => load.name === 'certificate' && load.value.includes('{release}')),
      )
      for (const listener of listeners)
        holds(
          listener.host !== '' && listener.serverName !== '' && listener.healthPath.startsWith('/'),
        )
      if (material.isWanted && isServer(tls) && tls.clientAuth === 'required')
        holds(material.clientUse)
    }),
    { numRuns: 300 },
  )
  t.ok(compiledRuns > 50, 'enough of the nodes can be served')
})

await t.test('a driver that was obeyed asks for nothing more', async t => {
  fc.assert(
    fc.property(cases, ([tls, node]) => {
      if (compileOn(tls, node).kind === 'unsupported') return
      const after = applied(node, compiledOn(tls, node))
      const again = compiledOn(tls, after)
      same(applied(after, again).files, after.files)
      const values = (loads: typeof again.loads) => loads.map(load => `${load.name} ${load.value}`)
      const before = values(compiledOn(tls, node).loads)
      // What was taken back, and loaded, is nothing to look after any more.
      if (tls.tls === 'on') same(values(again.loads), before)
      else holds(values(again.loads).every(value => before.includes(value)))
      same(again.listeners, compiledOn(tls, node).listeners)
    }),
    { numRuns: 300 },
  )
  t.pass()
})

function fail(what: string): never {
  throw new Error(`looked at ${what} without asking for it`)
}

function holds(claim: boolean | undefined): void {
  if (claim !== true) throw new Error('does not hold')
}

function unique(values: readonly string[]): void {
  if (new Set(values).size < values.length) throw new Error(`twice: ${values.join(', ')}`)
}

function same(a: unknown, b: unknown): void {
  if (JSON.stringify(a) !== JSON.stringify(b))
    throw new Error(`${JSON.stringify(a)} is not ${JSON.stringify(b)}`)
}
