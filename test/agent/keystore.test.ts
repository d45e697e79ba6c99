// A product with a store of secrets and a PKCS#12 file: whole passes on a node in memory.

import t from 'tap'
import { plannedTools } from '../../agent/planned-tools.ts'
import type { Seen } from '../../agent/services/service.ts'
import { fakeUnit } from './services/fake-node.ts'
import { activeFingerprint, outcomes } from '../support/memory-fleet.ts'
import {
  guestAgent,
  guestPass,
  guestWish,
  leftovers,
  newGuestNode,
} from '../support/guest-fleet.ts'
import {
  BOOTSTRAP,
  CA_STORE,
  DROP_IN,
  KEYSTORE,
  MATERIAL,
  STORE_CONF,
  secretsIn,
  storeDriver,
  writeSecrets,
} from '../support/store-product.ts'

const PASSWORD_ENTRY = 'xpack.security.http.ssl.keystore.secure_password'
const PASSWORD_FILE = `${MATERIAL}/store-password`
const ON = await guestWish({ store: 'on' })
const OFF = await guestWish({ store: 'off' })

const SEEN: Seen = {
  unit: fakeUnit({}),
  file: () => undefined,
  command: () => undefined,
  directory: () => undefined,
  keystore: () => undefined,
}

const entriesOf = (node: ReturnType<typeof newGuestNode>) =>
  Object.fromEntries([...secretsIn(node.files)].map(([name, value]) => [name, value.toString()]))

await t.test(
  'from plaintext to TLS in one transaction: files, secrets, tools, one restart',
  async t => {
    const node = newGuestNode()

    const reports = await guestPass(node, ON)

    t.strictSame(outcomes(reports), { elasticsearch: 'changed' })
    t.strictSame(node.activations, ['daemon-reload', 'restart elasticsearch.service'])
    t.equal(node.served('elasticsearch'), activeFingerprint(reports, 'elasticsearch'))
    const password = node.files.text(PASSWORD_FILE)?.trim()
    t.match(password, /^[\w-]{43}$/, '256 bits')
    t.strictSame(entriesOf(node), {
      'keystore.seed': 'seed',
      [PASSWORD_ENTRY]: password,
      'bootstrap.password': BOOTSTRAP,
    })
    t.strictSame(node.tree.get(PASSWORD_FILE)?.owner, { mode: 0o600, uid: 0, gid: 0 })
    t.strictSame(
      node.tree.get(KEYSTORE)?.owner,
      { mode: 0o660, uid: 0, gid: 103 },
      'the group that the tool lost',
    )
    t.strictSame(leftovers(node), [])
    const kinds = reports[0]?.changes.map(({ kind, summary }) => `${kind}: ${summary}`)
    t.ok(kinds?.includes('tool: run update-ca-certificates on what has changed'))
    t.ok(
      kinds?.includes(
        `keystore: set ${PASSWORD_ENTRY}, bootstrap.password and remove old.entry in ${KEYSTORE}`,
      ),
    )
    t.strictSame(
      reports[0]?.notices.map(({ code }) => code),
      ['advice'],
    )

    const changes = node.changes()
    const agent = await guestAgent(node)
    t.strictSame(await agent.plan(ON), await agent.plan(ON))
    t.strictSame(outcomes(await guestPass(node, ON)), { elasticsearch: 'in-sync' })
    t.strictSame(outcomes(await guestPass(node, ON)), { elasticsearch: 'in-sync' })
    t.equal(node.changes() - changes, 0, 'nothing is written on a converged node')
  },
)

await t.test('the release holds key, chain, bundle and store, closed to others', async t => {
  const node = newGuestNode()
  await guestPass(node, ON)
  const link = await node.files.readLink(`${MATERIAL}/current`)
  const file = (name: string) => node.files.text(`${MATERIAL}/${link}/${name}`) ?? ''
  const modeOf = (name: string) => node.tree.get(`${MATERIAL}/${link}/${name}`)?.owner.mode

  t.equal(file('bundle.pem'), `${file('key.pem')}${file('chain.pem')}`)
  t.strictSame(['key.pem', 'bundle.pem', 'http.p12'].map(modeOf), [0o640, 0o640, 0o640])
})

