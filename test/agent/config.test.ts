// The node's own configuration: defaults where there is none, and a clear message for each mistake.

import t from 'tap'
import { SERVICE_NAMES } from '../../shared/contract/service.ts'
import { OperationalError } from '../../shared/errors.ts'
import { CONFIG_PATH, loadConfig } from '../../agent/config.ts'
import { newNode } from '../support/memory-fleet.ts'

async function load(text: string | undefined) {
  const { files } = newNode()
  if (text !== undefined) files.put(CONFIG_PATH, text)
  return loadConfig(files, undefined)
}

const ALL = [...SERVICE_NAMES]

await t.test('without a file everything has its default, and everything is allowed', async t => {
  const defaults = {
    stateDirectory: '/var/lib/tlsfleet/agent',
    intervalMs: 300_000,
    logLevel: 'info',
    allow: { services: ALL, activations: ['none', 'reload', 'restart'] },
    issuers: { files: {}, localCa: undefined },
    metricsFile: undefined,
    offline: { disruptive: 'group', renewWithinMs: undefined },
    snapshots: {},
  }

  t.strictSame(await load(undefined), defaults)
  t.strictSame(await load(''), defaults)
  t.strictSame(await load('# nothing but a comment\n'), defaults)
})

await t.test('a file that somebody named must be there', async t => {
  const { files } = newNode()

  await t.rejects(loadConfig(files, '/etc/other.toml'), {
    code: 'config-invalid',
    message: 'could not find /etc/other.toml',
  })
  files.put('/etc/other.toml', 'interval = "1h"')
  t.equal((await loadConfig(files, '/etc/other.toml')).intervalMs, 3_600_000)
})

await t.test('a node may give credentials for questions', async t => {
  const credentials = async (text: string) =>
    (await load(`[credentials.elasticsearch]\n${text}`)).issuers.credentials
  t.same(await credentials('apiKeyFile = "/etc/k"'), { elasticsearch: { apiKeyFile: '/etc/k' } })
  t.same(await credentials('user = "u"\npasswordFile = "/etc/p"'), {
    elasticsearch: { user: 'u', passwordFile: '/etc/p' },
  })
  for (const wrong of ['apiKeyFile = "k"', 'user = "u:v"\npasswordFile = "/p"', 'user = "u"'])
    await t.rejects(credentials(wrong), { code: 'config-invalid' }, wrong)
})

await t.test('a node may have its metrics written', async t => {
  const metrics = async (text: string) => (await load(`[metrics]\n${text}`)).metricsFile
  const textfile = 'textfile = "/var/lib/m/tlsfleet.prom"'
  const path = '/var/lib/m/tlsfleet.prom'
  t.same(await metrics(textfile), { path, refreshMs: undefined })
  t.same(await metrics(`${textfile}\nrefresh = "1h"`), { path, refreshMs: 3_600_000 })
  for (const wrong of [
    '',
    'textfile = "m.prom"',
    'textfile = "/m.txt"',
    `${textfile}\nrefresh = "1s"`,
  ])
    await t.rejects(metrics(wrong), { code: 'config-invalid' }, wrong)
})

await t.test('a node may say what saves its services', async t => {
  const snapshots = async (text: string) => (await load(text)).snapshots
  t.same(
    await snapshots(
      '[snapshots.influxdb-meta]\ncommand = ["/usr/local/sbin/save", "a b"]\n[snapshots.elasticsearch]\ntimeout = "2h"\ncopy = false',
    ),
    {
      'influxdb-meta': {
        command: ['/usr/local/sbin/save', 'a b'],
        timeoutMs: 1_800_000,
        isCopied: true,
      },
      elasticsearch: { command: undefined, timeoutMs: 7_200_000, isCopied: false },
    },
  )
  for (const wrong of [
    'command = []',
    'command = ["save"]',
    'command = ["/a/../b"]',
    'timeout = "1ms"',
    'timeout = "25h"',
    'timeout = "soon"',
    'shell = true',
  ])
    await t.rejects(snapshots(`[snapshots.influxdb]\n${wrong}`), { code: 'config-invalid' }, wrong)
  await t.rejects(snapshots('[snapshots.mysql]\ncopy = true'), { code: 'config-invalid' })
})

