// Hostile certificate requests: each is read as OpenSSL reads it, or refused with a code of its own
// kind; nothing else ever comes out.

import { spawnSync } from 'node:child_process'
import { createPublicKey } from 'node:crypto'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { OperationalError } from '../../../shared/errors.ts'
import { CSR_ERROR_CODES, type CsrFacts, readCsr } from '../../../shared/pki/csr-reader.ts'
import { buildCsr } from '../../../shared/pki/csr.ts'
import { normalizeNames } from '../../../shared/pki/names.ts'
import { CASES } from './hostile-csr-cases.ts'
import { KEYS, commonName, csrOf, csrPem, derOf, dns, infoOf, ip, spkiOf } from './hostile-csr.ts'
import { OPENSSL } from './support.ts'

t.setTimeout(900_000)

const CHANGED_RUNS = 2000
/** A process for each would take minutes. */
const COMPARED_MAX = 40

/** The facts, or the code of the refusal. Any other error is thrown on. */
function outcomeOf(pem: string): CsrFacts | string {
  try {
    return readCsr(pem)
  } catch (error) {
    if (error instanceof OperationalError && CSR_ERROR_CODES.some(code => code === error.code))
      return error.code
    throw error
  }
}

/** What OpenSSL reads: the key and the names; undefined when it does not accept the signature. */
function opensslOf(pem: string) {
  const args = ['req', '-noout', '-text', '-verify', '-pubkey']
  const { stdout, stderr } = spawnSync(OPENSSL, args, { input: pem, env: { LC_ALL: 'C' } })
  const text = stdout.toString()
  if (!/verify OK/.test(stderr.toString())) return undefined
  const list = /Subject Alternative Name:[^\n]*\n\s*([^\n]*)/.exec(text)?.[1] ?? ''
  const entries = list.split(', ')
  const having = (prefix: string) =>
    entries.filter(entry => entry.startsWith(prefix)).map(entry => entry.slice(prefix.length))
  const key = /-----BEGIN PUBLIC KEY-----[^]*-----END PUBLIC KEY-----\n/.exec(text)?.[0]
  return {
    names: normalizeNames({ dns: having('DNS:'), ip: having('IP Address:') }, { wildcard: true }),
    publicKeyPem: key,
    count: entries.length,
  }
}

function sameAsOpenssl(t: Test, facts: CsrFacts, pem: string, name: string): void {
  const seen = opensslOf(pem)
  t.same(seen?.names, facts.names, `${name}: names as OpenSSL reads them`)
  t.equal(seen?.publicKeyPem, facts.publicKeyPem, `${name}: key as OpenSSL reads it`)
}

await t.test('a request made here is read back', async t => {
  const facts = readCsr(
    buildCsr({
      key: KEYS.rsa,
      names: { dns: ['b.example', 'a.example'], ip: ['10.0.0.1', '2001:db8::1'] },
      subject: { organization: 'Müller & Söhne, Ltd', commonName: 'a.example' },
    }),
  )

  t.match(facts, {
    keyType: 'rsa-2048',
    names: { dns: ['a.example', 'b.example'], ip: ['10.0.0.1', '2001:db8::1'] },
    subject: 'O=Müller & Söhne\\, Ltd, CN=a.example',
    otherExtensions: [],
  })
  t.ok(createPublicKey(facts.publicKeyPem).equals(createPublicKey(KEYS.rsa)))
})

await t.test(`each of ${CASES.length} hostile requests ends as it should`, async t => {
  for (const [name, pem, expected] of CASES) {
    const outcome = outcomeOf(pem)
    t.equal(typeof outcome === 'string' ? outcome : 'good', expected, name)
    if (typeof outcome !== 'string') sameAsOpenssl(t, outcome, pem, name)
  }
})

await t.test('what else is asked for is listed and nothing more', async t => {
  const [, pem = ''] = CASES.find(([name]) => name === 'every purpose') ?? []

  t.same(readCsr(pem).otherExtensions, ['2.5.29.37'])
})

await t.test('a request of which one bit was turned is refused', async t => {
  const der = derOf()
  const outcomes = new Map<string, number>()
  for (let bit = 0; bit < der.length * 8; bit++) {
    const turned = Buffer.from(der)
    turned[bit >> 3] = (turned[bit >> 3] ?? 0) ^ (1 << (bit & 7))
    const outcome = outcomeOf(csrPem(turned))
    if (typeof outcome !== 'string') t.fail(`bit ${bit} may be turned`)
    else outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
  }
  t.comment([...outcomes].map(([code, count]) => `${code} ${count}`).join(', '))
  t.ok(outcomes.has('csr-signature'))
})

