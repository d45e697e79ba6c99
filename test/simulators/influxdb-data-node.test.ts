import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { until } from '../lab/until.ts'
import { createCa } from './certificates.ts'
import type { Daemon } from './daemon.ts'
import {
  createEstate,
  type Estate,
  type EstateNode,
  secured,
  shownBy,
  untilLed,
} from './influxdb-estate.ts'
import { fingerprintOf, probe } from './probe.ts'

const VERSION = '1.11.8-c1.11.8'

/** One meta node and two data nodes that know each other. */
async function formDataNodes(t: Test, version = VERSION) {
  const estate: Estate = createEstate(t, version)
  const meta = await estate.meta('m1')
  const [d1, d2] = [await estate.data('d1'), await estate.data('d2')]
  const running = new Map<EstateNode, Daemon>()
  await Promise.all([meta, d1, d2].map(async node => running.set(node, await node.start())))
  const bind = `m1:${meta.httpPort}`
  for (const [what, addr] of [
    ['add-meta', bind],
    ['add-data', `d1:${d1.peerPort}`],
    ['add-data', `d2:${d2.peerPort}`],
  ] as const) {
    const { code, stderr } = await estate.ctl('-bind', bind, what, addr)
    t.equal(code, 0, stderr)
  }
  const restart = async (node: EstateNode, lines: string, env = {}) => {
    await running.get(node)?.stop()
    node.configure(lines)
    running.set(node, await node.start(env))
  }
  return { estate, meta, d1, d2, ca: estate.ca.certPem, restart, running }
}

const query = async (node: EstateNode, q: string) =>
  (await node.get(`/query?db=x&q=${encodeURIComponent(q)}`, { method: 'POST' })).body
const writePoint = (node: EstateNode, at: number, consistency = 'one') =>
  node.get(`/write?db=x&consistency=${consistency}`, { method: 'POST', body: `m v=1 ${at}\n` })
