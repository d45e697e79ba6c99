// The inventory over the API: what agents report against what was issued, page by page.

import t from 'tap'
import { parseDesiredAnswer, parseSignAnswer } from '../../../shared/contract/agent-api.ts'
import { CertificateList, type CertificateView } from '../../../shared/contract/certificates.ts'
import { parseDesiredState } from '../../../shared/contract/desired-state.ts'
import { OPERATOR_ROUTES, RolloutView } from '../../../shared/contract/operator-api.ts'
import { AGENT_ROUTES } from '../../../shared/contract/protocol.ts'
import { certificateFacts } from '../../../shared/pki/facts.ts'
import { splitPemCertificates } from '../../../shared/pki/pem.ts'
import { signProof } from '../../../shared/pki/proof.ts'
import { describeOperatorApi } from '../../../controller/api/describe.ts'
import { report, serviceReport } from './fake-agent.ts'
import {
  addNode,
  type AgentClient,
  codeOf,
  joinFleet,
  newKey,
  operatorOf,
  parsed,
  startController,
} from './support.ts'

const SPEC = `
version: 1
fleet: demo
services:
  - { service: prometheus, nodes: all, lifetime: 20d }
  - { service: telegraf, nodes: { names: [n2] } }
  - { service: influxdb, nodes: { names: [n1] } }
`
const DAY_MS = 86_400_000

/** Takes the desired state and a leaf for prometheus, and reports that it is served. */
async function serve(client: AgentClient): Promise<string> {
  const answer = parseDesiredAnswer((await client.get(`${AGENT_ROUTES.desired}?wait=20000`)).body)
  const { generation, digest } = parseDesiredState(answer.document)
  const { publicKeyPem, privateKey } = await newKey()
  const proof = signProof({
    purpose: 'sign',
    context: [client.node, 'prometheus'],
    key: privateKey,
  })
  const request = { service: 'prometheus', generation, publicKey: publicKeyPem, proof }
  const signed = await client.post(AGENT_ROUTES.sign, request)
  const [leaf = ''] = splitPemCertificates(parseSignAnswer(signed.body).certificateChain ?? '')
  const { fingerprint, notAfterMs, issuer } = certificateFacts(leaf)
  const reason = { code: 'served-as-wanted', message: 'serves the certificate in use' }
  const served = [
    { listener: 'https :9090', ok: true, reason, fingerprint, notAfterMs, issuer },
    { listener: 'https :9091', ok: false, reason: { code: 'connection-refused', message: 'no' } },
  ]
  const services = [{ ...serviceReport('prometheus', 'in-sync'), served }]
  await client.post(
    AGENT_ROUTES.report,
    report({ sequence: 1, services, generation, digest, mode: 'stage' }),
  )
  return fingerprint
}

