// One node of the Elasticsearch simulator: what it serves over TLS, when that changes, its HTTP API.

import { renameSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { Agent } from 'node:https'
import { join } from 'node:path'
import { connect, type PeerCertificate } from 'node:tls'
import t, { type Test } from 'tap'
import { until } from '../lab/until.ts'
import { createCa, issue } from './certificates.ts'
import { untilPrinted } from './daemon.ts'
import {
  createNode,
  HTTP,
  keyEntry,
  p12,
  readBytes,
  type SceneNode,
  trustedEntry,
  untilHealth,
  untilUp,
} from './elasticsearch-scene.ts'
import { exchange, fingerprintOf } from './probe.ts'
import { autoconfigure, layOutStock } from './elasticsearch/stock.ts'

const STORE = { [`${HTTP}.keystore.secure_password`]: 'store-password' }
const BY_P12 = `${HTTP}:\n  enabled: true\n  keystore.path: certs/http.p12\n`
const BY_PEM = `${HTTP}.enabled: true\n${HTTP}.certificate: certs/a.crt\n${HTTP}.key: certs/a.key\n`

// A busy machine takes its time to start a dozen processes.
t.setTimeout(300_000)

await t.test('what is served from a PKCS#12 file, and when it changes', async t => {
  const { node, ca, a, b, put } = await layOut(t)
  put('http.p12', p12([keyEntry('http', a), trustedEntry('ca', ca)]))
  node.configure(BY_P12)
  node.secrets(STORE)
  const daemon = node.start()
  await untilUp(daemon)
  const served = async () => (await chainOf(node)).map(({ fingerprint256 }) => fingerprint256)
  const updates = () => daemon.output().match(/updated 1 ssl contexts/g)?.length ?? 0
  const warnings = () => daemon.output().match(/cannot notify file changes listener/g)?.length ?? 0
  const replace = async (contents: Buffer, outcome: 'updated' | 'refused') => {
    const counter = outcome === 'updated' ? updates : warnings
    const before = counter()
    put('http.p12', contents)
    await until(() => counter() > before, { what: `the file is ${outcome}`, everyMs: 20 })
  }

  t.same(
    await served(),
    [a, ca].map(({ certPem }) => fingerprintOf(certPem)),
    'leaf and CA',
  )
  const kept = new Agent({ keepAlive: true, maxSockets: 1 })
  t.teardown(() => kept.destroy())
  const before = await node.ask('/', { ca: ca.certPem, agent: kept })
  t.equal(before.status, 200)

  await replace(p12([keyEntry('http', b)]), 'updated')
  t.same(await served(), [fingerprintOf(b.certPem)], 'a leaf alone is served alone')
  t.match(
    daemon.output(),
    /updated 1 ssl contexts in [\d.]+ms for prefix names \[xpack\.security\.http\.ssl\] using file \[.*\/certs\/http\.p12\]/,
  )
  t.equal(
    (await node.ask('/', { ca: ca.certPem, agent: kept })).status,
    200,
    'old connections stand',
  )

  // The password is that of the start, and what cannot be read leaves what is served.
  await replace(p12([keyEntry('http', a)], 'another-password'), 'refused')
  t.same(await served(), [fingerprintOf(b.certPem)])
  t.match(daemon.output(), /cannot read configured \[PKCS12\] keystore .* incorrect password/)
  t.match(
    (await node.ask('/_ssl/certificates', { ca: ca.certPem })).status,
    500,
    'it reads the disk',
  )
  await until(() => warnings() === 1, { what: 'the failure is said once' })

  await replace(p12([keyEntry('http', a, ca)]), 'updated')
  t.match((await node.ask('/_ssl/certificates', { ca: ca.certPem })).json, [
    {
      path: 'certs/http.p12',
      format: 'PKCS12',
      alias: 'http',
      subject_dn: 'CN=a',
      has_private_key: true,
      issuer: 'CN=ca',
    },
    { subject_dn: 'CN=ca', has_private_key: false },
  ])

  // A link is followed: what counts is the time and size of what it leads to.
  const other = join(node.directory, 'certs/other.p12')
  writeFileSync(other, p12([keyEntry('a-longer-name', b, ca)]))
  const link = join(node.directory, 'certs/link')
  symlinkSync('other.p12', link)
  const count = updates()
  renameSync(link, join(node.directory, 'certs/http.p12'))
  await until(() => updates() > count, { what: 'the other file is noticed' })
  t.equal((await served())[0], fingerprintOf(b.certPem))

  t.equal(await exchange(node.port, 'GET / HTTP/1.1\r\n\r\n'), '', 'plain requests get nothing')
  await untilPrinted(
    daemon,
    'received plaintext http traffic on an https channel, closing connection',
  )
})

await t.test('a file of the same size and time is not read again', async t => {
  const { node, ca, a, put } = await layOut(t)
  let b = a
  const first = p12([keyEntry('http', a, ca)])
  const second = sameSize(first, () => {
    b = issue(ca, 'b')
    return p12([keyEntry('http', b, ca)])
  })
  const file = put('http.p12', first)
  utimesSync(file, 1_000_000_000, 1_000_000_000)
  node.configure(BY_P12)
  node.secrets(STORE)
  const daemon = node.start()
  await untilUp(daemon)

  writeFileSync(`${file}.new`, second)
  utimesSync(`${file}.new`, 1_000_000_000, 1_000_000_000)
  renameSync(`${file}.new`, file)
  // A second file, changed later, shows that the watcher has been by.
  const leafNow = async () => (await chainOf(node))[0]?.fingerprint256
  await new Promise(resolve => setTimeout(resolve, 300))
  t.equal(await leafNow(), fingerprintOf(a.certPem))
  utimesSync(file, 1_000_000_001, 1_000_000_001)
  await untilPrinted(daemon, 'updated 1 ssl contexts')
  t.equal(await leafNow(), fingerprintOf(b.certPem))
})

await t.test('several private keys in one file', async t => {
  const { node, ca, a, put } = await layOut(t)
  put('http.p12', p12([keyEntry('http_ca', ca), keyEntry('http', a, ca)]))
  node.configure(`${BY_P12}xpack.security.enabled: true\n`)
  const leaf = async (version: string) => {
    node.secrets(STORE)
    const daemon = node.start({ version })
    await untilUp(daemon)
    const [first] = await chainOf(node)
    await daemon.stop()
    return first?.fingerprint256
  }

  t.equal(await leaf('8.0.0'), fingerprintOf(a.certPem), 'the key of the CA is left out')
  t.equal(await leaf('7.17.0'), fingerprintOf(ca.certPem), 'before 8.0 it is not')
})

await t.test('PEM files: two events, and a pair that does not match', async t => {
  const { node, ca, b } = await layOut(t)
  node.configure(BY_PEM)
  const daemon = node.start()
  await untilUp(daemon)
  const handshake = () => node.ask('/', { ca: ca.certPem })
  t.equal((await handshake()).status, 200)

  writeFileSync(join(node.directory, 'certs/a.crt'), b.certPem)
  await untilPrinted(daemon, /updated 1 ssl contexts .*a\.crt/)
  await t.rejects(handshake(), { message: /handshake failure/ })
  writeFileSync(join(node.directory, 'certs/a.key'), b.keyPem)
  await untilPrinted(daemon, /updated 1 ssl contexts .*a\.key/)
  t.equal((await handshake()).status, 200)
  await daemon.stop()

  writeFileSync(join(node.directory, 'certs/a.key'), ca.keyPem)
  await untilUp(node.start())
  await t.rejects(handshake(), { message: /handshake failure/ }, 'it starts, and that is all')
})

await t.test('nothing is watched where that is off', async t => {
  const { node, ca, a, b, put } = await layOut(t)
  put('http.p12', p12([keyEntry('http', a, ca)]))
  node.configure(`${BY_P12}resource.reload.enabled: false\n`)
  node.secrets(STORE)
  await untilUp(node.start())
  put('http.p12', p12([keyEntry('http', b, ca)]))
  await new Promise(resolve => setTimeout(resolve, 300))
  t.equal((await chainOf(node))[0]?.fingerprint256, fingerprintOf(a.certPem))
})

await t.test('certificates of clients', async t => {
  const { node, ca, a } = await layOut(t)
  const client = issue(ca, 'client', { usage: 'clientAuth' })
  const stranger = issue(createCa(ca.directory, 'other'), 'stranger', { usage: 'clientAuth' })
  const asking = ({ certPem: cert, keyPem: key }: typeof a) => ({ ca: ca.certPem, cert, key })
  const outcome = async (options: Parameters<SceneNode['ask']>[1]) =>
    await node.ask('/', options).then(
      ({ status }) => status,
      () => 'refused',
    )
  const outcomes = async (mode: string) => {
    node.configure(
      `${BY_PEM}${HTTP}.client_authentication: ${mode}\n${HTTP}.certificate_authorities: [certs/ca.crt]\n`,
    )
    const daemon = node.start()
    await untilUp(daemon)
    const found = [
      await outcome({ ca: ca.certPem }),
      await outcome(asking(client)),
      await outcome(asking(stranger)),
    ]
    await daemon.stop()
    return found
  }

  t.same(await outcomes('none'), [200, 200, 200])
  t.same(await outcomes('optional'), [200, 200, 'refused'])
  t.same(await outcomes('required'), ['refused', 200, 'refused'])
})

await t.test('secure settings are read again without those of TLS', async t => {
  const { node, ca, a, put } = await layOut(t)
  put('http.p12', p12([keyEntry('http', a, ca)]))
  node.configure(BY_P12)
  node.secrets(STORE)
  await untilUp(node.start())
  await untilHealth(node, 'green', { ca: ca.certPem })
  const reload = async () =>
    await node.ask('/_nodes/reload_secure_settings', { method: 'POST', ca: ca.certPem })

  node.secrets({ [`${HTTP}.keystore.secure_password`]: 'changed' })
  t.match(await reload(), { status: 200, json: { _nodes: { total: 1 } } })
  put('http.p12', p12([keyEntry('http', a)], 'store-password'))
  await until(async () => (await chainOf(node)).length === 1, {
    what: 'the old password is in use',
  })
  writeFileSync(join(node.directory, 'elasticsearch.keystore'), 'broken')
  t.match((await reload()).text, /reload_exception/)
})

await t.test('without security everything is plain and open', async t => {
  const { node } = await layOut(t)
  node.configure(`${BY_PEM}xpack.security.enabled: false\n`)
  await untilUp(node.start())
  t.equal((await node.ask('/', { as: '' })).status, 200)

  const old = await createNode(t, t.testdirName, 'old')
  old.configure('')
  await untilUp(old.start({ version: '7.17.9' }))
  t.match(await old.ask('/', { as: '' }), { status: 200, json: { version: { number: '7.17.9' } } })
})

await t.test('the first installation of 8.x', async t => {
  const node = await createNode(t, t.testdir())
  const directory = join(t.testdirName, 'stock')
  const data = join(t.testdirName, 'data')
  layOutStock({ directory, version: '8.13.0', data, logs: join(t.testdirName, 'logs') })
  const options = { directory, version: '8.13.0', nowMs: Date.now(), data }
  const { password } = autoconfigure(options)
  t.throws(() => autoconfigure(options), { name: 'NothingToConfigure' })
  t.throws(() => autoconfigure({ ...options, version: '7.17.0' }), { name: 'NothingToConfigure' })
  const stock = { ...node, directory }
  t.match(
    readBytes(stock, 'elasticsearch.yml').toString(),
    /^# generated to .* on \d\d-\d\d-\d{4} /m,
  )

  const daemon = node.start({
    env: { ES_PATH_CONF: directory, HOSTNAME: 'here' },
    argv: ['-E', `http.port=${node.port}`, '-E', `transport.port=${node.transportPort}`],
  })
  await untilUp(daemon)
  const ca = readBytes(stock, 'certs/http_ca.crt').toString()
  t.equal((await node.ask('/', { ca, as: '' })).status, 401)
  await untilHealth(node, 'green', { ca, as: `elastic:${password}` })
  const chain = await chainOf(node)
  t.match(chain[1]?.subject.CN, 'Elasticsearch security auto-configuration HTTP CA')
  t.equal(chain.length, 2)
  t.equal((await daemon.stop(), await daemon.ended), 'exit 143')
})

async function layOut(t: Test) {
  const node = await createNode(t, t.testdir())
  const ca = createCa(join(node.directory, 'certs'))
  const [a, b] = [issue(ca, 'a'), issue(ca, 'b')]
  const put = (name: string, contents: Buffer) => {
    const file = join(node.directory, 'certs', name)
    writeFileSync(`${file}.tmp`, contents)
    renameSync(`${file}.tmp`, file)
    return file
  }
  return { node, ca, a, b, put }
}

/** Signatures differ in size by a byte or two. */
function sameSize(as: Buffer, make: () => Buffer): Buffer {
  for (let i = 0; i < 50; i++) {
    const made = make()
    if (made.length === as.length) return made
  }
  throw new Error('no two files of one size')
}

/** As the server sends it, leaf first. */
function chainOf(node: SceneNode): Promise<readonly PeerCertificate[]> {
  return new Promise((resolve, reject) => {
    // Without the CA, so that nothing comes from here.
    const socket = connect({ port: node.port, servername: 'localhost', rejectUnauthorized: false })
    socket.once('error', reject)
    socket.once('secureConnect', () => {
      const chain: PeerCertificate[] = []
      let next = socket.getPeerCertificate(true)
      while (!chain.some(({ fingerprint256 }) => fingerprint256 === next.fingerprint256)) {
        chain.push(next)
        if (next.issuerCertificate === undefined) break
        next = next.issuerCertificate
      }
      socket.destroy()
      resolve(chain)
    })
  })
}
