// The agent's own edges against the real controller: both sides mean the same by the contract.

import t from 'tap'
import { createEnroll } from '../../../agent/edges/enroll.ts'
import { createRemote } from '../../../agent/edges/remote.ts'
import { parseDesiredState } from '../../../shared/contract/desired-state.ts'
import { RolloutView } from '../../../shared/contract/operator-api.ts'
import { signProof } from '../../../shared/pki/proof.ts'
import { Secret } from '../../../shared/secret.ts'
import { report, serviceReport } from './fake-agent.ts'
import { addNode, newKey, operatorOf, parsed, startController } from './support.ts'

const SPEC = 'version: 1\nfleet: demo\nservices: [{ service: prometheus, nodes: all }]\n'

await t.test('an agent enrols, polls, signs, claims, reports and renews', async t => {
  const running = await startController(t)
  const operator = operatorOf(running)
  const token = await addNode(operator, 'n1')
  const key = await newKey()
  const { signal } = new AbortController()

  const enrolled = await createEnroll()({
    token,
    publicKeyPem: key.publicKeyPem,
    prove: id => signProof({ purpose: 'enroll', context: [id], key: key.privateKey }),
    facts: { os: 'test' },
    nowMs: Date.now(),
  })
  const identity = { ...enrolled, privateKey: new Secret(key.privateKeyPem) }
  const remote = createRemote({ identity })
  t.teardown(() => remote.close())

  t.match(await remote.desired({ generation: undefined, waitMs: 0 }, signal), { nowMs: Number })
  /** Polls until there is a document; a plan is asked for before it. */
  const documentAfter = async (known: number | undefined) => {
    for (;;) {
      const question = { generation: known, waitMs: 30_000 }
      const { document, preview } = await remote.desired(question, signal)
      if (document !== undefined) return parseDesiredState(document)
      const planned = [serviceReport('prometheus', 'planned')]
      if (preview !== undefined)
        await remote.preview({ previewId: preview.previewId, services: planned }, signal)
    }
  }
  const waiting = documentAfter(undefined)
  parsed(RolloutView, await operator('POST', '/v1/rollouts', { spec: SPEC }))
  const staged = await waiting
  t.match(staged, { node: 'n1', mode: 'stage' })
  t.equal(staged.generation, (staged.epoch ?? 0) + 1, 'also for who only looks at generations')

  const leafKey = await newKey()
  const chain = await remote.sign(
    {
      service: 'prometheus',
      generation: staged.generation,
      publicKey: leafKey.publicKeyPem,
      proof: signProof({ purpose: 'sign', context: ['n1', 'prometheus'], key: leafKey.privateKey }),
    },
    signal,
  )
  t.match(chain, /^-----BEGIN CERTIFICATE-----/)

  const { generation, digest, mode } = staged
  const services = [serviceReport('prometheus', 'staged')]
  await remote.report(report({ sequence: 1, services, generation, digest, mode }), signal)
  const permitted = await documentAfter(generation)
  t.match(permitted, { mode: 'enforce', permit: true, contentDigest: staged.contentDigest })
  const claim = {
    purpose: 'rollout',
    generation: permitted.generation,
    digest: permitted.digest,
  } as const
  t.match(await remote.lease(claim, signal), { granted: true })
  t.match(await remote.lease(claim, signal), { granted: true }, 'a claim is idempotent')
  t.match(await remote.lease({ ...claim, generation }, signal), {
    granted: false,
    reason: { code: 'permit-stale' },
  })

  const next = await newKey()
  const proof = signProof({ purpose: 'renew', context: ['n1'], key: next.privateKey })
  const renewed = await remote.renew(next.publicKeyPem, proof, signal)
  t.match(renewed.certificateChain, /^-----BEGIN CERTIFICATE-----/)
  t.same(renewed.identityTrust, [running.controller.identityRoot])

  t.equal((await operator('DELETE', '/v1/nodes/n1')).status, 204)
  await t.rejects(remote.desired({ generation, waitMs: 0 }, signal), { code: 'identity-refused' })
})
