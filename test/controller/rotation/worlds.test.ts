import t from 'tap'
import { caSetOf, isOfCa } from '../../../controller/rotation/worlds.ts'
import { createAuthority, createIntermediate, issueLeaf } from '../../../controller/ca/authority.ts'
import { generateKey } from '../../../shared/pki/keys.ts'
import { DAY_MS, seededRandom } from '../../shared/pki/support.ts'

await t.test(
  'whose a certificate is shows its chain, also below a CA of which the root is known only',
  async t => {
    const issuing = { nowMs: 1_800_000_000_000, random: seededRandom('worlds') }
    const team = await createAuthority({ ...issuing, kind: 'service', fleet: 'team' })
    const other = await createAuthority({ ...issuing, kind: 'service', fleet: 'other' })
    const second = await createIntermediate(team.root, issuing)
    const { publicKeyPem } = await generateKey('ec-p256')
    const request = {
      profile: 'server',
      publicKeyPem,
      lifetimeMs: DAY_MS,
      names: { dns: ['n1'], ip: [] },
    } as const
    const { chainPem, certificatePem } = issueLeaf(team.intermediate, request, issuing)
    const { chainPem: elsewhere } = issueLeaf(second, request, issuing)
    const root = caSetOf([team.root.certificatePem])
    const intermediate = caSetOf([team.intermediate.certificatePem])
    const foreign = caSetOf([other.root.certificatePem, other.intermediate.certificatePem])

    t.equal(isOfCa(chainPem, root), true, 'by the root alone')
    t.equal(isOfCa(chainPem, intermediate), true)
    t.equal(isOfCa(certificatePem, intermediate), true, 'a leaf that came alone')
    t.equal(isOfCa(elsewhere, intermediate), false)
    t.equal(isOfCa(chainPem, foreign), false)
    t.equal(isOfCa('', root), false)
  },
)
