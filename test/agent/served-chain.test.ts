// What reports say of the certificates that a listener sent.

import { randomBytes } from 'node:crypto'
import t from 'tap'
import { Served } from '../../shared/contract/report.ts'
import { certificateFacts } from '../../shared/pki/facts.ts'
import { generateKey } from '../../shared/pki/keys.ts'
import { servedChain } from '../../agent/served-chain.ts'
import { createAuthority, issueLeaf } from '../../controller/ca/authority.ts'

const NOW_MS = Date.UTC(2026, 10, 20)
const issuing = { nowMs: NOW_MS, random: randomBytes }
const { root, intermediate } = await createAuthority({
  ...issuing,
  kind: 'service',
  fleet: 'f'.repeat(64),
})
const leafFor = async (dns: readonly string[]) => {
  const { publicKeyPem } = await generateKey('ec-p256')
  const names = { dns, ip: ['192.0.2.1', '2001:db8::1'] }
  const request = { profile: 'server', publicKeyPem, lifetimeMs: 86_400_000, names } as const
  return issueLeaf(intermediate, request, issuing)
}

await t.test('a leaf and what was sent after it, each with its dates and names', async t => {
  const { chainPem, facts } = await leafFor(['n1.example.org'])
  const leafPem = `${chainPem.split('-----END CERTIFICATE-----\n')[0]}-----END CERTIFICATE-----\n`

  const seen = servedChain([leafPem, intermediate.certificatePem, root.certificatePem])

  const ofIssuer = (pem: string) => {
    const { fingerprint, subject, issuer, notAfterMs } = certificateFacts(pem)
    return { fingerprint, subject, issuer, notAfterMs }
  }
  t.strictSame(seen, {
    issuer: facts.issuer,
    notAfterMs: facts.notAfterMs,
    names: { dns: ['n1.example.org'], ip: ['192.0.2.1', '2001:db8::1'] },
    chain: [ofIssuer(intermediate.certificatePem), ofIssuer(root.certificatePem)],
  })
})

await t.test('a report takes whatever somebody else serves', async t => {
  const { chainPem } = await leafFor(Array.from({ length: 90 }, (_, index) => `n${index}.test`))
  const leafPem = `${chainPem.split('-----END CERTIFICATE-----\n')[0]}-----END CERTIFICATE-----\n`
  const many = Array.from({ length: 15 }, () => intermediate.certificatePem)

  const seen = servedChain([leafPem, 'garbage', ...many])

  t.equal(seen.names?.dns.length, 64)
  t.equal(seen.chain?.length, 8)
  const reason = { code: 'served-stale', message: 'another' }
  t.ok(Served.safeParse({ listener: 'https :9090', ok: false, reason, ...seen }).success)
  t.strictSame(servedChain([]), {})
  t.strictSame(servedChain(['garbage', root.certificatePem]), {})
})
