// Issuer `acme` against a real ACME server, at its strictest. See test/support/pebble.ts.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { openHttpChallenges } from '../../../controller/issuers/acme/http-challenges.ts'
import type { AcmeDirectory } from '../../../controller/issuers/acme/settings.ts'
import { certificateFacts } from '../../../shared/pki/facts.ts'
import { splitPemCertificates } from '../../../shared/pki/pem.ts'
import { type AcmeScene, acmeDirectory, acmeScene } from '../../support/acme-scene.ts'
import { KILL_POINTS } from '../../support/acme-kill-points.ts'
import { startDnsAnswerer } from '../../support/dns-answerer.ts'
import { PEBBLE_UNAVAILABLE, type Pebble, startPebble } from '../../support/pebble.ts'

const CHILD = join(import.meta.dirname, '../../support/acme-child.ts')

interface World extends AcmeScene {
  readonly pebble: Pebble
  readonly hmacFile: string
}

async function world(t: Test, httpPort?: number): Promise<World> {
  const scene = await acmeScene(t)
  const dns = await startDnsAnswerer(scene.zone)
  t.teardown(() => dns.close())
  const pebble = await startPebble({
    directory: scene.directory,
    dnsPort: dns.port,
    ...(httpPort === undefined ? {} : { httpPort }),
  })
  t.teardown(() => pebble.stop())
  const hmacFile = join(scene.directory, 'eab')
  writeFileSync(hmacFile, `${pebble.eab.hmacKey}\n`, { mode: 0o600 })
  return Object.assign(scene, { pebble, hmacFile })
}

function configured({ pebble, hmacFile, program }: World) {
  return acmeDirectory({
    url: pebble.directoryUrl,
    caFile: pebble.caFile,
    eab: { kid: pebble.eab.kid, hmacFile },
    dns: { program, timeoutMs: 60_000, check: true },
  })
}

/** Certificates that the server has made. */
function issued(pebble: Pebble): number {
  return pebble.log().split('Issued certificate serial').length - 1
}

await t.test(
  'DNS-01 with a binding: one certificate, of the names and the key, no record left',
  { skip: PEBBLE_UNAVAILABLE },
  async t => {
    const scene = await world(t)
    const { pebble } = scene
    const settled: string[] = []
    const directories = [configured(scene)]
    const issuer = scene.issuer({ directories, onSettled: node => void settled.push(node) })
    const names = ['a.example.test', 'b.example.test']

    const id = await scene.request(names, { trust: [pebble.issuingRoot] })
    const request = await issuer.settle(id)

    t.equal(request.state, 'signed')
    const [leaf = '', ...above] = splitPemCertificates(request.certificateChain ?? '')
    const facts = certificateFacts(leaf)
    t.strictSame([...facts.dnsNames].toSorted(), names)
    t.equal(facts.publicKeyDigest, request.publicKeyDigest)
    t.ok(above.length > 0, 'with its intermediate')
    t.strictSame(settled, [request.node], 'the node is woken')
    t.strictSame(scene.leftovers(), [])
    t.equal(issued(pebble), 1)

    const { accounts, audit } = await scene.store.transaction(async tx => ({
      accounts: await tx.acme.accounts(),
      audit: await tx.audit.list({ after: 0, limit: 10 }),
    }))
    t.match(accounts, [{ directory: 'corp', accountUrl: /^https:/ }])
    t.notMatch(accounts[0]?.keySealed, 'PRIVATE KEY')
    t.match(
      audit.map(one => one.action),
      ['acme-account-register', 'certificate-request-signed'],
    )

    // The next one takes the same account.
    const next = await issuer.settle(
      await scene.request(['c.example.test'], { trust: [pebble.issuingRoot] }),
    )
    t.equal(next.state, 'signed')
    t.equal(pebble.log().split('There are now 1 accounts').length - 1, 1)
  },
)

await t.test(
  'a DNS program that fails is quoted, and tried again; so is a wrong record',
  { skip: PEBBLE_UNAVAILABLE },
  async t => {
    const scene = await world(t)
    const { pebble } = scene
    const directory = configured(scene)
    const broken = join(scene.directory, 'broken')
    writeFileSync(broken, 'update failed: REFUSED\n')
    const id = await scene.request(['a.example.test'], { trust: [pebble.issuingRoot] })
    const first = scene.issuer({ directories: [directory] })

    const waiting = await first.waits(id, 'dns-program-failed')
    t.match(
      waiting.reason?.message,
      /dns-update present _acme-challenge\.a\.example\.test\. failed \(exit 3\): update failed: REFUSED/,
    )
    const order = await scene.order(id)
    t.match(order, { state: 'ordered', reason: waiting.reason })
    t.ok((order?.attempts ?? 0) > 0)
    await first.stop()
    rmSync(broken)

    // A program that says yes and does nothing: the directory looks, and the order is lost.
    const second = scene.issuer({ directories: [directory], runDns: async () => {} })
    const refused = await second.waits(id, 'acme-validation-failed')
    t.match(refused.reason?.message, /prove control of a\.example\.test: unauthorized: /)
    t.match(await scene.order(id), { state: 'waiting', orderUrl: undefined })
    await second.stop()

    const request = await scene.issuer({ directories: [directory] }).settle(id)
    t.equal(request.state, 'signed')
    t.equal(issued(pebble), 1)
    t.strictSame(scene.leftovers(), [])
  },
)

