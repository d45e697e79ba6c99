// The agent's identity on disk.

import { X509Certificate } from 'node:crypto'
import t from 'tap'
import { generateKey, parsePublicKey } from '../../shared/pki/keys.ts'
import { verifyProof } from '../../shared/pki/proof.ts'
import { Secret } from '../../shared/secret.ts'
import {
  acceptSuccessor,
  dropSuccessor,
  identityEndsAtMs,
  identityPath,
  identityRenewalAtMs,
  isForKey,
  loadIdentity,
  loadSuccessor,
  newIdentityKey,
  proveServiceKey,
  storeIdentity,
  storeSuccessor,
  successorPath,
} from '../../agent/identity.ts'
import { createIdentity, createMemoryCa, DAY_MS } from '../support/fake-controller.ts'
import { newNode, STATE } from '../support/memory-fleet.ts'

const START = Date.UTC(2026, 5, 1)
const identity = createIdentity(START, 30 * DAY_MS)

function newDisk() {
  const { files } = newNode()
  files.put(`${STATE}/placeholder`, '')
  return files
}

await t.test('what enrolment left is read again, and only the agent may read it', async t => {
  const files = newDisk()

  t.equal(await loadIdentity(files, STATE), undefined, 'not enrolled')
  await storeIdentity(files, STATE, identity)
  const read = await loadIdentity(files, STATE)

  t.strictSame({ ...read, privateKey: undefined }, { ...identity, privateKey: undefined })
  t.equal(read?.privateKey.reveal(), identity.privateKey.reveal())
  t.equal(files.tree.get(identityPath(STATE))?.owner.mode, 0o600)
  t.notMatch(JSON.stringify(read), /PRIVATE KEY/, 'it does not print')
})

await t.test('a new one takes the place of the old one as a whole', async t => {
  const files = newDisk()
  await storeIdentity(files, STATE, identity)

  await storeIdentity(files, STATE, { ...identity, node: 'n2' })

  t.equal((await loadIdentity(files, STATE))?.node, 'n2')
  t.strictSame(
    [...files.tree.keys()].filter(name => name.includes('.tlsfleet')),
    [],
  )
})

await t.test('a damaged one is an error that says so, whatever the damage is', async t => {
  const files = newDisk()
  await storeIdentity(files, STATE, identity)
  const good = files.text(identityPath(STATE)) ?? ''
  const document: object = JSON.parse(good)
  const other = await generateKey('ec-p256')
  const garbage = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n'
  for (const [what, text] of Object.entries({
    empty: '',
    torn: good.slice(0, good.length / 2),
    'not an object': '[]',
    'of a later version': JSON.stringify({ ...document, version: 2 }),
    'without a key': JSON.stringify({ ...document, privateKey: undefined }),
    'with an unknown field': JSON.stringify({ ...document, more: 1 }),
    'with a certificate that is none': JSON.stringify({ ...document, certificateChain: garbage }),
    'with a key that is none': JSON.stringify({
      ...document,
      privateKey: garbage.replaceAll('CERTIFICATE', 'PRIVATE KEY'),
    }),
    'with a key of another certificate': JSON.stringify({
      ...document,
      privateKey: other.privateKeyPem.reveal(),
    }),
    'with trust that is none': JSON.stringify({ ...document, identityTrust: [garbage] }),
    'with an address that is none': JSON.stringify({ ...document, agentUrl: 'here' }),
  })) {
    files.put(identityPath(STATE), text)
    const error = await loadIdentity(files, STATE).catch(caught => caught)
    t.match(error, { name: 'OperationalError', code: 'identity-damaged' }, what)
    t.notMatch(String(error?.message), /PRIVATE KEY-----\n[A-Za-z]/, 'the key is not quoted')
  }
})

await t.test('it is renewed at half of its life', async t => {
  const dueMs = identityRenewalAtMs(identity)
  t.ok(dueMs >= START + 15 * DAY_MS && dueMs < START + 18 * DAY_MS)
  t.equal(identityRenewalAtMs(identity), dueMs, 'the same answer whenever asked')
  t.equal(identityEndsAtMs(identity), START + 30 * DAY_MS)
  const fleet = Array.from({ length: 20 }, () => createIdentity(START, 30 * DAY_MS))
  const hours = new Set(fleet.map(one => Math.floor(identityRenewalAtMs(one) / 3_600_000)))
  t.ok(hours.size > 10, 'those that were made together are renewed apart')
})

await t.test(
  'a successor lies beside the one in force until it is accepted or dropped',
  async t => {
    const files = newDisk()
    const [next, other] = [createIdentity(START, 60 * DAY_MS), createIdentity(START, 90 * DAY_MS)]
    const chains = async () => [
      (await loadIdentity(files, STATE))?.certificateChain,
      (await loadSuccessor(files, STATE, identity))?.certificateChain,
    ]
    await storeIdentity(files, STATE, identity)

    await storeSuccessor(files, STATE, { current: identity, successor: next })
    t.strictSame(await chains(), [identity.certificateChain, next.certificateChain])
    t.equal(files.tree.get(successorPath(STATE))?.owner.mode, 0o600)
    await dropSuccessor(files, STATE)
    t.strictSame(await chains(), [identity.certificateChain, undefined])

    await storeSuccessor(files, STATE, { current: identity, successor: next })
    await acceptSuccessor(files, STATE)
    t.strictSame(await chains(), [next.certificateChain, undefined])

    await storeSuccessor(files, STATE, { current: identity, successor: other })
    t.equal(await loadSuccessor(files, STATE, next), undefined, 'it follows another one')
    t.equal(files.text(successorPath(STATE)), undefined, 'and is of no use to anybody')
    files.put(successorPath(STATE), 'torn')
    t.equal(await loadSuccessor(files, STATE, next), undefined)

    await storeSuccessor(files, STATE, { current: next, successor: other })
    files.put(identityPath(STATE), 'torn')
    t.equal((await loadIdentity(files, STATE))?.certificateChain, other.certificateChain)
    t.match(files.text(identityPath(STATE)), /BEGIN CERTIFICATE/, 'what was whole is in force now')

    await storeSuccessor(files, STATE, { current: other, successor: next })
    await storeIdentity(files, STATE, identity)
    t.strictSame(await chains(), [identity.certificateChain, undefined], 'an enrolment ends it all')
  },
)

await t.test('a chain belongs to the key that it was made for, and to no other', async t => {
  const { keys, proof } = await newIdentityKey('n1')
  const other = await newIdentityKey('n1')
  const chain = createMemoryCa(START).issue(keys.publicKeyPem, START, DAY_MS)

  t.equal(isForKey(chain, keys), true)
  t.equal(isForKey(chain, other.keys), false)
  t.equal(isForKey('nothing', keys), false)
  t.equal(isForKey('-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----', keys), false)
  t.not(keys.publicKeyPem, other.keys.publicKeyPem)
  t.not(proof, other.proof)
  t.equal(new X509Certificate(chain).subject.includes('n1'), true)
})

await t.test('a proof is bound to the node and the service', async t => {
  const { keys } = await newIdentityKey('n1')
  const publicKey = parsePublicKey(keys.publicKeyPem)
  const proof = proveServiceKey('n1', 'influxdb', keys)
  const holds = (context: readonly string[]) =>
    verifyProof({ purpose: 'sign', context, publicKey, proof })

  t.equal(holds(['n1', 'influxdb']), true)
  t.equal(holds(['n1', 'prometheus']), false)
  t.equal(holds(['n2', 'influxdb']), false)
})

await t.test('a secret stays one', async t => {
  t.equal(JSON.stringify({ key: new Secret('x') }).includes('"x"'), false)
})
