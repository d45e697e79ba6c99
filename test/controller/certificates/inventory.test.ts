// What is listed of a node, in which state, and whether it will be renewed.

import t from 'tap'
import type { CertificateView } from '../../../shared/contract/certificates.ts'
import { certificateFacts } from '../../../shared/pki/facts.ts'
import { renewAtMs } from '../../../shared/pki/renewal.ts'
import { authorityCertificates } from '../../../controller/certificates/authorities.ts'
import { nodeCertificates } from '../../../controller/certificates/inventory.ts'
import {
  agentIdentity,
  compiled,
  DAY_MS,
  inventoryNode,
  leaf,
  NOW_MS,
  report,
  served,
  service,
  surroundings,
} from './scene.ts'

const fleet = compiled(
  'defaults: { lifetime: 30d, renewBefore: 10d }\nservices: [{ service: prometheus, nodes: all }]',
  ['prom-1'],
)
const around = surroundings(fleet)

/** The only certificate of prom-1. */
function only(
  over: Parameters<typeof inventoryNode>[2],
  outlook: Parameters<typeof surroundings>[1] = {},
): CertificateView {
  const all = nodeCertificates(inventoryNode('prom-1', fleet, over), surroundings(fleet, outlook))
  const [first] = all
  if (first === undefined || all.length > 1) throw new Error(`${all.length} certificates`)
  return first
}

const fresh = leaf('prom-1', 'prometheus', { issuedAtMs: NOW_MS - DAY_MS })
const servesFresh = { services: [report('prometheus', [served(fresh)])] }

await t.test('a served leaf of ours is listed with all that is known of it', t => {
  const view = only({ leaves: [fresh], report: servesFresh })

  t.match(view, {
    kind: 'listener',
    node: 'prom-1',
    service: 'prometheus',
    listener: 'https :9090',
    state: 'ok',
    reason: { code: 'renewal-planned' },
    source: 'internal',
    fingerprint: fresh.fingerprint,
    notAfterMs: fresh.notAfterMs,
    renewAtMs: renewAtMs({ ...fresh, renewBeforeMs: 10 * DAY_MS }),
    names: { dns: ['prom-1.test'], ip: [] },
    chain: [{}],
    issuer: certificateFacts(service.intermediate.certificatePem).subject,
    clients: [{ service: 'prometheus', trust: 'trusts', count: 1, nodes: ['prom-1'] }],
  })
  t.notOk('unrenewed' in view)
  t.end()
})

await t.test('the state follows the dates of what is served', t => {
  const view = (days: number) => {
    const record = leaf('prom-1', 'prometheus', { issuedAtMs: NOW_MS - days * DAY_MS })
    const services = [report('prometheus', [served(record)])]
    const { state, unrenewed } = only({ leaves: [record], report: { services } })
    return [state, unrenewed?.code]
  }

  // Due after 20 to 23 days, by the serial number; overdue a day later.
  t.strictSame(view(5), ['ok', undefined])
  t.strictSame(view(26), ['overdue', 'renewal-overdue'])
  t.strictSame(view(31), ['expired', 'renewal-overdue'])
  t.end()
})

await t.test('a leaf whose time has come is due, and that is no fault yet', t => {
  const dueAtMs = renewAtMs({ ...fresh, renewBeforeMs: 10 * DAY_MS })

  const view = only({ leaves: [fresh], report: servesFresh }, { nowMs: dueAtMs + 3_600_000 })

  t.match(view, { state: 'renewal-due', reason: { code: 'renewal-due' } })
  t.notOk('unrenewed' in view)
  t.end()
})