const counted = async (node: EstateNode) =>
  Number(/Z",(\d+)\]/.exec(await query(node, 'SELECT count(v) FROM m'))?.[1] ?? 0)
const handoff = async (node: EstateNode) => (await node.get('/debug/vars')).body

await t.test(
  'a data node works from what it knew while it cannot reach the meta nodes',
  async t => {
    const { estate, meta, d1, d2, ca, restart } = await formDataNodes(t)
    const versions = async () => (await shownBy(meta, ca)).data.map(({ version }) => version)
    t.equal(await query(d1, 'CREATE DATABASE x'), '{"results":[{"statement_id":0}]}\n')
    await until(
      async () => (await shownBy(meta)).data.every(({ version }) => version === VERSION),
      {
        what: 'both are shown with a version',
      },
    )
    await until(async () => (await query(d2, 'SHOW DATABASES')).includes('"x"'), {
      what: 'the other knows the database',
    })
    t.equal((await writePoint(d1, 1)).status, 204)
    t.equal(await counted(d2), 1)

    await restart(meta, secured(estate.issue('m1')))
    await untilLed(meta, [meta], ca)
    t.match(await query(d1, 'CREATE DATABASE y'), /Client sent an HTTP request to an HTTPS server/)
    await restart(d1, '')
    t.equal((await writePoint(d1, 2)).status, 204, 'also after a restart')
    await until(async () => (await versions()).join('') === '', { what: 'announcements expire' })

    await restart(d1, 'meta-tls-enabled = true\n', { SSL_CERT_FILE: '/nonexistent' })
    t.match(await query(d1, 'CREATE DATABASE y'), /unknown authority/)
    await restart(d1, 'meta-tls-enabled = true\n')
    await until(async () => (await versions()).join() === `${VERSION},`, {
      what: 'the flipped data node is heard again',
    })
    await restart(d2, 'meta-tls-enabled = true\nmeta-insecure-tls = true\n', {
      SSL_CERT_FILE: '/nonexistent',
    })
    t.equal(await query(d2, 'CREATE DATABASE y'), '{"results":[{"statement_id":0}]}\n')
    t.equal(await counted(d1), 2, 'points outlive the process')
  },
)

await t.test('data nodes that differ in [cluster] https-enabled hand writes off', async t => {
  const { estate, d1, d2, restart, meta } = await formDataNodes(t)
  await query(d1, 'CREATE DATABASE x')
  const cluster = (name: string) => `[cluster]\n${secured(estate.issue(name))}`

  await restart(d1, cluster('d1'))
  t.equal((await writePoint(d1, 1)).status, 204)
  t.equal((await writePoint(d1, 2, 'quorum')).status, 204)
  t.match(await handoff(d1), '"queued":2')
  t.match(await writePoint(d1, 3, 'all'), { status: 500, body: /write failed/ })
  t.equal(await counted(d2), 0)
  await restart(d1, cluster('d1'))
  t.match(await handoff(d1), '"queued":3', 'the queue is durable')

  await restart(d2, cluster('d2'))
  await until(async () => (await handoff(d1)).includes('"queued":0'), { what: 'it has drained' })
  t.equal(await counted(d2), 3)
  t.equal((await writePoint(d2, 4, 'all')).status, 204)

  const bind = ['-bind', `m1:${meta.httpPort}`]
  await estate.ctl(...bind, 'remove-data', `d2:${d2.peerPort}`)
  t.match(await estate.ctl(...bind, 'add-data', `d2:${d2.peerPort}`), {
    code: 1,
    stderr: /^Error: /,
  })
  await restart(meta, 'data-use-tls = true\n')
  await untilLed(meta, [meta])
  t.match(await estate.ctl(...bind, 'add-data', `d2:${d2.peerPort}`), { code: 0 })
})

await t.test(
  'from 1.13 on a data node has roots of its own, which a SIGHUP reads again',
  async t => {
    const { estate, meta, d1, restart, running, ca } = await formDataNodes(t, '1.13.0-c1.13.0')
    const file = join(estate.directory, 'pool.pem')
    const pool = `meta-tls-enabled = true\nmeta-root-ca = { paths = ["${file}"] }\n`
    const other = createCa(estate.directory, 'other')
    writeFileSync(file, other.certPem)
    const pair = estate.issue('d1')
    await restart(meta, secured(estate.issue('m1')))
    await untilLed(meta, [meta], ca)
    await restart(d1, `${pool}[cluster]\n${secured(pair)}`, { SSL_CERT_FILE: '/nonexistent' })
    t.match(await query(d1, 'CREATE DATABASE x'), /unknown authority/)

    writeFileSync(file, ca)
    const daemon = running.get(d1)
    daemon?.signal('SIGHUP')
    await until(() => daemon?.output().includes('Successfully loaded'), { what: 'it has reloaded' })
    t.equal(await query(d1, 'CREATE DATABASE x'), '{"results":[{"statement_id":0}]}\n')

    const [rpc, next] = [{ port: d1.peerPort, servername: 'd1', ca }, estate.issue('d1')]
    t.equal((await probe(rpc)).fingerprint, fingerprintOf(pair.certPem))
    writeFileSync(pair.certFile, next.certPem)
    writeFileSync(pair.keyFile, next.keyPem)
    chmodSync(pair.keyFile, 0o640)
    daemon?.signal('SIGHUP')
    await until(() => daemon?.output().includes('but found 0640'), { what: 'the mode is refused' })
    chmodSync(pair.keyFile, 0o600)
    daemon?.signal('SIGHUP')
    await until(async () => (await probe(rpc)).fingerprint === fingerprintOf(next.certPem), {
      what: 'the new pair is served on 8088',
    })
  },
)

await t.test(
  'SIGHUP and a data node: deadly before 1.8, no new certificate before 1.12.3',
  async t => {
    const estate = createEstate(t, VERSION)
    const node = await estate.data('d1')
    const old = await node.start({ SIM_VERSION: '1.7.9-c1.7.9' })
    old.signal('SIGHUP')
    t.equal(await old.ended, 'SIGHUP')

    const daemon = await node.start()
    daemon.signal('SIGHUP')
    await until(() => daemon.output().includes('Reloading configuration'), { what: 'it reloads' })
    t.match(await node.get('/ping'), { status: 204 })
  },
)

await t.test('influxd-ctl: both layouts, flags by version, errors', async t => {
  const { estate, meta, d1, restart } = await formDataNodes(t)
  const bind = ['-bind', `m1:${meta.httpPort}`]
  const shown = await estate.ctl(...bind, 'show')
  t.match(
    shown.stdout,
    /^Data Nodes\n=+\nID +TCP Address +HTTP Address +Version +Labels +Passive\n/,
  )
  t.match(shown.stdout, `d1:${d1.peerPort}`)
  t.match(shown.stdout, new RegExp(`Leader +m1:${meta.peerPort}\nPeers +\\[\\]`))
  t.equal((await estate.ctl(...bind, '-timeout', '5s', 'show')).code, 1, 'a flag of 1.12.3')
  t.match(await estate.ctl('-bind', 'm1:1', 'show'), { code: 1, stderr: /^Error: Get "http:/ })

  await restart(meta, secured(estate.issue('m1')))
  t.match(await estate.ctl(...bind, '-k', 'show'), {
    code: 1,
    stderr: 'Error: Client sent an HTTP request to an HTTPS server.\n',
  })
  t.equal((await estate.ctl(...bind, '-bind-tls', 'show')).code, 0)
  const local = ['-bind', `localhost:${meta.httpPort}`, '-bind-tls']
  t.match(await estate.ctl(...local, 'show'), { code: 1, stderr: /valid for m1, not localhost/ })
  t.equal((await estate.ctl(...local, '-k', 'show')).code, 0)

  const secrets = 'auth-enabled = true\nshared-secret = "s"\ninternal-shared-secret = "i"\n'
  await restart(meta, secrets)
  t.match(await estate.ctl(...bind, 'show'), {
    code: 1,
    stderr: 'Error: unable to parse authentication credentials.\n',
  })
  t.match(await estate.ctl(...bind, '-auth-type', 'jwt', '-secret', 'x', 'show'), {
    code: 1,
    stderr: 'Error: authorization failed.\n',
  })
  t.equal((await estate.ctl(...bind, '-auth-type', 'jwt', '-secret', 's', 'show')).code, 0)
  t.match(await meta.get('/ping'), { status: 200 })
  t.match(await meta.get('/status'), { status: 401 })

  await restart(meta, '')
  const old = await estate.ctl(...bind, 'show')
  t.equal(old.code, 0)
})

await t.test('the old layout of show', async t => {
  const { showTable } = await import('./influxdb-meta/show-table.ts')
  const node = { id: 4, addr: 'd:8086', httpScheme: 'http', tcpAddr: 'd:8088', version: '1.3.1' }
  const meta = { ...node, id: 1, addr: 'm:8091', tcpAddr: 'm:8089', version: '' }
  const status = {
    nodeType: 'meta',
    leader: 'm:8089',
    httpAddr: '',
    raftAddr: '',
    peers: null,
  } as const
  t.equal(
    showTable({ data: [node], meta: [meta] }, status, '1.3.1', undefined),
    'Data Nodes\n==========\nID  TCP Address  Version\n4   d:8088       1.3.1\n\n' +
      'Meta Nodes\n==========\nTCP Address  Version\nm:8091\n',
  )
})
