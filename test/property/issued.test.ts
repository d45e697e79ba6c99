// Whatever is recorded of a node, whatever its document says and whatever it asks: what our CA signs
// has the names that both the record and the document have, and the key that was proven. Documents
// and records are put into the store as no operator could make them: wrong ones are the point.

import { type X509Certificate, randomBytes } from 'node:crypto'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { createToken } from '../../controller/ca/enrollment-token.ts'
import { databasePath } from '../../controller/init.ts'
import { openSqliteStore } from '../../controller/store/sqlite.ts'
import { parseEnrollAnswer, parseSignAnswer } from '../../shared/contract/agent-api.ts'
import { epochIn, sealDesiredState } from '../../shared/contract/desired-state.ts'
import { AGENT_ROUTES } from '../../shared/contract/protocol.ts'
import { ServiceTls } from '../../shared/contract/service.ts'
import { buildCsr } from '../../shared/pki/csr.ts'
import { certificateDetails } from '../../shared/pki/extensions.ts'
import { identityOf } from '../../shared/pki/identity.ts'
import { publicKeyDigest } from '../../shared/pki/keys.ts'
import { type CertificateNames, missingNames, normalizeNames } from '../../shared/pki/names.ts'
import { OID } from '../../shared/pki/oids.ts'
import { pathReasons } from '../../shared/pki/path.ts'
import { parseCertificate, splitPemCertificates } from '../../shared/pki/pem.ts'
import { signProof } from '../../shared/pki/proof.ts'
import {
  type AgentClient,
  agentClient,
  codeOf,
  enroll,
  type Key,
  newKey,
  startController,
} from '../controller/api/support.ts'

const NODES = 40
const seed = Number(process.env['SEED'] ?? Date.now() % 2 ** 31)

// Few names, so that records and documents meet; the second half is what an attacker would like.
const dns = fc.constantFrom(
  'es-1.example.org',
  'ES-1.Example.Org',
  'es-1.example.org.',
  'es-2.example.org',
  'müller.example.org',
  'xn--mller-kva.example.org',
  'localhost',
  'controller.example.org',
  '*.example.org',
  '*.org',
  'es-1.example.org\0.evil',
  '10.0.0.1',
  '0x0a000001',
  'a..b',
  '-x.example.org',
  'xn--zzzzz99999',
  'es-1.example.org,DNS:evil',
)
const ip = fc.constantFrom('10.0.0.1', '10.0.0.2', '::1', '::ffff:10.0.0.1', '2001:DB8::1', '10.1')
const tame = fc.constantFrom(
  'es-1.example.org',
  'es-2.example.org',
  'localhost',
  'ES-1.example.org',
)
const names = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      dns: fc.uniqueArray(tame, { maxLength: 3 }),
      ip: fc.subarray(['10.0.0.1', '::1']),
    }),
  },
  fc.record({ dns: fc.array(dns, { maxLength: 4 }), ip: fc.array(ip, { maxLength: 2 }) }),
)
const scene = fc.record({
  recorded: names,
  /** Undefined: those of the record. */
  wanted: fc.option(names, { nil: undefined }),
  clientAuth: fc.constantFrom('none', 'required'),
  issuer: fc.oneof(
    { weight: 8, arbitrary: fc.constant('internal') },
    fc.constantFrom('self-signed', 'files', 'local-ca', 'provided', 'csr'),
  ),
})
type Scene = typeof scene extends fc.Arbitrary<infer T> ? T : never

const scenes = fc.sample(scene, { numRuns: NODES, seed })
const nameOf = (index: number) => `n${index}`

function documentOf(
  { recorded, wanted, clientAuth, issuer }: Scene,
  { node, epoch }: { readonly node: string; readonly epoch: number },
) {
  const certificate = {
    issuer,
    names: wanted ?? recorded,
    lifetimeMs: 86_400_000 * 30,
    renewBeforeMs: 86_400_000,
  }
  const service = ServiceTls.parse({ service: 'prometheus', certificate, trust: [], clientAuth })
  return sealDesiredState({
    node,
    ...epochIn(epoch),
    generation: 1,
    mode: 'enforce',
    permit: false,
    content: { services: [service] },
  })
}

const tokens = scenes.map(() =>
  createToken({
    random: randomBytes,
    pin: `sha256:${'0'.repeat(64)}`,
    enrollUrl: 'https://localhost:1',
  }),
)

async function prepare(dataDir: string): Promise<void> {
  const store = await openSqliteStore({ path: databasePath(dataDir), busyTimeoutMs: 1000 })
  await store.transaction(async tx => {
    for (const [index, one] of scenes.entries()) {
      const name = nameOf(index)
      const createdAtMs = Date.now()
      const unset = { enrolledAtMs: undefined, seenAtMs: undefined }
      await tx.nodes.insert({ name, labels: {}, names: one.recorded, createdAtMs, ...unset })
      await tx.tokens.insert({
        ...requireToken(index),
        node: name,
        expiresAtMs: createdAtMs + 3_600_000,
        redeemedBy: undefined,
        createdAtMs,
      })
      const epoch = await tx.desired.epoch()
      await tx.desired.put({
        state: documentOf(one, { node: name, epoch }),
        revision: undefined,
      })
    }
  })
  await store.close()
}