await t.test('whatever keeps a leaf from being renewed is said, the first reason of all', t => {
  const failed = { code: 'unit-failed', message: 'prometheus.service has failed' }
  const services = [report('prometheus', [served(fresh)], { outcome: 'failed', reason: failed })]
  const offline = { isOnline: false, seenAtMs: Date.UTC(2026, 10, 19, 8) }
  const lock = { code: 'node-revoked', message: 'revoked by ada' }
  const known = { leaves: [fresh], report: servesFresh }

  const reasons = [
    only({ ...known, presence: offline }),
    only({ ...known, presence: { isOnline: false, seenAtMs: undefined } }),
    only({ ...known, presence: { isEnrolled: false } }),
    only({ ...known, presence: { ...offline, lock } }),
    only({ ...known, mode: 'audit' }),
    only({ ...known, mode: 'stage' }),
    only({ ...known, report: { services } }),
    only({ ...known, desired: undefined }),
    only(known, { isControllerDown: true }),
    only(known, { serviceCaEndsAtMs: fresh.notAfterMs }),
  ].map(({ unrenewed, state }) => [state, unrenewed?.code])

  t.strictSame(reasons, [
    ['ok', 'node-silent'],
    ['ok', 'never-seen'],
    ['ok', 'not-enrolled'],
    ['ok', 'node-revoked'],
    ['ok', 'mode-audit'],
    ['ok', 'mode-stage'],
    ['ok', 'unit-failed'],
    ['ok', 'not-desired'],
    ['ok', 'controller-down'],
    ['ok', 'ca-ends'],
  ])
  t.equal(
    only({ ...known, presence: offline }).reason.message,
    'not heard of since 2026-11-19T08:00:00Z',
  )
  t.end()
})

await t.test('certificates of other issuers are renewed by those who make them', t => {
  const own = { fingerprint: 'a'.repeat(64), notAfterMs: NOW_MS + DAY_MS }
  const view = (issuer: string, outlook = {}) => {
    const text = `services: [{ service: prometheus, nodes: all, issuer: ${issuer} }]`
    const other = compiled(text, ['prom-1'])
    const dates = { notAfterMs: own.notAfterMs, renewAtMs: NOW_MS + 3_600_000 }
    const services = [report('prometheus', [served(undefined, own)], dates)]
    const node = inventoryNode('prom-1', other, { report: { services } })
    const [first] = nodeCertificates(node, surroundings(other, outlook))
    return first
  }

  t.match(view('files'), { state: 'ok', source: 'files', unrenewed: { code: 'issuer-files' } })
  const made = view('self-signed', { isControllerDown: true })
  t.match(made, { state: 'ok', source: 'self-signed', renewAtMs: NOW_MS + 3_600_000 })
  t.equal(made?.unrenewed, undefined, 'the agent renews it, with or without a controller')
  t.end()
})

await t.test('what is served and was not issued to the service is foreign', t => {
  const stale = { code: 'served-stale', message: 'serves another certificate' }
  const strange = {
    fingerprint: 'b'.repeat(64),
    notAfterMs: NOW_MS + 300 * DAY_MS,
    issuer: 'CN=somebody',
    chain: [],
  }
  const seen = (over: Parameters<typeof served>[1]) =>
    only({
      leaves: [fresh],
      report: { services: [report('prometheus', [served(fresh, over)])] },
    })

  t.match(seen({ ...strange, ok: false, reason: stale }), {
    state: 'foreign',
    reason: stale,
    fingerprint: strange.fingerprint,
    notAfterMs: strange.notAfterMs,
    clients: [{ trust: 'lacks-issuer' }],
  })
  t.match(seen(strange), { state: 'foreign', reason: { code: 'certificate-foreign' } })
  t.match(
    only({ report: servesFresh }),
    { state: 'foreign', reason: { code: 'issue-not-recorded' } },
    'the chain is that of the service CA, and there is no record',
  )
  t.match(seen({ ...strange, notAfterMs: NOW_MS - 1 }), { state: 'expired' })
  t.end()
})

