import t from 'tap'
import type { RotationView } from '../../../../shared/contract/rotations.ts'
import { plainPaint } from '../../../../controller/cli/output.ts'
import { rotationLine, rotationText } from '../../../../controller/cli/views/rotation.ts'
import { NOW_MS } from '../views.ts'

const VIEW: RotationView = {
  id: 'r1',
  kind: 'service',
  from: 'service-1',
  to: 'service-2',
  status: 'running',
  phase: 'activate',
  direction: 'forward',
  phaseSinceMs: NOW_MS,
  pace: 'normal',
  isTainted: false,
  author: 'alice',
  approvals: 1,
  confirmedBy: [],
  needsOthers: 1,
  version: 3,
  startedAtMs: NOW_MS,
  waitsFor: 'barrier',
  barrier: {
    verdict: 'blocked',
    blockers: [
      {
        node: 'db-1',
        service: 'influxdb',
        listener: 'https :8086',
        reason: { code: 'serves-old', message: 'it still serves the old CA' },
        isUnknown: false,
      },
      {
        node: 'db-2',
        reason: { code: 'node-silent', message: 'it is silent' },
        isUnknown: true,
      },
    ],
    total: 3,
  },
  nodes: [
    { node: 'app-1', place: 'there', online: true },
    { node: 'db-1', place: 'behind', online: true },
    { node: 'db-2', place: 'silent', online: false },
  ],
  history: [
    { version: 1, atMs: NOW_MS, actor: 'alice', kind: 'created' },
    {
      version: 2,
      atMs: NOW_MS,
      actor: 'controller',
      kind: 'entered',
      phase: 'activate',
      reason: { code: 'barrier-holds', message: 'the barrier of distribute holds' },
    },
  ],
}

await t.test('every node, what holds it up, and what is waited for', async t => {
  t.equal(
    rotationText(VIEW, { paint: plainPaint, width: undefined }),
    [
      '2026-11-20T12:00:00Z  begun by alice',
      '2026-11-20T12:00:00Z  phase activate: the barrier of distribute holds (barrier-holds)',
      '',
      'NODE   PLACE   WHY NOT',
      'app-1  there',
      'db-1   behind  influxdb: https :8086: it still serves the old CA (serves-old)',
      'db-2   silent  it is silent (node-silent)',
      '1 more hindrance',
      '',
      'rotation r1 (service CA service-1 to service-2): activate, waits for 3 hindrances',
    ].join('\n'),
  )
})

await t.test('the line says what to do next', async t => {
  t.match(
    rotationLine({ ...VIEW, waitsFor: 'advance', needsOthers: 0 }),
    /waits for you: tlsfleet ca advance r1$/,
  )
  t.match(
    rotationLine({ ...VIEW, waitsFor: 'advance' }),
    /waits for 1 operator other than alice: tlsfleet ca advance r1$/,
  )
  const stopped = { code: 'rollout-stopped', message: 'rollout x is failed' }
  t.match(
    rotationLine({ ...VIEW, waitsFor: 'resume', stopped, direction: 'reverse', isTainted: true }),
    /compromised\): taking back activate, stopped; .*tlsfleet ca resume r1; stopped: rollout x/,
  )
  const ended = rotationLine({ ...VIEW, status: 'completed', waitsFor: 'nothing' })
  t.match(ended, /: completed$/)
})
