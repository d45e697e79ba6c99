// Real and hand-made files with what they must become, byte for byte.

import { setFlag } from '../../../agent/formats/env-file.ts'
import type { ConfigEdit, EditResult } from '../../../agent/formats/edit.ts'
import { editToml } from '../../../agent/formats/toml.ts'
import { editYaml } from '../../../agent/formats/yaml.ts'

export interface GoldenCase {
  readonly name: string
  readonly input: string
  readonly output: string
  readonly edit: (text: string) => EditResult
}

const httpsEdits: readonly ConfigEdit[] = [
  { path: ['http', 'https-enabled'], value: true },
  { path: ['http', 'https-certificate'], value: '/etc/influxdb/tls/current/chain.pem' },
  { path: ['http', 'https-private-key'], value: '/etc/influxdb/tls/current/key.pem' },
  { path: ['opentsdb', 0, 'tls-enabled'], value: true },
  { path: ['opentsdb', 0, 'certificate'], value: '/etc/influxdb/tls/current/bundle.pem' },
  { path: ['tls', 'min-version'], value: 'tls1.2' },
  { path: ['tls', 'ciphers'], value: ['TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256'] },
  { path: ['cluster', 'https-enabled'], value: true },
  { path: ['cluster', 'https-insecure-tls'], value: undefined },
  { path: ['reporting-enabled'], value: undefined },
  { path: ['bind-address'], value: '127.0.0.1:8088' },
]

