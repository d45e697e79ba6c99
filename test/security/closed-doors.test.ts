// What nobody may do: call anything without a credential, ask for what there is no word for, get more
// by claiming more. (Methods that could be called by anybody, messages of an unsupported kind that
// went past every check, and rights that hung on facts of the node itself have each opened a server.)

import { cpSync, existsSync } from 'node:fs'
import { Agent } from 'node:https'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { connect } from 'node:tls'
import t, { type Test } from 'tap'
import { NodeView } from '../../shared/contract/operator-api.ts'
import { parseEnrollAnswer } from '../../shared/contract/agent-api.ts'
import { AGENT_ROUTES, ENROLL_ROUTES } from '../../shared/contract/protocol.ts'
import { certificateFacts } from '../../shared/pki/facts.ts'
import { parseToken } from '../../shared/pki/enrollment-token.ts'
import { splitPemCertificates } from '../../shared/pki/pem.ts'
import { signProof } from '../../shared/pki/proof.ts'
import { describeOperatorApi } from '../../controller/api/describe.ts'
import { createTestCa } from '../shared/pki/support.ts'
import {
  type Running,
  addNode,
  agentClient,
  call,
  codeOf,
  joinFleet,
  newKey,
  operatorOf,
  parsed,
  startController,
} from '../controller/api/support.ts'

const METHODS = ['GET', 'POST', 'PUT', 'DELETE', 'PATCH']

/** Every row of every table, so that nothing can have changed unseen; but the controller's clock, which goes by itself. */
function contents(t: Test, { dataDir }: Running): string {
  const copy = t.testdir({})
  for (const name of ['controller.db', 'controller.db-wal'])
    if (existsSync(join(dataDir, name))) cpSync(join(dataDir, name), join(copy, name))
  const database = new DatabaseSync(join(copy, 'controller.db'))
  try {
    const tables = database.prepare("select name from sqlite_master where type = 'table'").all()
    return tables
      .filter(({ name }) => name !== 'controller_time')
      .map(({ name }) => JSON.stringify(database.prepare(`select * from "${String(name)}"`).all()))
      .join('\n')
  } finally {
    database.close()
  }
}

await t.test('without a credential nothing changes, whatever is called', async t => {
  const running = await startController(t)
  const { urls, identityRoot } = running.controller
  await addNode(operatorOf(running), 'n1')
  const before = contents(t, running)
  const { paths } = Object(await describeOperatorApi('1.2.3'))
  const operatorPaths = Object.keys(paths).map(path => path.replaceAll(/\{\w+\}/g, 'n1'))
  const all = [...operatorPaths, ...Object.values(AGENT_ROUTES), ...Object.values(ENROLL_ROUTES)]

  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  t.teardown(() => agent.destroy())
  for (const path of all)
    for (const method of METHODS)
      for (const url of [urls.operator, urls.enroll]) {
        const body = method === 'POST' || method === 'PUT' ? {} : undefined
        const { status } = await call({
          url: `${url}${path}`,
          method,
          body,
          tls: { ca: identityRoot },
          agent,
        })
        const isOpen = status < 300
        const isPublic =
          url === urls.operator && method === 'GET' && /openapi|reference|health/.test(path)
        t.equal(isOpen, isPublic, `${method} ${path} at ${url}: ${status}`)
        t.ok(status < 500, `${method} ${path} at ${url}: ${status}`)
      }

  t.equal(contents(t, running), before)
})

await t.test(
  'no older protocol and no certificate of its own opens the door of agents',
  async t => {
    const running = await startController(t)
    const { urls, identityRoot } = running.controller
    const own = createTestCa('own')
    const self = own.make({
      profile: { kind: 'client', uris: ['spiffe://demo/node/n1'] },
      name: 'n1',
      nowMs: Date.now(),
    })
    const outcome = (url: string, tls: object) =>
      new Promise<string>(resolve => {
        const { hostname: host, port } = new URL(url)
        const socket = connect({ host, port: Number(port), ca: identityRoot, ...tls })
        socket.once('error', error => resolve('code' in error ? String(error.code) : error.message))
        socket.once('data', data => resolve(data.toString('latin1').slice(0, 12)))
        socket.once('close', () => resolve('closed'))
        // The handshake of TLS 1.3 is over for a client before the server has looked at it.
        socket.once('secureConnect', () =>
          socket.write(
            `GET ${AGENT_ROUTES.whoami} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`,
          ),
        )
      })

    for (const version of ['TLSv1', 'TLSv1.1', 'TLSv1.2'])
      for (const url of Object.values(urls))
        t.match(
          await outcome(url, {
            minVersion: version,
            maxVersion: version,
            ciphers: 'ALL:@SECLEVEL=0',
          }),
          /PROTOCOL|VERSION|NO_CIPHERS|INTERNAL/,
          `${version} at ${url}`,
        )
    const selfSigned = await outcome(urls.agent, { cert: self.pem, key: self.keyPem })
    t.match(selfSigned, /^(closed|ECONNRESET|EPIPE|ERR_SSL)/, 'a certificate that it made itself')
    t.match(await outcome(urls.agent, {}), /CERTIFICATE_REQUIRED/, 'none')
  },
)

