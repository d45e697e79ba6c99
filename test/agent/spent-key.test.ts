// A key that a lost answer has left behind, for which the controller gives no certificate any more.

import t from 'tap'
import { isServer } from '../../shared/contract/service.ts'
import { OperationalError } from '../../shared/errors.ts'
import { scene, seen, summary } from '../support/agent-scene.ts'
import { documentOf, unreachable } from '../support/fake-controller.ts'
import { wish } from '../support/memory-fleet.ts'

await t.test('a key that was used before is forgotten, and another one is made', async t => {
  const began = await scene(t)
  const { controller, agent } = began
  let lost: string | undefined
  const issue = controller.answerSign
  controller.answerSign = async request => {
    if (lost === undefined) {
      lost = request.publicKey
      throw unreachable()
    }
    if (request.publicKey === lost)
      throw new OperationalError('request-refused', 'controller refused it', {
        details: { code: 'key-reused' },
      })
    return issue(request)
  }
  const services = (await wish({ services: ['influxdb'] })).filter(isServer).map(tls => ({
    ...tls,
    trust: [controller.ca.certificatePem],
    certificate: { ...tls.certificate, issuer: 'internal' as const },
  }))
  controller.offer(documentOf({ generation: 1, services }))
  await seen('the first request', () => lost)
  await seen('the pass', () => summary(began)['influxdb'] === 'waiting')
  await agent.afterPass(() => void agent.control.apply())
  t.equal(summary(began)['influxdb'], 'changed')
  t.equal(controller.signed.filter(one => one.publicKey === lost).length, 2, 'asked once more')
})
