import fc from 'fast-check'
import t from 'tap'
import { readBeatsKeystore } from '../../../../agent/resources/keystore/beats.ts'
import type { KeystoreReading } from '../../../../agent/resources/keystore/keystore.ts'
import { readKibanaKeystore } from '../../../../agent/resources/keystore/kibana.ts'
import { Secret } from '../../../../shared/secret.ts'
import { beatsKeystore, kibanaKeystore } from '../../../support/keystores.ts'

function codeOf(reading: KeystoreReading): string {
  return reading.kind === 'opened' ? 'opened' : reading.reason.code
}

function valuesOf(reading: KeystoreReading) {
  if (reading.kind === 'refused') return reading.reason
  const { version, hasPassword, entries, otherNames } = reading
  const values = Object.fromEntries([...entries].map(([name, value]) => [name, value.reveal()]))
  return { version, hasPassword, values, otherNames }
}

await t.test('the store of Kibana is read, with and without a password', async t => {
  const values = { 'elasticsearch.password': 'pässword', empty: '', constructor: 'x' }
  const plain = kibanaKeystore(values)
  const other = kibanaKeystore({ ...values, 'server.ssl.keyPassphrase': 12345, list: ['a'] })
  const locked = kibanaKeystore(values, { password: 'gehéim' })

  t.same(valuesOf(await readKibanaKeystore(plain)), {
    version: 1,
    hasPassword: false,
    values,
    otherNames: [],
  })
  t.same(valuesOf(await readKibanaKeystore(other)), {
    version: 1,
    hasPassword: false,
    values,
    otherNames: ['server.ssl.keyPassphrase', 'list'],
  })
  t.match(valuesOf(await readKibanaKeystore(locked, new Secret('gehéim'))), {
    hasPassword: true,
    values,
  })
  t.equal(codeOf(await readKibanaKeystore(plain, new Secret('unused'))), 'opened')
  t.equal(codeOf(await readKibanaKeystore(locked)), 'keystore-password-needed')
  t.equal(codeOf(await readKibanaKeystore(locked, new Secret(''))), 'keystore-password-needed')
  t.equal(codeOf(await readKibanaKeystore(locked, new Secret('no'))), 'keystore-wrong-password')
  t.equal(codeOf(await readKibanaKeystore(Buffer.concat([plain, Buffer.from('\n')]))), 'opened')
})

await t.test('the store of a Beat is read', async t => {
  const values = { ES_PWD: 'pässword "$1"', empty: '' }

  t.same(valuesOf(await readBeatsKeystore(beatsKeystore(values))), {
    version: 1,
    hasPassword: false,
    values,
    otherNames: [],
  })
  const text = '{"a":{"value":null}}'
  t.match(valuesOf(await readBeatsKeystore(beatsKeystore({}, { text }))), { values: { a: '' } })
  const locked = beatsKeystore(values, { password: 'x' })
  t.equal(codeOf(await readBeatsKeystore(locked)), 'keystore-password-needed')
})

await t.test('what is not understood is refused, and no secret is in the reason', async t => {
  const kibana = kibanaKeystore({ a: 'b' }).toString()
  const beats = beatsKeystore({ a: 'b' }).toString()
  const refusals = [
    [kibana.replace('1:', '2:'), beats.replace('v1', 'v2'), 'keystore-version-unknown'],
    ['', '', 'keystore-damaged'],
    ['1:', 'v1', 'keystore-damaged'],
    ['1:AAAA', 'v1AAAA', 'keystore-damaged'],
    [`${kibana}!`, `${beats}!`, 'keystore-damaged'],
    [kibana.slice(2), beats.slice(2), 'keystore-damaged'],
    [`1:${Buffer.alloc(200).toString('base64')}`, beats.slice(0, -8), 'keystore-password-needed'],
  ] as const
  for (const [ofKibana, ofBeats, code] of refusals) {
    t.equal(codeOf(await readKibanaKeystore(Buffer.from(ofKibana))), code, ofKibana.slice(0, 9))
    t.equal(codeOf(await readBeatsKeystore(Buffer.from(ofBeats))), code, ofBeats.slice(0, 9))
  }
  for (const text of ['unsayable', '"unsayable"', '["unsayable"]', 'null', '{"unsayable']) {
    const readings = [
      await readKibanaKeystore(kibanaKeystore({}, { text })),
      await readBeatsKeystore(beatsKeystore({}, { text })),
    ]
    t.same(readings.map(codeOf), ['keystore-damaged', 'keystore-damaged'])
    t.notMatch(JSON.stringify(readings), /unsayable/)
  }
  for (const text of ['{"a":"unsayable"}', '{"a":{}}', '{"a":null}', '{"a":{"value":"b"}}'])
    t.equal(codeOf(await readBeatsKeystore(beatsKeystore({}, { text }))), 'keystore-damaged', text)
})

await t.test('cut or random files never make a reader throw', async () => {
  const files = [kibanaKeystore({ a: 'b' }), beatsKeystore({ a: 'b' })]
  const cut = fc
    .tuple(fc.constantFrom(...files), fc.double({ min: 0, max: 0.99, noNaN: true }))
    .map(([file, part]) => file.subarray(0, Math.floor(part * file.length)))
  await fc.assert(
    fc.asyncProperty(fc.oneof(cut, fc.uint8Array({ maxLength: 100 })), async bytes => {
      const readings = [await readKibanaKeystore(bytes), await readBeatsKeystore(bytes)]
      return readings.every(reading => reading.kind === 'refused')
    }),
    { numRuns: 40 },
  )
})
