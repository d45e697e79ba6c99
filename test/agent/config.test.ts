// The node's own configuration: defaults where there is none, and a clear message for each mistake.

import t from 'tap'
import { OperationalError } from '../../shared/errors.ts'
import { CONFIG_PATH, loadConfig } from '../../agent/config.ts'
import { newNode } from '../support/memory-fleet.ts'

async function load(text: string | undefined) {
  const { files } = newNode()
  if (text !== undefined) files.put(CONFIG_PATH, text)
  return loadConfig(files, undefined)
}

const ALL = ['influxdb', 'prometheus']

await t.test('without a file everything has its default, and everything is allowed', async t => {
  const defaults = {
    stateDirectory: '/var/lib/tlsfleet/agent',
    intervalMs: 300_000,
    logLevel: 'info',
    allow: { services: ALL, activations: ['none', 'reload', 'restart'] },
    issuers: { files: {}, localCa: undefined },
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

await t.test('a node may narrow what the agent does', async t => {
  const config = await load(`
stateDirectory = "/srv/agent"
interval = "30s"
logLevel = "debug"
[allow]
services = ["prometheus"]
activations = ["none", "reload"]
[issuers.files.influxdb]
certificate = "/etc/pki/chain.pem"
privateKey = "/etc/pki/key.pem"
`)

  t.strictSame(config, {
    stateDirectory: '/srv/agent',
    intervalMs: 30_000,
    logLevel: 'debug',
    allow: { services: ['prometheus'], activations: ['none', 'reload'] },
    issuers: {
      files: { influxdb: { certificate: '/etc/pki/chain.pem', privateKey: '/etc/pki/key.pem' } },
      localCa: undefined,
    },
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
  ['an unknown service', '[allow]\nservices = ["kibana"]', /allow\.services\.0/],
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
