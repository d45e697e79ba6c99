// For the tests of issuer `provided`: a public CA that a controller knows, pairs of it as operators upload
// them, and a fleet spec that names one.

import { NodeView, OPERATOR_ROUTES } from '../../../shared/contract/operator-api.ts'
import { certificateFacts } from '../../../shared/pki/facts.ts'
import { createTestCa, DAY_MS, type Holder } from '../../shared/pki/support.ts'
import { type Operator, operatorOf, parsed, startController } from './support.ts'

const nowMs = Date.now()
const publicCa = createTestCa('public')
const root = publicCa.make({
  profile: { kind: 'root' },
  name: 'public root now',
  nowMs,
  lifetimeMs: 3650 * DAY_MS,
})
const intermediate = publicCa.make({
  profile: { kind: 'intermediate' },
  name: 'public now',
  issuer: root,
  nowMs,
  lifetimeMs: 1000 * DAY_MS,
})

export function leaf(dns: readonly string[], lifetimeMs = 40 * DAY_MS): Holder {
  return publicCa.server(dns, [], { issuer: intermediate, nowMs, lifetimeMs })
}

export function body({ pem, keyPem }: Holder) {
  return { certificateChain: `${pem}${intermediate.pem}`, privateKey: keyPem }
}

export const fingerprintOf = ({ pem }: Holder) => certificateFacts(pem).fingerprint
export const WILDCARD = `${OPERATOR_ROUTES.provided}/wildcard`

export const SPEC = `
version: 1
fleet: demo
services:
  - service: kibana
    nodes: { names: [n1, n2] }
    issuer: provided
    provided: wildcard
    names: dns
  - { service: prometheus, nodes: { names: [n1, n3] } }
`

export async function start(t: Parameters<typeof startController>[0]) {
  const running = await startController(t, { publicRoots: [root.pem] })
  const operator = operatorOf(running)
  return { running, operator }
}

export async function generationOf(operator: Operator, node: string): Promise<number> {
  const { generation = 0 } = parsed(NodeView, await operator('GET', `/v1/nodes/${node}`))
  return generation
}