await t.test(
  'a password that the product has already is taken over, and its entry stays',
  async t => {
    const node = newGuestNode({})
    await guestPass(node, ON)
    const other = newGuestNode({})
    // As autoconfiguration leaves it: TLS with a file and a password of its own.
    for (const path of [CA_STORE, DROP_IN, STORE_CONF])
      other.files.put(path, node.files.text(path) ?? '')
    writeSecrets(other.files, { 'keystore.seed': 'seed', [PASSWORD_ENTRY]: 'autoconfigured' })

    const reports = await guestPass(other, ON)

    t.strictSame(outcomes(reports), { elasticsearch: 'changed' })
    t.equal(other.files.text(PASSWORD_FILE), 'autoconfigured\n')
    t.equal(entriesOf(other)[PASSWORD_ENTRY], 'autoconfigured')
  },
)

await t.test(
  'an entry that somebody changed is set back, and no new certificate is made',
  async t => {
    const node = newGuestNode()
    const first = await guestPass(node, ON)
    await guestPass(node, ON)
    const activations = node.activations.length
    node.advance(1000)
    writeSecrets(node.files, { ...entriesOf(node), [PASSWORD_ENTRY]: 'by hand' })

    const reports = await guestPass(node, ON)

    t.strictSame(outcomes(reports), { elasticsearch: 'changed' })
    t.equal(reports[0]?.corrective, true)
    t.strictSame(
      reports[0]?.changes.map(({ kind }) => kind),
      ['keystore'],
    )
    t.equal(entriesOf(node)[PASSWORD_ENTRY], node.files.text(PASSWORD_FILE)?.trim())
    t.equal(
      activeFingerprint(reports, 'elasticsearch'),
      activeFingerprint(first, 'elasticsearch'),
      'the same certificate',
    )
    t.equal(node.activations.length, activations, 'the process has the right one loaded')
  },
)

await t.test(
  'a lost password file is written again from the entry; a lost store makes a new release',
  async t => {
    const node = newGuestNode()
    const first = await guestPass(node, ON)
    const password = node.files.text(PASSWORD_FILE)
    node.tree.delete(PASSWORD_FILE)

    const kept = await guestPass(node, ON)

    t.strictSame(
      kept[0]?.changes.map(({ summary }) => summary),
      ['keep the password of http.p12'],
    )
    t.equal(node.files.text(PASSWORD_FILE), password)
    t.equal(activeFingerprint(kept, 'elasticsearch'), activeFingerprint(first, 'elasticsearch'))

    const link = await node.files.readLink(`${MATERIAL}/current`)
    node.files.put(`${MATERIAL}/${link}/http.p12`, 'half a store', { mode: 0o640 })
    const renewed = await guestPass(node, ON)
    t.equal(renewed[0]?.changes[0]?.reason.code, 'store-stale')
    t.not(activeFingerprint(renewed, 'elasticsearch'), activeFingerprint(first, 'elasticsearch'))
    t.equal(node.served('elasticsearch'), activeFingerprint(renewed, 'elasticsearch'))
  },
)

await t.test(
  'off takes the secret out and puts plaintext back; a node that never had TLS is left alone',
  async t => {
    const node = newGuestNode()
    const untouched = newGuestNode()
    await guestPass(node, ON)
    const releases = await node.files.list(`${MATERIAL}/releases`)

    const reports = await guestPass(node, OFF)

    t.strictSame(outcomes(reports), { elasticsearch: 'changed' })
    t.equal(node.served('elasticsearch'), 'plaintext')
    t.match(reports[0]?.served[0], { ok: true, reason: { code: 'served-as-wanted' } })
    t.equal(reports[0]?.renewAtMs, undefined)
    t.notOk(entriesOf(node)[PASSWORD_ENTRY])
    t.equal(node.files.text(DROP_IN), undefined)
    t.strictSame(await node.files.list(`${MATERIAL}/releases`), releases, 'nothing is deleted')
    t.strictSame(outcomes(await guestPass(node, OFF)), { elasticsearch: 'in-sync' })

    const [report] = await guestPass(untouched, OFF)
    t.strictSame([report?.outcome, report?.changes], ['in-sync', []])
    t.notMatch(untouched.files.text(STORE_CONF), /xpack/)
    t.strictSame(untouched.activations, [])

    await guestPass(node, ON)
    t.match(node.served('elasticsearch'), /^[0-9a-f]{64}$/, 'and on again, with the same release')
    t.strictSame(await node.files.list(`${MATERIAL}/releases`), releases)
  },
)

