import t from 'tap'
import { AuthorityState } from '../../../shared/contract/authorities.ts'
import {
  allowedTransition,
  intermediatesOf,
  isTrusted,
  nextId,
  serviceCaOf,
  signerOf,
  trustOf,
} from '../../../controller/ca/generations.ts'
import { createAuthority } from '../../../controller/ca/authority.ts'
import { certificateFacts } from '../../../shared/pki/facts.ts'
import { seededRandom } from '../../shared/pki/support.ts'

const STATES = AuthorityState.options
type State = (typeof STATES)[number]
const record = (state: State, rootCertificate = `root of ${state}`) => ({ state, rootCertificate })

await t.test('trusted, active and outgoing ones are trusted, in their order and once', t => {
  t.same(STATES.filter(isTrusted), ['trusted', 'active', 'outgoing'])
  t.same(trustOf(STATES.map(state => record(state))), [
    'root of trusted',
    'root of active',
    'root of outgoing',
  ])
  t.same(trustOf([record('outgoing', 'a'), record('active', 'b'), record('trusted', 'a')]), [
    'a',
    'b',
  ])
  t.same(trustOf([]), [])
  t.end()
})

await t.test('the active one signs, and nobody else', t => {
  t.equal(signerOf([record('outgoing'), record('active'), record('trusted')])?.state, 'active')
  t.equal(signerOf(STATES.filter(one => one !== 'active').map(one => record(one))), undefined)
  t.equal(serviceCaOf([{ ...record('trusted'), intermediateCertificate: '' }]), undefined)
  t.end()
})

// Rows: from. What is missing is refused.
const TRANSITIONS: Readonly<Record<State, readonly State[]>> = {
  prepared: ['trusted', 'denied'],
  trusted: ['prepared', 'active', 'retired', 'denied'],
  active: ['trusted', 'outgoing'],
  outgoing: ['active', 'retired', 'denied'],
  retired: ['trusted', 'outgoing', 'denied'],
  denied: [],
}

await t.test('a CA changes along the ways of a rotation only', t => {
  for (const from of STATES)
    for (const to of STATES)
      t.equal(allowedTransition(from, to), TRANSITIONS[from].includes(to), `${from} to ${to}`)
  t.end()
})

await t.test(
  'the way there and the way back are made of allowed steps, and none loses the signer',
  t => {
    const walk = (...states: readonly State[]) =>
      states.slice(1).every((to, index) => allowedTransition(states[index] ?? 'denied', to))
    t.ok(walk('prepared', 'trusted', 'active', 'outgoing', 'retired', 'denied'))
    t.ok(walk('active', 'outgoing', 'active'), 'reversed after activate')
    t.ok(walk('trusted', 'active', 'trusted', 'prepared'), 'the new one')
    t.ok(walk('outgoing', 'retired', 'trusted', 'active'), 'reversed after retire')
    t.notOk(walk('active', 'retired'))
    t.notOk(walk('active', 'denied'))
    t.notOk(walk('prepared', 'active'), 'nobody trusts it yet')
    t.end()
  },
)

await t.test('numbers rise and are never given twice', t => {
  t.equal(nextId('service', []), 'service-1')
  t.equal(
    nextId('identity', [{ id: 'identity-1' }, { id: 'identity-10' }, { id: 'identity-2' }]),
    'identity-11',
  )
  t.same(intermediatesOf({ formerIntermediates: ['a', 'b'], intermediateCertificate: 'c' }), [
    'a',
    'b',
    'c',
  ])
  t.end()
})

await t.test('contents are compiled with all roots, the signer and its zones', async t => {
  const known = {
    kind: 'service',
    fleet: 'demo',
    nowMs: Date.now(),
    random: seededRandom('generations'),
  } as const
  const nameConstraints = { dnsZones: ['prod.example'], ipRanges: [] }
  const old = await createAuthority(known)
  const next = await createAuthority({ ...known, nameConstraints })
  const recordOf = ({ root, intermediate }: typeof old, state: State) => ({
    state,
    rootCertificate: root.certificatePem,
    intermediateCertificate: intermediate.certificatePem,
  })

  const before = serviceCaOf([recordOf(old, 'active'), recordOf(next, 'trusted')])
  const after = serviceCaOf([recordOf(old, 'outgoing'), recordOf(next, 'active')])

  t.same(before?.trust, [old.root.certificatePem, next.root.certificatePem])
  t.same(after?.trust, before?.trust, 'activation changes no trust')
  t.equal(before?.issuedBy, certificateFacts(old.intermediate.certificatePem).fingerprint)
  t.equal(after?.issuedBy, certificateFacts(next.intermediate.certificatePem).fingerprint)
  t.equal(before?.constraints, undefined)
  t.match(after?.constraints?.permitted, [{ kind: 'dns', zone: 'prod.example' }])
})
