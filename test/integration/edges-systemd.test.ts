// The edges on a host with real systemd: what units say, what activation does, and that a checker
// sees what the service sees.

import t from 'tap'
import { createTestCa, serverProfile } from '../agent/edges/test-ca.ts'
import { PROJECT_IN_NODE, until } from '../lab/lab.ts'
import { withLab } from '../lab/with-lab.ts'

// Words are free of blanks: systemctl shows a command line without its quotes.
const ODD = `[Unit]
Description=odd
[Service]
 User = nobody
Group=daemon
Type=notify
ExecStart=-/bin/forgotten
ExecStart=
ExecStart=!/bin/sleep "1"000 \\
# left out
  $ARGS \${ONE} $$TWO \\x41\\101 100%% %N %t/%p \\;
ExecReload=/bin/true
Environment=A=forgotten
Environment=
Environment=A=1 "B=two words" 'C=it''s' D="x\\ty" E=\\x41%%
Environment=F=a\\
b
EnvironmentFile=/etc/forgotten
EnvironmentFile=
EnvironmentFile=-/etc/default/%p
EnvironmentFile=/etc/default/two words
`
const ODD_DROP_INS = {
  '/usr/lib/systemd/system/odd.service.d/10-a.conf': '[Service]\nEnvironment=H=vendor\n',
  '/etc/systemd/system/odd.service.d/10-a.conf': '[Service]\nEnvironment=H=etc\n',
  '/usr/lib/systemd/system/odd.service.d/20-b.conf': '[Service]\nGroup=\n',
  '/etc/systemd/system/alias.service.d/15-c.conf': '[Service]\nEnvironment=H=alias\n',
  '/etc/systemd/system/service.d/12-d.conf': '[Service]\nEnvironment=H=all\n',
}

const SLEEPER = '[Service]\nExecStart=/bin/sleep 1000\n'

