// What may be shown of a configuration file.

import t from 'tap'
import { withoutSecrets } from '../../../agent/formats/without-secrets.ts'

const MASKED: Readonly<Record<string, string>> = {
  'password: hunter2': 'password: [secret]',
  '  password: "hun\\"ter2"  # why': '  password: "[secret]"  # why',
  "password: 'hunter2'": "password: '[secret]'",
  'elasticsearch.password: two words': 'elasticsearch.password: [secret]',
  '#password: changeme': '#password: [secret]',
  'token = "abc=="': 'token = "[secret]"',
  'xpack.security.http.ssl.keystore.secure_password: x':
    'xpack.security.http.ssl.keystore.secure_password: [secret]',
  '{"apiKey":"id:key","b":1}': '{"apiKey":"[secret]","b":1}',
  'internal-shared-secret = "long pass"': 'internal-shared-secret = "[secret]"',
  'ARGS="--smtp.password=abc --web.config.file=/etc/x"':
    'ARGS="--smtp.password=[secret] --web.config.file=/etc/x"',
  'hosts: ["https://me:pass@db:9200"]': 'hosts: ["https://me:[secret]@db:9200"]',
  'admin: $2y$10$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi': 'admin: [secret]',
  'auth: { username: a, password: b }': 'auth: { username: a, password: [secret]}',
}

const SHOWN = [
  'password: "${ES_PWD}"',
  'password: ${ES_PWD}',
  'password = ""',
  'password:',
  'password_file: /etc/secret',
  'bearer_token_file = "/etc/token"',
  'https-private-key = "/etc/influxdb/tls/current/key.pem"',
  'https-certificate = "/etc/influxdb/tls/current/chain.pem"',
  'cert_file: /etc/prometheus/tls/current/chain.pem',
  'token.enabled: true',
  '# passwords are in the keystore',
  'url = "https://db:8086"',
]

await t.test('values of secrets are masked, wherever they stand', async t => {
  for (const [text, shown] of Object.entries(MASKED)) t.equal(withoutSecrets(text), shown)
})

await t.test('everything else stays, references to secrets too', async t => {
  for (const text of SHOWN) t.equal(withoutSecrets(text), text)
  t.equal(withoutSecrets(SHOWN.join('\n')), SHOWN.join('\n'), 'a line does not reach into the next')
})

await t.test('headers, key passwords and keys themselves are masked as well', async t => {
  const key = '-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----\n'
  for (const line of [
    '  http_headers = { Authorization = "Token s3cret",Content-Type = "x" }',
    '  tls_key_pwd = "s3cret"',
    '  license-key = "s3cret"',
  ])
    t.notMatch(withoutSecrets(line), 's3cret', line)
  t.notMatch(withoutSecrets(`  key: |\n${key}`), 'MIIE')
})
