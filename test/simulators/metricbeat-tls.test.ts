// The TLS of the simulator of Metricbeat: what it checks of a certificate, and which versions read files
// again.

import { X509Certificate } from 'node:crypto'
import { join } from 'node:path'
import t from 'tap'
import { until } from '../lab/until.ts'
import { createCa, issue, type TestCertificate, write } from './certificates.ts'
import { untilPrinted } from './daemon.ts'
import { layOut } from './metricbeat-scene.ts'
import { createConnection } from './metricbeat/connection.ts'
import { connectTo } from './metricbeat/output.ts'
import { openTls, tlsSettingsOf } from './metricbeat/tls.ts'
import { isSettings, parseConfig, type Settings } from './metricbeat/ucfg.ts'

const ESTABLISHED = /Connection to backoff\(elasticsearch\([^)]*\)\) established/

await t.test('what Metricbeat checks of a certificate', async t => {
  const { directory, ca, a, elasticsearch } = await layOut(t)
  const elsewhere = issue(ca, 'elsewhere', { names: 'DNS:elsewhere' })
  const nameless = issue(ca, 'localhost', { names: '' })
  const stranger = issue(createCa(directory, 'strange'), 'stranger')
  const url = `https://localhost:${elasticsearch.port}`
  const credentials = { username: 'user', password: 'secret', apiKey: undefined }
  const problem = async (pair: TestCertificate, more: Settings) => {
    await elasticsearch.serve(pair)
    const ssl = { certificate_authorities: [ca.certFile], ...more }
    const tls = openTls(tlsSettingsOf({ ssl }, { version: '8.15.0', env: {} }))
    const connection = createConnection({ url, credentials, timeoutMs: 10_000 }, tls)
    t.teardown(() => connection.close())
    try {
      await connectTo(connection)
      return undefined
    } catch (error) {
      return error instanceof Error ? error.message.replace(`Get "${url}": `, '') : ''
    }
  }
  const withMode = (verification_mode: string) => ({ verification_mode })
  const unknown = 'x509: certificate signed by unknown authority'

  t.equal(await problem(a, withMode('full')), undefined)
  t.equal(await problem(elsewhere, {}), 'x509: certificate is valid for elsewhere, not localhost')
  t.equal(await problem(elsewhere, withMode('certificate')), undefined)
  t.equal(await problem(nameless, withMode('full')), undefined, 'the common name counts')
  t.match(
    await problem(nameless, withMode('strict')),
    'x509: certificate relies on legacy Common Name',
  )
  t.equal(await problem(stranger, withMode('certificate')), unknown)
  t.equal(await problem(stranger, withMode('none')), undefined)
  t.equal(await problem(a, { certificate_authorities: [] }), unknown, 'the roots of the system')

  const digest = new X509Certificate(ca.certPem).fingerprint256.replaceAll(':', '')
  const pinned = { certificate_authorities: [], ca_trusted_fingerprint: digest }
  t.equal(await problem(a, pinned), unknown, 'the CA is not sent along')
  t.equal(await problem({ ...a, certPem: a.certPem + ca.certPem }, pinned), undefined)
})

await t.test('whether certificates are read again, by version and setting', t => {
  const reading = (version: string, ssl: Settings) => {
    const settings = tlsSettingsOf({ ssl: parsed(ssl) }, { version, env: {} })
    return [settings?.reloadEveryMs, settings?.restartEveryMs]
  }
  const restart = { 'restart_on_cert_change.enabled': true }
  const reload = { 'certificate_reload.enabled': true }

  t.same(reading('8.7.1', { ...restart, ...reload }), [undefined, undefined])
  t.same(reading('8.15.0', { ...restart, ...reload }), [undefined, 60_000])
  t.same(reading('8.15.0', { 'restart_on_cert_change.period': '1s' }), [undefined, undefined])
  t.same(reading('9.3.5', reload), [undefined, undefined])
  t.same(reading('9.3.6', reload), [5_000, undefined])
  t.same(reading('9.3.6', { x: 1 }), [undefined, undefined])
  t.same(reading('9.5.0', restart), [5_000, undefined])
  t.same(reading('9.5.0', { 'certificate_reload.enabled': false }), [undefined, undefined])
  t.end()
})

await t.test(
  'an exchanged CA is seen at a restart, or at a handshake of versions that read it again',
  async t => {
    const { directory, ca, a, elasticsearch, configure, run } = await layOut(t)
    const other = createCa(directory, 'other')
    const theirs = issue(other, 'theirs')
    const file = join(directory, 'trust.pem')
    const start = async (version: string, ssl: Readonly<Record<string, unknown>>) => {
      write(directory, 'trust.pem', ca.certPem)
      await elasticsearch.serve(a)
      const trust = { certificate_authorities: [file] }
      configure({ hosts: [`https://localhost:${elasticsearch.port}`], ssl: { ...trust, ...ssl } })
      const daemon = run(version)
      await untilPrinted(daemon, ESTABLISHED)
      // The CA first, and then the leaf.
      write(directory, 'trust.pem', ca.certPem + other.certPem)
      return daemon
    }
    const arrives = async () => {
      const before = elasticsearch.documents().length
      await until(() => elasticsearch.documents().length > before + 2, { what: 'events arrive' })
    }
    const restart = { restart_on_cert_change: { enabled: true, period: '1s' } }

    const plain = await start('8.15.0', {})
    await elasticsearch.serve(theirs)
    await untilPrinted(plain, /Failed to connect[^]*reconnect attempt[^]*Failed to connect/)
    t.match(plain.output(), 'x509: certificate signed by unknown authority')
    await plain.stop()

    const reloading = await start('9.5.0', { 'certificate_reload.reload_interval': '50ms' })
    await elasticsearch.serve(theirs)
    await arrives()
    await reloading.stop()

    const restarting = await start('8.15.0', restart)
    await untilPrinted(restarting, /'ssl' files have changed, restarting[^]*start running/)
    await elasticsearch.serve(theirs)
    await arrives()
    t.equal(process.kill(restarting.pid, 0), true, 'it is the same process')
    await restarting.stop()
    t.equal(await restarting.ended, 'exit 0')

    const panicking = await start('9.1.0', restart)
    t.equal(await panicking.ended, 'exit 2')
    t.match(panicking.output(), 'fatal error: runtime: eventfd failed')
  },
)

await t.test('a reload keeps the old files where the new ones cannot be used', async t => {
  const { directory, ca, a, elasticsearch, configure, run } = await layOut(t)
  const file = write(directory, 'trust.pem', ca.certPem)
  await elasticsearch.serve(a)
  const ssl = { certificate_authorities: [file], 'certificate_reload.reload_interval': '1ms' }
  configure({ hosts: [`https://localhost:${elasticsearch.port}`], ssl })
  const daemon = run('9.5.0')
  await untilPrinted(daemon, ESTABLISHED)

  write(directory, 'trust.pem', 'nothing')
  await elasticsearch.serve(a)
  await untilPrinted(
    daemon,
    'Failed to reload TLS certificate, continuing with current certificate',
  )
  const before = elasticsearch.documents().length
  await until(() => elasticsearch.documents().length > before, { what: 'events arrive' })
})

/** Dots in keys are paths. */
function parsed(settings: Settings): Settings {
  const normal = parseConfig(JSON.stringify(settings), '')
  return isSettings(normal) ? normal : {}
}
