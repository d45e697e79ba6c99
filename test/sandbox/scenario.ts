// What systemctl prints and how units behave, as one transcript. The same scenario runs on the real
// systemd of a lab node and on a sandbox, and both must give the golden transcript.

import { until } from '../lab/until.ts'

/** A machine with a systemctl. */
export interface SystemctlHost {
  systemctl(
    argv: readonly string[],
  ): Promise<{ readonly stdout: string; readonly stderr: string; readonly code: number }>
  writeFile(path: string, contents: string): Promise<void>
  readLink(path: string): Promise<string | undefined>
}

// However long a busy machine takes to start a unit too often.
const LIMIT = '[Unit]\nStartLimitIntervalSec=1h\n'
const UNITS = {
  good: `[Unit]
Description=A good service
[Service]
ExecStart=/bin/sleep 1000
ExecReload=/bin/true
Restart=on-failure
RestartSec=600
Environment="A=b c" D=e
Environment=F=g
EnvironmentFile=-/etc/none
ProtectHome=true
ProtectSystem=full
[Install]
WantedBy=multi-user.target
`,
  plain: `${LIMIT}[Service]\nExecStart=/bin/sleep 1000\n`,
  crash: `${LIMIT}[Service]\nExecStart=/bin/sh -c "exit 3"\nRestart=on-failure\nRestartSec=20ms\n`,
  slow: '[Service]\nExecStart=/bin/sh -c "exit 3"\nRestart=on-failure\nRestartSec=1000\n',
  always: `${LIMIT}[Service]\nExecStart=/bin/true\nRestart=always\nRestartSec=20ms\n`,
  badreload: '[Service]\nExecStart=/bin/sleep 1000\nExecReload=/bin/false\n',
  noenv: '[Service]\nExecStart=/bin/sleep 1000\nEnvironmentFile=/etc/none\n',
  nouser: '[Service]\nExecStart=/bin/sleep 1000\nUser=no-such-user\n',
  noexec: '[Service]\nExecStart=/no/such/program\n',
  nostart: '[Unit]\nDescription=Nothing to start\n',
  silent: '[Service]\nType=notify\nExecStart=/bin/sleep 1000\nTimeoutStartSec=200ms\n',
  quitter: '[Service]\nType=notify\nExecStart=/bin/true\n',
  // The signal that asks it to stop does nothing.
  stubborn: '[Service]\nExecStart=/bin/sleep 1000\nKillSignal=SIGCONT\nTimeoutStopSec=200ms\n',
} as const

export const LIFE =
  'ActiveState,SubState,Result,NRestarts,MainPID,ExecMainCode,ExecMainStatus,InvocationID,Job'
const FILES =
  'LoadState,UnitFileState,FragmentPath,DropInPaths,NeedDaemonReload,Type,User,Group,CanReload,Description'
const SETTINGS =
  'Environment,EnvironmentFiles,ExecStart,ExecReload,Restart,RestartUSec,ProtectHome,ProtectSystem,' +
  'PrivateTmp,ReadWritePaths,InaccessiblePaths,NoNewPrivileges,StartLimitBurst,StartLimitIntervalUSec'
const TIMES =
  'ExecMainStartTimestamp,ExecMainStartTimestampMonotonic,ActiveEnterTimestamp,ActiveEnterTimestampMonotonic'

