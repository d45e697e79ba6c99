import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { runCommand } from '../lab/command.ts'
import { until } from '../lab/until.ts'
import { encryptKey, issue, write } from './certificates.ts'
import { untilPrinted } from './daemon.ts'
import { createEstate, type Estate, META, secured, statusOf, tls } from './influxdb-estate.ts'
import { exchange, fingerprintOf } from './probe.ts'

const OLD = '1.11.8-c1.11.8'
const RELOADING = '1.12.3-c1.12.3'
const MUTUAL = '1.13.0-c1.13.0'

/** What the program says and ends with, where it does not come to listen. */
async function run(estate: Estate, text: string, env: Readonly<Record<string, string>> = {}) {
  const file = write(estate.directory, 'refused.conf', text)
  const argv = [META, '-config', file]
  const { code, stderr } = await runCommand(process.execPath, argv, {
    env: { ...estate.env, ...env },
    cwd: '/',
  })
  return { code, said: stderr.slice(stderr.indexOf('run: ')).trimEnd() }
}

await t.test('the configuration: tables and keys in any case, unknown ones ignored', async t => {
  const directory = t.testdir()
  const config = async (text: string, env: Readonly<Record<string, string>> = {}) => {
    const argv = [META, 'config', '-config', write(directory, 'influxdb-meta.conf', text)]
    return await runCommand(process.execPath, argv, { env: { SIM_VERSION: OLD, ...env } })
  }
  const on = { code: 0, stdout: /^ {2}https-enabled = true$/m }
  const off = { code: 0, stdout: /^ {2}https-enabled = false$/m }

  t.match(await config('[META]\nHTTPS-Enabled = true\n'), on)
  t.match(await config('\uFEFFmeta = { https-enabled = true }\r\n'), on)
  t.match(await config('[http]\nhttps-enabled = true\n'), off, 'the table of the guide')
  t.match(await config('[meta]\nhttps_enabled = true\n'), off)
  t.match(await config('', { INFLUXDB_META_HTTPS_ENABLED: 'true' }), on)
  t.match(
    await config('[meta]\nhttps-enabled = true\n', { INFLUXDB_META_HTTPS_ENABLED: 'false' }),
    off,
  )
  t.match(await config('', { INFLUXDB_HOSTNAME: 'm9' }), { stdout: /^hostname = "m9"$/m })

  t.match(await config('[meta]\n[meta]\n'), {
    code: 1,
    stderr: "config: parse config: toml: line 2: Key 'meta' has already been defined.",
  })
  t.match(await config('[meta]\nhttps-enabled = "true"\n'), {
    code: 1,
    stderr: /incompatible types/,
  })
  t.match(await config('[tls]\nmin-version = "tls9"\n'), { code: 1, stderr: /unknown tls version/ })
  t.match(await config('[tls]\nciphers = ["bogus"]\n'), { code: 1, stderr: /unknown cipher suite/ })

  const text = '[meta]\ndata-use-tls = true\nhttps-root-ca = { paths = ["/x.pem"] }\n'
  t.notMatch((await config(text, { SIM_VERSION: '1.6.6' })).stdout, /data-use-tls|root-ca/)
  t.notMatch((await config(text)).stdout, /root-ca/)
  t.match(
    (await config(text, { SIM_VERSION: MUTUAL })).stdout,
    /\[meta.https-root-ca\]\n.*"\/x.pem"/,
  )
  t.match(await config('[meta]\nhttps-root-ca = "/x.pem"\n', { SIM_VERSION: MUTUAL }), { code: 1 })
  const version = await runCommand(process.execPath, [META, 'version'], {
    env: { SIM_VERSION: OLD },
  })
  t.match(version.stdout, /^InfluxDB Meta v1\.11\.8-c1\.11\.8 /)
})

await t.test('what a start refuses', async t => {
  const estate = createEstate(t, OLD)
  const { certFile, keyFile, certPem } = estate.issue('m1')
  const other = estate.issue('m1')
  encryptKey(other, join(estate.directory, 'encrypted.key'))
  const reversed = write(estate.directory, 'reversed.crt', estate.ca.certPem + certPem)
  const client = issue(estate.ca, 'client', { names: 'DNS:m1', usage: 'clientAuth' })
  const meta = (cert: string, key: string, more = '') =>
    `[meta]\nhttps-enabled = true\nhttps-certificate = "${cert}"\nhttps-private-key = "${key}"\n${more}`
  const refusal = async (text: string, version = OLD) => {
    const { code, said } = await run(estate, text, { SIM_VERSION: version })
    t.equal(code, 1)
    return said.replace(/^run: open server: open service: /, '')
  }

  t.equal(
    await refusal('[meta]\nhttps-enabled = true\nhttp-certificate = "/x.pem"\n'),
    'open : no such file or directory',
    'the keys of the guide are no keys',
  )
  t.equal(await refusal(meta('m1.crt', '')), 'open m1.crt: no such file or directory')
  t.equal(
    await refusal(meta(certFile, other.keyFile)),
    'tls: private key does not match public key',
  )
  t.equal(await refusal(meta(reversed, keyFile)), 'tls: private key does not match public key')
  t.equal(
    await refusal(meta(certFile, join(estate.directory, 'encrypted.key'))),
    'tls: failed to parse private key',
  )
  t.match(await refusal('[meta]\nauth-enabled = true\n'), /internal-shared-secret/)

  chmodSync(keyFile, 0o640)
  const tooOpen = /file permissions are too open: .*maximum is 0600 but found 0640$/
  t.match(await refusal(meta(certFile, keyFile), RELOADING), tooOpen)
  chmodSync(keyFile, 0o600)
  chmodSync(certFile, 0o664)
  t.match(await refusal(meta(certFile, keyFile), RELOADING), /maximum is 0644 but found 0664$/)
  t.match(await refusal(meta(client.certFile, client.keyFile), MUTUAL), /server authentication/)
  t.match(
    await refusal('[meta]\nhttps-client-auth-type = "Always"\n', MUTUAL),
    /unknown https-client-auth-type/,
  )
})

