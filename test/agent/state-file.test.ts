// Small state documents: whatever happened to one on disk, it is read as it was written or not at all.

import t from 'tap'
import { OperationalError } from '../../shared/errors.ts'
import { journalFile } from '../../agent/journal.ts'
import { EMPTY_LEDGER, type Ledger, ledgerFile } from '../../agent/ledger.ts'
import { stateFile } from '../../agent/state-file.ts'
import { createMemoryFiles, createPower } from '../support/memory-files.ts'
import { STATE } from '../support/memory-fleet.ts'

const PATH = `${STATE}/ledger.json`
const DIGEST = '0123456789abcdef'.repeat(4)
const LEDGER: Ledger = {
  ...EMPTY_LEDGER,
  generation: 17,
  digest: DIGEST,
  reportSequence: 40,
  services: {
    influxdb: {
      staleInvocations: ['1', '2'],
      loaded: { invocationId: '3', inputs: { trust: DIGEST } },
      held: { contentDigest: DIGEST, reason: { code: 'x', message: 'ü "\\ \n' }, broken: true },
    },
  },
}

function newDisk() {
  const files = createMemoryFiles(
    new Map(),
    () => 0,
    () => createPower(undefined),
  )
  files.put(`${STATE}/placeholder`, '')
  return files
}

/** What a node with these bytes in place of its ledger takes them for. */
async function readBytes(bytes: Uint8Array | string) {
  const files = newDisk()
  await files.create(PATH, {
    contents: Buffer.from(bytes),
    mode: 0o600,
    uid: 0,
    gid: 0,
    overwrite: true,
  })
  const read = await ledgerFile(files, STATE).read()
  return { ...read, files }
}

async function goodBytes(): Promise<Buffer> {
  const files = newDisk()
  await ledgerFile(files, STATE).write(LEDGER)
  return Buffer.from(files.text(PATH) ?? '')
}

await t.test('what was written is read again; what was never there is no damage', async t => {
  const files = newDisk()
  const file = ledgerFile(files, STATE)

  t.strictSame(await file.read(), { value: undefined, damage: undefined })
  await file.write(LEDGER)
  t.strictSame(await file.read(), { value: LEDGER, damage: undefined })
  t.equal(files.tree.get(PATH)?.owner.mode, 0o600)
  await file.clear()
  await file.clear()
  t.strictSame(await file.read(), { value: undefined, damage: undefined })
  t.strictSame(
    [...files.tree.keys()].filter(name => name.includes('.tlsfleet')),
    [],
    'no temporary file stays',
  )
})

await t.test(
  'truncated at any byte, it is set aside and never taken for another state',
  async t => {
    const good = await goodBytes()
    for (let length = 0; length < good.length; length++) {
      const { value, damage, files } = await readBytes(good.subarray(0, length))
      // Without its last byte, a line end, it says the same.
      if (length === good.length - 1) t.strictSame(value, LEDGER)
      else if (value !== undefined || damage?.code !== 'state-damaged')
        t.fail(`${length} bytes were accepted: ${JSON.stringify(value)}`)
      else if (files.text(`${PATH}.damaged`) === undefined || files.text(PATH) !== undefined)
        t.fail(`${length} bytes were not set aside`)
    }
    t.pass(`${good.length} lengths`)
  },
)

await t.test('with any bit flipped, it is set aside or says exactly the same', async t => {
  const good = await goodBytes()
  let aside = 0
  for (let at = 0; at < good.length; at++) {
    for (let bit = 0; bit < 8; bit++) {
      const bytes = Buffer.from(good)
      bytes[at] = (bytes[at] ?? 0) ^ (1 << bit)
      const { value, damage } = await readBytes(bytes)
      if (damage !== undefined && value === undefined) aside += 1
      else t.strictSame(value, LEDGER, `bit ${bit} of byte ${at}`)
    }
  }
  t.ok(aside > good.length * 7.5, `${aside} of ${good.length * 8} flips were set aside`)
})

