import t from 'tap'
import { durationMs, listEnabled, loadUnit, parseEnvironmentFile } from './unit-file.ts'

await t.test('a unit is its file and its drop-ins, the higher directory first', async t => {
  const root = t.testdir({
    lib: {
      systemd: {
        system: {
          'x.service': '[Service]\nExecStart=/lib/x \\\n  more\n# ExecReload=/no\nUser=one\n',
          'x.service.d': {
            '20-b.conf': '[Service]\nUser=two\n',
            '10-a.conf': '[Service]\nUser=hidden\n',
          },
          'y.service': '[Service]\nExecStart=/lib/y\n',
        },
      },
    },
    etc: {
      systemd: {
        system: {
          'y.service': '[Service]\nExecStart=/etc/y\n[Install]\nWantedBy=a.target\n',
          'x.service.d': { '10-a.conf': '[Service]\nExecStart=\nExecStart=/etc/x $A\nGroup=g\n' },
          'multi-user.target.wants': {
            'x.service': t.fixture('symlink', '/lib/systemd/system/x.service'),
          },
        },
      },
    },
  })

  t.match(loadUnit(root, 'x.service'), {
    loadState: 'loaded',
    unitFileState: 'enabled',
    fragmentPath: '/lib/systemd/system/x.service',
    dropInPaths: [
      '/etc/systemd/system/x.service.d/10-a.conf',
      '/lib/systemd/system/x.service.d/20-b.conf',
    ],
    user: 'two',
    group: 'g',
    execStart: [{ argv: ['/etc/x', '$A'] }],
    execReload: [],
  })
  t.match(loadUnit(root, 'y.service'), {
    fragmentPath: '/etc/systemd/system/y.service',
    unitFileState: 'disabled',
    execStart: [{ argv: ['/etc/y'] }],
  })
  t.match(loadUnit(root, 'z.service'), { loadState: 'not-found', unitFileState: '' })
  t.same(listEnabled(root), ['x.service'])
})

await t.test('durations and environment files are read as systemd reads them', async t => {
  t.same(['20', '100ms', '1min 30s', '0', 'infinity'].map(durationMs), [
    20_000,
    100,
    90_000,
    0,
    Number.POSITIVE_INFINITY,
  ])
  const text = `# ARGS="no"\nARGS="--a='x y' \\"q\\"" \n; B=no\nexport C=no\nD = plain text\nE='$x'\n`
  t.same(parseEnvironmentFile(text), { ARGS: `--a='x y' "q"`, D: 'plain text', E: '$x' })
})

await t.test('what the unit of Elasticsearch says beyond that', async t => {
  const service = 'Type=notify\nExecStart=/x\nTimeoutStopSec=0\nSuccessExitStatus=143 7\n'
  const root = t.testdir({ lib: { systemd: { system: { 'x.service': `[Service]\n${service}` } } } })

  t.match(loadUnit(root, 'x.service'), {
    timeoutStopMs: Number.POSITIVE_INFINITY,
    timeoutStartMs: 90_000,
    successStatuses: [143, 7],
  })
})
