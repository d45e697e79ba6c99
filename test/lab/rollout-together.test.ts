// A group that is changed as a whole: three meta nodes come from plaintext to TLS without a switched one
// ever running beside an unswitched one; and one that cannot go on sends all of them back. All are saved
// before the first one stops, and what was saved is put back in the end.

import t from 'tap'
import { createLabFleet } from '../support/lab-fleet.ts'
import { installMetaNode } from './estate/influx.ts'
import { until } from './lab.ts'
import { createRolloutScene, joinAll, startsOf } from './rollout-scene.ts'
import { lastStopAndStart } from './unit-log.ts'
import { withLab } from './with-lab.ts'

const UNIT = 'influxdb-meta'
const LISTENER = 8091
const CONF = '/etc/influxdb/influxdb-meta.conf'
const DROP_IN = `/etc/systemd/system/${UNIT}.service.d/50-edit.conf`

const META_DIR = '/var/lib/influxdb/meta'
const KEPT = `/var/lib/tlsfleet/agent/snapshots/${UNIT}`
const SAVED = '/var/saved'
const FAILS_ONCE = '/run/save-fails'

/** As an operator would write one; it notes who is up, and takes its time. */
const SAVE = `#!/bin/sh
if rm ${FAILS_ONCE} 2>/dev/null; then echo 'the tape is full' >&2; exit 4; fi
sleep "$1"
for node in n1 n2 n3; do bash -c "exec 3<>/dev/tcp/$node/${LISTENER}" && up="$up $node"; done
echo "$TLSFLEET_SERVICE of $TLSFLEET_NODE:$up" >>${SAVED}
`
const AGENT_TOML = (seconds: number) =>
  `[snapshots.${UNIT}]\ncommand = ["/usr/local/sbin/save-meta", "${seconds}"]\ntimeout = "30s"\n`

const SPEC = `version: 1
fleet: lab
defaults:
  lifetime: 30d
  verify: { stableFor: 1s, deadline: 60s }
services:
  - service: influxdb-meta
    nodes: all
    options: { data: off }
groups:
  - { name: meta, kind: raft, nodes: all }
`

