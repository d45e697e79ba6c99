// The agent without a controller on real nodes: real systemd, real prometheus, real influxd.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { type Lab, PROJECT_IN_NODE, until } from './lab.ts'
import { withLab } from './with-lab.ts'

const AGENT = ['node', `${PROJECT_IN_NODE}/agent/main.ts`]
const CONF = '/etc/influxdb/influxdb.conf'

const OPENSSL_CA = [
  ...'openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes'.split(' '),
  ...'-days 30 -subj /CN=lab-ca -addext basicConstraints=critical,CA:TRUE'.split(' '),
  ...'-addext keyUsage=critical,keyCertSign,cRLSign'.split(' '),
]
const caFiles = new Map<Lab, string>()

interface Wish {
  readonly services?: readonly string[]
  readonly dns?: readonly string[]
  readonly deadline?: string
  readonly clientAuth?: string
}

function desired(
  node: string,
  {
    services = ['prometheus', 'influxdb'],
    dns = [node, 'localhost'],
    deadline = '120s',
    clientAuth = 'none',
  }: Wish = {},
): string {
  return JSON.stringify({
    version: 1,
    services: services.map(service => ({
      service,
      issuer: 'local-ca',
      names: { dns, ip: ['127.0.0.1'] },
      ...(service === 'prometheus' ? { clientAuth } : {}),
      verify: { stableFor: '1s', deadline },
    })),
    issuers: { localCa: { certificate: '/root/ca.pem', privateKey: '/root/ca.key' } },
  })
}

interface Result {
  readonly ok: boolean
  readonly changed: number
  readonly services: readonly {
    readonly service: string
    readonly outcome: string
    readonly corrective: boolean
    readonly activations: number
    readonly activation: string
    readonly reason: { readonly code: string; readonly message: string }
    readonly served: readonly { readonly ok: boolean; readonly fingerprint?: string }[]
  }[]
}

