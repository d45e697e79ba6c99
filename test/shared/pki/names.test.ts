import fc from 'fast-check'
import t from 'tap'
import {
  missingNames,
  nameMatches,
  normalizeDnsName,
  normalizeIpAddress,
  normalizeNames,
  sameNames,
} from '../../../shared/pki/names.ts'
import { ipRangeBytes } from '../../../shared/pki/profile.ts'

const plain = { wildcard: false }
const withWildcard = { wildcard: true }

await t.test('DNS names have one spelling', async t => {
  const cases = {
    'ES-1.Example.COM': 'es-1.example.com',
    'node.example.': 'node.example',
    localhost: 'localhost',
    'bücher.example': 'xn--bcher-kva.example',
    'BÜCHER.example': 'xn--bcher-kva.example',
    'xn--bcher-kva.example': 'xn--bcher-kva.example',
    'a_b.example': 'a_b.example',
    'n1.2x': 'n1.2x',
  }
  for (const [name, normal] of Object.entries(cases))
    t.equal(normalizeDnsName(name, plain), normal, name)
  t.equal(normalizeDnsName('*.Zone.example', withWildcard), '*.zone.example')
})

await t.test('what is no host name is refused', async t => {
  const refused = [
    '',
    '.',
    '.example',
    'a..example',
    'a.example..',
    '-a.example',
    'a-.example',
    'a b.example',
    'a\0.example',
    'a\n.example',
    'ex%41mple.com',
    'a,DNS:b.example',
    'a/b',
    'user@example.com',
    `${'a'.repeat(64)}.example`,
    `${'a.'.repeat(127)}example`,
    '10.0.0.1',
    '10.0.0.1.',
    '0x7f.1',
    '1',
    '2001:db8::1',
    '[::1]',
    '１２７.0.0.1',
    'xn--a.example',
    'xn--.example',
    'ü\0.example',
    '\u00ad',
    '*',
    '*.example',
    'a.*.example.com',
    '*a.example.com',
    '**.example.com',
    '*.*.example.com',
    '*.10.0.0.1',
  ]
  for (const name of refused)
    t.throws(
      () => normalizeDnsName(name, withWildcard),
      { code: 'name-invalid' },
      JSON.stringify(name),
    )
  t.throws(
    () => normalizeDnsName('*.zone.example', plain),
    { code: 'name-invalid' },
    'no wildcard allowed',
  )
})

await t.test(
  'normalizing is idempotent and never yields anything but host name characters',
  async () => {
    fc.assert(
      fc.property(fc.oneof(fc.domain(), fc.string(), fc.string({ unit: 'grapheme' })), name => {
        let normal: string
        try {
          normal = normalizeDnsName(name, plain)
        } catch {
          return true
        }
        return normalizeDnsName(normal, plain) === normal && /^[a-z0-9_.-]+$/.test(normal)
      }),
      { numRuns: 1000 },
    )
  },
)

await t.test('IP addresses have one spelling', async t => {
  const cases = {
    '10.0.0.1': '10.0.0.1',
    '2001:DB8:0:0:0:0:0:1': '2001:db8::1',
    '2001:db8::0001': '2001:db8::1',
    '::': '::',
    '::1': '::1',
    '1:2:3:4:5:6:7:8': '1:2:3:4:5:6:7:8',
    '::ffff:10.0.0.1': '10.0.0.1',
    '64:ff9b::192.0.2.1': '64:ff9b::c000:201',
  }
  for (const [text, normal] of Object.entries(cases))
    t.equal(normalizeIpAddress(text), normal, text)
  for (const text of [
    '',
    '10.0.0',
    '10.0.0.01',
    '256.0.0.1',
    'fe80::1%eth0',
    '[::1]',
    'a.example',
    '0x7f000001',
  ])
    t.throws(() => normalizeIpAddress(text), { code: 'name-invalid' }, text)
  fc.assert(
    fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), address => {
      const normal = normalizeIpAddress(address)
      return normalizeIpAddress(normal) === normal
    }),
  )
})

await t.test('sets of names are compared without order and duplicates', async t => {
  const a = normalizeNames(
    { dns: ['b.example', 'A.example', 'a.example.'], ip: ['::1', '10.0.0.1'] },
    plain,
  )
  t.same(a, { dns: ['a.example', 'b.example'], ip: ['10.0.0.1', '::1'] })
  t.ok(sameNames(a, { dns: ['b.example', 'a.example'], ip: ['::1', '10.0.0.1', '::1'] }))
  t.notOk(sameNames(a, { dns: ['b.example'], ip: ['::1', '10.0.0.1'] }))
  t.notOk(sameNames(a, { dns: a.dns, ip: ['::1', '10.0.0.2'] }))
})

await t.test('a wildcard stands for exactly one label', async t => {
  t.ok(nameMatches('*.zone.example', 'a.zone.example'))
  t.ok(nameMatches('A.Zone.example.', 'a.zone.EXAMPLE'))
  t.notOk(nameMatches('*.zone.example', 'zone.example'))
  t.notOk(nameMatches('*.zone.example', 'a.b.zone.example'))
  t.notOk(nameMatches('*.zone.example', '.zone.example'))
  t.notOk(nameMatches('*.example', 'a.example'), 'not in front of a single label')
  t.notOk(nameMatches('a*.zone.example', 'ab.zone.example'), 'not as a part of a label')
  t.notOk(nameMatches('*.0.0.1', '10.0.0.1'), 'not for addresses')
  t.notOk(nameMatches('*.zone.example', '*.zone.example'), 'a name is no pattern')
  t.notOk(nameMatches('', ''))
})

await t.test('missing names are those that no pattern covers', async t => {
  const offered = { dns: ['*.zone.example', 'one.example'], ip: ['2001:db8::1'] }
  t.same(
    missingNames(offered, { dns: ['a.zone.example', 'one.example'], ip: ['2001:DB8:0::1'] }),
    [],
  )
  t.same(
    missingNames(offered, { dns: ['*.zone.example'], ip: [] }),
    [],
    'a wanted wildcard needs that wildcard',
  )
  t.same(missingNames(offered, { dns: ['two.example', '*.other.example'], ip: ['10.0.0.1'] }), [
    'two.example',
    '*.other.example',
    '10.0.0.1',
  ])
})

await t.test('ranges are address and mask', async t => {
  t.equal(ipRangeBytes('10.0.0.0/8').toString('hex'), '0a000000ff000000')
  t.equal(ipRangeBytes('192.168.4.0/22').toString('hex'), 'c0a80400fffffc00')
  t.equal(ipRangeBytes('0.0.0.0/0').toString('hex'), '0000000000000000')
  t.equal(ipRangeBytes('2001:db8::/33').toString('hex').slice(32), 'ffffffff80' + '0'.repeat(22))
  for (const range of [
    '10.0.0.0',
    '10.0.0.1/8',
    '10.0.0.0/33',
    'x/8',
    '10.0.0.0/-1',
    '10.0.0.0/8/8',
  ])
    t.throws(() => ipRangeBytes(range), { code: 'name-invalid' }, range)
})