await withLab(t, { nodes: 3 }, async lab => {
  const [fleet] = await Promise.all([
    createLabFleet(lab, { ready: async () => {} }),
    ...lab.nodes.map(node => installMetaNode(lab, node)),
  ])
  t.teardown(() => fleet.end())
  const scene = createRolloutScene(fleet)
  t.teardown(() => scene.log.close())
  const invocations = () => Promise.all(lab.nodes.map(node => fleet.invocation(node, UNIT)))
  const ctl = (verb: string, ...argv: readonly string[]) =>
    lab.exec('n1', ['influxd-ctl', verb, ...argv])
  /** Also of those that have just been started: they find each other in their own time. */
  const untilWhole = (...flags: readonly string[]) =>
    until(
      async () => {
        const { stdout } = await lab.exec('n1', ['influxd-ctl', ...flags, 'show'])
        return lab.nodes.every(node => stdout.includes(`${node}:${LISTENER}`))
      },
      { what: `the cluster is whole ${flags.join(' ')}`, everyMs: 200 },
    )
  const OVER_TLS = ['-bind-tls', '-k']
  const kindsOf = (id: string) => scene.log.events(id).map(({ kind }) => kind)
  const startTogether = async (spec: string, ...more: readonly string[]) => {
    const argv = ['--yes', '--quiet', '--detach', '--together', 'meta', ...more]
    const told = await fleet.cli(['--json', 'apply', '-f', fleet.specFile(spec), ...argv])
    const [line = ''] = told.stdout.split('\n')
    const { rollout }: { readonly rollout: { readonly id: string } } = JSON.parse(line)
    return rollout.id
  }
  // The first one is the last to be saved.
  for (const node of lab.nodes) {
    await lab.writeFile(node, '/etc/tlsfleet/agent.toml', AGENT_TOML(node === 'n1' ? 1 : 0))
    await lab.writeFile(node, '/usr/local/sbin/save-meta', SAVE)
    await lab.output(node, ['chmod', '755', '/usr/local/sbin/save-meta'])
  }
  const everywhere = (script: string) =>
    Promise.all(lab.nodes.map(node => lab.output(node, ['sh', '-ec', script])))
  const configs = () => Promise.all(lab.nodes.map(node => lab.output(node, ['cat', CONF])))
  let plain: readonly string[] = []
  let changed = ''
  const untilPrepared = (id: string) =>
    scene.untilView(id, 'all are prepared', ({ status, steps }) => {
      return status === 'running' && steps.every(({ state }) => state === 'staged')
    })

  await t.test('all are prepared, and nothing is stopped before an operator says so', async t => {
    for (const node of lab.nodes)
      await until(async () => (await ctl('add-meta', `${node}:${LISTENER}`)).code === 0, {
        what: `${node} joins the cluster`,
        everyMs: 200,
      })
    await joinAll(fleet, lab, ['role=meta'])
    plain = await configs()
    const running = await invocations()
    const planned = await fleet.cli(['plan', '-f', fleet.specFile(SPEC), '--together', 'meta'])
    t.match(planned.stdout, /Phase together, all stopped and changed together/)
    t.match(planned.stdout, /group meta is down as a whole/)

    const id = await startTogether(SPEC)

    await untilPrepared(id)
    const { steps } = await scene.steps(id)
    for (const step of steps)
      t.match(step, { state: 'staged', waiting: { code: 'unacknowledged' } }, step.node)
    t.strictSame(await invocations(), running)
    t.notOk(kindsOf(id).includes('node-permitted'))
    await fleet.cliJson(['rollout', 'abort', id, '--yes'])
    t.match(await scene.untilEnded(id), { status: 'aborted' })
    t.strictSame(await invocations(), running)
  })

  await t.test('one that cannot be saved: nobody is stopped, and all say why', async t => {
    const running = await invocations()
    await lab.output('n3', ['touch', FAILS_ONCE])

    const id = await startTogether(SPEC, '--acknowledge-downtime')

    const { status, steps } = await scene.untilEnded(id)
    t.equal(status, 'failed')
    for (const { node, state, reason } of steps) {
      t.equal(state, 'reverted', node)
      if (node === 'n3')
        t.match(reason, { code: 'snapshot-failed', message: /exit 4: the tape is full/ })
      else t.match(reason, { code: 'together-back' }, node)
    }
    t.strictSame(await invocations(), running)
    t.strictSame(await configs(), plain)
    t.strictSame(await everywhere(`ls ${KEPT} 2>/dev/null || true`), ['', '', ''])
  })

  await t.test('one that cannot switch sends all of them back', async t => {
    // Somebody edits its configuration while it is stopped: that edit is not overwritten.
    const edit = `[Service]\nExecStopPost=+/bin/sh -c 'grep -q meanwhile ${CONF} || echo "# meanwhile" >> ${CONF}'\n`
    await lab.output('n3', ['mkdir', '-p', `/etc/systemd/system/${UNIT}.service.d`])
    await lab.writeFile('n3', DROP_IN, edit)
    await lab.output('n3', ['systemctl', 'daemon-reload'])
    const starts = await Promise.all(lab.nodes.map(node => startsOf(lab, node, UNIT)))

    const id = await startTogether(SPEC, '--acknowledge-downtime')

    const { status, steps } = await scene.untilEnded(id)
    t.equal(status, 'failed')
    t.strictSame(
      steps.map(({ state }) => state),
      ['reverted', 'reverted', 'reverted'],
      JSON.stringify(steps),
    )
    t.notOk(
      scene.log.events(id).some(({ kind }) => kind === 'node-done'),
      'nobody has started with the new content',
    )
    const [first, second, third] = await configs()
    t.equal(first, plain[0])
    t.equal(second, plain[1])
    t.equal(third, `${plain[2]}\n# meanwhile`)
    for (const [index, node] of lab.nodes.entries())
      t.equal(await startsOf(lab, node, UNIT), (starts[index] ?? 0) + 1, `${node} is up again`)
    t.strictSame(scene.log.leases(), [])
    await untilWhole()
    await lab.output('n3', ['rm', DROP_IN])
    await lab.output('n3', ['systemctl', 'daemon-reload'])
  })

  await t.test('all stop before the first one starts with TLS', async t => {
    await everywhere(`rm -f ${SAVED}`)
    changed = await startTogether(SPEC)
    await untilPrepared(changed)
    await fleet.cliJson(['rollout', 'promote', changed])

    const { status } = await scene.untilEnded(changed)

    t.equal(status, 'succeeded')
    const times = await Promise.all(lab.nodes.map(node => lastStopAndStart(lab, node, UNIT)))
    const lastStopped = Math.max(...times.map(({ stoppedUs }) => stoppedUs))
    const firstStarted = Math.min(...times.map(({ startedUs }) => startedUs))
    t.ok(
      lastStopped > 0 && lastStopped < firstStarted,
      `${lastStopped} < ${firstStarted}: never beside each other`,
    )
    t.strictSame(
      await everywhere(`cat ${SAVED}`),
      lab.nodes.map(node => `${UNIT} of ${node}: n1 n2 n3`),
      'each was saved once, while all of them ran',
    )
    for (const node of lab.nodes) t.ok(await fleet.handshake(node, LISTENER), node)
    await untilWhole(...OVER_TLS)
    t.match(await scene.group('meta'), { out: [], leases: [] })
    const again = await fleet.cli(['plan', '-f', fleet.specFile(SPEC)])
    t.equal(again.code, 0, 'nothing is left to change')
  })

  await t.test(
    'back to plaintext together; the rollback asks nobody, and stops all as well',
    async t => {
      const off = SPEC.replace('    nodes: all\n', '    nodes: all\n    tls: off\n')
      const switched = await startTogether(off, '--acknowledge-downtime')
      t.match(await scene.untilEnded(switched), { status: 'succeeded' })
      await untilWhole()

      const id = await scene.follow(switched, 'rollback')

      t.match(await scene.untilEnded(id), { status: 'succeeded' })
      const kinds = kindsOf(id)
      for (const kind of ['downtime-acknowledged', 'section-moved'])
        t.ok(kinds.includes(kind), kind)
      const times = await Promise.all(lab.nodes.map(node => lastStopAndStart(lab, node, UNIT)))
      const lastStopped = Math.max(...times.map(({ stoppedUs }) => stoppedUs))
      const firstStarted = Math.min(...times.map(({ startedUs }) => startedUs))
      t.ok(lastStopped < firstStarted, `${lastStopped} < ${firstStarted}`)
      for (const node of lab.nodes) t.ok(await fleet.handshake(node, LISTENER), node)
    },
  )

  await t.test('what was copied of the stores makes the cluster whole again', async t => {
    // As docs/rollouts.md says it.
    await everywhere(`systemctl stop ${UNIT}`)
    await everywhere(`mv ${META_DIR} ${META_DIR}.before`)
    await everywhere(`
      copy=$(ls -d ${KEPT}/*Z-* | tail -n 1)
      cp -a "$copy/files${META_DIR}" /var/lib/influxdb/
      chown -R influxdb:influxdb ${META_DIR}`)
    await everywhere(`systemctl start ${UNIT}`)

    await untilWhole(...OVER_TLS)
    for (const listed of await everywhere(`ls -A ${KEPT}; stat -c %a-%u ${KEPT}/*Z-*`))
      t.match(listed, /^(\d{8}T\d{6}Z-\d+\n){3}(700-0\n?){3}$/)
  })
})
