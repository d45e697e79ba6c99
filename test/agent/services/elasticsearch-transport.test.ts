// TLS between the nodes of a cluster: what is written where it is ours, when a whole cluster has to be
// changed at once, and what of somebody else is left alone. What the product would count is asked of
// its simulator.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { wantsClientUse } from '../../../shared/contract/service.ts'
import { codes, compiledOn, serverTls, verdict } from './fake-node.ts'
import {
  counted,
  elasticsearchOn,
  elasticsearchUnit,
  HTTP,
  intent,
  type Intent,
  type NodeOptions,
  pass,
  PASSWORD,
  TRANSPORT,
} from './elasticsearch-node.ts'

const AUTOCONFIGURED = readFileSync(
  join(import.meta.dirname, 'golden/elasticsearch-autoconfigured.yml'),
  'utf8',
)
const STORE = 'tlsfleet/current/http.p12'
const SECURE = 'xpack.security.enabled: true\n'
const HTTP_ON = `${SECURE}${HTTP}.enabled: true\n${HTTP}.keystore.path: ${STORE}\n`
const CLUSTER = 'network.host: 10.0.0.7\ndiscovery.seed_hosts: [es2, es3]\n'
const TRANSPORT_PASSWORD = `${TRANSPORT}.keystore.secure_password`
const BOTH = { [PASSWORD]: 'secret', [TRANSPORT_PASSWORD]: 'secret' }
const OLD: NodeOptions = { version: '7.17.20' }

function managed(changes: Partial<Intent> = {}): Intent {
  return intent({ options: { layout: 'pkcs12', transport: 'manage' }, ...changes })
}

const left = intent({ options: { layout: 'pkcs12', transport: 'leave' } })
const OURS = {
  enabled: 'true',
  'keystore.path': STORE,
  verification_mode: 'certificate',
  client_authentication: 'required',
  certificate_authorities: ['tlsfleet/ca.pem'],
}

function secondPass(tls: Intent, first: ReturnType<typeof pass>) {
  const again = pass(tls, first.after)
  const isLoaded = JSON.stringify(again.compiled.loads) === JSON.stringify(first.compiled.loads)
  return { changes: again.changes, isLoaded, coordinated: again.compiled.coordinated }
}

const SETTLED = { changes: [], isLoaded: true, coordinated: undefined }

await t.test('both layers come to TLS in one change, with one file and one password', async t => {
  const first = pass(managed(), elasticsearchOn(SECURE + CLUSTER, { ...OLD, secrets: {} }))

  t.strictSame(counted(first.text, BOTH, TRANSPORT), OURS)
  t.strictSame(counted(first.text, BOTH), { enabled: 'true', 'keystore.path': STORE })
  t.match(first.compiled.coordinated, { code: 'coordinated-change', message: /--together/ })
  t.match(first.compiled.keystores, [
    {
      entries: [
        { kind: 'store-password', name: PASSWORD },
        { kind: 'absent', name: `${HTTP}.keystore.secure_key_password` },
        { kind: 'store-password', name: TRANSPORT_PASSWORD },
        { kind: 'absent', name: `${TRANSPORT}.keystore.secure_key_password` },
      ],
    },
  ])
  t.ok(first.compiled.material.clientUse)
  t.strictSame(codes(first.compiled.notices), [])
  t.strictSame(secondPass(managed(), first), SETTLED)
})

await t.test('beside HTTP that has TLS already, only the other layer is written', async t => {
  const first = pass(managed(), elasticsearchOn(HTTP_ON + CLUSTER, OLD))

  t.ok(first.changes.length > 0)
  for (const line of first.changes) t.match(line, `+ ${TRANSPORT}.`)
  t.strictSame(codes(first.compiled.files.map(file => file.reason)), ['tls-required'])
  t.strictSame(codes([first.compiled.coordinated].filter(one => one !== undefined)), [
    'coordinated-change',
  ])
})