export async function runScenario(host: SystemctlHost): Promise<string> {
  const transcript: string[] = []
  const run = async (line: string) => {
    const { stdout, stderr, code } = await host.systemctl(line.split(' '))
    transcript.push(`$ systemctl ${line}`, normalize(stdout + stderr).trimEnd(), `= ${code}`, '')
  }
  const reach = (unit: string, state: string) =>
    until(
      async () =>
        (await host.systemctl(['show', '--property=SubState', unit])).stdout ===
        `SubState=${state}\n`,
      { what: `${unit} is ${state}` },
    )
  const invocation = async (unit: string) => {
    const link = await host.readLink(`/run/systemd/units/invocation:${unit}.service`)
    const shown = (await host.systemctl(['show', '--property=InvocationID', unit])).stdout
    const says =
      link === undefined ? 'none' : shown === `InvocationID=${link}\n` ? 'the same' : 'another'
    transcript.push(`invocation link of ${unit}: ${says}`, '')
  }

  for (const [name, text] of Object.entries(UNITS)) await host.writeFile(unitPath(name), text)
  await host.writeFile(
    '/etc/systemd/system/good.service.d/10-more.conf',
    '[Service]\nEnvironment=H=i\n',
  )
  await run('daemon-reload')

  // What can be read of a unit
  await run(`show good nosuch --property=${FILES}`)
  await run(`show --property=${SETTINGS} good.service`)
  await run('show -p SubState -p NoSuchProperty -p ActiveState plain')
  await run('show --value --property=ActiveState plain')
  await run('is-active plain nosuch')
  await run('is-failed nosuch')

  // An ordinary life
  await run('start good')
  await run(`show good --property=${LIFE},${TIMES}`)
  await run(`show good --timestamp=us+utc --property=${TIMES},ExecStart`)
  await invocation('good')
  await run('start good')
  await run('reload good')
  await run(`show good --property=${LIFE},ExecReload`)
  await run('is-active good plain')
  await run('restart --no-block good')
  await reach('good', 'running')
  await run('kill -s KILL --kill-who=main good')
  await reach('good', 'auto-restart')
  await run(`show good --property=${LIFE},ExecStart`)
  await invocation('good')
  await run('kill -s HUP --kill-who=main good')
  await run('restart good')
  await run(`show good --property=${LIFE}`)
  await run('stop good')
  await run(`show good --property=${LIFE},ExecStart`)
  await run('reload good')
  await run('try-restart good')

  // Death by SIGHUP, SIGTERM is an orderly end
  for (const signal of ['HUP', 'TERM']) {
    await run('start plain')
    await run(`kill -s ${signal} --kill-who=main plain`)
    await reach('plain', 'dead')
    await run(`show plain --property=${LIFE}`)
  }
  await run('start plain')
  await run('kill --signal=SIGSEGV plain')
  await reach('plain', 'failed')
  await run(`show plain --property=${LIFE},ExecStart`)
  await run('is-failed plain')
  await run('reset-failed plain')
  await run(`show plain --property=${LIFE}`)
  await run('kill -s NOSUCH plain')
  await run('kill plain')

  // Crash loops and the start limit
  await run('start crash')
  await reach('crash', 'failed')
  await run(`show crash --property=${LIFE}`)
  await run('restart crash')
  await run('is-active crash')
  await run('reset-failed crash')
  await run(`show crash --property=${LIFE}`)
  await run('start always')
  await reach('always', 'failed')
  await run(`show always --property=${LIFE}`)
  await run('reset-failed')
  for (let i = 0; i < 5; i++) await run('restart plain')
  await run('restart plain')
  await run(`show plain --property=${LIFE}`)
  await run('reset-failed plain')
  await run('start plain')
  await run('stop plain')
  await run('start slow')
  await reach('slow', 'auto-restart')
  await run('reset-failed slow')
  await run(`show slow --property=${LIFE}`)
  await run('stop slow')
  await run(`show slow --property=${LIFE}`)

  // What cannot start, reload or stop
  for (const unit of ['noenv', 'nouser', 'noexec', 'silent', 'quitter']) {
    await run(`start ${unit}`)
    await reach(unit, 'failed')
    await run(`show ${unit} --property=${LIFE}`)
  }
  await run('start nostart')
  await run(`show nostart --property=LoadState,ActiveState,ExecStart`)
  await run('start badreload')
  await run('reload badreload')
  await run(`show badreload --property=${LIFE}`)
  await run('stop badreload')
  await run('reload plain')
  for (const verb of ['start', 'restart', 'reload', 'stop', 'kill', 'reset-failed'])
    await run(`${verb} nosuch`)
  await run('start stubborn')
  await run('stop stubborn')
  await run(`show stubborn --property=${LIFE}`)
  await run('frobnicate')
  return transcript.join('\n')
}

function unitPath(name: string): string {
  return `/etc/systemd/system/${name}.service`
}

/** Takes out what differs from run to run. */
function normalize(text: string): string {
  return text
    .replaceAll(/\w{3} \d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6} UTC/g, '<microtime>')
    .replaceAll(/\w{3} \d{4}-\d\d-\d\d \d\d:\d\d:\d\d \w+/g, '<time>')
    .replaceAll(/(Monotonic=)[1-9]\d*/g, '$1<us>')
    .replaceAll(/(InvocationID=)[0-9a-f]{32}/g, '$1<id>')
    .replaceAll(/((?:MainPID|Job)=|pid=)[1-9]\d*/g, '$1<number>')
}
