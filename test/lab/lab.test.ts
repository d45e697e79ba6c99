// The lab's own promises: what a test of the product relies on without looking.

import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { createLab, type Lab, PROJECT_IN_NODE, until } from './lab.ts'
import { LAB_SCRIPT } from './availability.ts'
import { withLab } from './with-lab.ts'

await withLab(t, { nodes: 3 }, async lab => {
  // 0 stands for "no answer".
  const web = async (from: string, to: string, timeoutMs = 30_000) =>
    (await lab.http(from, `http://${to}:9090/-/healthy`, { timeoutMs })).status
  const webUp = (node: string) =>
    until(async () => (await web('ctl', node, 1000)) === 200, { what: `${node} answers` })
  await Promise.all(lab.nodes.map(webUp))

  await t.test('nodes are small hosts with a systemd of their own', async t => {
    t.equal(await lab.output('n2', ['systemctl', 'is-system-running']), 'running')
    t.equal(await lab.output('n2', ['stat', '-fc', '%T', '/sys/fs/cgroup']), 'cgroup2fs')
    t.same((await lab.output('n1', ['ls', '/sys/class/net'])).split('\n'), ['eth0', 'lo'])
    t.equal((await lab.exec('n1', ['sh', '-c', 'echo out; echo err >&2; exit 7'])).code, 7)
    t.equal(await lab.output('n1', ['getent', 'hosts', 'n3']), '10.77.0.13      n3')
  })

  await t.test('a node has Node 24 and this checkout, which it cannot write', async t => {
    const version = await lab.output('n1', ['/usr/bin/node', '--version'])
    t.match(version, /^v(2[4-9]|[3-9]\d)\./)
    const program = `import('${PROJECT_IN_NODE}/shared/errors.ts').then(m => console.log(m.describeError(new Error('x'))))`
    t.equal(await lab.output('n1', ['node', '-e', program]), 'x')
    const touched = await lab.exec('n1', ['touch', `${PROJECT_IN_NODE}/x`])
    t.match(touched.stderr, /Read-only file system/)
  })

  await t.test('no command in a node can set the clock of the machine', async t => {
    // The date asked for is the present one, so that a broken guard breaks nothing but this test.
    const now = new Date().toISOString()
    const { code, stderr } = await lab.exec('n1', ['date', '-s', now])
    t.equal(code, 1)
    t.match(stderr, 'date: cannot set date: Operation not permitted')
    const unit = await lab.exec('n1', [
      'systemd-run',
      '-q',
      '--pipe',
      '--wait',
      '--collect',
      'date',
      '-s',
      now,
    ])
    t.match(unit.stderr, 'date: cannot set date: Operation not permitted')
  })

  await t.test('files travel both ways unchanged', async t => {
    const here = join(mkdtempSync(join(t.testdir(), 'lab-')), 'lab.sh')
    await lab.put(LAB_SCRIPT, 'n1', '/etc/x')
    await lab.get('n1', '/etc/x', here)
    t.equal(readFileSync(here, 'utf8'), readFileSync(LAB_SCRIPT, 'utf8'))
    await lab.writeFile('n1', '/etc/deep/er/y', 'müsli\n')
    t.equal(await lab.readFile('n1', '/etc/deep/er/y'), 'müsli\n')
    await t.rejects(lab.readFile('n1', '/etc/none'), /No such file/)
  })

  await t.test('packets of a cut node are dropped, of no other, until it heals', async t => {
    t.equal(await web('n1', 'n2'), 200)
    await lab.cut('n2')
    await lab.cut('n2')
    t.equal(await web('n1', 'n2', 1000), 0)
    t.equal(await web('n1', 'n3'), 200)
    await lab.heal()
    t.equal(await web('n1', 'n2'), 200)

    await lab.cut('n1', 'n2')
    t.equal(await web('n1', 'n2', 1000), 0)
    t.equal(await web('ctl', 'n2'), 200)
    await lab.heal()
  })

  await t.test('a lagging node answers late, a lossy one never', async t => {
    await lab.lag('n2', 150)
    const connect = [
      'curl',
      '-s',
      '-m',
      '60',
      '-o',
      '/dev/null',
      '-w',
      '%{time_connect}',
      'http://n2:9090/',
    ]
    // Only a lower bound: how much later a busy machine answers is not the lab's promise.
    t.ok(Number(await lab.output('n1', connect)) > 0.29)
    await lab.lag('n2', 0, 100)
    t.equal(await web('n1', 'n2', 1000), 0)
    await lab.heal()
    t.equal(await web('n1', 'n2'), 200)
  })

  await t.test('the disk of a node survives a power loss, and the node its own stop', async t => {
    await lab.writeFile('n1', '/etc/kept', 'kept')
    await lab.kill('n1')
    t.match(await lab.exec('n1', ['true']), { code: 1, stderr: 'lab: n1 is not running\n' })
    t.equal(await web('n2', 'n1', 1000), 0)
    await lab.start('n1')
    await webUp('n1')
    t.equal(await lab.readFile('n1', '/etc/kept'), 'kept')

    await lab.stop('n3')
    t.equal((await lab.exec('n3', ['true'])).code, 1)
    await lab.start('n3')
    await webUp('n3')
  })

  await t.test('a frozen node hangs until it is thawed', async t => {
    await lab.freeze('n3')
    t.equal(await web('n1', 'n3', 1000), 0)
    await lab.thaw('n3')
    t.equal(await web('n1', 'n3'), 200)
  })

  await t.test('a full disk takes nothing more until it is drained', async t => {
    const write = ['sh', '-c', 'head -c 200000 /dev/zero >/etc/kk']
    // What it holds grows between the moment it is measured and the moment it is full.
    const grows = 'while :; do head -c 4096 /dev/zero >>/etc/grows; done'
    const writer = lab.spawn('n2', ['sh', '-c', grows])
    const size = async () => Number((await lab.exec('n2', ['stat', '-c%s', '/etc/grows'])).stdout)
    await until(async () => (await size()) > 0, { what: 'the writer writes' })
    await lab.fill('n2')
    writer.kill('SIGKILL')
    t.match((await lab.exec('n2', write)).stderr, 'No space left on device')
    await lab.drain('n2')
    t.equal((await lab.exec('n2', write)).code, 0)
  })

  await t.test('a directory can be made read-only and writable again', async t => {
    await lab.readonly('n2', '/etc/prometheus')
    const { stderr } = await lab.exec('n2', ['touch', '/etc/prometheus/x'])
    t.match(stderr, /Read-only file system/)
    await lab.writable('n2', '/etc/prometheus')
    t.equal((await lab.exec('n2', ['touch', '/etc/prometheus/x'])).code, 0)
  })

  await t.test('a command that is killed leaves nothing behind in the node', async t => {
    const child = lab.spawn('n1', ['sleep', '77.7'])
    const sleeping = async () =>
      /^sleep 77\.7$/m.test(await lab.output('n1', ['ps', '-eo', 'args']))
    await until(sleeping, { what: 'the command runs' })
    child.kill('SIGKILL')
    await until(async () => !(await sleeping()), { what: 'the command is gone' })
    t.pass()
  })

  await t.test('a server on ctl is reached from the nodes by its name', async t => {
    const server =
      "require('http').createServer((_, r) => r.end('hello')).listen(8000, '10.77.0.2', () => console.log('up'))"
    const child = lab.spawn('ctl', [process.execPath, '-e', server])
    await new Promise(resolve => child.stdout?.once('data', resolve))
    t.match(await lab.http('n3', 'http://ctl:8000/'), { status: 200, body: 'hello' })
    child.kill()
  })

  await t.test('the journal of every node is at hand for a failed test', async t => {
    const said = await lab.journals()
    for (const node of lab.nodes) t.match(said, `journal of ${node}`)
    t.match(said, /prometheus/)
  })

  await t.test('a lab that is down has left nothing on this machine', async t => {
    const second = await createLab({ nodes: 1 })
    t.same(traces(second).length > 0, true)
    await second.down()
    t.same(traces(second), [])
    t.equal((await second.exec('n1', ['true'])).code, 1)
  })

  await t.test('a lab ends with the process that owns it', async t => {
    const program = `import { createLab } from '${join(import.meta.dirname, 'lab.ts')}'
      const lab = await createLab({ nodes: 1 }); console.log(lab.id); process.kill(process.pid, 'SIGKILL')`
    const { stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
      encoding: 'utf8',
    })
    const id = stdout.trim()
    t.match(id, /^t-/)
    await until(() => traces({ id }).length === 0, { what: 'its traces are gone' })
    t.pass()
  })
})

function traces({ id }: Pick<Lab, 'id'>): readonly string[] {
  const places = [
    '/sys/fs/cgroup',
    '/sys/fs/cgroup/unified',
    '/sys/fs/cgroup/systemd',
    '/var/tmp/lab-state',
  ]
  return places
    .flatMap(place => list(place).map(name => join(place, name)))
    .filter(path => path.endsWith(`/${id}`) || path.endsWith(`/lab.${id}`))
}

function list(directory: string): readonly string[] {
  try {
    return readdirSync(directory)
  } catch {
    // The hierarchies differ from machine to machine.
    return []
  }
}