export const goldenCases: readonly GoldenCase[] = [
  {
    name: 'the stock influxdb.conf gets its keys below their commented templates',
    input: 'influxdb-1.6.7.conf',
    output: 'influxdb-1.6.7.conf.expected',
    edit: text => editToml(text, httpsEdits, { keys: 'case-insensitive' }),
  },
  {
    name: 'a file with CRLF, BOM, inline, dotted, quoted and upper-case keys keeps them all',
    input: 'influxdb-crlf-bom.conf',
    output: 'influxdb-crlf-bom.conf.expected',
    edit: text =>
      editToml(
        text,
        [
          { path: ['http', 'https-enabled'], value: true },
          { path: ['http', 'https-certificate'], value: '/etc/c.pem' },
          { path: ['coordinator', 'x-y'], value: 1 },
          { path: ['meta', 'dir'], value: '/srv/meta' },
          { path: ['meta', 'tls-enabled'], value: true },
          { path: ['tls', 'min-version'], value: 'tls1.2' },
          { path: ['tls', 'ciphers'], value: ['A', 'B'] },
          { path: ['tls', 'max-version'], value: 'tls1.2' },
        ],
        { keys: 'case-insensitive' },
      ),
  },
  {
    name: 'each [[outputs.influxdb]] of a telegraf.conf is edited by itself, above its sub-tables',
    input: 'telegraf-nasty.conf',
    output: 'telegraf-nasty.conf.expected',
    edit: text =>
      editToml(text, [
        {
          path: ['outputs', 'influxdb', 0, 'urls'],
          value: ['https://one:8086', 'https://two:8086', 'https://new:8086'],
        },
        { path: ['outputs', 'influxdb', 0, 'tls_ca'], value: '/etc/telegraf/tls/ca.pem' },
        { path: ['outputs', 'influxdb', 0, 'http_headers', 'X-Y'], value: 'z' },
        { path: ['outputs', 'influxdb', 1, 'urls', 0], value: 'https://three:8086' },
        { path: ['outputs', 'influxdb', 1, 'tls_ca'], value: '/etc/telegraf/tls/ca.pem' },
        { path: ['outputs', 'influxdb', 0, 'tagdrop', 'dc'], value: ['c'] },
        { path: ['outputs', 'influxdb', 2, 'urls'], value: ['https://four:8086'] },
      ]),
  },
  {
    name: 'the scrape jobs of the stock prometheus.yml get TLS one by one',
    input: 'prometheus-2.42.yml',
    output: 'prometheus-2.42.yml.expected',
    edit: text =>
      editYaml(text, [
        { path: ['scrape_configs', 0, 'scheme'], value: 'https' },
        {
          path: ['scrape_configs', 0, 'tls_config', 'ca_file'],
          value: '/etc/prometheus/tls/ca.pem',
        },
        { path: ['scrape_configs', 0, 'tls_config', 'server_name'], value: 'prom-1.example' },
        {
          path: ['scrape_configs', 1, 'tls_config'],
          value: { ca_file: '/etc/prometheus/tls/ca.pem', insecure_skip_verify: false },
        },
        {
          path: ['scrape_configs', 1, 'static_configs', 0, 'targets'],
          value: ['prom-1:9100', 'x:1'],
        },
        { path: ['alerting', 'alertmanagers', 0, 'scheme'], value: 'https' },
        { path: ['global', 'external_labels', 'monitor'], value: "it's" },
        { path: ['scrape_configs', 0, 'scrape_timeout'], value: undefined },
      ]),
  },
  {
    name: 'the auto-configured elasticsearch.yml is edited in its own mixed spelling',
    input: 'elasticsearch-autoconfigured.yml',
    output: 'elasticsearch-autoconfigured.yml.expected',
    edit: text =>
      editYaml(
        text,
        [
          { path: ['xpack', 'security', 'http', 'ssl', 'enabled'], value: true },
          { path: ['xpack.security.http.ssl.keystore.path'], value: undefined },
          { path: ['xpack.security.http.ssl.key'], value: 'tls/key.pem' },
          { path: ['xpack.security.http.ssl.certificate'], value: 'tls/chain.pem' },
          { path: ['xpack.security.http.ssl.certificate_authorities'], value: ['tls/ca.pem'] },
          { path: ['xpack.security.transport.ssl.verification_mode'], value: 'full' },
          { path: ['xpack.security.authc.token.enabled'], value: true },
          { path: ['node.name'], value: 'es-1' },
        ],
        { flatKeys: true },
      ),
  },
  {
    name: 'a kibana.yml of comments only gets its keys below their templates',
    input: 'kibana-commented.yml',
    output: 'kibana-commented.yml.expected',
    edit: text =>
      editYaml(
        text,
        [
          { path: ['server.ssl.enabled'], value: true },
          { path: ['server.ssl.certificate'], value: '/etc/kibana/tls/chain.pem' },
          { path: ['server.ssl.key'], value: '/etc/kibana/tls/key.pem' },
          { path: ['elasticsearch.hosts'], value: ['https://es-1:9200'] },
          { path: ['elasticsearch.ssl.certificateAuthorities'], value: ['/etc/kibana/tls/ca.pem'] },
          { path: ['elasticsearch.ssl.verificationMode'], value: 'full' },
        ],
        { flatKeys: true },
      ),
  },
  {
    name: 'a nested metricbeat.yml keeps its lists, comments and missing final newline',
    input: 'metricbeat-nested.yml',
    output: 'metricbeat-nested.yml.expected',
    edit: text =>
      editYaml(
        text,
        [
          { path: ['output.elasticsearch.protocol'], value: 'https' },
          {
            path: ['output.elasticsearch.ssl.certificate_authorities'],
            value: ['/etc/pki/next.pem'],
          },
          { path: ['output.elasticsearch.ssl.verification_mode'], value: 'full' },
          { path: ['metricbeat.modules', 0, 'hosts'], value: ['https://localhost:9200'] },
          { path: ['metricbeat.modules', 0, 'ssl.certificate_authorities'], value: ['/a', '/b'] },
          { path: ['metricbeat.modules', 1, 'period'], value: undefined },
          { path: ['processors', 1], value: undefined },
          { path: ['setup.kibana.ssl.enabled'], value: true },
        ],
        { flatKeys: true },
      ),
  },
  {
    name: 'the stock /etc/default/prometheus gets a flag',
    input: 'default-prometheus',
    output: 'default-prometheus.expected',
    edit: text => setFlag(text, 'ARGS', 'web.config.file', '/etc/prometheus/web.yml'),
  },
]
