// Issuer `provided` on a node: fetched when its document wants it, served, never renewed.

import t from 'tap'
import { type ServiceTls, isServer } from '../../shared/contract/service.ts'
import { OperationalError } from '../../shared/errors.ts'
import { certificateFacts } from '../../shared/pki/facts.ts'
import { generateKey } from '../../shared/pki/keys.ts'
import type { ProvidedPair } from '../../agent/remote.ts'
import { lastOf, scene, seen, summary, turns } from '../support/agent-scene.ts'
import { createMemoryCa, DAY_MS, documentOf } from '../support/fake-controller.ts'
import {
  activeFingerprint,
  inputFor,
  newAgent,
  newNode,
  outcomes,
  wish,
} from '../support/memory-fleet.ts'

const { clock } = newNode().host
const ca = createMemoryCa(clock.now())

interface Version extends ProvidedPair {
  readonly fingerprint: string
}

/** A wildcard of the CA. */
async function version(lifetimeMs = 30 * DAY_MS, dns = ['*.example.org']): Promise<Version> {
  const keys = await generateKey('rsa-2048')
  const certificateChain = ca.issue(keys.publicKeyPem, clock.now(), lifetimeMs, dns)
  const { fingerprint } = certificateFacts(certificateChain)
  return { certificateChain, privateKey: keys.privateKeyPem, fingerprint }
}

const [first, second] = [await version(), await version(60 * DAY_MS)]

/** Prometheus with this version, for a name that the wildcard covers. */
async function wanted(
  fingerprint: string,
  dns = ['n1.example.org'],
): Promise<readonly ServiceTls[]> {
  const services = await wish({ services: ['prometheus'], dns, trust: [ca.certificatePem] })
  return services.map(tls => {
    if (!isServer(tls)) return tls
    const spec = {
      ...tls.certificate,
      issuer: 'provided',
      provided: { name: 'wildcard', fingerprint },
    } as const
    return { ...tls, certificate: spec }
  })
}

await t.test(
  'the pair of the document is fetched, served, and followed to its next version',
  async t => {
    const { node, controller, agent } = await scene(t)
    const asked: unknown[] = []
    let answer = first
    controller.answerProvided = async request => {
      asked.push(request)
      return answer
    }
    const offer = async (generation: number, { fingerprint }: Version) => {
      controller.offer(documentOf({ generation, services: await wanted(fingerprint) }))
      await seen(`generation ${generation}`, () => node.served('prometheus') === fingerprint)
      await turns()
    }

    await offer(1, first)
    t.strictSame(asked, [{ service: 'prometheus', generation: 1 }])
    const report = await seen('a report', () => lastOf(controller.reports)?.services[0])
    t.match(report, { notAfterMs: certificateFacts(first.certificateChain).notAfterMs })
    t.notOk(report.renewAtMs, 'nobody renews it')
    const keys = [...node.tree].filter(([path]) => path.endsWith('/key.pem'))
    t.equal(keys.length, 1)
    t.match(keys[0]?.[1], { kind: 'file', owner: { mode: 0o600 } }, 'as of any other release')

    answer = second
    await offer(2, second)
    t.equal(asked.length, 2)

    // Renewal is no business of the agent's, not even when asked for.
    node.advance(59 * DAY_MS)
    await agent.afterPass(() => agent.control.renew(['prometheus']))
    t.equal(asked.length, 2)
    t.equal(node.served('prometheus'), second.fingerprint)
    t.equal(summary({ node, controller, agent })['prometheus'], 'in-sync')

    // It ends, and to ask for the same again would not help.
    node.advance(2 * DAY_MS)
    await agent.afterPass(() => agent.wake('files'))
    const [ended] = agent.control.status().services
    t.match(ended, {
      outcome: 'failed',
      reason: { code: 'expired', message: /an operator uploads/ },
    })
    t.equal(asked.length, 2)
    t.equal(node.served('prometheus'), second.fingerprint, 'nothing was changed')

    const said = JSON.stringify([controller.reports, agent.control.status()])
    t.notMatch(said, /PRIVATE KEY/)
  },
)

