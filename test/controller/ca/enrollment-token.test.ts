import t from 'tap'
import { createToken, matchesSecret } from '../../../controller/ca/enrollment-token.ts'
import { sha256 } from '../../../shared/digest.ts'
import { parseToken } from '../../../shared/pki/enrollment-token.ts'
import { Secret } from '../../../shared/secret.ts'
import { seededRandom } from '../../shared/pki/support.ts'

const random = seededRandom('token')
const place = { pin: `sha256:${'0'.repeat(64)}`, enrollUrl: 'https://controller.example:8444' }

await t.test('what the node parses matches what the controller stored', async t => {
  const created = createToken({ random, ...place })
  const parsed = parseToken(created.token.reveal())

  t.match(parsed, { id: created.id, ...place })
  t.equal(Buffer.from(parsed.secret.reveal(), 'base64url').length, 32)
  t.equal(created.secretHash, sha256(parsed.secret.reveal()))
  t.ok(matchesSecret(parsed.secret, created.secretHash))
  t.notMatch(JSON.stringify(created), parsed.secret.reveal(), 'neither token nor secret prints')
})

await t.test('nothing else matches', async t => {
  const a = createToken({ random, ...place })
  const b = createToken({ random, ...place })
  const secret = parseToken(a.token.reveal()).secret
  t.not(a.id, b.id)
  t.notOk(matchesSecret(secret, b.secretHash))
  t.notOk(matchesSecret(new Secret(a.secretHash), a.secretHash), 'the hash is not the secret')
  for (const hash of [
    '',
    'x',
    a.secretHash.slice(1),
    `${a.secretHash}0`,
    a.secretHash.toUpperCase(),
  ])
    t.notOk(matchesSecret(secret, hash), JSON.stringify(hash))
  t.notOk(matchesSecret(new Secret(''), a.secretHash))
})

await t.test('a token without a real pin or a safe URL is not made', async t => {
  t.throws(() => createToken({ random, ...place, pin: 'x' }), { code: 'token-malformed' })
  t.throws(() => createToken({ random, ...place, enrollUrl: 'http://x' }), {
    code: 'token-malformed',
  })
})
