// The fixtures are what systemd 252 printed on a lab node.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { parseProperties, splitQuoted } from '../../../agent/edges/systemctl.ts'
import { UNIT_PROPERTIES, unitStateOf } from '../../../agent/edges/unit-state.ts'

const NOW = { wallMs: Date.UTC(2026, 10, 22, 12), monotonicMs: 2_000_000 }

function stateOf(name: string) {
  const file = join(import.meta.dirname, 'fixtures', `show-${name}.txt`)
  return unitStateOf('asked.service', parseProperties(readFileSync(file, 'utf8')), NOW)
}

await t.test('a running unit is told as it is', t => {
  t.match(stateOf('prometheus'), {
    unit: 'prometheus.service',
    loaded: true,
    activeState: 'active',
    subState: 'running',
    result: 'success',
    restarts: 0,
    invocationId: /^[0-9a-f]{32}$/,
    busy: false,
    user: 'prometheus',
    group: '',
    type: 'simple',
    canReload: true,
    needsDaemonReload: false,
    execStart: ['/usr/bin/prometheus', '$ARGS'],
    environment: {},
    environmentFiles: [{ path: '/etc/default/prometheus', optional: false }],
    fragmentPath: '/lib/systemd/system/prometheus.service',
    dropInPaths: [],
  })
  t.match(stateOf('influxdb'), {
    group: 'influxdb',
    canReload: false,
    execStart: ['/usr/bin/influxd', '-config', '/etc/influxdb/influxdb.conf', '$INFLUXD_OPTS'],
    environmentFiles: [{ path: '/etc/default/influxdb', optional: true }],
  })
  t.end()
})

await t.test('the time of a start is exact in UTC and counted back from now without', t => {
  const [, wall = ''] = /StartTimestamp=\w+ (.*) UTC/.exec(text('prometheus')) ?? []
  const [, monotonicUs = ''] = /TimestampMonotonic=(\d+)/.exec(text('prometheus')) ?? []

  t.equal(stateOf('prometheus')?.startedAtMs, Date.parse(`${wall.replace(' ', 'T')}Z`))
  t.equal(
    stateOf('prometheus-local-time')?.startedAtMs,
    Math.floor(NOW.wallMs - NOW.monotonicMs + Number(monotonicUs) / 1000),
  )
  const utc = { show: 'Sun 2026-11-22 11:57:40 UTC', us: 1_500_000 }
  const seconds = `LoadState=loaded\nActiveState=active\nMainPID=1\nExecMainStartTimestamp=${utc.show}\nExecMainStartTimestampMonotonic=${utc.us}`
  t.equal(
    unitStateOf('x.service', parseProperties(seconds), NOW)?.startedAtMs,
    NOW.wallMs - NOW.monotonicMs + utc.us / 1000,
    'a time without its fraction is not believed',
  )
  t.end()
})

await t.test('quotes and escapes of an environment are undone, drop-ins win', t => {
  t.match(stateOf('weird'), {
    environment: {
      A: 'one two',
      B: 'over',
      C: "it's",
      D: 'q"uote',
      E: 'back\\slash',
      F: 'dollar$x',
      G: '',
      H: 'tab\tx',
      I: 'semi;colon',
      J: 'new\nline',
      K: 'ünï',
      L: 'last',
    },
    environmentFiles: [
      { path: '/etc/weird', optional: true },
      { path: '/etc/weird dir/env', optional: true },
    ],
    dropInPaths: ['/etc/systemd/system/weird.service.d/10-x.conf'],
    execStart: ['/bin/bash', '-c', 'exec', 'sleep', '1000', ';', '#', 'a', 'b'],
  })
  t.same(splitQuoted('a "b c" "\\x41\\102\\\\" "" d\\x20e'), ['a', 'b c', 'AB\\', '', 'd e'])
  t.end()
})

await t.test('the first of several commands counts, and a oneshot has no process', t => {
  t.match(stateOf('multi'), { execStart: ['/bin/echo', 'a', ';', 'b', 'x'], type: 'oneshot' })
  t.equal(stateOf('multi')?.mainPid, undefined)
  t.equal(stateOf('multi')?.startedAtMs, undefined)
  t.match(stateOf('multi')?.invocationId, /^[0-9a-f]{32}$/)
  t.end()
})

await t.test('a unit that failed has no invocation any more', t => {
  t.match(stateOf('bad'), { activeState: 'failed', result: 'exit-code', loaded: true })
  t.match(text('bad'), /InvocationID=[0-9a-f]{32}/)
  t.equal(stateOf('bad')?.invocationId, undefined)
  t.end()
})

await t.test(
  'a masked unit exists and is not loaded; one that nobody installed does not exist',
  t => {
    t.match(stateOf('masked'), {
      loaded: false,
      activeState: 'inactive',
      execStart: [],
      user: 'root',
    })
    t.equal(stateOf('nosuch'), undefined)
    t.end()
  },
)

await t.test('a queued job and a state of a later systemd are understood', t => {
  const with_ = (more: string) =>
    unitStateOf('x.service', parseProperties(`LoadState=loaded\n${more}`), NOW)

  t.equal(with_('Job=164')?.busy, true)
  t.equal(with_('Job=')?.busy, false)
  t.equal(with_('ActiveState=refreshing')?.activeState, 'unknown')
  t.equal(with_('')?.unit, 'x.service')
  t.same([...parseProperties(text('weird')).keys()].toSorted(), [...UNIT_PROPERTIES].toSorted())
  t.end()
})

function text(name: string): string {
  return readFileSync(join(import.meta.dirname, 'fixtures', `show-${name}.txt`), 'utf8')
}
