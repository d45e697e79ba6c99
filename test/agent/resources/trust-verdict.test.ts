import t from 'tap'
import { trustProblem } from '../../../agent/resources/trust-verdict.ts'
import { createTestCa, DAY_MS, serverProfile } from '../edges/test-ca.ts'

const ca = createTestCa()
const other = createTestCa('another root')
const profile = serverProfile(['localhost'])
const chainPem = ca.issue({ profile, startsIn: -1, endsIn: 10 }).certificatePem
const now = Date.now()

await t.test(
  'what is remembered is what would be found out, before and after every date',
  async t => {
    const release = { chainPem }
    const days = [0, 5, 9.9, 10.1, 50, 99, 101, 200, 101, 50, 9.9, 0, -0.9, -1.1, -50, -101, 0, 0]
    for (const day of days) {
      const nowMs = now + day * DAY_MS
      const remembered = trustProblem(release, [ca.certificatePem], nowMs)
      t.same(remembered, trustProblem({ chainPem }, [ca.certificatePem], nowMs), `day ${day}`)
    }
    t.equal(trustProblem(release, [ca.certificatePem], now), undefined)
    t.match(trustProblem(release, [ca.certificatePem], now + 11 * DAY_MS), { code: 'expired' })
  },
)

await t.test('another bundle is another question', async t => {
  const release = { chainPem }
  t.equal(trustProblem(release, [ca.certificatePem], now), undefined)
  t.match(trustProblem(release, [other.certificatePem], now), { code: 'chain-incomplete' })
  t.equal(trustProblem(release, [other.certificatePem, ca.certificatePem], now), undefined)
  t.equal(trustProblem(release, [], now), undefined)
})

await t.test('what cannot be parsed is not trusted', async t => {
  const release = { chainPem: '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n' }
  t.match(trustProblem(release, [ca.certificatePem], now), { code: 'untrusted' })
  t.match(trustProblem({ chainPem: '' }, [ca.certificatePem], now), { code: 'untrusted' })
})
