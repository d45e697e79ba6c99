// Arbitrary nodes with prometheus, alertmanager or node_exporter: packages and tarballs, on and off,
// before and after, sound and broken.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import type { ServiceTls, Upstream } from '../../../shared/contract/service.ts'
import { CA, serverTls, type FakeNode } from './fake-node.ts'
import {
  debianNode,
  DROP_IN,
  PRODUCTS,
  SCRAPE,
  tarballNode,
  UNIT,
  WEB_SERVICES,
  type WebService,
} from './web-nodes.ts'

const golden = (name: string) => readFileSync(join(import.meta.dirname, 'golden', name), 'utf8')

const upstreams: fc.Arbitrary<Upstream[]> = fc.subarray<Upstream>(
  (['on', 'off'] as const).flatMap((tls, index) => [
    {
      service: 'node-exporter',
      port: 9100,
      tls,
      names: { dns: [`m${index + 1}.example.com`, 'localhost'], ip: [] },
    },
    {
      service: 'alertmanager',
      port: 9093,
      tls,
      names: { dns: [`m${index + 1}.example.com`], ip: [`10.0.0.${index + 7}`] },
    },
  ]),
)

const intents = (service: WebService): fc.Arbitrary<ServiceTls> =>
  fc
    .record({
      tls: fc.constantFrom('on', 'on', 'off'),
      clientAuth: fc.constantFrom('none', 'optional', 'required'),
      minVersion: fc.constantFrom('1.2', '1.3'),
      upstreams,
    })
    .map(changes => ({ ...serverTls(service), ...changes }))

const VERSIONS = {
  alertmanager: ['0.21.0', '0.22.0', '0.25.0', '0.27.0', '0.34.0'],
  'node-exporter': ['0.18.0', '1.0.1', '1.4.0', '1.5.0', '1.8.2'],
  prometheus: ['2.24.0', '2.42.0+ds', '2.53.1', '3.5.0', '3.8.0', '4.0.0'],
} as const satisfies Record<WebService, readonly string[]>

const WORDS = [
  '--log.level=debug',
  "--web.page-title='A B'",
  '--web.config.file=/srv/web.yml',
  '--web.config.file=/home/p/web.yml',
  '--web.config /srv/web.yml',
  '--web.external-url=https://m1.example.com/x',
  '--web.external-url=http://localhost:9093',
  '--web.listen-address=:9443',
  '--web.route-prefix=/p',
  '--cluster.tls-config=/srv/gossip.yml',
  '--config.file=/srv/prometheus.yml',
]
const words = fc.subarray(WORDS).map(list => list.join(' '))

const WEB_FILES = fc.constantFrom(
  undefined,
  '',
  '# mine\n',
  'tls_server_config:\n  cert_file: a\n  key_file: b\n  min_version: TLS12\n',
  'tls_server_config: {cert_file: a, key_file: b, cipher_suites: [x]}\nbasic_auth_users: {a: b}\n',
  'basic_auth_users: {a: b}\n',
  'tls_server_config: {client_allowed_sans: [a]}\n',
  'tls_server_config: 1\n',
)
const JOBS = fc.constantFrom(
  undefined,
  golden('prometheus-debian-2.42.yml'),
  golden('prometheus-debian-2.42.upstreams.yml'),
  golden('scrape-jobs.after.yml'),
  'scrape_configs: [{job_name: a, scheme: https, tls_config: {ca_file: /etc/prometheus/tls/ca.pem}, static_configs: [{targets: [localhost:9100, m1.example.com:9100]}]}]\n',
)

interface Pieces {
  readonly version: string
  readonly words: string
  readonly web: string | undefined
  readonly jobs: string | undefined
  readonly trust: boolean
}

function filesOf(service: WebService, { web, jobs, trust }: Pieces): FakeNode['files'] {
  const webFiles = [PRODUCTS[service].web, '/srv/web.yml', '/home/p/web.yml'].flatMap(path =>
    web === undefined ? [] : [[path, web]],
  )
  const jobFiles = [SCRAPE, '/srv/prometheus.yml'].flatMap(path =>
    jobs === undefined ? [] : [[path, jobs]],
  )
  const trusted = trust ? [['/etc/prometheus/tls/ca.pem', CA]] : []
  return Object.fromEntries([...webFiles, ...jobFiles, ...trusted])
}

const nodes = (service: WebService): fc.Arbitrary<FakeNode> =>
  fc
    .record({
      version: fc.constantFrom(...VERSIONS[service]),
      words,
      web: WEB_FILES,
      jobs: JOBS,
      trust: fc.boolean(),
      shape: fc.constantFrom('debian', 'tarball', 'with-drop-in', 'unreadable-unit', 'quoted'),
      canReload: fc.boolean(),
    })
    .map(({ shape, canReload, ...pieces }) => {
      const { version } = pieces
      const files = filesOf(service, pieces)
      const { upstream } = PRODUCTS[service]
      const exec = `${upstream} ${pieces.words}`.trim()
      switch (shape) {
        case 'debian':
          return debianNode(service, { version, files, args: pieces.words, unit: { canReload } })
        case 'with-drop-in': {
          const flag = `--web.config.file=${PRODUCTS[service].web}`
          const dropIn = `[Service]\nExecStart=\nExecStart=${upstream} ${flag}\n`
          return tarballNode(service, exec, {
            version,
            files: { ...files, [DROP_IN]: dropIn },
            unit: { canReload, dropInPaths: [DROP_IN] },
          })
        }
        case 'unreadable-unit':
          return tarballNode(service, exec, {
            version,
            files: {
              ...files,
              [UNIT]: { kind: 'unreadable', reason: { code: 'x', message: 'not allowed' } },
            },
          })
        case 'quoted':
          return tarballNode(service, `-${exec} "--x=a b" \\\n $MORE`, { version, files })
        case 'tarball':
          return tarballNode(service, exec, { version, files, unit: { canReload } })
      }
    })

export const webCases: fc.Arbitrary<readonly [ServiceTls, FakeNode]> = fc.oneof(
  ...WEB_SERVICES.map(service => fc.tuple(intents(service), nodes(service))),
)
