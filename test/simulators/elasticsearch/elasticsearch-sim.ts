// A stand-in for Elasticsearch: its configuration, keystore, TLS, HTTP API and cluster, from its public
// documentation and sources; no binary of it is at hand to compare with.
//
//   ES_PATH_CONF=DIR [ES_KEYSTORE_PASSPHRASE_FILE=FILE] elasticsearch-sim.ts [--version X.Y.Z] [--data DIR]
//     [-E setting=value]... [-p PIDFILE] [--quiet]
//   ... --autoconfigure [--key-bits N]: what the package does at its first installation, then ends
//
// For tests: ELASTIC_PASSWORD, SIM_VERSION, SIM_RECOVERY_MS (how long a copy of a shard takes at least),
// SIM_RECOVERY_HELD (while there is a file of that name, none gets any further).

import { existsSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { EXIT, UserError } from './keystore-file.ts'
import { createLog, type Log } from './log.ts'
import { BootstrapError, startNode } from './node.ts'
import { notifyReady } from './notify.ts'
import { prepareStart } from './startup.ts'
import { autoconfigure, NothingToConfigure } from './stock.ts'
import { settingOf, StartError } from './yaml-settings.ts'

// As a JVM that was asked to end; the unit of the package counts it as success.
const EXIT_SIGTERM = 143

const { values } = parseArgs({
  options: {
    version: { type: 'string' },
    data: { type: 'string' },
    setting: { type: 'string', short: 'E', multiple: true },
    pidfile: { type: 'string', short: 'p' },
    quiet: { type: 'boolean', short: 'q' },
    autoconfigure: { type: 'boolean' },
    'key-bits': { type: 'string' },
  },
})
const directory = resolve(process.env['ES_PATH_CONF'] ?? '/etc/elasticsearch')
const version = values.version ?? process.env['SIM_VERSION'] ?? '8.15.0'
const overrides = new Map(
  (values.setting ?? []).map(text => {
    const equals = text.indexOf('=')
    return [text.slice(0, equals), text.slice(equals + 1)] as const
  }),
)

async function run(): Promise<void> {
  const started = prepareStart({ directory, version, environment: process.env, overrides })
  const { settings } = started
  const name = settingOf(settings, 'node.name') ?? process.env['HOSTNAME'] ?? hostname()
  const cluster = settingOf(settings, 'cluster.name') ?? 'elasticsearch'
  const log: Log = createLog({ node: name, cluster, directory: settingOf(settings, 'path.logs') })
  log('INFO', 'o.e.n.Node', `version[${version}], pid[${process.pid}], simulator`)
  const node = await startNode({
    directory,
    data: values.data ?? settingOf(settings, 'path.data') ?? '/usr/share/elasticsearch/data',
    version,
    name,
    cluster,
    started,
    log,
    elasticPassword: process.env['ELASTIC_PASSWORD'],
    beforeRecovery,
  })
  process.on('SIGTERM', () => {
    log('INFO', 'o.e.n.Node', 'stopping ...')
    node.stop()
    process.exit(EXIT_SIGTERM)
  })
  if (values.pidfile !== undefined) writeFileSync(values.pidfile, String(process.pid))
  await notifyReady(process.env['NOTIFY_SOCKET'])
}

async function beforeRecovery(): Promise<void> {
  await sleep(Number(process.env['SIM_RECOVERY_MS'] ?? 0))
  const held = process.env['SIM_RECOVERY_HELD']
  while (held !== undefined && existsSync(held)) await sleep(20)
}

/** Says why and ends; what stops a node is on standard error before there is a log. */
function fail(error: unknown): never {
  if (error instanceof BootstrapError) {
    process.stderr.write(`ERROR: ${error.message}\n`)
    process.exit(EXIT.config)
  }
  if (error instanceof UserError) {
    process.stderr.write(`ERROR: ${error.message}\n`)
    process.exit(error.code)
  }
  if (error instanceof StartError) {
    process.stderr.write(`fatal exception while booting Elasticsearch\n${error.message}\n`)
    process.stderr.write('ERROR: Elasticsearch did not exit normally\n')
    process.exit(1)
  }
  process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`)
  process.exit(1)
}

try {
  if (values.autoconfigure === true) {
    const bits = values['key-bits']
    const { password } = autoconfigure({
      directory,
      version,
      nowMs: Date.now(),
      ...(values.data === undefined ? {} : { data: values.data }),
      ...(bits === undefined ? {} : { keyBits: Number(bits) }),
    })
    process.stdout.write(
      `The generated password for the elastic built-in superuser is : ${password}\n`,
    )
  } else {
    await run()
  }
} catch (error) {
  if (error instanceof NothingToConfigure) {
    process.stderr.write(`${error.message}\n`)
    process.exit(EXIT.noop)
  }
  fail(error)
}