await t.test('what it starts with although it should not', async t => {
  const estate = createEstate(t, OLD)
  const node = await estate.meta('m1')
  const pair = estate.issue('m1')
  chmodSync(pair.keyFile, 0o640)

  node.configure(`[http]\n${secured(pair)}`)
  const plain = await node.start()
  t.match(await statusOf(node), { nodeType: 'meta', leader: '', peers: null })
  t.match(await node.get('/ping'), { status: 200, body: '' })
  await plain.stop()

  node.configure(secured(pair))
  await (await node.start()).stop()
  node.configure(`${secured(pair)}https-insecure-certificate = true\n`)
  await (await node.start({ SIM_VERSION: RELOADING })).stop()
  node.configure('auth-enabled = true\n')
  await (await node.start({ SIM_VERSION: '1.6.3-c1.6.3' })).stop()

  const client = issue(estate.ca, 'client', { names: 'DNS:m1', usage: 'clientAuth' })
  node.configure(`${secured(client)}https-ignore-sanity-checks = true\n`)
  await (await node.start({ SIM_VERSION: MUTUAL })).stop()
  // A bundle may stand alone.
  const bundle = write(estate.directory, 'bundle.pem', pair.keyPem + pair.certPem)
  node.configure(`https-enabled = true\nhttps-certificate = "${bundle}"\n`)
  await (await node.start()).stop()
})

await t.test('below 1.12.3 a pair is read once, and SIGHUP ends the process', async t => {
  const estate = createEstate(t, OLD)
  const node = await estate.meta('m1')
  const [first, second] = [estate.issue('m1'), estate.issue('m1')]
  node.configure(secured(first))
  const daemon = await node.start()
  const served = async () => (await node.get('/ping', tls(node, estate.ca.certPem))).fingerprint

  t.equal(await served(), fingerprintOf(first.certPem))
  const said = await exchange(node.httpPort, 'GET /ping HTTP/1.1\r\nHost: x\r\n\r\n')
  t.match(said, 'HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.')
  t.match(await exchange(node.peerPort, 'GET / HTTP/1.0\r\n\r\n'), /HTTPS server/)
  writeFileSync(first.certFile, second.certPem)
  writeFileSync(first.keyFile, second.keyPem)
  t.equal(await served(), fingerprintOf(first.certPem))
  daemon.signal('SIGHUP')
  t.equal(await daemon.ended, 'SIGHUP')

  const again = await node.start({ SIM_VERSION: '1.7.2-c1.7.2' })
  t.equal(await served(), fingerprintOf(second.certPem))
  t.notMatch(
    await exchange(node.peerPort, 'GET / HTTP/1.0\r\n\r\n'),
    /HTTPS server/,
    'before 1.7.3 raft is never TLS',
  )
  again.signal('SIGTERM')
  t.equal(await again.ended, 'exit 0')
})

await t.test('from 1.12.3 on SIGHUP loads the pair anew, all or nothing', async t => {
  const estate = createEstate(t, RELOADING)
  const node = await estate.meta('m1')
  const [first, second] = [estate.issue('m1'), estate.issue('m1')]
  node.configure(secured(first))
  const daemon = await node.start()
  const served = async () => (await node.get('/ping', tls(node, estate.ca.certPem))).fingerprint
  let reloads = 0
  const hangUp = async () => {
    daemon.signal('SIGHUP')
    reloads++
    const done = () =>
      daemon.output().match(/Successfully loaded|no changes applied/g)?.length === reloads
    await until(done, { what: 'the reload is over', everyMs: 10 })
  }

  node.configure(secured({ ...first, keyFile: second.keyFile }))
  await hangUp()
  t.equal(await served(), fingerprintOf(first.certPem), 'the old pair stays')
  t.match(daemon.output(), /no changes applied: .*private key does not match public key/)
  node.configure('')
  await hangUp()
  t.match(daemon.output(), 'can not change https-enabled on a running server')
  chmodSync(second.keyFile, 0o640)
  node.configure(secured(second))
  await hangUp()
  t.equal(await served(), fingerprintOf(first.certPem), 'the mode counts at a reload too')
  chmodSync(second.keyFile, 0o600)
  await hangUp()
  t.equal(await served(), fingerprintOf(second.certPem))
})

await t.test('from 1.13 on a client may have to show a certificate', async t => {
  const estate = createEstate(t, MUTUAL)
  const node = await estate.meta('m1')
  const pair = estate.issue('m1')
  const client = issue(estate.ca, 'client', { names: 'DNS:c', usage: 'clientAuth' })
  const pool = `https-client-ca = { paths = ["${estate.ca.certFile}"] }\n`
  const asking = (type: string) => `${secured(pair)}https-client-auth-type = "${type}"\n${pool}`
  const options = tls(node, estate.ca.certPem)
  const shown = { ...options, cert: client.certPem, key: client.keyPem }

  node.configure(asking('RequireAndVerifyClientCert'))
  const strict = await node.start()
  t.match(await node.get('/status', shown), { status: 200 })
  await t.rejects(node.get('/status', options))
  await t.rejects(
    node.get('/status', { ...options, cert: pair.certPem, key: pair.keyPem }),
    'a certificate for servers is none for clients',
  )
  await untilPrinted(strict, 'certificate specifies an incompatible key usage')
  await strict.stop()

  node.configure(asking('VerifyClientCertIfGiven'))
  await node.start()
  t.match(await node.get('/status', options), { status: 200 })
})