await t.test('what there is no word for is refused, and never by accident', async t => {
  const running = await startController(t)
  const client = await joinFleet(running, operatorOf(running), 'n1')
  t.teardown(() => client.close())
  const words = [
    '',
    'Prometheus',
    'prometheus ',
    'constructor',
    '__proto__',
    'toString',
    'no-such',
    '*',
    '..',
  ]
  const things: readonly unknown[] = [
    ...words,
    null,
    0,
    -1,
    1.5,
    true,
    [],
    {},
    ['prometheus'],
    { toString: 'prometheus' },
  ]
  const key = await newKey()
  const proof = signProof({ purpose: 'sign', context: ['n1', 'prometheus'], key: key.privateKey })
  const good = { service: 'prometheus', generation: 1, publicKey: key.publicKeyPem, proof }

  for (const thing of things)
    for (const field of ['service', 'generation', 'publicKey', 'proof'])
      for (const route of [AGENT_ROUTES.sign, AGENT_ROUTES.provided, AGENT_ROUTES.renew]) {
        const { status } = await client.post(route, { ...good, [field]: thing })
        t.ok(status >= 400 && status < 500, `${route} ${field} ${JSON.stringify(thing)}: ${status}`)
      }
  for (const role of words) {
    const made = await operatorOf(running)('POST', '/v1/nodes', {
      name: `x-${words.indexOf(role)}`,
      labels: {},
      names: { dns: ['x.example'], ip: [] },
      role,
    })
    t.ok(made.status >= 400 && made.status < 500, `role ${role}: ${made.status}`)
  }
})

await t.test('a node gets nothing for what it says about itself', async t => {
  const running = await startController(t)
  const operator = operatorOf(running)
  await addNode(operator, 'n2')
  const token = await addNode(operator, 'n1')
  const { id, secret } = parseToken(token)
  const key = await newKey()

  const joined = await call({
    url: `${running.controller.urls.enroll}${ENROLL_ROUTES.enroll}`,
    method: 'POST',
    headers: { 'x-node': 'n2', 'x-forwarded-client-cert': 'URI=spiffe://demo/node/n2' },
    body: {
      tokenId: id,
      tokenSecret: secret.reveal(),
      publicKey: key.publicKeyPem,
      proof: signProof({ purpose: 'enroll', context: [id], key: key.privateKey }),
      facts: {
        node: 'n2',
        hostname: 'controller',
        role: 'admin',
        names: '*.example.org',
        fleet: 'x',
      },
    },
    tls: { ca: running.controller.identityRoot },
  })

  const { node, certificateChain } = parseEnrollAnswer(joined.body)
  t.equal(node, 'n1')
  const [leaf = ''] = splitPemCertificates(certificateChain)
  t.match(certificateFacts(leaf), {
    uris: ['spiffe://demo/node/n1'],
    dnsNames: [],
    ipAddresses: [],
  })
  const view = parsed(NodeView, await operator('GET', '/v1/nodes/n1'))
  t.match(view, { labels: {}, names: { dns: ['n1.example.org'] } })

  const client = agentClient(running, { node, key, certificateChain })
  t.teardown(() => client.close())
  const asOther = { 'x-node': 'n2', 'tlsfleet-node': 'n2' }
  const answer = await client.post(AGENT_ROUTES.lease, { node: 'n2', generation: 1 }, asOther)
  t.ok(answer.status >= 400 && answer.status < 500)
  t.match((await client.get(`${AGENT_ROUTES.whoami}?node=n2`)).body, { node: 'n1' })
  t.not(codeOf(await client.get(`/v1/nodes/n2`)), undefined, 'and no route of operators')
})
