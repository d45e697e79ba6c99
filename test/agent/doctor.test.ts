import t from 'tap'
import {
  agentFindings,
  identityFinding,
  nodeFindings,
  snapshotFindings,
} from '../../agent/doctor.ts'
import { clockFinding } from '../../shared/clock-difference.ts'
import type { ServiceReport } from '../../shared/contract/report.ts'

const HOUR_MS = 3_600_000
const MIB = 1024 * 1024
const well = {
  isRoot: true,
  hasSystemd: true,
  stateDirectory: '/var/lib/tlsfleet/agent',
  state: { mode: 0o700, uid: 0 },
  freeBytes: 900 * MIB,
}
const states = (findings: readonly { readonly check: string; readonly state: string }[]) =>
  findings.map(({ check, state }) => `${check} ${state}`)

await t.test('a node: who asks, systemd, state and room', async t => {
  t.same(states(nodeFindings(well)), ['node ok'])
  t.same(states(nodeFindings({ ...well, isRoot: false })), ['user warning', 'node ok'])
  t.same(states(nodeFindings({ ...well, hasSystemd: false })), ['systemd failed'])
  t.same(states(nodeFindings({ ...well, state: { mode: 0o750, uid: 0 } })), ['state failed'])
  t.same(states(nodeFindings({ ...well, freeBytes: 3 * MIB })), ['disk failed'])
  t.same(states(nodeFindings({ ...well, freeBytes: undefined, state: undefined })), ['node ok'])
})

await t.test('an identity: none, good, late and ended', async t => {
  const identity = { node: 'n1', fleet: 'prod', renewsAtMs: 50 * HOUR_MS, endsAtMs: 100 * HOUR_MS }
  t.equal(identityFinding(undefined, 0).state, 'failed')
  t.equal(identityFinding(identity, 50 * HOUR_MS).state, 'ok')
  t.equal(identityFinding(identity, 52 * HOUR_MS).state, 'warning')
  t.equal(identityFinding(identity, 100 * HOUR_MS).state, 'failed')
})

await t.test('a clock: seconds are nothing, minutes break fresh certificates', async t => {
  t.equal(clockFinding(9_000).state, 'ok')
  t.equal(clockFinding(-11_000).state, 'warning')
  t.equal(clockFinding(300_000).state, 'failed')
  t.match(clockFinding(300_000).message, /5m.* ahead of/)
  t.equal(clockFinding(undefined).state, 'warning')
})

await t.test('the agent, and each service with what keeps it from being well', async t => {
  const service: ServiceReport = {
    service: 'prometheus',
    version: '2.42.0',
    outcome: 'in-sync',
    reason: { code: 'in-sync', message: 'as wanted' },
    corrective: false,
    activation: 'none',
    activationReason: { code: 'nothing-to-activate', message: '' },
    changes: [],
    served: [],
    notices: [],
    activations: 0,
  }
  const bad = {
    listener: '127.0.0.1:9090',
    ok: false,
    reason: { code: 'served-differs', message: 'serves another certificate' },
  }
  const findings = agentFindings({
    services: [
      service,
      { ...service, served: [bad] },
      {
        ...service,
        outcome: 'unsupported',
        reason: { code: 'version-unsupported', message: 'old' },
      },
    ],
  })
  t.same(states(findings), ['agent ok', 'service ok', 'service warning', 'service failed'])
  t.match(findings[2]?.message, '127.0.0.1:9090: serves another certificate')
  t.match(findings[3]?.fix, '#version-unsupported')
  t.same(states(agentFindings(undefined)), ['agent failed'])
  const troubled = agentFindings({ problem: { code: 'disk-full', message: 'no' }, services: [] })
  t.same(states(troubled), ['agent failed'])
})

await t.test('a program that is to save a service, and would not be run', t => {
  const program = '/usr/local/sbin/save'
  const found = snapshotFindings([
    { service: 'influxdb-meta', program, why: undefined },
    { service: 'elasticsearch', program, why: 'there is no /usr/local/sbin/save' },
  ])
  t.same(states(found), ['snapshots ok', 'snapshots failed'])
  t.match(found[1]?.message, /to save elasticsearch, is not run: there is no/)
  t.same(snapshotFindings([]), [])
  t.end()
})
