// Compiled code that is kept comes back as it was, and nothing of a file that is damaged or that
// somebody else could have written: the engine would die of it, or run it.

import { chmodSync, chownSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { readCompiled, serialize, writeCompiled } from '../../../systemd/start/kept-code.ts'

const UID = process.getuid?.() ?? 0
const scripts = new Map([
  ['main.cjs', { source: 0xdeadbeef, code: Buffer.from('one two three') }],
  ['chunk-1.cjs', { source: 0, code: Buffer.alloc(0) }],
  ['chunk-2.cjs', { source: 7, code: Buffer.alloc(4096, 1) }],
])

await t.test('what was written is read', async t => {
  const anyScripts = fc.dictionary(
    fc.stringMatching(/^[a-z][a-z0-9-]{0,12}\.cjs$/),
    fc.record({ source: fc.nat(0xffffffff), code: fc.uint8Array({ maxLength: 70 }) }),
  )
  const path = join(t.testdir(), 'some.code')
  fc.assert(
    fc.property(anyScripts, given => {
      const wanted = Object.entries(given).map(
        ([name, { source, code }]) => [name, { source, code: Buffer.from(code) }] as const,
      )
      writeCompiled(path, new Map(wanted))
      t.same([...readCompiled(path, UID)], wanted)
    }),
    { numRuns: 40 },
  )
})

await t.test('code begins where the engine can use it without a copy', async t => {
  const path = join(t.testdir(), 'some.code')
  writeCompiled(path, scripts)
  for (const [name, { code }] of readCompiled(path, UID)) {
    // An empty one has no place.
    if (code.length > 0) t.equal(code.byteOffset % 8, 0, name)
  }
})

await t.test('of a damaged file nothing is read, whatever the damage', async t => {
  const path = join(t.testdir(), 'some.code')
  const whole = serialize(scripts)
  const read = (bytes: Uint8Array) => {
    writeFileSync(path, bytes, { mode: 0o600 })
    return readCompiled(path, UID).size
  }
  t.equal(read(whole), scripts.size)
  fc.assert(
    fc.property(fc.nat(whole.length - 1), fc.integer({ min: 1, max: 255 }), (at, mask) => {
      const damaged = Buffer.from(whole)
      damaged[at] = (damaged[at] ?? 0) ^ mask
      t.equal(read(damaged), 0, `byte ${at} xor ${mask}`)
    }),
    { numRuns: 100 },
  )
  for (const length of [0, 3, 7, 8, 9, whole.length - 1])
    t.equal(read(whole.subarray(0, length)), 0, `its first ${length} bytes`)
  t.equal(read(Buffer.alloc(whole.length)), 0, 'zeroes, as after a power failure')
})

await t.test('of a file that others can write, or have, nothing is read', async t => {
  const path = join(t.testdir(), 'some.code')
  writeCompiled(path, scripts)
  t.equal(statSync(path).mode & 0o777, 0o600)
  t.equal(readCompiled(path, UID).size, scripts.size)
  for (const mode of [0o620, 0o602]) {
    chmodSync(path, mode)
    t.equal(readCompiled(path, UID).size, 0, mode.toString(8))
  }
  chmodSync(path, 0o600)
  t.equal(readCompiled(path, UID).size, scripts.size)
  if (UID === 0) {
    chownSync(path, 4321, 4321)
    t.equal(readCompiled(path, UID).size, 0, 'somebody else has it')
    t.equal(readCompiled(path, 4321).size, scripts.size, 'their own')
  }
})

await t.test('what cannot be written is not, and leaves nothing behind', async t => {
  const directory = t.testdir({ 'a-file': '', 'some.code': { 'not-a-file': '' } })
  writeCompiled(join(directory, 'a-file', 'some.code'), scripts)
  writeCompiled(join(directory, 'some.code'), scripts)
  t.same(readdirSync(directory).toSorted(), ['a-file', 'some.code'])
  t.equal(readCompiled(join(directory, 'nothing.code'), UID).size, 0)

  writeCompiled(join(directory, 'made', 'for-it', 'some.code'), scripts)
  t.equal(statSync(join(directory, 'made', 'for-it')).mode & 0o777, 0o700)
})