await t.test('what is served, by whom it is trusted, and what will not be renewed', async t => {
  const running = await startController(t)
  const operator = operatorOf(running)
  const [n1, n2] = [
    await joinFleet(running, operator, 'n1', { zone: 'a' }),
    await joinFleet(running, operator, 'n2', { zone: 'b' }),
  ]
  t.teardown(() => [n1, n2].forEach(client => client.close()))
  await addNode(operator, 'n3')
  parsed(RolloutView, await operator('POST', '/v1/rollouts', { spec: SPEC, waitMs: 0 }))
  const fingerprint = await serve(n1)
  const viewer = operatorOf(running, running.viewerToken)
  const list = async (query: string) =>
    parsed(CertificateList, await viewer('GET', `${OPERATOR_ROUTES.certificates}?${query}`))
  const all = (await list('')).certificates
  const names = (views: readonly CertificateView[]) =>
    views.map(({ kind, node, service, listener, role }) =>
      [kind, node, service, listener, role].filter(part => part !== undefined).join(' '),
    )

  await t.test('CA certificates first, then nodes by name', async t => {
    t.strictSame(names(all), [
      'authority identity-root',
      'authority identity-intermediate',
      'authority service-root',
      'authority service-intermediate',
      'identity n1',
      'listener n1 influxdb',
      'listener n1 prometheus https :9090',
      'listener n1 prometheus https :9091',
      'identity n2',
      'listener n2 prometheus',
    ])
    t.match(all[6], {
      fingerprint,
      state: 'ok',
      source: 'internal',
      unrenewed: { code: 'mode-stage' },
      clients: [{ service: 'prometheus', trust: 'trusts', count: 2, nodes: ['n1', 'n2'] }],
    })
    const { notAfterMs } = all[6] ?? {}
    t.match(all[7], { state: 'unknown', reason: { code: 'connection-refused' }, notAfterMs })
    t.match(all[9], { state: 'unknown', reason: { code: 'not-observed' } })
    const root = all[2]?.clients.map(one => `${one.service} ${one.trust} ${one.count}`)
    t.strictSame(root, ['influxdb unmanaged 1', 'prometheus trusts 2', 'telegraf trusts 1'])
  })

  await t.test('filters', async t => {
    const isN1 = names(all).slice(4, 8)
    t.strictSame(names((await list('node=n1')).certificates), isN1)
    t.strictSame(names((await list('label=zone%3Da')).certificates), isN1)
    t.strictSame(names((await list('label=zone%3Dx')).certificates), [])
    t.strictSame(names((await list('service=influxdb')).certificates), ['listener n1 influxdb'])
    const soon = await list(`node=n1&expiringBefore=${Date.now() + 21 * DAY_MS}`)
    const leaves = ['listener n1 prometheus https :9090', 'listener n1 prometheus https :9091']
    t.strictSame(names(soon.certificates), ['identity n1', ...leaves])
    const none = await list(`node=n1&expiringBefore=${Date.now() + 6 * DAY_MS}`)
    t.strictSame(none.certificates, [])
    const forecast = await list(`node=n1&unrenewed=true&expiringBefore=${Date.now() + 21 * DAY_MS}`)
    t.strictSame(names(forecast.certificates), leaves, 'of what was not seen too')
    const alone = await list('node=n1&unrenewed=true&controller=down')
    t.match(alone.certificates[0], { kind: 'identity', unrenewed: { code: 'controller-down' } })
  })

  await t.test('pages hold whole nodes and lose none', async t => {
    for (const limit of [1, 5, 8, 9, 10]) {
      const found: CertificateView[] = []
      let next: string | undefined
      let pages = 0
      do {
        const page = await list(`limit=${limit}${next === undefined ? '' : `&after=${next}`}`)
        found.push(...page.certificates)
        ;({ next } = page)
        pages++
      } while (next !== undefined && pages < 10)
      t.strictSame(names(found), names(all), `${limit} a page, ${pages} pages`)
      t.equal(pages, limit === 10 ? 1 : limit >= 8 ? 2 : pages)
    }
  })

  await t.test('what is not a question is refused', async t => {
    const answers = await Promise.all(
      ['unrenewed=1', 'controller=up', 'service=nginx', 'limit=0', 'x=1', 'node=N1'].map(query =>
        viewer('GET', `${OPERATOR_ROUTES.certificates}?${query}`),
      ),
    )
    for (const answer of answers)
      t.strictSame([answer.status, codeOf(answer)], [400, 'malformed-request'])
    const unknown = await viewer('GET', `${OPERATOR_ROUTES.certificates}?node=n9`)
    t.strictSame([unknown.status, codeOf(unknown)], [404, 'not-found'])
  })

  await t.test('a node that is removed is not listed any more', async t => {
    await operator('DELETE', '/v1/nodes/n1')

    const { certificates } = await list('')
    t.notOk(names(certificates).some(name => name.includes('n1')))
    t.match(certificates[2], { clients: [{ service: 'prometheus', nodes: ['n2'] }, {}] })
  })
})

await t.test('the API description shows an example, and the example is one', async t => {
  const { paths } = Object(await describeOperatorApi('1.2.3'))
  const { schema } = paths['/v1/certificates'].get.responses['200'].content['application/json']
  const [example] = schema.properties.certificates.items.examples

  t.ok(CertificateList.safeParse({ certificates: [example] }).success)
})