function requireToken(index: number) {
  const token = tokens[index]
  if (token === undefined) throw new Error(`there is no node ${index}`)
  return { id: token.id, secretHash: token.secretHash }
}

/** Undefined: not a list of names that may stand in a certificate. */
function normal(list: CertificateNames): CertificateNames | undefined {
  try {
    return normalizeNames(list, { wildcard: false })
  } catch {
    return undefined
  }
}

function mayHave({ recorded, wanted = recorded, issuer }: Scene): CertificateNames | undefined {
  const [all, some] = [normal(recorded), normal(wanted)]
  if (issuer !== 'internal' || all === undefined || some === undefined) return undefined
  if (some.dns.length + some.ip.length === 0) return undefined
  return missingNames(all, some).length === 0 ? some : undefined
}

t.comment(`seed ${seed}`)
t.setTimeout(900_000)

await t.test('issued is what is allowed, and nothing else is', async t => {
  const running = await startController(t, {}, prepare)
  const { identityRoot } = running.controller
  const sign = (client: AgentClient, key: Key, more: object = {}, proofKey = key) =>
    client.post(AGENT_ROUTES.sign, {
      service: 'prometheus',
      generation: 1,
      publicKey: key.publicKeyPem,
      proof: signProof({
        purpose: 'sign',
        context: [client.node, 'prometheus'],
        key: proofKey.privateKey,
      }),
      ...more,
    })

  let issued = 0
  const refusals = new Map<unknown, number>()
  const used: Key[] = []
  for (const [index, one] of scenes.entries()) {
    const node = nameOf(index)
    const identity = await newKey()
    const joined = await enroll(running, tokens[index]?.token.reveal() ?? '', identity)
    const { certificateChain } = parseEnrollAnswer(joined.body)
    const client = agentClient(running, { node, key: identity, certificateChain })
    const key = await newKey()
    // More names than it has, as a request would carry them to another CA.
    const csr = buildCsr({
      key: key.privateKey,
      names: { dns: ['controller.example.org', '*.example.org'], ip: ['10.9.9.9'] },
      subject: { commonName: 'controller.example.org' },
    })
    const answer = await sign(client, key, { csr })
    const allowed = mayHave(one)
    if (allowed === undefined) {
      const code = codeOf(answer)
      refusals.set(code, (refusals.get(code) ?? 0) + 1)
      t.ok(
        answer.status >= 400 && answer.status < 500,
        `${node}: ${JSON.stringify(one)}: ${String(code)}`,
      )
    } else {
      issued++
      t.equal(answer.status, 200, `${node}: ${JSON.stringify(one)}`)
      const chain = splitPemCertificates(parseSignAnswer(answer.body).certificateChain ?? '')
      const [leaf, ...issuers] = chain.map(parseCertificate)
      if (leaf === undefined) throw new Error('there is no leaf')
      checkLeaf(t, leaf, { allowed, key, clientAuth: one.clientAuth })
      t.equal(identityOf(leaf), undefined, 'it is nobody to the controller')
      const trust = [parseCertificate(identityRoot)]
      const purposes = ['server'] as const
      const asController = pathReasons({
        leaf,
        intermediates: issuers,
        trust,
        purposes,
        nowMs: Date.now(),
      })
      t.not(asController.length, 0, 'no agent takes it for the controller, whatever its names')
    }

    for (const other of used.slice(-3)) {
      const stolen = await sign(client, other)
      t.ok(stolen.status >= 400, 'no key of another node, were it proven')
      const unproven = await sign(client, other, {}, key)
      t.equal(codeOf(unproven), 'proof-invalid')
    }
    t.ok((await sign(client, identity)).status >= 400, 'not the key of the identity')
    const withNames = await sign(client, await newKey(), { names: { dns: ['x.example'], ip: [] } })
    t.equal(codeOf(withNames), 'malformed-request', 'a request has no place for names')
    used.push(identity, ...(allowed === undefined ? [] : [key]))
    client.close()
  }
  t.comment(
    `${issued} issued; ${[...refusals].map(([code, n]) => `${String(code)} ${n}`).join(', ')}`,
  )
  t.ok(issued > 0 && refusals.size > 0, 'both happen')
})

function checkLeaf(
  t: Test,
  leaf: X509Certificate,
  expected: { readonly allowed: CertificateNames; readonly key: Key; readonly clientAuth: string },
): void {
  const { allowed, key, clientAuth } = expected
  const { names: seen, isSubjectEmpty, extendedKeyUsage } = certificateDetails(leaf)
  t.same({ dns: seen?.dnsNames.toSorted(), ip: seen?.ipAddresses.toSorted() }, allowed)
  t.same([seen?.uris, seen?.others, isSubjectEmpty], [[], 0, false])
  // OpenSSL's own reading, which is another one than ours.
  t.equal(leaf.subjectAltName?.split(', ').length, allowed.dns.length + allowed.ip.length)
  t.notMatch(`${leaf.subjectAltName} ${leaf.subject}`, /\*|evil/)
  t.equal(leaf.ca, false)
  t.equal(publicKeyDigest(leaf.publicKey), publicKeyDigest(key.publicKeyPem))
  const purposes = clientAuth === 'none' ? [OID.serverAuth] : [OID.serverAuth, OID.clientAuth]
  t.same(extendedKeyUsage, purposes)
}
