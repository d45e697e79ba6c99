import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { readElasticsearchKeystore } from '../../../../agent/resources/keystore/elasticsearch.ts'
import { Secret } from '../../../../shared/secret.ts'
import { withOracle } from '../../../support/java/oracle.ts'
import { elasticsearchKeystore, withFooter } from '../../../support/keystores.ts'

const P12 = 'xpack.security.http.ssl.keystore.secure_password'
const ENTRIES = { [P12]: 'pässword "$1"', 'keystore.seed': 'AbC~!@#$%^&*-_=+?', empty: '' }
const FILE = Buffer.from([0xff, 0x00, 0xfe])

async function codeOf(bytes: Uint8Array, password?: Secret): Promise<string> {
  const reading = await readElasticsearchKeystore(bytes, password)
  return reading.kind === 'opened' ? 'opened' : reading.reason.code
}

async function valuesOf(bytes: Uint8Array, password?: Secret) {
  const reading = await readElasticsearchKeystore(bytes, password)
  if (reading.kind === 'refused') return reading.reason
  const { version, hasPassword, entries, otherNames } = reading
  const values = Object.fromEntries([...entries].map(([name, value]) => [name, value.reveal()]))
  return { version, hasPassword, values, otherNames }
}

await t.test('every format is read, with and without a password', async t => {
  for (const version of [3, 4, 5, 6]) {
    const open = elasticsearchKeystore({ version, entries: { ...ENTRIES, 'gcs.file': FILE } })
    t.same(await valuesOf(open), {
      version,
      hasPassword: false,
      values: ENTRIES,
      otherNames: ['gcs.file'],
    })
    // What nobody asked for changes nothing.
    if (version < 6) t.equal(await codeOf(open, new Secret('unused')), 'opened')
  }
  const locked = elasticsearchKeystore({ version: 5, password: 'gehéim', entries: ENTRIES })
  t.match(await valuesOf(locked, new Secret('gehéim')), { hasPassword: true, values: ENTRIES })
  t.equal(await codeOf(locked), 'keystore-password-needed')
  t.equal(await codeOf(locked, new Secret('')), 'keystore-password-needed')
  t.equal(await codeOf(locked, new Secret('wrong')), 'keystore-wrong-password')
  const none = elasticsearchKeystore({ version: 4, entries: {} })
  t.match(await valuesOf(none), { values: {}, otherNames: [] })
})

await t.test('values do not print', async t => {
  const reading = await readElasticsearchKeystore(
    elasticsearchKeystore({ version: 4, entries: { a: 'unsayable' } }),
  )
  t.notMatch(JSON.stringify(reading.kind === 'opened' && [...reading.entries]), /unsayable/)
})

await t.test('a file that is not understood is refused with a reason', async t => {
  const file = elasticsearchKeystore({ version: 4, entries: ENTRIES })
  const content = file.subarray(0, -16)
  const changed = (at: number, value: number) => {
    const bytes = Buffer.from(content)
    bytes[at] = value
    return withFooter(bytes)
  }
  // Magic 4, length 1, name 22: the version is in bytes 27 to 30.
  for (const version of [0, 1, 2, 7, 255])
    t.equal(await codeOf(changed(30, version)), 'keystore-version-unknown', `format ${version}`)
  t.match(await valuesOf(changed(30, 7)), { message: 'keystore has the format 7' })
  t.equal(await codeOf(changed(30, 5)), 'keystore-damaged', 'the other order of bytes')
  const damaged = {
    'another magic': changed(0, 0),
    'another length of the name': changed(4, 21),
    'another name': changed(5, 0x45),
    'a flag that is neither yes nor no': changed(31, 2),
    'a block that is too long': changed(35, 0xff),
    'a salt that is too long': changed(36, 0xff),
    'bytes behind the block': withFooter(Buffer.concat([content, Buffer.alloc(1)])),
    'no footer': content,
    'a checksum of other bytes': Buffer.concat([
      file.subarray(0, 60),
      Buffer.of(0),
      file.subarray(61),
    ]),
    'bytes behind the footer': Buffer.concat([file, Buffer.alloc(1)]),
    nothing: Buffer.alloc(0),
    'too much': Buffer.alloc(5 * 1024 * 1024),
  }
  for (const [what, bytes] of Object.entries(damaged))
    t.equal(await codeOf(bytes), 'keystore-damaged', what)
  const longer = elasticsearchKeystore({ version: 4, entries: ENTRIES, behind: '\0' })
  t.equal(await codeOf(longer), 'keystore-damaged', 'bytes behind the last entry')
  // A right checksum over changed contents: as if the password were another one.
  t.equal(await codeOf(changed(50, 0)), 'keystore-wrong-password')
})

await t.test('cut or changed files never make the reader throw', async t => {
  const file = elasticsearchKeystore({ version: 4, entries: { a: 'b' } })
  for (let length = 0; length < file.length; length++)
    if ((await codeOf(file.subarray(0, length))) !== 'keystore-damaged') t.fail(`${length} bytes`)
  const content = file.subarray(0, -16)
  // The header and the lengths, where a change is not just another password.
  const position = fc.oneof(fc.nat(40), fc.integer({ min: 99, max: content.length - 1 }))
  await fc.assert(
    fc.asyncProperty(position, fc.nat(255), async (at, value) => {
      const mutant = Buffer.from(content)
      mutant[at % mutant.length] = value
      await codeOf(withFooter(mutant))
      const broken = Buffer.from(file)
      broken[at % broken.length] = value
      return broken.equals(file) || (await codeOf(broken)) !== 'opened'
    }),
    { numRuns: 60 },
  )
})

await t.test('stores are read that Java wrote with its own ciphers', async t => {
  await withOracle(t, async ({ directory, ask }) => {
    const file = join(directory, 'elasticsearch.keystore')
    const words = Object.entries(ENTRIES).flatMap(([name, value]) => [
      name,
      Buffer.from(value).toString('base64'),
    ])
    const cases = [
      [3, ''],
      [4, 'gehéim'],
      [5, 'gehéim'],
      [6, ''],
    ] as const
    for (const [version, password] of cases) {
      t.same(await ask('keystore', file, String(version), password, ...words), ['written'])
      t.same(await valuesOf(readFileSync(file), new Secret(password)), {
        version,
        hasPassword: password !== '',
        values: ENTRIES,
        otherNames: [],
      })
    }
  })
})
