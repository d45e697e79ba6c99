// Client certificates of operators, from a CA made with OpenSSL.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { readOperatorCa } from '../../../controller/operator-ca.ts'
import { createOperatorCa, type OperatorCertificate } from '../../support/operator-ca.ts'
import { tlsfleet } from '../cli/command.ts'
import { call, codeOf, joinFleet, operatorOf, type Running, startController } from './support.ts'

const directory = t.testdir()
const ca = createOperatorCa(directory, 'corp')
const strange = createOperatorCa(directory, 'strange')
const running = await startController(t, { operatorCa: ca.file })
const admin = operatorOf(running)

const ADA = 'spiffe://corp.example/operator/ada'
const whoami = (
  { controller }: Running,
  certificate: Pick<OperatorCertificate, 'cert' | 'key'> | undefined,
  headers: Readonly<Record<string, string>> = {},
) =>
  call({
    url: `${controller.urls.operator}/v1/whoami`,
    tls: { ca: controller.identityRoot, ...certificate },
    headers,
  })

await admin('POST', '/v1/operators', { name: 'ada', role: 'operator', certificateNames: [ADA] })
await admin('POST', '/v1/operators', {
  name: 'bob',
  role: 'viewer',
  certificateNames: ['Bob@Corp.Example'],
})

await t.test('URI and mail address name the operator, whose record has the role', async t => {
  const ada = ca.issue(`URI:${ADA}`)
  const answer = await whoami(running, ada)

  t.match(answer, {
    status: 200,
    body: {
      name: 'ada',
      role: 'operator',
      credential: { kind: 'certificate', id: /^[0-9a-f]{64}$/ },
    },
  })
  t.match((await whoami(running, ca.issue('email:bob@corp.example'))).body, {
    name: 'bob',
    role: 'viewer',
  })
  const url = `${running.controller.urls.operator}/v1/backup`
  const refused = await call({ url, tls: { ca: running.controller.identityRoot, ...ada } })
  t.strictSame([refused.status, codeOf(refused)], [403, 'role-insufficient'])
})

await t.test('what does not hold is 401, and says why to whoever has a certificate', async t => {
  const cases: readonly (readonly [string, OperatorCertificate, RegExp])[] = [
    ['of another CA', strange.issue(`URI:${ADA}`), /not from the CA of operators/],
    ['expired', ca.issue(`URI:${ADA}`, { isOld: true }), /expired/],
    ['for servers', ca.issue(`URI:${ADA}`, { usage: 'serverAuth' }), /not/],
    ['unknown name', ca.issue('URI:spiffe://corp.example/operator/eve'), /no operator/],
    ['DNS name alone', ca.issue('DNS:ada'), /no operator/],
    ['two operators', ca.issue(`URI:${ADA},email:bob@corp.example`), /more than one/],
  ]
  for (const [what, certificate, why] of cases) {
    const answer = await whoami(running, certificate)
    t.strictSame([answer.status, codeOf(answer)], [401, 'certificate-not-accepted'], what)
    t.match(Object(answer.body).detail, why, what)
  }
  t.match((await whoami(running, undefined)).status, 401, 'none at all')
})

await t.test('an agent is no operator, whatever its identity says', async t => {
  const agent = await joinFleet(running, admin, 'n1')
  await admin('POST', '/v1/operators', {
    name: 'mallory',
    role: 'admin',
    certificateNames: ['spiffe://demo/node/n1'],
  })
  const { certificateChain: cert, key } = agent
  const answer = await whoami(running, { cert, key: key.privateKeyPem })
  agent.close()

  t.equal(answer.status, 401)
})

await t.test('a token that is sent is what counts', async t => {
  const ada = ca.issue(`URI:${ADA}`)
  const token = { authorization: `Bearer ${running.viewerToken}` }

  t.match((await whoami(running, ada, token)).body, { name: 'viewer' })
  t.equal((await whoami(running, ada, { authorization: 'Bearer tlsf_x' })).status, 401)
  t.equal((await whoami(running, strange.issue('DNS:x'), token)).status, 200, 'browsers send any')
})

await t.test('a serial is denied, an operator disabled and removed, at once', async t => {
  const [first, second] = [ca.issue(`URI:${ADA}`), ca.issue(`URI:${ADA}`)]
  const denied = await admin('POST', '/v1/operators/ada/denied-certificates', {
    serial: `00:${first.serial.replaceAll(/..(?=.)/g, '$&:')}`,
  })
  const ada = { role: 'operator', certificateNames: [ADA] }

  t.match(denied, { status: 200, body: { deniedCertificates: [{ by: 'admin' }] } })
  t.match(await whoami(running, first), { status: 401, body: { detail: /revoked/ } })
  t.equal((await whoami(running, second)).status, 200)
  await admin('PUT', '/v1/operators/ada', { ...ada, disabled: true })
  t.match(await whoami(running, second), { status: 401, body: { detail: /disabled/ } })
  await admin('PUT', '/v1/operators/ada', { ...ada, disabled: false })
  t.equal((await whoami(running, second)).status, 200)
  await admin('DELETE', '/v1/operators/ada')
  t.equal((await whoami(running, second)).status, 401)
  await admin('POST', '/v1/operators', { name: 'ada', ...ada })
  t.equal((await whoami(running, first)).status, 401, 'a denial outlives the operator')
})

await t.test(
  'after the controller has renewed its own certificate nothing is different',
  async t => {
    await running.controller.context.refreshAuthorities()

    t.match((await whoami(running, ca.issue(`URI:${ADA}`))).status, 200)
    t.equal((await whoami(running, strange.issue(`URI:${ADA}`))).status, 401)
  },
)

await t.test('the command line logs in with a certificate, and reads its files anew', async t => {
  const [first, second] = [ca.issue(`URI:${ADA}`), ca.issue('email:bob@corp.example')]
  const config = join(t.testdir(), 'config.json')
  const [certFile, keyFile] = [`${config}.pem`, `${config}.key`]
  const put = ({ cert, key }: OperatorCertificate) => {
    writeFileSync(certFile, cert, { mode: 0o600 })
    writeFileSync(keyFile, key, { mode: 0o600 })
  }
  const { urls, pin } = running.controller
  const command = (...argv: string[]) => tlsfleet(argv, { config, nowMs: Date.now() })
  put(first)

  const by = ['--ca-pin', pin, '--cert', certFile, '--key', keyFile]
  const login = await command('login', '--url', urls.operator, ...by)
  t.match(login, { err: '', out: 'logged in to fleet demo as ada (operator), context demo\n' })
  put(second)
  t.match(await command('whoami'), {
    code: 0,
    out: /^bob \(viewer\) of fleet demo, by certificate [0-9a-f]{16}, which ends in \d+ d\n$/,
  })
  t.match(
    (await command('login', '--url', urls.operator, '--cert', certFile)).err,
    /--cert and --key/,
  )
})

await t.test('our own CAs are not taken for this', async t => {
  const { identityRoot } = running.controller
  const files = t.testdir({ 'own.pem': identityRoot, 'empty.pem': 'nothing' })
  const [file, empty] = [join(files, 'own.pem'), join(files, 'empty.pem')]

  for (const operatorCa of [empty, `${empty}.none`])
    await t.rejects(startController(t, { operatorCa }), { code: 'config-invalid' })
  const { store } = running.controller.context
  await t.rejects(readOperatorCa(file, store), {
    code: 'config-invalid',
    message: /signs for nodes/,
  })
})
