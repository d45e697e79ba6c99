// How long leaves live and when they are renewed, issuer by issuer.

import t from 'tap'
import { formatDuration } from '../../../shared/duration.ts'
import { renewalWindow, RENEW_BEFORE_NOT_SAID_MS } from '../../../shared/pki/renewal.ts'
import { publicLifetimeProblem, validityDays } from '../../../shared/pki/public-lifetime.ts'
import { validity } from '../../../shared/pki/certificate.ts'
import { parseFleetSpec } from '../../../controller/fleet/spec.ts'

const NOW_MS = Date.UTC(2026, 10, 22, 12)
const HEAD = 'version: 1\nfleet: demo\nservices:\n  - service: prometheus\n    nodes: all\n'

function settled(keys: readonly string[], defaults?: string) {
  const text = `${HEAD}${keys.map(key => `    ${key}\n`).join('')}`
  const whole = defaults === undefined ? text : `${text}defaults: ${defaults}\n`
  const parsed = parseFleetSpec(whole)
  if (parsed.kind === 'invalid')
    return parsed.problems.map(
      ({ line, column, path, message }) => `${line}:${column} ${path}: ${message}`,
    )
  const server = parsed.spec.services[0]?.server
  if (server === undefined) throw new Error('there is one server')
  const { lifetimeMs, renewBeforeMs } = server
  const before =
    renewBeforeMs === RENEW_BEFORE_NOT_SAID_MS ? 'not said' : formatDuration(renewBeforeMs)
  return `${formatDuration(lifetimeMs)}, ${before}`
}

await t.test('each issuer has its own default', async t => {
  t.equal(settled([]), '30d, 10d')
  t.equal(settled(['issuer: self-signed']), '90d, 30d')
  t.equal(settled(['issuer: csr']), '90d, not said')
})

await t.test('a third of the life that the issuer gave, when the spec says nothing', async t => {
  const life = { notBeforeMs: NOW_MS, notAfterMs: NOW_MS + 60 * 86_400_000 }
  const { startMs } = renewalWindow({ ...life, renewBeforeMs: RENEW_BEFORE_NOT_SAID_MS })
  t.equal((startMs - NOW_MS) / 86_400_000, 40)
  t.equal(settled(['issuer: csr', 'renewBefore: 45d']), '90d, 45d', 'what is said is kept')
})

await t.test(
  'a profile sets life and renewal; what is nearer or plainer comes before it',
  async t => {
    t.equal(settled(['lifetimeProfile: public-47d']), '46d, 16d')
    t.equal(settled(['issuer: self-signed', 'lifetimeProfile: short-lived']), '6d, 3d')
    t.equal(settled(['lifetimeProfile: standard'], '{ lifetime: 7d }'), '30d, 10d')
    t.equal(settled([], '{ lifetimeProfile: public-47d }'), '46d, 16d')
    t.equal(settled(['lifetime: 9d'], '{ lifetimeProfile: public-47d }'), '9d, 3d')
    t.equal(
      settled(['lifetimeProfile: public-47d'], '{ lifetime: 8d, renewBefore: 1d }'),
      '46d, 16d',
    )
    t.equal(settled(['lifetimeProfile: public-47d', 'renewBefore: 20d']), '46d, 20d')
    t.equal(
      settled(['issuer: csr'], '{ lifetimeProfile: public-47d }'),
      '46d, not said',
      'a wish to an issuer that decides itself',
    )
  },
)

await t.test('leaves of the profile are what public CAs may give in years to come', async t => {
  const lateMs = Date.UTC(2030, 0, 1)
  const lifetimeMs = 46 * 86_400_000
  const dates = validity({ nowMs: lateMs, lifetimeMs, issuerNotAfterMs: Infinity })
  t.equal(validityDays(dates), 46, 'of the 47 that they must not exceed, the 46 that they should')
  t.equal(publicLifetimeProblem(dates), undefined)
})

await t.test('problems have their place', async t => {
  t.strictSame(settled(['issuer: self-signed', 'lifetime: 400d']), [
    '7:15 services[0].lifetime: a certificate of issuer `self-signed` lives at most 398d',
  ])
  t.strictSame(settled(['lifetime: 9d', 'lifetimeProfile: public-47d']), [
    '7:22 services[0].lifetimeProfile: give `lifetime` or `lifetimeProfile`, not both',
  ])
  t.strictSame(settled(['lifetimeProfile: 47d']), [
    '6:22 services[0].lifetimeProfile: must be `standard`, `public-47d` or `short-lived`, not `47d`',
  ])
  t.strictSame(settled(['lifetime: 6m']), [
    '6:15 services[0].lifetime: a certificate that lives 6m would be renewed as soon as it is made: it begins 5m before, because clocks differ',
  ])
  t.equal(settled(['lifetime: 6m', 'renewBefore: 10s']), '6m, 10s')
  t.strictSame(settled(['issuer: csr', 'lifetimeProfile: public-47d']), [
    '7:22 services[0].lifetimeProfile: issuer `csr` decides itself how long its certificates live',
  ])
  t.strictSame(settled(['issuer: files', 'lifetime: 30d']), [
    '7:15 services[0].lifetime: a certificate of issuer `files` is placed as it is and not renewed',
  ])
  t.equal(settled(['issuer: files'], '{ lifetime: 30d }'), '30d, 10d', 'defaults are for others')
})