await t.test('other contents are set aside, whatever they are', async t => {
  const text = (await goodBytes()).toString()
  const { checksum, body }: { checksum: string; body: object } = JSON.parse(text)
  const future = stateFile<object>(newDisk(), PATH, value => ({ value }))
  const files = newDisk()
  const sealed = stateFile<object>(files, PATH, value => ({ value }))
  await sealed.write({ ...LEDGER, version: 2 })
  for (const [what, bytes] of Object.entries({
    'of a later version': files.text(PATH) ?? '',
    empty: '',
    zeroes: '\0'.repeat(500),
    'not JSON': 'garbage',
    null: 'null',
    'a number': '1',
    'a list': '[]',
    'without a checksum': JSON.stringify({ body }),
    'without a body': JSON.stringify({ checksum }),
    'a checksum that is no text': JSON.stringify({ checksum: 1, body }),
    'another generation': text.replace('17', '16'),
    'another prototype': `{"checksum":"${checksum}","body":{"__proto__":{"version":1}}}`,
    'a deep nesting': `{"checksum":"x","body":${'['.repeat(5000)}${']'.repeat(5000)}}`,
    binary: Buffer.from([0xff, 0xfe, 0x00, 0x80]).toString('latin1'),
  })) {
    const { value, damage } = await readBytes(bytes)
    t.strictSame([value, damage?.code], [undefined, 'state-damaged'], what)
    t.match(damage?.message, /ledger\.json.*set aside/, what)
  }
  t.strictSame(await future.read(), { value: undefined, damage: undefined })
})

await t.test('one that cannot even be set aside is no reason to fail', async t => {
  const files = newDisk()
  files.put(PATH, 'garbage')
  const stuck = {
    ...files,
    rename: () => Promise.reject(new OperationalError('read-only', 'could not rename it')),
  }

  const read = await ledgerFile(stuck, STATE).read()

  t.strictSame([read.value, read.damage?.code], [undefined, 'state-damaged'])
})

await t.test('a directory in its place is damage as well', async t => {
  const files = newDisk()
  files.put(`${PATH}/inside`, '')

  const read = await ledgerFile(files, STATE).read()

  t.strictSame([read.value, read.damage?.code], [undefined, 'state-damaged'])
  await ledgerFile(files, STATE).write(LEDGER)
  t.strictSame((await ledgerFile(files, STATE).read()).value, LEDGER)
})

await t.test('what cannot be read at all is an error, for it may be all right', async t => {
  const files = newDisk()
  await ledgerFile(files, STATE).write(LEDGER)
  const denied = {
    ...files,
    read: () => Promise.reject(new OperationalError('permission-denied', 'could not read it')),
  }

  await t.rejects(ledgerFile(denied, STATE).read(), { code: 'permission-denied' })
  t.strictSame((await ledgerFile(files, STATE).read()).value, LEDGER)
})

await t.test('a power cut while writing leaves the old or the new one', async t => {
  for (const cut of [0, 1, 2]) {
    const tree = newDisk().tree
    let power = createPower(undefined)
    const files = createMemoryFiles(
      tree,
      () => 0,
      () => power,
    )
    const file = ledgerFile(files, STATE)
    await file.write(LEDGER)
    power = createPower(cut)
    await file.write({ ...LEDGER, generation: 18 }).catch(() => undefined)
    power = createPower(undefined)

    t.equal((await file.read()).value?.generation, cut < 2 ? 17 : 18)
  }
})

await t.test('journals are read as strictly', async t => {
  const files = newDisk()
  const loose = stateFile<object>(files, `${STATE}/journal.json`, value => ({ value }))
  const journal = journalFile(files, STATE)
  for (const wrong of [{}, { version: 1 }, { version: 1, step: 'dancing' }]) {
    await loose.write(wrong)
    const { value, damage } = await journal.read()
    t.strictSame([value, damage?.code], [undefined, 'state-damaged'], JSON.stringify(wrong))
  }
})
