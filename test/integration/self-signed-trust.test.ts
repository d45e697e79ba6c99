// A self-signed leaf as trust, as the products' runtimes see it: OpenSSL, Node, Go (promtool) and Java accept
// a server with it, another one of two as well, and nothing that its key has signed.

import { execFile } from 'node:child_process'
import { createPrivateKey, randomBytes } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect } from 'node:tls'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import { buildSelfSigned, validity } from '../../shared/pki/certificate.ts'
import { generateKey } from '../../shared/pki/keys.ts'
import { serialNumber } from '../../shared/pki/random.ts'
import { withOracle } from '../support/java/oracle.ts'
import { PROMTOOL, PROMTOOL_UNAVAILABLE } from '../support/prometheus.ts'

const run = promisify(execFile)
const OPENSSL = '/usr/bin/openssl'
const NAME = 'localhost'

interface Pair {
  readonly certificate: string
  readonly key: string
}

async function leaf(): Promise<Pair> {
  const { privateKeyPem } = await generateKey('ec-p256')
  const key = privateKeyPem.reveal()
  const nowMs = Date.now()
  const certificate = buildSelfSigned({
    subject: { commonName: NAME },
    serial: serialNumber(randomBytes),
    ...validity({ nowMs, lifetimeMs: 86_400_000, issuerNotAfterMs: Infinity }),
    profile: { kind: 'server', names: { dns: [NAME], ip: [] }, clientAuth: false },
    key: createPrivateKey(key),
  })
  return { certificate, key }
}

/** For the same name, signed by a key that is trusted for itself alone. */
async function signedBy(directory: string, signer: Pair): Promise<Pair> {
  const [key, csr, out, ca, caKey, extensions] = ['k', 'csr', 'crt', 'ca', 'ca-key', 'ext'].map(
    name => join(directory, `forged-${name}`),
  )
  if (!key || !csr || !out || !ca || !caKey || !extensions) throw new Error('six files')
  writeFileSync(ca, signer.certificate)
  writeFileSync(caKey, signer.key)
  writeFileSync(extensions, `subjectAltName=DNS:${NAME}\n`)
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']
  const names = ['-subj', '/CN=forged', '-keyout', key, '-out', csr]
  await run(OPENSSL, ['req', '-new', ...curve, ...names])
  const signing = ['-in', csr, '-CA', ca, '-CAkey', caKey, '-set_serial', '7', '-days', '2']
  await run(OPENSSL, ['x509', '-req', ...signing, '-extfile', extensions, '-out', out])
  const certificate = readFileSync(out, 'utf8') + signer.certificate
  return { certificate, key: readFileSync(key, 'utf8') }
}

interface Served {
  readonly port: number
  readonly pair: Pair
}

async function serve(t: Test, pair: Pair): Promise<Served> {
  const server = createServer({ cert: pair.certificate, key: pair.key }, (_, response) => {
    response.setHeader('content-type', 'application/json')
    response.end('{"status":"success","data":{"resultType":"vector","result":[]}}')
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('it listens on a port')
  return { port: address.port, pair }
}

type Verify = (served: Served, trust: string) => Promise<boolean>

const succeeds = (work: Promise<unknown>) =>
  work.then(
    () => true,
    () => false,
  )

function openssl(directory: string): Verify {
  return async ({ pair }, trust) => {
    const path = join(directory, 'served.pem')
    writeFileSync(path, pair.certificate)
    const purpose = ['-purpose', 'sslserver', '-verify_hostname', NAME]
    return succeeds(
      run(OPENSSL, ['verify', '-CAfile', trust, ...purpose, '-untrusted', path, path]),
    )
  }
}

const node: Verify = ({ port }, trust) =>
  new Promise(resolve => {
    const ca = readFileSync(trust, 'utf8')
    const socket = connect({ host: '127.0.0.1', port, servername: NAME, ca }, () => {
      resolve(socket.authorized)
      socket.destroy()
    })
    socket.on('error', () => resolve(false))
  })

// Go takes its roots from these, and promtool has no option of its own in this version.
const go: Verify = ({ port }, trust) => {
  const env = { SSL_CERT_FILE: trust, SSL_CERT_DIR: '/nonexistent' }
  return succeeds(run(PROMTOOL, ['query', 'instant', `https://${NAME}:${port}`, 'up'], { env }))
}

async function judged(t: Test, verify: Verify): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'tlsfleet-trust-'))
  t.teardown(() => rmSync(directory, { recursive: true }))
  const [current, next, foreign] = [await leaf(), await leaf(), await leaf()]
  const [first, second] = [await serve(t, current), await serve(t, next)]
  const [other, forged] = [
    await serve(t, foreign),
    await serve(t, await signedBy(directory, current)),
  ]
  const trust = join(directory, 'trust.pem')
  writeFileSync(trust, current.certificate + next.certificate)

  t.equal(await verify(first, trust), true, 'the one in use')
  t.equal(await verify(second, trust), true, 'the one that follows it')
  t.equal(await verify(other, trust), false, 'one that nobody was given')
  t.equal(await verify(forged, trust), false, 'what the key of a leaf has signed')
}

await t.test('OpenSSL', async t => {
  const directory = mkdtempSync(join(tmpdir(), 'tlsfleet-openssl-'))
  t.teardown(() => rmSync(directory, { recursive: true }))
  await judged(t, openssl(directory))
})

await t.test('Node', t => judged(t, node))

await t.test('Go', { skip: PROMTOOL_UNAVAILABLE }, t => judged(t, go))

await t.test('Java', t =>
  withOracle(t, async ({ ask }) =>
    judged(t, async ({ port }, trust) => {
      const [answer] = await ask('connect', NAME, String(port), trust)
      return answer === 'accepted'
    }),
  ),
)
