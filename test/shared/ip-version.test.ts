// Against that of Node.

import fc from 'fast-check'
import { isIP } from 'node:net'
import t from 'tap'
import { ipVersion } from '../../shared/ip-version.ts'

await t.test('the same as isIP of Node, for addresses and for everything like them', async t => {
  let addresses = 0
  const like = fc.string({
    unit: fc.constantFrom(...'0123456789abcdefABCDEF:.%g-'.split('')),
    maxLength: 45,
  })
  const text = fc.oneof(fc.ipV4(), fc.ipV4Extended(), fc.ipV6(), fc.domain(), like, fc.string())
  fc.assert(
    fc.property(text, value => {
      if (isIP(value) !== 0) addresses += 1
      return ipVersion(value) === isIP(value)
    }),
    { numRuns: 2000 },
  )
  t.ok(addresses > 100, `${addresses} addresses`)
  for (const value of [
    '',
    'localhost',
    '127.0.0.1',
    '::1',
    '::ffff:1.2.3.4',
    'fe80::1%eth0',
    '1.2.3',
    ':',
  ])
    t.equal(ipVersion(value), isIP(value), value)
})