await t.test('the layout, strictness and other settings follow HTTP', async t => {
  const pem = pass(
    managed({ options: { layout: 'pem', transport: 'manage' } }),
    elasticsearchOn(HTTP_ON + CLUSTER, OLD),
  )
  t.match(counted(pem.text, {}, TRANSPORT), {
    certificate: 'tlsfleet/current/chain.pem',
    key: 'tlsfleet/current/key.pem',
  })
  t.match(pem.compiled.keystores, [
    {
      entries: [
        { kind: 'absent', name: `${HTTP}.secure_key_passphrase` },
        { kind: 'absent', name: `${TRANSPORT}.secure_key_passphrase` },
      ],
    },
  ])
  const strict = pass(managed({ minVersion: '1.3' }), elasticsearchOn(HTTP_ON + CLUSTER, OLD))
  t.strictSame(counted(strict.text, BOTH, TRANSPORT)['supported_protocols'], ['TLSv1.3'])

  const modeFrom = (mode: string) => {
    const text = `${HTTP_ON}${TRANSPORT}.enabled: false\n${TRANSPORT}.verification_mode: ${mode}\n`
    const { text: after } = pass(managed(), elasticsearchOn(text, OLD))
    return counted(after, BOTH, TRANSPORT)['verification_mode']
  }
  t.equal(modeFrom('full'), 'full', 'whoever wrote it knows the names of the others')
  t.equal(modeFrom('none'), 'certificate')
})

await t.test('a prepared store of somebody else that was never switched on gives way', async t => {
  const prepared = `${HTTP_ON}${TRANSPORT}:
  enabled: false
  keystore.path: elastic-certificates.p12
  truststore.path: elastic-certificates.p12
`
  const { text, compiled } = pass(managed(), elasticsearchOn(prepared, OLD))
  t.strictSame(counted(text, BOTH, TRANSPORT), OURS)
  t.equal(compiled.coordinated?.code, 'coordinated-change')
})

await t.test('what somebody else has set up is kept', async t => {
  for (const text of [
    AUTOCONFIGURED,
    `${HTTP_ON}${TRANSPORT}.enabled: true\n${TRANSPORT}.keystore.path: elastic-certificates.p12\n`,
  ]) {
    const asked = pass(managed(), elasticsearchOn(text))
    const plain = pass(left, elasticsearchOn(text))

    t.equal(asked.text, plain.text)
    t.ok(codes(asked.compiled.notices).includes('transport-kept'))
    t.equal(asked.compiled.coordinated, undefined)
    t.strictSame(asked.compiled.loads, plain.compiled.loads)
    t.strictSame(asked.compiled.keystores, plain.compiled.keystores)
    t.strictSame(asked.compiled.material.store, plain.compiled.material.store)
  }
})

await t.test('the way back is for all at once too, and leaves nothing of ours', async t => {
  const on = pass(managed(), elasticsearchOn(HTTP_ON + CLUSTER, OLD))
  for (const tls of [left, managed({ tls: 'off' }), intent({ tls: 'off' })]) {
    const back = pass(tls, on.after)

    t.equal(back.compiled.coordinated?.code, 'coordinated-change')
    t.strictSame(counted(back.text, {}, TRANSPORT), { enabled: 'false' })
    t.match(
      back.compiled.keystores.flatMap(({ entries }) => entries),
      tls.tls === 'off' ? [{ kind: 'absent', name: TRANSPORT_PASSWORD }] : { length: 3 },
    )
    t.notOk(back.compiled.material.clientUse)
    t.ok(
      back.compiled.loads.some(
        ({ name, activation }) => name === 'transport' && activation === 'restart',
      ),
    )
    const again = pass(tls, back.after)
    t.strictSame(again.changes, [])
    t.equal(again.compiled.coordinated, undefined)
    t.notOk(again.compiled.loads.some(({ name }) => name === 'transport'))
  }
})

