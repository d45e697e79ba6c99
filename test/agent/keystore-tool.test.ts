// What the tools of the products are told, each in its own way: never a secret in an argument.

import t from 'tap'
import type { JournalKeystore } from '../../agent/journal.ts'
import { setKeystores } from '../../agent/keystore-tool.ts'
import type { Journal } from '../../agent/journal.ts'
import { encodeKeystore } from '../simulators/elasticsearch/keystore-format.ts'
import { newNode } from '../support/memory-fleet.ts'

const SECRETS = '/var/lib/secrets'
const PATH = '/etc/product/keystore'

interface Told {
  readonly argv: readonly string[]
  readonly stdin: string
}

/** What the tool was told; it does nothing, so that every attempt ends in `keystore-not-set`. */
async function told(
  format: JournalKeystore['format'],
  values: Readonly<Record<string, string>>,
  store?: { readonly entries: Readonly<Record<string, string>>; readonly password: string },
): Promise<readonly Told[]> {
  const node = newNode()
  const said: Told[] = []
  if (store !== undefined) {
    const entries = Object.entries(store.entries).map(
      ([name, value]) => [name, Buffer.from(value)] as const,
    )
    const { password } = store
    node.files.put(PATH, encodeKeystore(new Map(entries), { format: 5, password }))
    node.files.put('/etc/product/passphrase', `${password}\nsecond line`)
  }
  const set = Object.entries(values).map(([name, value]) => {
    node.files.put(`${SECRETS}/${name}`, value)
    return { name, valueFile: `${SECRETS}/${name}` }
  })
  const keystore = {
    path: PATH,
    staged: `${PATH}.new`,
    format,
    tool: '/usr/bin/tool',
    environment: { PATH_CONF: '/etc/product' },
    passphraseFile: '/etc/product/passphrase',
    set,
    remove: ['gone', 'old'],
    mode: 0o600,
    uid: 0,
    gid: 0,
  }
  const host = {
    ...node.host,
    commands: {
      run: async (
        argv: readonly string[],
        { stdin, environment }: Parameters<typeof node.host.commands.run>[1],
      ) => {
        t.strictSame(environment, { PATH_CONF: '/etc/product' })
        said.push({ argv: argv.slice(1), stdin: stdin?.reveal() ?? '' })
        return { code: 0, stdout: '', stderr: '' }
      },
    },
  }
  await t.rejects(setKeystores(host, { ...JOURNAL, keystores: [keystore] }), {
    code: 'keystore-not-set',
  })
  return said
}

const JOURNAL: Journal = {
  version: 1,
  step: 'switching',
  service: 'elasticsearch',
  unit: 'x.service',
  contentDigest: '0'.repeat(64),
  targets: [],
  activation: 'none',
  verify: { stableForMs: 1, deadlineMs: 1 },
  staleInvocations: [],
  wasActive: true,
  servedBefore: [],
  inputs: {},
  restartsMade: 0,
}

await t.test('elasticsearch: all values in one call, a line for each', async t => {
  t.strictSame(await told('elasticsearch', { 'a.b': 'one', c: 'two' }), [
    { argv: ['add', '-x', '-f', 'a.b', 'c'], stdin: 'one\ntwo\n' },
  ])
})

await t.test('elasticsearch: only what differs; the password of a store comes first', async t => {
  const entries = { same: 'as before', old: 'x' }
  const values = { same: 'as before', other: 'new' }

  t.strictSame(await told('elasticsearch', values, { entries, password: '' }), [
    { argv: ['add', '-x', '-f', 'other'], stdin: 'new\n' },
    { argv: ['remove', 'old'], stdin: '' },
  ])
  t.strictSame(await told('elasticsearch', values, { entries, password: 'open sesame' }), [
    { argv: ['add', '-x', '-f', 'other'], stdin: 'open sesame\nnew\n' },
    { argv: ['remove', 'old'], stdin: 'open sesame\n' },
  ])
})

await t.test('kibana: one at a time, and nothing that it could take for JSON', async t => {
  const values = { plain: 'word', number: '12345', quoted: '"x"', spaced: ' x ', truth: 'true' }

  t.strictSame(await told('kibana', values), [
    { argv: ['create'], stdin: '' },
    { argv: ['add', 'plain', '-x', '-f'], stdin: 'word\n' },
    { argv: ['add', 'number', '-x', '-f'], stdin: '"12345"\n' },
    { argv: ['add', 'quoted', '-x', '-f'], stdin: '"\\"x\\""\n' },
    { argv: ['add', 'spaced', '-x', '-f'], stdin: '" x "\n' },
    { argv: ['add', 'truth', '-x', '-f'], stdin: '"true"\n' },
  ])
})

await t.test('beats: its store is a part of the product itself', async t => {
  t.strictSame(await told('beats', { ES_PWD: 'word' }), [
    { argv: ['keystore', 'create'], stdin: '' },
    { argv: ['keystore', 'add', 'ES_PWD', '--stdin', '--force'], stdin: 'word' },
  ])
})