await withLab(t, { nodes: 3 }, async lab => {
  const run = async (
    node: string,
    command: string,
    wish: Wish = {},
  ): Promise<{ code: number; result: Result; stderr: string }> => {
    await lab.writeFile(node, '/root/desired.json', desired(node, wish))
    const outcome = await lab.exec(
      node,
      [...AGENT, command, '--desired', '/root/desired.json', '--json'],
      { timeoutMs: 400_000 },
    )
    const result: Result = JSON.parse(
      outcome.stdout === '' ? '{"ok":false,"changed":0,"services":[]}' : outcome.stdout,
    )
    return { code: outcome.code, result, stderr: outcome.stderr }
  }
  const outcomes = (result: Result) =>
    Object.fromEntries(result.services.map(one => [one.service, one.outcome]))
  await makeCa(lab)
  for (const node of lab.nodes) await up(lab, node)

  await t.test(
    'a stock node: plan says what, apply does it, a second apply does nothing, clients are content',
    async t => {
      const plan = await run('n1', 'plan')
      t.equal(plan.code, 2, 'there are changes')
      const stock = await lab.readFile('n1', CONF)

      const first = await run('n1', 'apply')
      t.equal(first.code, 0, JSON.stringify(first))
      t.strictSame(outcomes(first.result), { prometheus: 'changed', influxdb: 'changed' })
      for (const [port, path, status] of [
        [9090, '/-/ready', 200],
        [8086, '/ping', 204],
      ] as const) {
        const answer = await lab.http('ctl', `https://n1:${port}${path}`, { caFile: caOf(lab) })
        t.equal(answer.status, status, answer.error)
      }
      const before = await state(lab, 'n1')
      const second = await run('n1', 'apply')
      t.strictSame(outcomes(second.result), { prometheus: 'in-sync', influxdb: 'in-sync' })
      t.strictSame(await state(lab, 'n1'), before, 'no file, no process is another one')
      t.equal((await run('n1', 'plan')).code, 0)
      t.equal((await run('n1', 'verify')).code, 0)

      const lines = new Set((await lab.readFile('n1', CONF)).split('\n'))
      t.strictSame(
        stock.split('\n').filter(line => !lines.has(line)),
        [],
        'every line of the stock file is still there',
      )
      const up = await until(async () => selfScrape(lab, 'n1'), {
        what: 'prometheus scrapes itself over https',
        timeoutMs: 60_000,
      })
      t.equal(up, '1')
    },
  )

  await t.test(
    'the key of the guide, root:root 0600, and the dead service that it makes are repaired',
    async t => {
      const [key] = (
        await lab.output('n1', ['sh', '-c', 'echo /etc/influxdb/tls/releases/*/key.pem'])
      ).split(' ')
      await lab.output('n1', ['chown', 'root:root', key ?? ''])
      // What the guide's reader sees: the command succeeds, the service is dead a moment later.
      t.equal((await lab.exec('n1', ['systemctl', 'restart', 'influxdb'])).code, 0)
      await until(async () => (await unit(lab, 'n1', 'influxdb'))['ActiveState'] === 'failed', {
        what: 'influxdb has failed',
      })

      const { result } = await run('n1', 'apply')

      t.equal(outcomes(result)['influxdb'], 'changed', JSON.stringify(result))
      t.equal(
        await lab.output('n1', ['stat', '-c', '%U:%G %a', key ?? '']),
        'influxdb:influxdb 600',
      )
      t.equal((await lab.http('ctl', 'https://n1:8086/ping', { caFile: caOf(lab) })).status, 204)
    },
  )

  await t.test(
    'hundreds of handshakes during switches: prometheus never shows a pair that does not match',
    async t => {
      const stopFile = `${t.testdir({})}/stop`
      const program = join(import.meta.dirname, 'programs', 'handshakes.ts')
      const watching = lab.spawn('ctl', [
        process.execPath,
        program,
        'n1',
        '9090',
        caOf(lab),
        stopFile,
      ])
      let text = ''
      watching.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk
      })
      const ended = new Promise(resolve => watching.once('close', resolve))
      const lines = () => text.split('\n').slice(0, -1)
      await until(() => lines().length > 0, { what: 'the client is at work' })
      const invocation = (await unit(lab, 'n1', 'prometheus'))['InvocationID']
      const fingerprints = new Set<string>()
      for (let round = 0; round < 6; round++) {
        const { result } = await run('n1', 'apply', {
          services: ['prometheus'],
          dns: ['n1', 'localhost', `round-${round}`],
        })
        t.strictSame(outcomes(result), { prometheus: 'changed' })
        t.equal(result.services[0]?.activation, 'none', 'the product re-reads its files')
        const fingerprint = result.services[0]?.served[0]?.fingerprint ?? ''
        fingerprints.add(fingerprint)
        const isSeen = () => lines().includes(fingerprint) && lines().length >= 40 * (round + 1)
        await until(isSeen, { what: `a client was shown ${fingerprint}` })
      }
      writeFileSync(stopFile, '')
      await ended
      const failures = lines().filter(line => line.startsWith('failed'))
      t.comment(`${lines().length} handshakes`)
      t.strictSame(failures, [])
      t.ok(lines().length >= 200, `${lines().length} handshakes`)
      t.equal(new Set(lines()).size, 7, 'every switch was seen')
      t.equal(fingerprints.size, 6)
      t.equal(
        (await unit(lab, 'n1', 'prometheus'))['InvocationID'],
        invocation,
        'without a restart',
      )
    },
  )

  await t.test(
    'influxd 1.6.7 is restarted for a new certificate, never sent the signal that kills it',
    async t => {
      const before = await unit(lab, 'n1', 'influxdb')

      const { result } = await run('n1', 'apply', { dns: ['n1', 'localhost', 'renewed'] })

      const influxdb = result.services.find(one => one.service === 'influxdb')
      t.equal(influxdb?.activation, 'restart')
      t.equal(influxdb?.activations, 1)
      const after = await unit(lab, 'n1', 'influxdb')
      t.not(after['InvocationID'], before['InvocationID'])
      t.equal(after['ActiveState'], 'active')
      const journal = await lab.output('n1', [
        'journalctl',
        '-u',
        'influxdb',
        '-b',
        '--no-pager',
        '-o',
        'cat',
      ])
      t.notMatch(journal, /SIGHUP|signal: hangup|code=killed, status=1\/HUP/)
      // That the signal would have killed it is a fact of this very version.
      await lab.output('n1', ['systemctl', 'kill', '--kill-who=main', '-s', 'HUP', 'influxdb'])
      await until(async () => (await unit(lab, 'n1', 'influxdb'))['ActiveState'] === 'inactive', {
        what: 'influxd died of SIGHUP',
      })
      const stopped = await run('n1', 'apply', { dns: ['n1', 'localhost', 'renewed'] })
      t.equal(outcomes(stopped.result)['influxdb'], 'waiting')
      t.equal(
        (await unit(lab, 'n1', 'influxdb'))['ActiveState'],
        'inactive',
        'and a stopped service is not started',
      )
      await lab.output('n1', ['systemctl', 'start', 'influxdb'])
    },
  )

  await t.test(
    'a service that crashes with the new state gets its old one back, although systemctl restart said 0',
    async t => {
      // Any program of this name passes for the product; this one dies of https a moment after its start.
      const script = [
        '#!/bin/sh',
        'case "$1" in version|config) exec /usr/bin/influxd.real "$@" ;; esac',
        `if grep -q "^ *https-enabled = true" ${CONF}; then sleep 0.2; exit 1; fi`,
        'exec /usr/bin/influxd.real "$@"',
      ].join('\n')
      await lab.output('n2', ['sh', '-c', 'mv /usr/bin/influxd /usr/bin/influxd.real'])
      await lab.writeFile('n2', '/usr/bin/influxd', `${script}\n`)
      await lab.output('n2', ['sh', '-c', 'chmod 755 /usr/bin/influxd; systemctl restart influxdb'])
      await up(lab, 'n2')
      const stock = await lab.readFile('n2', CONF)

      const { code, result } = await run('n2', 'apply')

      t.equal(code, 1)
      t.strictSame(
        outcomes(result),
        { prometheus: 'changed', influxdb: 'restored' },
        JSON.stringify(result),
      )
      t.equal(await lab.readFile('n2', CONF), stock)
      t.equal((await unit(lab, 'n2', 'influxdb'))['ActiveState'], 'active')
      t.equal((await lab.http('ctl', 'http://n2:8086/ping')).status, 204)
      const service = result.services.find(one => one.service === 'influxdb')
      t.ok((service?.activations ?? 9) <= 2, 'one restart forward and one back')
    },
  )

  await t.test(
    'a key that the sandbox hides, a read-only directory, a full disk: a clear error, nothing changed',
    async t => {
      await lab.writeFile(
        'n3',
        '/etc/systemd/system/influxdb.service.d/hide.conf',
        '[Service]\nInaccessiblePaths=-/etc/influxdb/tls\n',
      )
      await lab.output('n3', ['systemctl', 'daemon-reload'])
      const hidden = await run('n3', 'apply', { services: ['influxdb'] })
      t.equal(hidden.result.services[0]?.reason.code, 'key-unreadable', JSON.stringify(hidden))
      await lab.output('n3', [
        'sh',
        '-c',
        'rm -r /etc/systemd/system/influxdb.service.d; systemctl daemon-reload',
      ])
      const stock = await lab.readFile('n3', CONF)

      await lab.readonly('n3', '/etc/influxdb')
      const readOnly = await run('n3', 'apply', { services: ['influxdb'] })
      t.equal(readOnly.result.services[0]?.reason.code, 'read-only', JSON.stringify(readOnly))
      await lab.writable('n3', '/etc/influxdb')

      await lab.fill('n3')
      const full = await lab.exec('n3', [
        ...AGENT,
        'apply',
        '--desired',
        '/root/desired.json',
        '--json',
      ])
      await lab.drain('n3')
      t.match(full.stdout + full.stderr, /disk-full/)
      t.equal(await lab.readFile('n3', CONF), stock)
      t.equal((await lab.http('ctl', 'http://n3:8086/ping')).status, 204)

      const good = await run('n3', 'apply', { clientAuth: 'required' })
      t.strictSame(
        outcomes(good.result),
        { prometheus: 'changed', influxdb: 'changed' },
        JSON.stringify(good.result),
      )
      t.equal(
        (await lab.http('ctl', 'https://n3:9090/-/ready', { caFile: caOf(lab) })).status,
        0,
        'without a client certificate nobody gets in',
      )
      t.equal(
        await until(async () => selfScrape(lab, 'n3', true), {
          what: 'prometheus scrapes itself with a client certificate',
        }),
        '1',
      )
    },
  )
})