await t.test('a request that ends too early is refused wherever it ends', async t => {
  const der = derOf()
  const text = csrOf()
  for (let length = 0; length < der.length; length++)
    t.equal(outcomeOf(csrPem(der.subarray(0, length))), 'csr-unparsable')
  // The text may go without its last line break.
  for (let length = 0; length < text.length - 1; length++)
    t.equal(outcomeOf(text.slice(0, length)), 'csr-unparsable')
})

type Change =
  | { readonly kind: 'set' | 'insert'; readonly at: number; readonly byte: number }
  | { readonly kind: 'remove'; readonly at: number; readonly count: number }
  | { readonly kind: 'repeat'; readonly at: number; readonly count: number; readonly from: number }

const at = fc.nat(400)
const count = fc.integer({ min: 1, max: 16 })
const change: fc.Arbitrary<Change> = fc.oneof(
  fc.record({
    kind: fc.constantFrom('set' as const, 'insert' as const),
    at,
    byte: fc.nat(255),
  }),
  fc.record({ kind: fc.constant('remove' as const), at, count }),
  fc.record({ kind: fc.constant('repeat' as const), at, count, from: at }),
)

function changed(bytes: Buffer, change: Change): Buffer {
  const position = change.at % (bytes.length + 1)
  const head = bytes.subarray(0, position)
  const rest = bytes.subarray(position)
  switch (change.kind) {
    case 'set':
      return Buffer.concat([head, Buffer.from([change.byte]), rest.subarray(1)])
    case 'insert':
      return Buffer.concat([head, Buffer.from([change.byte]), rest])
    case 'remove':
      return Buffer.concat([head, rest.subarray(change.count)])
    case 'repeat': {
      const piece = bytes.subarray(change.from, change.from + change.count)
      return Buffer.concat([head, piece, rest])
    }
    default:
      throw new Error('a change of no kind')
  }
}

const seeds = [
  { names: [dns('es-1.example'), ip('10.0.0.1')], subject: [commonName('es-1.example')] },
  { names: [dns('*.example.org'), ip('2001:db8::1')] },
]

// Changed and then signed again by the right key: a signature alone stops nobody who has a key.
await t.test(
  'a request changed and signed again is read as OpenSSL reads it, or refused',
  async t => {
    let accepted = 0
    let compared = 0
    fc.assert(
      fc.property(
        fc.constantFrom(...seeds),
        fc.array(change, { minLength: 1, maxLength: 4 }),
        fc.boolean(),
        (seed, changes, isSignedLast) => {
          const whole = isSignedLast ? infoOf(seed) : derOf(seed)
          const bytes = changes.reduce(changed, whole)
          const pem = csrPem(isSignedLast ? derOf(seed, bytes) : bytes)
          const outcome = outcomeOf(pem)
          if (typeof outcome === 'string') return
          accepted++
          if (compared >= COMPARED_MAX) return
          compared++
          const seen = opensslOf(pem)
          t.same(seen?.names, outcome.names, `names of ${pem}`)
          t.equal(seen?.publicKeyPem, outcome.publicKeyPem, `key of ${pem}`)
        },
      ),
      { numRuns: CHANGED_RUNS },
    )
    t.comment(`${accepted} of ${CHANGED_RUNS} accepted, ${compared} compared`)
    t.ok(compared > 0)
  },
)

await t.test('any text at all is refused with a code', async t => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.string({ unit: 'binary' })), text => {
      outcomeOf(text)
      outcomeOf(csrPem(Buffer.from(text)))
      outcomeOf(`-----BEGIN CERTIFICATE REQUEST-----\n${text}\n-----END CERTIFICATE REQUEST-----\n`)
    }),
    { numRuns: 200 },
  )
  t.pass()
})

await t.test('names of every kind come out as OpenSSL reads them', async t => {
  fc.assert(
    fc.property(
      fc.array(fc.domain(), { minLength: 1, maxLength: 5 }),
      fc.array(fc.oneof(fc.ipV4(), fc.ipV6()), { maxLength: 3 }),
      (hosts, addresses) => {
        const pem = csrOf({ names: [...hosts.map(dns), ...addresses.map(ip)] })
        const outcome = outcomeOf(pem)
        if (typeof outcome !== 'string') t.same(opensslOf(pem)?.names, outcome.names)
      },
    ),
    { numRuns: 40 },
  )
})

await t.test('the key that signs is the key that is named', async t => {
  const { publicKeyPem } = readCsr(csrOf())

  t.same(createPublicKey(publicKeyPem).export({ type: 'spki', format: 'der' }), spkiOf(KEYS.ec))
})
