// What operators do over the API with requests for certificates that others sign: exported in one archive,
// imported in a heap, refused.

import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { SignAnswer } from '../../../shared/contract/agent-api.ts'
import { CertificateRequestView } from '../../../shared/contract/certificate-requests.ts'
import { OPERATOR_ROUTES } from '../../../shared/contract/operator-api.ts'
import { readCsr } from '../../../shared/pki/csr-reader.ts'
import { openSqliteStore } from '../../../controller/store/sqlite.ts'
import { createPrivateCa, DAY_MS, type LeafWish } from '../issuers/private-ca.ts'
import {
  apply,
  ask,
  importAll,
  listed,
  NAMES,
  type Scene,
  scene,
  specOf,
} from './requests-scene.ts'
import { codeOf, newKey, operatorOf, parsed } from './support.ts'

await t.test('what does not fit is refused with its reason; what fits is taken', async t => {
  const place = await scene(t, ['n1', 'n2', 'n3', 'n4', 'n5'])
  const other = createPrivateCa(Date.now(), 'other')
  const keys = await Promise.all(place.agents.map(() => newKey()))
  for (const [index, agent] of place.agents.entries())
    await ask(agent, { key: keys[index] ?? (await newKey()) })
  const issue = (index: number, wish: LeafWish = {}, ca = place.ca) =>
    ca.issue(keys[index]?.publicKeyPem ?? '', { ...NAMES(`n${index + 1}`), ...wish })
  const foreign = place.ca.issue((await newKey()).publicKeyPem, NAMES('n1'))
  const heap = [
    issue(1, { dns: ['n1.example.org'] }),
    foreign,
    issue(2, { beginMs: Date.now() - 91 * DAY_MS }),
    place.ca.intermediate,
    issue(3, {}, other),
    issue(0),
    'no certificate at all',
    other.intermediate,
    issue(4),
  ]

  const results = await importAll(place, heap)

  t.match(results, [
    { outcome: 'refused', node: 'n2', reasons: [{ code: 'name-missing' }] },
    { outcome: 'refused', node: undefined, reasons: [{ code: 'key-unknown' }] },
    { outcome: 'refused', node: 'n3', reasons: [{ code: 'expired' }] },
    { outcome: 'issuer', reasons: [] },
    { outcome: 'refused', node: 'n4', reasons: [{ code: 'chain-incomplete' }] },
    { outcome: 'taken', node: 'n1', reasons: [] },
    { outcome: 'refused', reasons: [{ code: 'certificate-unparsable' }] },
    { outcome: 'issuer' },
    { outcome: 'taken', node: 'n5' },
  ])
  t.match(await importAll(place, [issue(3, {}, other), other.intermediate, other.root]), [
    { outcome: 'refused', node: 'n4', reasons: [{ code: 'untrusted' }] },
    { outcome: 'issuer' },
    { outcome: 'issuer' },
  ])

  const states = (await listed(place)).map(({ node, state }) => `${node} ${state}`)
  t.strictSame(states, ['n1 signed', 'n2 pending', 'n3 pending', 'n4 pending', 'n5 signed'])
  const twice = await importAll(place, heap)
  t.strictSame(
    twice.map(({ outcome }) => outcome),
    ['refused', 'refused', 'refused', 'issuer', 'refused', 'known', 'refused', 'issuer', 'known'],
    'the same again changes nothing',
  )
  t.match(await importAll(place, [issue(0), place.ca.intermediate]), [
    { outcome: 'refused', reasons: [{ code: 'already-signed' }] },
    {},
  ])
  const log = await auditOf(place)
  t.equal(log.filter(one => one === 'operator certificate-request-signed').length, 0)
  t.equal(log.filter(one => one.endsWith(' certificate-request-signed')).length, 2)
})

