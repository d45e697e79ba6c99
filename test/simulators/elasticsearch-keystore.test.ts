// The keystore of the Elasticsearch simulator: its file format and its command line.

import {
  chmodSync,
  chownSync,
  existsSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { runCommand } from '../lab/command.ts'
import { createNode } from './elasticsearch-scene.ts'
import {
  decodeKeystore,
  encodeKeystore,
  hasPassword,
  keystoreFormatOf,
} from './elasticsearch/keystore-format.ts'

// Written by a real 7.x (github.com/arno01/keysteal, test_keystores/es_1.keystore, no password).
const REAL_V4 = Buffer.from(
  'P9dsFxZlbGFzdGljc2VhcmNoLmtleXN0b3JlAAAABAAAAAChAAAAQB075WACTJsRQHSrLiP3m7p6dYk/8BOzA1C2EGq/jLA+6XADLWKnWoJ8kiYib50IN+STUVNFP+QI4eNaJ/ZcQkgAAAAM4XKrwa6Wb+OM9+PoAAAASU0nCXVILSwqnrcVIGC9kqJltJMx4R0z3QRBU10OkHz312KRMJMubUG5e2fsu1HU3I7C82IFLv+81Y2jdaXG1D5DPYDu/T1XI7jAKJPoAAAAAAAAAAD4641V',
  'base64',
)

// A busy machine takes its time to start a dozen processes.
t.setTimeout(300_000)

await t.test('a keystore of a real Elasticsearch is read', t => {
  t.same(
    [...decodeKeystore(REAL_V4, '').entries].map(([name, value]) => [name, value.toString()]),
    [
      ['asdf', 'zxcv'],
      ['keystore.seed', 'eJbq^==M4*ARllJmvkm_'],
    ],
  )
  t.end()
})

await t.test('every format comes back as it went in, and nothing else does', t => {
  const entries = new Map([
    ['keystore.seed', Buffer.from('x')],
    ['a.b', Buffer.from([0, 255, 10])],
  ])
  for (const format of [3, 4, 5, 6] as const) {
    for (const password of ['', 'pässword']) {
      const bytes = encodeKeystore(entries, { format, password })
      const back = decodeKeystore(bytes, password)
      t.equal(back.format, format)
      t.same([...back.entries], [...entries])
      t.equal(hasPassword(bytes), password !== '')
      t.throws(() => decodeKeystore(bytes, 'other'), {
        message: 'Provided keystore password was incorrect',
      })
      const changed = Buffer.from(bytes)
      changed[60] = (changed[60] ?? 0) ^ 1
      t.throws(() => decodeKeystore(changed, password), { message: /checksum/ })
    }
  }
  t.notSame(
    encodeKeystore(entries, { format: 4, password: '' }),
    encodeKeystore(entries, { format: 4, password: '' }),
    'a new salt each time',
  )
  t.same(
    ['6.3.0', '7.1.0', '7.17.9', '8.0.0', '8.13.4', '8.14.0', '9.1.0'].map(keystoreFormatOf),
    [3, 4, 4, 5, 5, 6, 6],
  )
  t.end()
})

await t.test('the command line', async t => {
  const { directory, keystore } = await createNode(t, t.testdir())
  const file = join(directory, 'elasticsearch.keystore')
  rmSync(file)

  t.match(await keystore(['list']), { code: 65, stderr: /Elasticsearch keystore not found at/ })
  t.match(await keystore(['has-passwd']), { code: 1 })
  t.match(await keystore(['add', '-x', 'a'], 'n\n'), {
    code: 0,
    stdout: 'Exiting without creating keystore.\n',
  })
  t.notOk(existsSync(file))

  t.match(await keystore(['add', '-x', '-f', 'a.b', 'c'], 'one\ntwo\n'), { code: 0, stdout: '' })
  t.match(await keystore(['list']), { code: 0, stdout: 'a.b\nc\nkeystore.seed\n' })
  t.match(await keystore(['show', 'a.b']), { code: 0, stdout: 'one\n' })
  t.equal(statSync(file).mode & 0o777, 0o660)
  t.equal(decodeKeystore(readFileSync(file), '').format, 5)
  const before = readFileSync(file)
  await keystore(['add', '-xf', 'a.b'], 'one\n')
  t.notSame(readFileSync(file), before, 'the same value is written again')

  t.match(await keystore(['add', '-x', 'a.b'], 'n\n'), {
    code: 0,
    stdout: 'Exiting without modifying keystore.\n',
    stderr: 'Setting a.b already exists. Overwrite? [y/N]',
  })
  t.match(await keystore(['add', '-x', 'a.b'], 'y\nother\n'), { code: 0 })
  t.match(await keystore(['show', 'a.b']), { stdout: 'other\n' })
  t.match(await keystore(['add', '-xf']), {
    code: 64,
    stderr: /the setting names can not be empty/,
  })
  t.match(await keystore(['add', '-xf', 'a b'], 'x\n'), {
    code: 65,
    stderr: /allowed setting name/,
  })
  t.match(await keystore(['show', 'nope']), { code: 78 })
  t.match(await keystore(['show', 'a.b', 'c']), { code: 64 })
  t.match(await keystore(['remove', 'nope']), {
    code: 78,
    stderr: /Setting \[nope\] does not exist in the keystore\./,
  })
  t.match(await keystore(['remove', 'a.b', 'c']), { code: 0 })
  t.match(await keystore(['list']), { stdout: 'keystore.seed\n' })
  t.match(await keystore(['nonsense']), { code: 64 })

  t.match(await keystore(['create'], 'n\n'), {
    code: 0,
    stdout: 'Exiting without creating keystore.\n',
  })
  const output = join(directory, 'value')
  t.match(await keystore(['show', '-o', output, 'keystore.seed']), { code: 0, stdout: '' })
  t.equal(readFileSync(output).length, 20, 'no line break is added')
  t.match(await keystore(['upgrade'], '', { SIM_VERSION: '7.17.0' }), { code: 0 })
  t.equal(decodeKeystore(readFileSync(file), '').format, 4, 'the format of the version')
  t.match(await keystore(['upgrade'], '', { SIM_VERSION: '8.14.0' }), { code: 0 })
  t.equal(decodeKeystore(readFileSync(file), '').format, 6)
})

await t.test('a password comes first on standard input', async t => {
  const { directory, keystore } = await createNode(t, t.testdir())
  t.match(await keystore(['has-passwd', '-s']), { code: 1, stdout: '', stderr: '' })
  t.match(await keystore(['passwd'], 'one\ntwo\n'), { code: 65, stderr: /Passwords are not equal/ })
  t.match(await keystore(['passwd'], 'secret\nsecret\n'), { code: 0 })
  t.match(await keystore(['has-passwd', '-s']), { code: 0, stdout: '', stderr: '' })
  t.match(await keystore(['list'], 'wrong\n'), {
    code: 65,
    stderr: /Provided keystore password was incorrect/,
  })
  t.match(await keystore(['add', '-xf', 'a'], 'secret\nvalue\n'), { code: 0 })
  t.match(
    await keystore(['add', '-xf', 'a'], 'value\n'),
    { code: 65 },
    'the value was taken for it',
  )
  t.match(await keystore(['show', 'a'], 'secret\n'), { stdout: 'value\n' })
  const bytes = readFileSync(join(directory, 'elasticsearch.keystore'))
  t.throws(() => decodeKeystore(bytes, ''), { message: /incorrect/ })
})

await t.test(
  'the owner of the file stays',
  { skip: process.getuid?.() !== 0 && 'only root can give files away' },
  async t => {
    const { directory, keystore } = await createNode(t, t.testdir())
    const file = join(directory, 'elasticsearch.keystore')
    chownSync(file, 12_345, 12_345)
    const before = readFileSync(file)

    t.match(await keystore(['add', '-xf', 'a'], 'x\n'), {
      code: 78,
      stderr: /will not overwrite keystore at \[.*\], because this incurs changing the file owner/,
    })
    t.same(readFileSync(file), before)
    t.notOk(existsSync(`${file}.tmp`))

    // Somebody who may read it, but may not write in the directory.
    chmodSync(file, 0o666)
    const program = join(import.meta.dirname, 'elasticsearch/elasticsearch-keystore-sim.ts')
    const script = `$( = $) = 12345; $> = $< = 12345; exec @ARGV`
    for (const path of [t.testdirName, join(t.testdirName, 'n1')]) chmodSync(path, 0o755)
    const denied = await runCommand(
      'perl',
      ['-e', script, process.execPath, program, 'add', '-xf', 'a'],
      { input: 'x\n', env: { ...process.env, ES_PATH_CONF: directory } },
    )
    t.match(denied, { code: 78, stderr: /unable to create temporary keystore at \[/ })
  },
)

await t.test('a file of another version', async t => {
  const { directory, keystore } = await createNode(t, t.testdir())
  const file = join(directory, 'elasticsearch.keystore')
  const bytes = readFileSync(file)
  bytes.writeInt32BE(7, 27)
  writeFileSync(file, bytes)
  t.match(await keystore(['list']), { code: 1, stderr: /format is too new/ })
})