/** A CA for all nodes; its certificate where `ctl` can read it. */
async function makeCa(lab: Lab): Promise<void> {
  const directory = t.testdir({})
  await lab.output('ctl', [
    ...OPENSSL_CA,
    '-keyout',
    `${directory}/ca.key`,
    '-out',
    `${directory}/ca.pem`,
  ])
  for (const node of lab.nodes)
    for (const file of ['ca.pem', 'ca.key'])
      await lab.put(`${directory}/${file}`, node, `/root/${file}`)
  caFiles.set(lab, `${directory}/ca.pem`)
}

function caOf(lab: Lab): string {
  return caFiles.get(lab) ?? ''
}

async function up(lab: Lab, node: string): Promise<void> {
  await until(async () => (await lab.http(node, 'http://127.0.0.1:8086/ping')).status === 204, {
    what: `influxdb of ${node} answers`,
  })
  await until(async () => (await lab.http(node, 'http://127.0.0.1:9090/-/ready')).status === 200, {
    what: `prometheus of ${node} answers`,
  })
}

async function unit(lab: Lab, node: string, name: string): Promise<Record<string, string>> {
  const text = await lab.output(node, [
    'systemctl',
    'show',
    name,
    '--property=ActiveState,InvocationID,NRestarts',
  ])
  return Object.fromEntries(text.split('\n').map(line => line.split('=')))
}

async function state(lab: Lab, node: string): Promise<string> {
  const files =
    'find /etc/prometheus /etc/influxdb /etc/default /var/lib/tlsfleet -printf "%p %i %T@ %C@ %m %U %G\\n" | sort'
  return lab.output(node, [
    'sh',
    '-c',
    `${files}; systemctl show prometheus influxdb --property=InvocationID,NRestarts`,
  ])
}

async function selfScrape(lab: Lab, node: string, asClient = false): Promise<string | undefined> {
  const query = 'https://localhost:9090/api/v1/query?query=up%7Bjob%3D%22prometheus%22%7D'
  const pair = '/etc/prometheus/tls/current'
  const client = asClient ? { certFile: `${pair}/chain.pem`, keyFile: `${pair}/key.pem` } : {}
  const answer = await lab.http(node, query, { caFile: '/root/ca.pem', ...client })
  return /"value":\[[^\]]*"(1)"\]/.exec(answer.body)?.[1]
}