await t.test('what does not come up gets files, drop-in, secrets and CA store back', async t => {
  const node = newGuestNode()
  const before = { text: node.files.text(KEYSTORE) }
  node.refuseStart = name =>
    name === 'elasticsearch.service' && node.files.text(DROP_IN) !== undefined

  const reports = await guestPass(node, ON)

  t.strictSame(outcomes(reports), { elasticsearch: 'restored' })
  t.equal(node.served('elasticsearch'), 'plaintext')
  t.same(node.files.text(KEYSTORE), before.text, 'byte for byte')
  t.equal(node.files.text(CA_STORE), 'system CAs\n')
  t.equal(node.files.text(DROP_IN), undefined)
  t.notMatch(node.files.text(STORE_CONF), /xpack/)
  t.strictSame(node.activations, [
    'daemon-reload',
    'restart elasticsearch.service',
    'daemon-reload',
    'restart elasticsearch.service',
  ])
  t.strictSame(leftovers(node), [])
})

await t.test('a tool that fails, or does not do what it was told, undoes all of it', async t => {
  for (const [code, run] of [
    ['keystore-tool-failed', () => ({ code: 78, stdout: '', stderr: `no ${BOOTSTRAP}` })],
    ['keystore-not-set', () => ({ code: 0, stdout: '', stderr: '' })],
  ] as const) {
    const node = newGuestNode()
    const { commands } = node.host
    const host = {
      ...node.host,
      commands: {
        run: (argv: readonly string[], options: Parameters<typeof commands.run>[1]) =>
          argv[0]?.includes('keystore') === true
            ? Promise.resolve(run())
            : commands.run(argv, options),
      },
    }

    const reports = await guestPass(node, ON, { host })

    t.equal(reports[0]?.outcome, 'restored')
    t.equal(reports[0]?.reason.code, code)
    t.notMatch(node.files.text(STORE_CONF), /xpack/)
    t.equal(node.files.text(CA_STORE), 'system CAs\n')
    t.equal(
      node.activations.includes('restart elasticsearch.service'),
      false,
      'the process has seen none of it',
    )
    t.strictSame(leftovers(node), [])
  }
})

await t.test(
  'a store that cannot be opened is left alone, and so is everything with it',
  async t => {
    const node = newGuestNode()
    node.files.put(KEYSTORE, 'not a keystore')

    const reports = await guestPass(node, ON)

    t.strictSame(outcomes(reports), { elasticsearch: 'failed' })
    t.match(reports[0]?.reason, { code: 'keystore-damaged', message: /elasticsearch\.keystore/ })
    t.notMatch(node.files.text(STORE_CONF), /xpack/)
    t.strictSame(node.activations, [])
  },
)

await t.test(
  'in an image no tool is run, so what needs one is refused before anything is written',
  async t => {
    const node = newGuestNode()
    const changes = node.changes()
    const agent = await guestAgent(node, { host: { ...node.host, isOffline: true } })

    const [report] = await agent.plan(ON)

    t.match(report, { outcome: 'failed', reason: { code: 'keystore-offline' } })
    t.ok(node.changes() - changes < 5, 'the state directory alone')
  },
)

await t.test('a tool runs for the files it works on, and where what it made is stale', async t => {
  const node = newGuestNode()
  await guestPass(node, ON)
  const agent = await guestAgent(node)
  const [tls] = ON
  if (tls?.service !== 'elasticsearch') throw new Error('another wish')
  const compilation = storeDriver.compile(tls, SEEN, { servicePath: path => path })
  if (compilation.kind !== 'compiled') throw new Error('not compiled')
  const stale = {
    ...compilation.compiled,
    tools: compilation.compiled.tools.map(tool => ({ ...tool, isStale: true })),
  }

  t.strictSame(plannedTools(compilation.compiled, [], { isOffline: false }).list, [])
  const { list } = plannedTools(stale, [], { isOffline: false })
  t.match(list, [
    { isUndone: false, summary: { kind: 'tool', summary: 'run update-ca-certificates' } },
  ])
  const offline = plannedTools(stale, [], { isOffline: true })
  t.strictSame([offline.list, offline.notices[0]?.code], [[], 'tool-offline'])
  t.strictSame((await agent.plan(ON))[0]?.changes, [])
})