await t.test('one archive has all that waits, as openssl and tar read it', async t => {
  const place = await scene(t, ['n1', 'n2'])
  for (const agent of place.agents) await ask(agent, { key: await newKey() })
  const directory = mkdtempSync(join(tmpdir(), 'csr-'))
  t.teardown(() => rmSync(directory, { recursive: true }))

  const { url, archive } = await exported(place)
  writeFileSync(join(directory, 'all.tar'), archive)
  execFileSync('tar', ['-xf', 'all.tar'], { cwd: directory })

  t.match(url, /export$/)
  const files = readdirSync(directory).toSorted()
  const csrs = files.filter(name => name.endsWith('.csr'))
  t.match(csrs, [/^n1--prometheus--[0-9a-f]{8}\.csr$/, /^n2--prometheus--[0-9a-f]{8}\.csr$/])
  t.equal(files.length, 5, files.join())
  for (const name of csrs) {
    const text = execFileSync('openssl', ['req', '-in', name, '-noout', '-verify', '-text'], {
      cwd: directory,
      encoding: 'utf8',
    })
    t.match(text, /DNS:n[12]\.example\.org, IP Address:10\.1\.2\.3/)
    t.match(readCsr(readFileSync(join(directory, name), 'utf8')), { keyType: 'ec-p256' })
  }
  const [head, ...rows] = readFileSync(join(directory, 'index.csv'), 'utf8').split('\r\n')
  t.match(head, 'file,node,service,dns,ip,key,usage,lifetime_days')
  t.match(rows[0], `${csrs[0]},n1,prometheus,n1.example.org,10.1.2.3,ec-p256,serverAuth,365,`)
  t.match(readFileSync(join(directory, 'README.txt'), 'utf8'), 'the fleet demo')

  // The spec asks for something else now, so nobody may sign the old requests any more.
  await apply(place, specOf(place.ca, ', clientAuth: required'))
  const { archive: later } = await exported(place)
  writeFileSync(join(directory, 'later.tar'), later)
  const names = execFileSync('tar', ['-tf', 'later.tar'], { cwd: directory, encoding: 'utf8' })
  t.equal(names, 'index.csv\nREADME.txt\n')
  t.match(await listed(place), [{ state: 'withdrawn', reason: { code: 'not-wanted' } }, {}])
})

await t.test('a refused request stays refused until the node has a newer document', async t => {
  const place = await scene(t)
  const { operator } = place
  const [agent] = place.agents
  if (agent === undefined) throw new Error('no agent')
  const key = await newKey()
  await ask(agent, { key })
  const [request] = await listed(place)
  const path = (id: string) => OPERATOR_ROUTES.certificateRequestRefuse.replace(':id', id)
  const reason = { reason: 'not in the zone plan' }

  t.equal(codeOf(await operator('POST', path('00000000'), reason)), 'not-found')
  const short = request?.id.slice(0, 8) ?? ''
  const refused = parsed(CertificateRequestView, await operator('POST', path(short), reason))
  t.match(refused, { state: 'refused', reason: { message: 'not in the zone plan' } })
  t.equal(codeOf(await operator('POST', path(short), reason)), 'illegal-transition')
  const answer = await ask(agent, { key })
  t.equal(codeOf(answer), 'certificate-refused')
  t.match(answer.text, 'not in the zone plan')
  const leaf = place.ca.issue(key.publicKeyPem, NAMES('n1'))
  t.match(await importAll(place, [leaf]), [
    { outcome: 'refused', reasons: [{ code: 'already-refused', message: /zone plan/ }] },
  ])

  await apply(place, specOf(place.ca, ', minVersion: "1.3"'))
  t.match(parsed(SignAnswer, await ask(agent, { key })), {
    pending: { code: 'awaiting-signature' },
  })
  t.match(await listed(place), [{ state: 'refused' }, { state: 'pending' }])
})

await t.test('viewers see requests and do nothing with them', async t => {
  const place = await scene(t)
  const viewer = operatorOf(place.running, place.running.viewerToken)
  const { certificateRequestImport, certificateRequestExport } = OPERATOR_ROUTES
  const body = { certificates: [{ source: 'a', pem: 'b' }] }

  t.equal((await viewer('GET', OPERATOR_ROUTES.certificateRequests)).status, 200)
  t.equal(codeOf(await viewer('POST', certificateRequestImport, body)), 'role-insufficient')
  t.equal(codeOf(await viewer('GET', certificateRequestExport)), 'role-insufficient')
})

async function exported({ running }: Scene): Promise<{ url: string; archive: Buffer }> {
  const { Agent, get } = await import('node:https')
  const { buffer } = await import('node:stream/consumers')
  const url = `${running.controller.urls.operator}${OPERATOR_ROUTES.certificateRequestExport}`
  const agent = new Agent({ ca: running.controller.identityRoot })
  const headers = { authorization: `Bearer ${running.operatorToken}` }
  return new Promise((resolve, reject) => {
    get(url, { agent, headers }, response => {
      buffer(response).then(archive => resolve({ url, archive }), reject)
    }).on('error', reject)
  })
}

async function auditOf({ running }: Scene): Promise<readonly string[]> {
  await running.controller.close()
  const store = await openSqliteStore({
    path: join(running.dataDir, 'controller.db'),
    busyTimeoutMs: 1_000,
  })
  try {
    const records = await store.transaction(tx => tx.audit.list({ after: 0, limit: 1000 }))
    return records.map(({ actor, action }) => `${actor} ${action}`)
  } finally {
    await store.close()
  }
}
