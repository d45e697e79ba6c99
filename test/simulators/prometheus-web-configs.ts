// Web configurations of Prometheus 2.42, with what promtool says of each, and the keys and certificates that
// they name.

import { join } from 'node:path'
import type { Test } from 'tap'
import { createCa, encryptKey, issue, write } from './certificates.ts'

export const PAIR = '  cert_file: a.crt\n  key_file: a.key\n'
/** web-config.yml → what promtool says of it; undefined: success. */
export const WEB_CONFIGS: readonly (readonly [string, string, string | undefined])[] = [
  ['pair', `tls_server_config:\n${PAIR}`, undefined],
  ['bundle', 'tls_server_config:\n  cert_file: bundle.pem\n  key_file: bundle.pem\n', undefined],
  ['empty', '', undefined],
  ['section-empty', 'tls_server_config:\n', undefined],
  ['only-version', 'tls_server_config:\n  min_version: TLS12\n', undefined],
  ['no-key', 'tls_server_config:\n  cert_file: a.crt\n', 'missing key_file'],
  ['no-cert', 'tls_server_config:\n  key_file: a.key\n', 'missing cert_file'],
  [
    'unknown-keys',
    `tls_server_config:\n${PAIR}  foo: 1\n  bar: 2\n`,
    'yaml: unmarshal errors:\n  line 4: field foo not found in type web.TLSConfig\n  line 5: field bar not found in type web.TLSConfig',
  ],
  [
    'unknown-section',
    'TLS_server_config:\n',
    'yaml: unmarshal errors:\n  line 1: field TLS_server_config not found in type web.Config',
  ],
  [
    'too-new',
    `tls_server_config:\n${PAIR}  client_allowed_sans: [a]\n`,
    'yaml: unmarshal errors:\n  line 4: field client_allowed_sans not found in type web.TLSConfig',
  ],
  [
    'too-new-section',
    'rate_limit:\n  interval: 1s\n',
    'yaml: unmarshal errors:\n  line 1: field rate_limit not found in type web.Config',
  ],
  [
    'twice',
    'tls_server_config:\n  cert_file: a.crt\n  cert_file: a.crt\n  key_file: a.key\n',
    'yaml: unmarshal errors:\n  line 3: field cert_file already set in type web.TLSConfig',
  ],
  [
    'list',
    'tls_server_config: [a]\n',
    'yaml: unmarshal errors:\n  line 1: cannot unmarshal !!seq into web.TLSConfig',
  ],
  [
    'list-value',
    `tls_server_config:\n  cert_file: [a]\n  key_file: a.key\n`,
    'yaml: unmarshal errors:\n  line 2: cannot unmarshal !!seq into string',
  ],
  [
    'scalar',
    'hello\n',
    'yaml: unmarshal errors:\n  line 1: cannot unmarshal !!str `hello` into web.Config',
  ],
  [
    'not-bool',
    `tls_server_config:\n${PAIR}  prefer_server_cipher_suites: "yes"\n`,
    'yaml: unmarshal errors:\n  line 4: cannot unmarshal !!str `yes` into bool',
  ],
  [
    'other-key',
    'tls_server_config:\n  cert_file: a.crt\n  key_file: b.key\n',
    'failed to load X509KeyPair: tls: private key does not match public key',
  ],
  [
    'other-type',
    'tls_server_config:\n  cert_file: a.crt\n  key_file: rsa.key\n',
    'failed to load X509KeyPair: tls: private key type does not match public key type',
  ],
  [
    'wrong-order',
    'tls_server_config:\n  cert_file: ca-first.crt\n  key_file: a.key\n',
    'failed to load X509KeyPair: tls: private key does not match public key',
  ],
  [
    'encrypted',
    'tls_server_config:\n  cert_file: a.crt\n  key_file: encrypted.key\n',
    'failed to load X509KeyPair: tls: failed to parse private key',
  ],
  [
    'missing',
    'tls_server_config:\n  cert_file: none.crt\n  key_file: a.key\n',
    'failed to load X509KeyPair: open none.crt: no such file or directory',
  ],
  [
    'garbage',
    'tls_server_config:\n  cert_file: garbage\n  key_file: a.key\n',
    'failed to load X509KeyPair: tls: failed to find any PEM data in certificate input',
  ],
  [
    'garbage-key',
    'tls_server_config:\n  cert_file: a.crt\n  key_file: garbage\n',
    'failed to load X509KeyPair: tls: failed to find any PEM data in key input',
  ],
  [
    'swapped',
    'tls_server_config:\n  cert_file: a.key\n  key_file: a.crt\n',
    'failed to load X509KeyPair: tls: failed to find certificate PEM data in certificate input, but did find a private key; PEM inputs may have been switched',
  ],
  [
    'expired-or-cn-only',
    'tls_server_config:\n  cert_file: cn.crt\n  key_file: cn.key\n',
    undefined,
  ],
  [
    'ca-without-policy',
    `tls_server_config:\n${PAIR}  client_ca_file: ca.crt\n`,
    "Client CA's have been configured without a Client Auth Policy",
  ],
  [
    'policy-without-ca',
    `tls_server_config:\n${PAIR}  client_auth_type: RequireAndVerifyClientCert\n`,
    undefined,
  ],
  [
    'ca-missing',
    `tls_server_config:\n${PAIR}  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: none\n`,
    'open none: no such file or directory',
  ],
  [
    'ca-garbage',
    `tls_server_config:\n${PAIR}  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: garbage\n`,
    undefined,
  ],
  ['policy-alias', `tls_server_config:\n${PAIR}  client_auth_type: RequireClientCert\n`, undefined],
  [
    'policy-unknown',
    `tls_server_config:\n${PAIR}  client_auth_type: Foo\n`,
    'Invalid ClientAuth: Foo',
  ],
  [
    'version-unknown',
    `tls_server_config:\n${PAIR}  min_version: TLS14\n`,
    'unknown TLS version: TLS14',
  ],
  ['curve-unknown', `tls_server_config:\n${PAIR}  curve_preferences: [X]\n`, 'unknown curve: X'],
  ['cipher-unknown', `tls_server_config:\n${PAIR}  cipher_suites: [FOO]\n`, 'unknown cipher: FOO'],
  ['header', 'http_server_config:\n  headers:\n    X-Frame-Options: deny\n', undefined],
  [
    'header-unknown',
    'http_server_config:\n  headers:\n    Foo: bar\n',
    'HTTP header "Foo" can not be configured',
  ],
  [
    'header-value',
    'http_server_config:\n  headers:\n    X-Frame-Options: foo\n',
    'invalid value for X-Frame-Options. Expected one of: ["deny" "sameorigin"], but got: "foo"',
  ],
  [
    'password',
    'basic_auth_users:\n  a: b\n',
    'crypto/bcrypt: hashedSecret too short to be a bcrypted password',
  ],
]

/** The files that they name. */
export function layOut(t: Test) {
  const directory = t.testdir()
  const ca = createCa(directory)
  const a = issue(ca, 'a')
  const b = issue(ca, 'b')
  issue(ca, 'rsa', { rsa: true })
  issue(ca, 'cn', { names: '' })
  encryptKey(a, join(directory, 'encrypted.key'))
  write(directory, 'bundle.pem', a.keyPem + a.certPem)
  write(directory, 'ca-first.crt', ca.certPem + a.certPem)
  write(directory, 'garbage', 'garbage\n')
  const client = issue(ca, 'client', { usage: 'clientAuth' })
  return { directory, ca, a, b, client }
}
