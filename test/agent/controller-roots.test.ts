import t from 'tap'
import { acceptedRoots, sameRoots } from '../../agent/controller-roots.ts'
import { createAuthority, issueLeaf } from '../../controller/ca/authority.ts'
import { generateKey } from '../../shared/pki/keys.ts'
import { seededRandom } from '../shared/pki/support.ts'

const DAY_MS = 86_400_000
const NOW_MS = Date.UTC(2026, 10, 1)
const known = {
  kind: 'identity',
  fleet: 'demo',
  nowMs: NOW_MS,
  random: seededRandom('generations'),
} as const
const one = await createAuthority({ ...known, rootLifetimeMs: 10 * DAY_MS })
const other = await createAuthority(known)
const { publicKeyPem } = await generateKey('ec-p256')
const leaf = issueLeaf(
  other.intermediate,
  { profile: 'identity', nodeId: 'a', publicKeyPem, lifetimeMs: DAY_MS },
  known,
)
const [first, second] = [one.root.certificatePem, other.root.certificatePem]

await t.test('roots are taken over, one that has ended is left out', t => {
  t.same(acceptedRoots([first, second], NOW_MS), [first, second])
  t.same(acceptedRoots([`a comment\n${second}`], NOW_MS), [second])
  t.same(acceptedRoots([first, second], NOW_MS + 20 * DAY_MS), [second])
  t.end()
})

const REFUSED: readonly (readonly [string, readonly string[]])[] = [
  ['no root at all', []],
  ['the certificate of an agent', [second, leaf.certificatePem]],
  ['an intermediate', [second, other.intermediate.certificatePem]],
  ['several certificates in one text', [first + second]],
  ['something else', [second, '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n']],
]

await t.test('a list that is not what it should be is refused as a whole', t => {
  for (const [what, pems] of REFUSED)
    t.throws(() => acceptedRoots(pems, NOW_MS), { code: 'roots-refused' }, what)
  t.throws(() => acceptedRoots([first], NOW_MS + 20 * DAY_MS), { code: 'roots-refused' }, 'ended')
  t.end()
})

await t.test('the same roots are the same in any order', t => {
  t.ok(sameRoots([first, second], [second, first]))
  t.notOk(sameRoots([first], [second, first]))
  t.end()
})