await t.test('what is changed later needs no cluster to be stopped', async t => {
  const on = pass(managed(), elasticsearchOn(HTTP_ON + CLUSTER, OLD))
  const drifted = elasticsearchOn(
    on.text.replace(`${TRANSPORT}.client_authentication: required\n`, ''),
    OLD,
  )
  const mended = pass(managed(), drifted)
  t.strictSame(mended.changes, [`+ ${TRANSPORT}.client_authentication: required`])
  t.equal(mended.compiled.coordinated, undefined)

  const acts = (text: string) =>
    compiledOn(managed(), elasticsearchOn(text, OLD)).loads.map(
      load => `${load.name} ${load.activation} ${load.provenBy}`,
    )
  t.ok(acts(on.text).includes('certificate none handshake'))
  t.ok(acts(on.text).includes('transport restart ledger'))
  t.notOk(
    acts(on.text).some(act => act.startsWith('authorities')),
    'ca.pem is read again',
  )
  t.ok(acts(`${on.text}resource.reload.enabled: false\n`).includes('authorities restart ledger'))
})

await t.test('a node that is a cluster of its own has nobody to lose', async t => {
  const single = `${HTTP_ON}discovery.type: single-node\n`
  const { compiled, text } = pass(managed(), elasticsearchOn(single))
  t.equal(compiled.coordinated, undefined)
  t.strictSame(counted(text, BOTH, TRANSPORT), OURS)
  const [listener] = compiled.listeners
  t.strictSame(codes(listener?.advise?.({ status: 401, headers: {}, body: '' }) ?? []), [])
  const [member] = compiledOn(managed(), elasticsearchOn(HTTP_ON + CLUSTER)).listeners
  t.strictSame(codes(member?.advise?.({ status: 401, headers: {}, body: '' }) ?? []), [
    'cluster-unseen',
  ])
})

await t.test('where a version does not start without it, there is no way back', async t => {
  const on = pass(managed(), elasticsearchOn(HTTP_ON + CLUSTER))
  t.strictSame(codes(on.compiled.notices), ['transport-no-way-back'])
  t.equal(verdict(left, on.after), 'plaintext-impossible')
  const local = pass(managed(), elasticsearchOn(`${HTTP_ON}network.host: _local_\n`))
  t.strictSame(codes(local.compiled.notices), [])
  t.equal(verdict(left, local.after), 'compiled')
})

await t.test(
  'what would let others in, or leave nodes without a certificate, is refused',
  async t => {
    const from = (issuer: Intent['certificate']['issuer']) =>
      managed({ certificate: { ...serverTls('elasticsearch').certificate, issuer } })
    const node = elasticsearchOn(HTTP_ON + CLUSTER, OLD)
    for (const issuer of ['acme', 'csr', 'provided', 'files', 'self-signed'] as const)
      t.equal(verdict(from(issuer), node), 'transport-issuer', issuer)
    t.equal(verdict(from('local-ca'), node), 'compiled')
    t.equal(verdict(managed({ trust: [] }), node), 'client-trust-missing')

    const on = pass(managed(), node)
    const required = intent({ options: { layout: 'pkcs12', transport: 'require' } })
    t.equal(verdict(required, on.after), 'transport-managed')
    t.equal(verdict(required, node), 'coordinated-change')

    const unclear = elasticsearchOn(`${HTTP_ON}${TRANSPORT}.enabled: \${TLS}\n`, OLD)
    t.equal(verdict(managed(), unclear), 'config-unexpected')
    t.equal(verdict(left, unclear), 'compiled')
    const unit = elasticsearchUnit({
      execStart: ['/usr/share/elasticsearch/bin/elasticsearch', '-E', `${TRANSPORT}.enabled=false`],
    })
    t.equal(
      verdict(managed(), elasticsearchOn(HTTP_ON, { ...OLD, unit })),
      'setting-on-command-line',
    )
    t.equal(verdict(left, elasticsearchOn(HTTP_ON, { ...OLD, unit })), 'compiled')
  },
)

await t.test(
  'only where it is ours are certificates for clients too, without keys of CAs',
  async t => {
    t.ok(wantsClientUse(managed()))
    t.notOk(wantsClientUse(left))
    t.notOk(wantsClientUse(managed({ tls: 'off' })))
    const store = (tls: Intent) => compiledOn(tls, elasticsearchOn(HTTP_ON)).material.store
    t.ok(store(left)?.carry)
    t.equal(store(managed())?.carry, undefined)
  },
)