await t.test(
  'a wrong binding stops the directory with its words, until the file is right',
  { skip: PEBBLE_UNAVAILABLE },
  async t => {
    const scene = await world(t)
    const { pebble, hmacFile } = scene
    writeFileSync(hmacFile, Buffer.alloc(32, 7).toString('base64url'), { mode: 0o600 })
    const issuer = scene.issuer({ directories: [configured(scene)] })
    const trust = [pebble.issuingRoot]
    const id = await scene.request(['a.example.test'], { trust })

    const waiting = await issuer.waits(id, 'acme-account-refused')
    t.match(waiting.reason?.message, /register an account at https:.*external account binding/i)
    const [state] = issuer.states()
    t.match(state?.blocked?.reason, waiting.reason)

    // Another request waits for the same, and asks nobody.
    const other = await scene.request(['b.example.test'], { trust })
    await issuer.waits(other, 'acme-account-refused')

    writeFileSync(hmacFile, pebble.eab.hmacKey)
    t.equal((await issuer.settle(id)).state, 'signed')
    t.equal((await issuer.settle(other)).state, 'signed')
  },
)

await t.test(
  'a name that the directory never signs for ends the request with its words',
  { skip: PEBBLE_UNAVAILABLE },
  async t => {
    const scene = await world(t)
    const issuer = scene.issuer({ directories: [configured(scene)] })
    const id = await scene.request(['blocked.test'])

    const request = await issuer.settle(id)

    t.equal(request.state, 'refused')
    t.match(request.reason?.message, /order a certificate for blocked\.test: rejectedIdentifier: /)
    t.equal((await scene.order(id))?.state, 'ended')
  },
)

await t.test(
  'killed at any point of an order, the controller goes on with it: one order, one certificate',
  { skip: PEBBLE_UNAVAILABLE },
  async t => {
    const scene = await world(t)
    const { pebble } = scene
    const directory = configured(scene)
    const id = await scene.request(['a.example.test'], { trust: [pebble.issuingRoot] })

    await scene.close()
    for (const point of KILL_POINTS)
      t.equal(await runUntilKilled(scene.path, directory, id, point), 'SIGKILL', point)
    await scene.reopen()
    t.match(await scene.order(id), { state: 'finalizing' })
    t.equal((await scene.read(id)).state, 'pending')

    const request = await scene.issuer({ directories: [directory] }).settle(id)

    t.equal(request.state, 'signed')
    t.equal(ordered(pebble), 1)
    t.equal(issued(pebble), 1)
    t.strictSame(scene.leftovers(), [])
  },
)

await t.test(
  'HTTP-01: nobody listens unless it is configured; then for tokens of open orders only',
  { skip: PEBBLE_UNAVAILABLE },
  async t => {
    const challenges = await openHttpChallenges([{ host: '127.0.0.1', port: 0 }])
    t.teardown(() => challenges.close())
    const [port = 0] = challenges.ports.values()
    const scene = await world(t, port)
    const { pebble } = scene
    const { dns: _dns, ...rest } = configured(scene)
    const trust = [pebble.issuingRoot]
    const id = await scene.request(['a.example.test'], { trust })
    const seen: string[] = []
    const httpChallenges = {
      show(token: string, authorization: string) {
        seen.push(token)
        challenges.show(token, authorization)
      },
      remove: (token: string) => challenges.remove(token),
    }

    const off = scene.issuer({ directories: [{ ...rest, dns: undefined }], httpChallenges })
    const waiting = await off.waits(id, 'acme-no-challenge')
    t.match(waiting.reason?.message, /offered .*http-01.*, configured none/)
    t.strictSame(seen, [])
    await off.stop()

    const http01 = { host: '127.0.0.1', port }
    const on = scene.issuer({ directories: [{ ...rest, dns: undefined, http01 }], httpChallenges })
    t.equal((await on.settle(id)).state, 'signed')
    t.equal(seen.length, 1)
    for (const token of [...seen, '', 'unknown', '../secret'])
      t.equal((await fetchChallenge(port, token)).status, 404, `gone: ${token}`)
  },
)

function fetchChallenge(port: number, token: string): Promise<Response> {
  return fetch(`http://127.0.0.1:${port}/.well-known/acme-challenge/${token}`)
}

function ordered(pebble: Pebble): number {
  return pebble.log().split('Added order').length - 1
}

/** What ended the process. */
async function runUntilKilled(
  path: string,
  directory: AcmeDirectory,
  request: string,
  point: string,
): Promise<unknown> {
  const child = spawn(process.execPath, [CHILD, path, JSON.stringify(directory), request, point], {
    stdio: 'inherit',
  })
  const [code, signal]: unknown[] = await once(child, 'exit')
  return signal ?? code
}
