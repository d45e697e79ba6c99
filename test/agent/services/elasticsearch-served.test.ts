// What the driver compiles, laid out as the engine does it, on a node of the simulator: it starts,
// serves the chain, takes a renewal without a restart, and goes back to plaintext.

import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { writePkcs12 } from '../../../shared/pki/pkcs12.ts'
import { Secret } from '../../../shared/secret.ts'
import { until } from '../../lab/until.ts'
import {
  createCa,
  issue,
  type TestCa,
  type TestCertificate,
} from '../../simulators/certificates.ts'
import { createNode, HTTP, type SceneNode, untilUp } from '../../simulators/elasticsearch-scene.ts'
import { fingerprintOf, probe } from '../../simulators/probe.ts'
import { textOf } from './fake-node.ts'
import {
  CONFIG,
  elasticsearchOn,
  intent,
  type Intent,
  pass,
  PASSWORD,
} from './elasticsearch-node.ts'

const BLOCK = `xpack.security.enabled: true
${HTTP}:
  enabled: true
  keystore.path: certs/http.p12
`

await t.test('a node with the compiled files serves, renews and goes back', async t => {
  const directory = mkdtempSync(join(tmpdir(), 'tlsfleet-elasticsearch-'))
  t.teardown(() => rmSync(directory, { recursive: true, force: true }))
  const ca = createCa(directory)
  const firstCa = createCa(directory, 'http_ca')
  const node = await createNode(t, directory)
  const password = new Secret('kept-from-the-first-start')
  node.configure(BLOCK)
  node.secrets({ [PASSWORD]: password.reveal() })
  const release = (id: string, leaf: TestCertificate) =>
    writeRelease(node, id, { leaf, ca, firstCa, password })

  const one = issue(ca, 'one')
  release('1', one)
  compileInto(node, intent(), password)
  const daemon = node.start()
  await untilUp(daemon)
  const answer = await probe({ port: node.port, ca: ca.certPem })
  t.equal(answer.status, 401)
  t.match(answer.headers, { 'www-authenticate': /^Basic realm="security"/ })
  t.equal(answer.fingerprint, fingerprintOf(one.certPem), 'not the first CA')

  const two = issue(ca, 'two')
  release('2', two)
  const renewed = fingerprintOf(two.certPem)
  await until(
    async () => (await probe({ port: node.port, ca: ca.certPem })).fingerprint === renewed,
    { what: 'the renewed certificate is served by the same process', everyMs: 20 },
  )
  await daemon.stop()

  compileInto(node, intent({ tls: 'off' }), password)
  const plain = node.start()
  await untilUp(plain)
  t.equal((await probe({ port: node.port })).status, 401)
  await plain.stop()
})

function compileInto(node: SceneNode, tls: Intent, password: Secret): void {
  const path = join(node.directory, 'elasticsearch.yml')
  const before = elasticsearchOn(readFileSync(path, 'utf8'), {
    version: '8.13.0',
    secrets: { [PASSWORD]: password.reveal() },
  })
  writeFileSync(path, textOf(pass(tls, before).after, CONFIG))
}

function writeRelease(
  node: SceneNode,
  id: string,
  parts: {
    readonly leaf: TestCertificate
    readonly ca: TestCa
    readonly firstCa: TestCa
    readonly password: Secret
  },
): void {
  const { leaf, ca, firstCa, password } = parts
  const directory = join(node.directory, 'tlsfleet')
  mkdirSync(join(directory, 'releases', id), { recursive: true })
  const carried = {
    alias: 'http_ca',
    keyPem: new Secret(firstCa.keyPem),
    chainPem: firstCa.certPem,
  }
  const own = { keyPem: new Secret(leaf.keyPem), chainPem: leaf.certPem + ca.certPem }
  const store = writePkcs12({ keys: [carried, own], password })
  writeFileSync(join(directory, 'releases', id, 'http.p12'), store)
  symlinkSync(`releases/${id}`, join(directory, 'current.new'))
  renameSync(join(directory, 'current.new'), join(directory, 'current'))
}
