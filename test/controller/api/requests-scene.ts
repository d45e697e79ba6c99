// For the tests of issuer `csr`: a fleet whose certificates another team signs, agents that ask for them, and
// operators who list requests and import answers.

import type { Test } from 'tap'
import { parseDesiredAnswer } from '../../../shared/contract/agent-api.ts'
import {
  CertificateImportAnswer,
  CertificateRequestList,
  type CertificateRequestView,
} from '../../../shared/contract/certificate-requests.ts'
import { parseDesiredState } from '../../../shared/contract/desired-state.ts'
import { OPERATOR_ROUTES, RolloutList } from '../../../shared/contract/operator-api.ts'
import { AGENT_ROUTES } from '../../../shared/contract/protocol.ts'
import { buildCsr } from '../../../shared/pki/csr.ts'
import { signProof } from '../../../shared/pki/proof.ts'
import { until } from '../../lab/until.ts'
import { createPrivateCa, type PrivateCa } from '../issuers/private-ca.ts'
import {
  type AgentClient,
  type Answer,
  joinFleet,
  type Key,
  type Operator,
  operatorOf,
  parsed,
  type Running,
  startController,
} from './support.ts'

export const NAMES = (node: string) => ({ dns: [`${node}.example.org`], ip: ['10.1.2.3'] })

export function specOf(ca: PrivateCa, change = ''): string {
  const pem = (text: string) => JSON.stringify(text)
  return `
version: 1
fleet: demo
services:
  - { service: prometheus, nodes: all, issuer: csr, lifetime: 365d, renewBefore: 30d, trust: [${pem(ca.root)}] ${change} }
`
}

export interface Scene {
  readonly running: Running
  readonly operator: Operator
  readonly ca: PrivateCa
  readonly agents: readonly AgentClient[]
}

export async function scene(t: Test, nodes: readonly string[] = ['n1']): Promise<Scene> {
  const running = await startController(t)
  const operator = operatorOf(running)
  const ca = createPrivateCa(Date.now())
  const agents: AgentClient[] = []
  for (const node of nodes) agents.push(await joinFleet(running, operator, node))
  t.teardown(() => agents.forEach(agent => agent.close()))
  await apply({ running, operator, ca, agents }, specOf(ca))
  return { running, operator, ca, agents }
}

/** Resolves when every node has a document of this spec to look at. */
export async function apply({ operator, agents }: Scene, text: string): Promise<void> {
  const before = await Promise.all(agents.map(generationOf))
  // One that waits for its certificates waits for ever here.
  const { rollouts } = parsed(RolloutList, await operator('GET', '/v1/rollouts'))
  for (const { id } of rollouts) await operator('POST', `/v1/rollouts/${id}/abort`)
  // Nobody would say what it would change.
  const body = { spec: text, waitMs: 0 }
  await until(async () => (await operator('POST', '/v1/rollouts', body)).status === 201, {
    what: 'a rollout',
    everyMs: 20,
  })
  for (const [index, agent] of agents.entries())
    await until(async () => (await generationOf(agent)) > (before[index] ?? 0), {
      what: `a document for ${agent.node}`,
      everyMs: 20,
    })
}

export async function generationOf(agent: AgentClient): Promise<number> {
  const answer = parseDesiredAnswer((await agent.get(`${AGENT_ROUTES.desired}?wait=0`)).body)
  return answer.document === undefined ? 0 : parseDesiredState(answer.document).generation
}

export interface Asked {
  readonly key: Key
  readonly csr?: string | undefined
  readonly names?: { readonly dns: readonly string[]; readonly ip: readonly string[] }
}

export async function ask(agent: AgentClient, asked: Asked): Promise<Answer> {
  const { key, names = NAMES(agent.node) } = asked
  const csr = 'csr' in asked ? asked.csr : buildCsr({ key: key.privateKey, names })
  const service = 'prometheus'
  return agent.post(AGENT_ROUTES.sign, {
    service,
    generation: await generationOf(agent),
    publicKey: key.publicKeyPem,
    proof: signProof({ purpose: 'sign', context: [agent.node, service], key: key.privateKey }),
    ...(csr === undefined ? {} : { csr }),
  })
}

export async function listed(
  { operator }: Scene,
  query = '',
): Promise<readonly CertificateRequestView[]> {
  const answer = await operator('GET', `${OPERATOR_ROUTES.certificateRequests}${query}`)
  return parsed(CertificateRequestList, answer).requests
}

export async function importAll({ operator }: Scene, pems: readonly string[]) {
  const certificates = pems.map((pem, index) => ({ source: `${index}`, pem }))
  const path = OPERATOR_ROUTES.certificateRequestImport
  return parsed(CertificateImportAnswer, await operator('POST', path, { certificates })).results
}