await withLab(t, { nodes: 1 }, async lab => {
  const script = `${PROJECT_IN_NODE}/test/integration/edges-in-node.ts`
  /** All in one process in the node; one answer each. */
  const askAll = async (...questions: readonly (readonly string[])[]) => {
    const argv = questions.map(question => JSON.stringify(question))
    const answers: unknown = JSON.parse(await lab.output('n1', ['/usr/bin/node', script, ...argv]))
    return answers
  }
  const ask = async (...question: readonly string[]) => {
    const answers = await askAll(question)
    return Array.isArray(answers) ? answers[0] : answers
  }
  const unit = async (name: string, text: string) => {
    await lab.writeFile('n1', `/etc/systemd/system/${name}.service`, text)
    await lab.output('n1', ['systemctl', 'daemon-reload'])
  }
  const property = (name: string, of: string) =>
    lab.output('n1', ['systemctl', 'show', of, `--property=${name}`, '--value'])

  await t.test('a unit is shown as it is, its invocation without asking', async t => {
    const invocation = await property('InvocationID', 'prometheus.service')

    const shown = ['prometheus.service', 'influxd.service', 'nosuch.service']
    t.match(await askAll(...shown.map(one => ['show', one])), [
      {
        value: {
          state: {
            unit: 'prometheus.service',
            loaded: true,
            activeState: 'active',
            invocationId: invocation,
            user: 'prometheus',
            group: 'prometheus',
            busy: false,
          },
          peek: invocation,
        },
      },
      { value: { state: { unit: 'influxdb.service' } } },
      { value: { state: undefined, peek: undefined } },
    ])
  })

  await t.test('unit files read without systemd mean what they mean to it', async t => {
    await unit('odd', ODD)
    for (const [path, text] of Object.entries(ODD_DROP_INS)) await lab.writeFile('n1', path, text)
    await lab.output('n1', ['ln', '-s', 'odd.service', '/etc/systemd/system/alias.service'])
    await lab.output('n1', ['systemctl', 'daemon-reload'])

    for (const name of ['odd', 'prometheus', 'influxdb', 'influxd', 'nosuch'])
      t.same(await ask('differs-offline', `${name}.service`), { value: [] }, name)
    for (const path of Object.keys(ODD_DROP_INS)) await lab.output('n1', ['rm', path])
  })

  await t.test('restart and hangup do what they say, and at once', async t => {
    const before = await property('InvocationID', 'prometheus.service')
    const pid = await property('MainPID', 'prometheus.service')

    t.same(await askAll(['hangup', 'prometheus.service'], ['reload', 'prometheus.service']), [
      { value: null },
      { value: null },
    ])
    t.equal(await property('MainPID', 'prometheus.service'), pid)
    t.same(await ask('restart', 'prometheus.service'), { value: null })

    await until(async () => (await property('InvocationID', 'prometheus.service')) !== before, {
      what: 'a new invocation of prometheus',
    })
  })

  await t.test('what systemd refuses has a code', async t => {
    // Long enough for a busy machine to start it too often.
    await unit('sleeper', `[Unit]\nStartLimitIntervalSec=10min\n${SLEEPER}`)
    await lab.exec('n1', ['ln', '-sf', '/dev/null', '/etc/systemd/system/masked.service'])

    t.match(
      await askAll(
        ['reload', 'influxdb.service'],
        ['restart', 'nosuch.service'],
        ['restart', 'masked.service'],
        ['restart-often', 'sleeper.service'],
        ['show', 'sleeper.service'],
        ['reset-failed', 'sleeper.service'],
        ['start', 'sleeper.service'],
        ['reset-failed', 'nosuch.service'],
      ),
      [
        { error: { code: 'reload-unsupported' } },
        { error: { code: 'activation-failed' } },
        { error: { code: 'activation-failed' } },
        { error: { code: 'restart-refused' } },
        { value: { state: { activeState: 'failed', result: 'start-limit-hit' } } },
        { value: null },
        { value: null },
        { value: null },
      ],
    )
    await until(async () => (await property('ActiveState', 'sleeper.service')) === 'active', {
      what: 'sleeper is active again',
    })
  })

  await t.test('a checker run for a service sees what that service sees', async t => {
    const pair = createTestCa().issue({ profile: serverProfile(['n1']) })
    const config = (directory: string) =>
      `tls_server_config:\n  cert_file: ${directory}/tls.pem\n  key_file: ${directory}/tls.key\n`
    for (const directory of ['/etc/prometheus', '/home/tls']) {
      await lab.writeFile('n1', `${directory}/tls.pem`, pair.certificatePem)
      await lab.writeFile('n1', `${directory}/tls.key`, pair.keyPem)
      await lab.writeFile('n1', `${directory}/web.yml`, config(directory))
    }
    const check = (who: string, path: string) =>
      ask('run', who, '/usr/bin/promtool', 'check', 'web-config', path)
    const service = 'prometheus.service'

    t.match(await check('-', '/home/tls/web.yml'), { value: { code: 0 } }, 'root sees all')
    t.match(await check(service, '/home/tls/web.yml'), { value: { code: 1, stderr: /denied/ } })
    t.match(await check(service, '/etc/prometheus/web.yml'), { value: { code: 0 } })
    await lab.exec('n1', ['chmod', '600', '/etc/prometheus/tls.key'])
    t.match(await check(service, '/etc/prometheus/web.yml'), {
      value: { code: 1, stderr: /denied/ },
    })
    await lab.exec('n1', ['chgrp', 'prometheus', '/etc/prometheus/tls.key'])
    await lab.exec('n1', ['chmod', '640', '/etc/prometheus/tls.key'])
    t.match(await check(service, '/etc/prometheus/web.yml'), { value: { code: 0 } })
  })

  await t.test('user, environment, directory and arguments arrive unchanged', async t => {
    await lab.writeFile('n1', '/etc/odd.env', 'FROM_FILE="a  b"\n')
    await lab.output('n1', ['mkdir', '/opt/odd dir'])
    await unit(
      'odd',
      `${SLEEPER}User=influxdb\nSupplementaryGroups=prometheus\nUMask=0027\nWorkingDirectory=-/var/lib/influxdb
EnvironmentFile=-/etc/none\nEnvironmentFile=/etc/odd.env\nEnvironment="A=one $two %%n" B=\\x20
ProtectSystem=strict\nReadWritePaths=/var/lib/influxdb -/nowhere "/opt/odd dir"\nCapabilityBoundingSet=CAP_CHOWN CAP_KILL\n`,
    )
    const program =
      'id -un; id -Gn; umask; pwd; env | grep -E "^(A|B|LC_ALL|FROM_FILE|SECRET)="; grep CapBnd /proc/self/status; touch /etc/x; printf "<%s>" "$@"'
    const odd = ['$HOME', '${HOME}', '$$', '%n', 'a  b', '', ';']

    const answer = await ask('run', 'odd.service', '/bin/sh', '-c', program, 'sh', ...odd)

    t.match(answer, {
      value: {
        code: 0,
        stdout: /^influxdb\n.*\bprometheus\b.*\n0027\n\/var\/lib\/influxdb\n/,
        stderr: /Read-only file system/,
      },
    })
    t.match(answer, { value: { stdout: /^A=one \$two %n$/m } })
    t.match(answer, { value: { stdout: /^B= $/m } })
    t.match(answer, { value: { stdout: /^FROM_FILE=a {2}b$/m } })
    t.match(answer, { value: { stdout: /^LC_ALL=C$/m } })
    t.match(answer, { value: { stdout: /^CapBnd:\t0*21$/m } })
    t.match(answer, { value: { stdout: '<$HOME><${HOME}><$$><%n><a  b><><;>' } })
  })

  await t.test('a checker that cannot be started is told apart from one that fails', async t => {
    await unit('nouser', `${SLEEPER}User=nobody-such\n`)

    t.match(
      await askAll(
        ['run', 'prometheus.service', '/bin/sh', '-c', 'echo no >&2; exit 3'],
        ['run', 'prometheus.service', '/no/such'],
        ['run', '-', '/no/such'],
        ['run', 'nouser.service', '/bin/true'],
        ['run-briefly', 'prometheus.service', '/bin/sleep', '100'],
      ),
      [
        { value: { code: 3, stderr: 'no\n' } },
        { error: { code: 'command-missing' } },
        { error: { code: 'command-missing' } },
        { error: { code: 'command-failed-to-start' } },
        { error: { code: 'command-timeout' } },
      ],
    )
    await until(
      async () => (await lab.exec('n1', ['pgrep', '-x', '-f', '/bin/sleep 100'])).code === 1,
      {
        what: 'the checker that took too long is gone',
      },
    )
  })

  await t.test('listeners written in Go are seen as they are', async t => {
    const ca = createTestCa()
    const server = ca.issue({ profile: serverProfile(['n1']) })
    const client = ca.issue({ profile: { kind: 'client', uris: ['spiffe://f/node/n1'] } })
    const directory = '/etc/prometheus/mtls'
    await lab.writeFile('n1', `${directory}/tls.pem`, server.certificatePem)
    await lab.writeFile('n1', `${directory}/tls.key`, server.keyPem)
    await lab.writeFile('n1', `${directory}/ca.pem`, ca.certificatePem)
    await lab.writeFile(
      'n1',
      `${directory}/web.yml`,
      `tls_server_config:\n  cert_file: tls.pem\n  key_file: tls.key\n  client_ca_file: ca.pem\n  client_auth_type: RequireAndVerifyClientCert\n`,
    )
    const args = `ARGS="--web.config.file=${directory}/web.yml"\n`
    await lab.writeFile('n1', '/etc/default/prometheus', args)
    await lab.output('n1', ['systemctl', 'restart', 'prometheus'])
    const target = {
      host: '127.0.0.1',
      serverName: 'n1',
      trust: [ca.certificatePem],
      timeoutMs: 30_000,
    }
    const prometheus = { ...target, port: 9090 }
    const clientCertificate = { chainPem: client.certificatePem, keyPem: client.keyPem }
    const httpGet = '/-/healthy'
    const questions = [
      { ...prometheus, clientCertificate, httpGet },
      { ...prometheus, clientCertificate },
      { ...prometheus, httpGet },
      prometheus,
      { ...prometheus, clientCertificate, httpGet, serverName: 'n2' },
      { ...target, port: 8086, httpGet: '/ping' },
      { ...target, port: 8088 },
    ].map(question => ['handshake', JSON.stringify(question)])

    const answers = await until(
      async () => {
        const all = await askAll(...questions)
        return JSON.stringify(all).includes('connection-refused') ? undefined : all
      },
      { what: 'prometheus listens' },
    )

    t.match(answers, [
      { value: { kind: 'tls', protocol: 'TLSv1.3', http: { status: 200 } } },
      { value: { kind: 'tls' } },
      { value: { kind: 'unreachable', reason: { code: 'tls-alert' } } },
      { value: { kind: 'tls' } },
      { value: { kind: 'tls', untrusted: { code: 'certificate-name-mismatch' } } },
      { value: { kind: 'plaintext', http: { status: 204 } } },
      // InfluxDB's own protocol for backups, which hangs up on everything else.
      { value: { kind: 'unreachable', reason: { code: 'connection-reset' } } },
    ])
    t.notMatch(answers, [{ value: { untrusted: Object } }])
  })

  await t.test(
    'a program as a unit of its own is root, and ends with whoever waits for it',
    async t => {
      const name = 'tlsfleet-snapshot-x.service'
      const told = 'id -u; echo $WHO "$1" >&2; cat /proc/self/cgroup; exit 7'
      const briefly = 'trap "" TERM; sleep 900 & sleep 901 & wait'
      t.match(
        await askAll(
          ['run-as-unit', name, '/bin/sh', '-c', told, 'sh', '$HOME %n'],
          ['run-as-unit-briefly', name, '/bin/sh', '-c', briefly],
          ['run-as-unit', name, '/bin/true'],
          ['run-as-unit', name, '/bin/no-such'],
        ),
        [
          {
            value: {
              code: 7,
              stdout: /^0\n.*tlsfleet-snapshot-x\.service/s,
              stderr: 'n 1 $HOME %n\n',
            },
          },
          { error: { code: 'command-timeout' } },
          { value: { code: 0 } },
          { error: { code: 'command-missing' } },
        ],
      )
      t.equal(
        (await lab.exec('n1', ['pgrep', '-f', 'sleep 90[01]'])).code,
        1,
        'nothing of it is left',
      )
      await until(async () => (await property('LoadState', name)) === 'not-found', {
        what: 'systemd has forgotten it',
      })

      // What an agent that was killed has left behind.
      await lab.output('n1', ['systemd-run', `--unit=${name}`, '/bin/sleep', '902'])
      t.match(await ask('run-as-unit', name, '/bin/true'), { value: { code: 0 } })
      t.equal((await lab.exec('n1', ['pgrep', '-f', 'sleep 902'])).code, 1)
    },
  )

  await t.test('accounts come from the files of the node', async t => {
    const uid = Number(await lab.output('n1', ['id', '-u', 'prometheus']))
    const gid = Number(await lab.output('n1', ['id', '-g', 'prometheus']))

    t.same(await askAll(['accounts', 'prometheus'], ['accounts', 'nosuch']), [
      { value: { user: { uid, gid }, group: gid } },
      { value: {} },
    ])
  })

  await t.test(
    'the manager hears READY and the watchdog; without capabilities only with NotifyAccess=all',
    async t => {
      const strict =
        'CapabilityBoundingSet=CAP_CHOWN CAP_FOWNER CAP_DAC_OVERRIDE\nNoNewPrivileges=yes\n'
      const cases = [
        ['root-main', 'main', '', true],
        ['root-all', 'all', '', true],
        ['strict-main', 'main', strict, false],
        ['strict-all', 'all', strict, true],
      ] as const
      for (const [name, access, more, works] of cases) {
        // Who is heard has all the time that it needs; who is not is waited for in vain.
        const startSec = works ? 120 : 10
        const program = `/usr/bin/node ${script} '["daemon"]'`
        await unit(
          name,
          `[Service]\nType=notify\nNotifyAccess=${access}\nWatchdogSec=20\nTimeoutStartSec=${startSec}\nExecStart=${program}\n${more}`,
        )
      }

      await Promise.all(
        cases.map(async ([name, , , works]) => {
          const start = await lab.exec('n1', ['systemctl', 'start', name], { timeoutMs: 180_000 })
          t.equal(start.code === 0, works, name)
        }),
      )
      t.equal(await property('StatusText', 'strict-all.service'), 'interval 10000')
      // By the start it is set for the first time, by a ping anew.
      const started = Number(await property('WatchdogTimestampMonotonic', 'strict-all.service'))
      t.ok(started > 0)
      await until(
        async () =>
          Number(await property('WatchdogTimestampMonotonic', 'strict-all.service')) > started,
        { what: 'the watchdog is pinged', timeoutMs: 120_000 },
      )
      t.equal(await property('ActiveState', 'strict-all.service'), 'active')
      await lab.output('n1', ['systemctl', 'stop', 'strict-all', 'root-all', 'root-main'])
    },
  )
})