await t.test('a node may say what it does while its controller does not answer', async t => {
  const offline = async (text: string) => (await load(`[offline]\n${text}`)).offline
  t.same(await offline('disruptive = "go"'), { disruptive: 'go', renewWithinMs: undefined })
  t.same(await offline('disruptive = "wait"\nrenewWithin = "24h"'), {
    disruptive: 'wait',
    renewWithinMs: 86_400_000,
  })
  for (const wrong of ['disruptive = "no"', 'renewWithin = "soon"', 'renew = "1h"'])
    await t.rejects(offline(wrong), { code: 'config-invalid' }, wrong)
})

await t.test('a node may narrow what the agent does', async t => {
  const config = await load(`
stateDirectory = "/srv/agent"
interval = "30s"
logLevel = "debug"
[allow]
services = ["prometheus"]
activations = ["none", "reload"]
paths = ["/etc/prometheus"]
[issuers.files.influxdb]
certificate = "/etc/pki/chain.pem"
privateKey = "/etc/pki/key.pem"
`)

  t.strictSame(config, {
    stateDirectory: '/srv/agent',
    intervalMs: 30_000,
    logLevel: 'debug',
    allow: {
      services: ['prometheus'],
      activations: ['none', 'reload'],
      paths: ['/etc/prometheus'],
    },
    issuers: {
      files: { influxdb: { certificate: '/etc/pki/chain.pem', privateKey: '/etc/pki/key.pem' } },
      localCa: undefined,
    },
    metricsFile: undefined,
    offline: { disruptive: 'group', renewWithinMs: undefined },
    snapshots: {},
  })
  t.strictSame((await load('[allow]\nservices = []')).allow, {
    services: [],
    activations: ['none', 'reload', 'restart'],
  })
})

for (const [what, text, message] of [
  ['a syntax error', 'interval = ', /agent\.toml.*/],
  ['a key twice', 'interval = "1m"\ninterval = "2m"', /agent\.toml/],
  ['an unknown key', 'intervall = "1m"', /"intervall"/],
  ['an unknown key in a table', '[allow]\nservice = []', /allow.*"service"/],
  ['an unknown service', '[allow]\nservices = ["grafana"]', /allow\.services\.0/],
  ['a path that leads elsewhere', '[allow]\npaths = ["/etc/../root"]', /allow\.paths\.0/],
  ['a relative path', '[allow]\npaths = ["etc"]', /allow\.paths\.0/],
  ['a path with a slash at its end', '[allow]\npaths = ["/etc/"]', /allow\.paths\.0/],
  ['an unknown act', '[allow]\nactivations = ["reboot"]', /allow\.activations\.0/],
  ['an unknown log level', 'logLevel = "trace"', /logLevel/],
  ['an interval that is a busy loop', 'interval = "1s"', /"1s" of \/etc\/tlsfleet\/agent\.toml/],
  ['an interval without a unit', 'interval = "5"', /"5"/],
  ['an interval that is a number', 'interval = 5', /interval/],
  ['a relative state directory', 'stateDirectory = "agent"', /stateDirectory/],
  ['a relative path', '[issuers.localCa]\ncertificate = "a"\nprivateKey = "/b"', /absolute/],
  ['half a pair', '[issuers.localCa]\ncertificate = "/a"', /issuers\.localCa\.privateKey/],
] as const) {
  await t.test(`${what} is refused with a clear message`, async t => {
    const error = await load(text).catch(caught => caught)

    if (!(error instanceof OperationalError)) throw error
    t.equal(error.code, 'config-invalid')
    t.match(error.message, message)
    t.notMatch(error.message, /\n/, 'one line')
  })
}

await t.test('an interval in which certificates would end unseen is refused', async t => {
  await t.rejects(load('interval = "365d"'), { code: 'config-invalid' })
  t.equal((await load('interval = "1d"')).intervalMs, 86_400_000)
})