await t.test('what was not seen is unknown, with the dates that are believed', t => {
  const refused = { code: 'connection-refused', message: 'nobody answers' }
  const unreachable = served(undefined, { ok: false, reason: refused })
  const dates = { notAfterMs: NOW_MS + 5 * DAY_MS, renewAtMs: NOW_MS + DAY_MS }

  t.match(only({}), { state: 'unknown', reason: { code: 'not-observed' } })
  t.match(only({ leaves: [fresh] }), { state: 'unknown', notAfterMs: fresh.notAfterMs })
  t.match(
    only({
      leaves: [fresh],
      report: { services: [report('prometheus', [unreachable], dates)] },
    }),
    { state: 'unknown', reason: refused, listener: 'https :9090', ...dates, clients: [] },
  )
  t.match(only({ leaves: [{ ...fresh, notAfterMs: NOW_MS }] }, {}), { state: 'expired' })
  t.end()
})

await t.test('plaintext that is wanted is no certificate; TLS that is not, is one', t => {
  const off = compiled('services: [{ service: prometheus, nodes: all, tls: off }]', ['prom-1'])
  const listed = (listeners: Parameters<typeof report>[1]) =>
    nodeCertificates(
      inventoryNode('prom-1', off, {
        leaves: [fresh],
        report: { services: [report('prometheus', listeners)] },
      }),
      surroundings(off),
    )

  t.strictSame(listed([]), [])
  t.strictSame(listed([served(undefined)]), [])
  t.match(listed([served(fresh)]), [{ state: 'ok', unrenewed: { code: 'tls-off' } }])
  t.end()
})

await t.test('an agent renews its identity at half of its life, if it can', t => {
  const quiet = { isOnline: false, seenAtMs: NOW_MS - DAY_MS }
  const view = (days: number, presence = {}) => {
    const certificate = agentIdentity('n1', NOW_MS - days * DAY_MS)
    const node = inventoryNode('n1', fleet, { identity: certificate, presence })
    const [first] = nodeCertificates(node, around)
    return [first?.kind, first?.state, first?.unrenewed?.code]
  }

  t.strictSame(view(3), ['identity', 'ok', undefined])
  t.strictSame(view(4), ['identity', 'renewal-due', undefined])
  t.strictSame(view(5), ['identity', 'overdue', 'renewal-overdue'])
  t.strictSame(view(3, quiet), ['identity', 'ok', 'node-silent'])
  t.strictSame(view(8, quiet), ['identity', 'expired', 'node-silent'])
  t.end()
})

await t.test('CA certificates are listed once, own ones first, with who trusts them', t => {
  const ends = { subject: 'CN=other', issuer: 'CN=other', notAfterMs: NOW_MS + DAY_MS }
  const other = { fingerprint: 'c'.repeat(64), ...ends }
  const root = certificateFacts(service.root.certificatePem)
  const summaries = [...fleet.values()].map(summary => ({
    ...summary,
    authorities: [...summary.authorities, other],
  }))

  const all = authorityCertificates(
    [{ ...root, role: 'service-root', authority: { id: 'service-1', state: 'active' } }],
    [...summaries, ...summaries],
    around,
  )

  t.match(all, [
    {
      role: 'service-root',
      authority: { id: 'service-1', state: 'active' },
      subject: root.subject,
      unrenewed: { code: 'ca-not-renewed' },
      clients: [{ service: 'prometheus', trust: 'trusts', count: 1, nodes: ['prom-1'] }],
    },
    { role: 'trusted-only', state: 'ok', unrenewed: { code: 'ca-of-others' }, clients: [] },
  ])
  t.equal(all.length, 2)
  t.end()
})

await t.test('the time that a report claims may be any', t => {
  const other = compiled('services: [{ service: prometheus, nodes: all, issuer: self-signed }]', [
    'prom-1',
  ])
  const claims = { notAfterMs: Number.MAX_SAFE_INTEGER, renewAtMs: Number.MAX_SAFE_INTEGER }
  const seen = { fingerprint: 'd'.repeat(64), notAfterMs: claims.notAfterMs }
  const services = [report('prometheus', [served(undefined, seen)], claims)]

  const views = nodeCertificates(
    inventoryNode('prom-1', other, { report: { services } }),
    surroundings(other),
  )

  t.match(views, [{ state: 'ok', reason: { code: 'renewal-planned' }, ...claims }])
  t.end()
})