await t.test('what the controller answers is judged before anything uses it', async t => {
  const other = await generateKey('rsa-2048')
  const stranger = await version(DAY_MS, ['*.other.org'])
  const ended = await version(-10_000)
  const deeper = await wanted(first.fingerprint, ['a.n1.example.org'])
  const table: readonly (readonly [
    string,
    readonly ServiceTls[],
    ProvidedPair | undefined,
    string,
  ])[] = [
    ['another version', await wanted(second.fingerprint), first, 'issuer-unavailable'],
    [
      'another key',
      await wanted(first.fingerprint),
      { ...first, privateKey: other.privateKeyPem },
      'certificate-rejected',
    ],
    ['other names', await wanted(stranger.fingerprint), stranger, 'certificate-rejected'],
    ['one label more than a wildcard stands for', deeper, first, 'certificate-rejected'],
    ['ended', await wanted(ended.fingerprint), ended, 'certificate-rejected'],
    ['without a controller', await wanted(first.fingerprint), undefined, 'issuer-unavailable'],
  ]
  for (const [what, services, pair, code] of table) {
    const node = newNode()
    const before = node.served('prometheus')
    const reconciler = await newAgent(node)
    const fetchProvided = pair === undefined ? undefined : async () => pair
    const reports = await reconciler.pass(inputFor(services, { fetchProvided }))
    t.match(reports, [{ outcome: 'failed', reason: { code } }], what)
    t.equal(node.served('prometheus'), before, what)
    t.strictSame(
      [...node.tree.keys()].filter(path => path.endsWith('.pem')),
      [],
      `${what}: no key is left`,
    )
    t.notMatch(JSON.stringify(reports), /PRIVATE/, what)
  }
})

await t.test('a refusal is said and tried again later; what is in use stays', async t => {
  const node = newNode()
  const reconciler = await newAgent(node)
  const give = async () => first
  await reconciler.pass(inputFor(await wanted(first.fingerprint), { fetchProvided: give }))
  t.equal(node.served('prometheus'), first.fingerprint)
  const refuse = async () => {
    throw new OperationalError('request-refused', 'the controller refused it')
  }
  const next = await wanted(second.fingerprint)
  const reports = await reconciler.pass(inputFor(next, { fetchProvided: refuse }))
  t.match(reports, [{ outcome: 'failed', reason: { code: 'request-refused' } }])
  t.equal(node.served('prometheus'), first.fingerprint)
  await reconciler.pass(inputFor(next, { fetchProvided: async () => second }))
  t.equal(node.served('prometheus'), second.fingerprint)
})

await t.test(
  'staged, it is here and not in use; a release that was lost is fetched again',
  async t => {
    const node = newNode()
    const reconciler = await newAgent(node)
    let asked = 0
    const fetchProvided = async () => {
      asked++
      return first
    }
    const services = await wanted(first.fingerprint)
    const pass = async (mode: 'stage' | 'enforce') =>
      outcomes(await reconciler.pass(inputFor(services, { mode, fetchProvided })))
    t.strictSame(await pass('stage'), { prometheus: 'staged' })
    t.equal(node.served('prometheus'), 'plaintext')
    t.strictSame(await pass('stage'), { prometheus: 'staged' })
    t.equal(asked, 1)
    const served = await reconciler.pass(inputFor(services, { fetchProvided }))
    t.equal(activeFingerprint(served, 'prometheus'), first.fingerprint)
    t.equal(asked, 1, 'what was staged is used')
    const chain = [...node.tree.keys()].find(path => path.endsWith('/chain.pem')) ?? ''
    node.files.put(chain, 'overwritten')
    await pass('enforce')
    t.equal(asked, 2)
    t.equal(node.served('prometheus'), first.fingerprint)
  },
)
