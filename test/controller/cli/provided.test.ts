// Issuer `provided` from the operator's file to what a node serves: the command line, the real
// controller, and the agent itself over the network, on a node in memory.

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { createEnroll } from '../../../agent/edges/enroll.ts'
import { createRemote } from '../../../agent/edges/remote.ts'
import { certificateFacts } from '../../../shared/pki/facts.ts'
import { signProof } from '../../../shared/pki/proof.ts'
import { Secret } from '../../../shared/secret.ts'
import { until } from '../../lab/until.ts'
import { createTestCa, DAY_MS, type Holder } from '../../shared/pki/support.ts'
import { createFakeController } from '../../support/fake-controller.ts'
import { startAgent } from '../../support/memory-agent.ts'
import { newNode } from '../../support/memory-fleet.ts'
import { addNode, newKey, operatorOf, type Running, startController } from '../api/support.ts'
import { type Outcome, tlsfleet } from './command.ts'

const directory = t.testdir({})
const nowMs = Date.now()
const ca = createTestCa('office')
const root = ca.make({
  profile: { kind: 'root' },
  name: 'office',
  nowMs,
  lifetimeMs: 3650 * DAY_MS,
})

function file(name: string, text: string): string {
  const path = join(directory, name)
  writeFileSync(path, text)
  return path
}

const ROOT_FILE = file('root.pem', root.pem)

/** A wildcard as files: certificate, and key in the form that many tools write. */
function wildcard(name: string, lifetimeMs: number, dns = ['*.example.org']) {
  const leaf = ca.server(dns, [], { issuer: root, nowMs, lifetimeMs })
  const key = leaf.key.export({ type: 'sec1', format: 'pem' }).toString()
  return {
    leaf,
    fingerprint: certificateFacts(leaf.pem).fingerprint,
    chain: file(`${name}.crt`, leaf.pem),
    key: file(`${name}.key`, key),
  }
}

const [first, second] = [wildcard('first', 20 * DAY_MS), wildcard('second', 90 * DAY_MS)]

function commandOf({ controller, adminToken }: Running) {
  const context = {
    url: controller.urls.operator,
    token: adminToken,
    ca: [controller.identityRoot],
  }
  const contexts = { version: 1, current: 'demo', contexts: { demo: context } }
  const config = join(directory, 'config.json')
  writeFileSync(config, JSON.stringify(contexts), { mode: 0o600 })
  return (...argv: string[]): Promise<Outcome> => tlsfleet(argv, { config, nowMs: Date.now() })
}

/** The agent of n1 with its own network edges. */
async function startNode(running: Running) {
  const token = await addNode(operatorOf(running), 'n1')
  const key = await newKey()
  const enrolled = await createEnroll()({
    token,
    publicKeyPem: key.publicKeyPem,
    prove: id => signProof({ purpose: 'enroll', context: [id], key: key.privateKey }),
    facts: {},
    nowMs: Date.now(),
  })
  const identity = { ...enrolled, privateKey: new Secret(key.privateKeyPem) }
  const node = newNode()
  node.advance(Date.now() - node.nowMs())
  const remote = createRemote({ identity })
  const controller = { ...createFakeController(() => node.nowMs()), remote }
  const agent = await startAgent(node, controller, { identity })
  t.teardown(async () => {
    agent.kill()
    remote.close()
  })
  return { node, agent }
}

function specOf(trust: string): string {
  const pem = trust.replaceAll(/^(?=.)/gm, '        ')
  return `version: 1
fleet: demo
services:
  - service: prometheus
    nodes: all
    issuer: provided
    provided: wildcard
    names: dns
    verify: { stableFor: 300ms, deadline: 30s }
    trust:
      - |
${pem}`
}

await t.test('a wildcard goes from its files to the node, and so does the next one', async t => {
  const running = await startController(t)
  const command = commandOf(running)
  const { node } = await startNode(running)
  const spec = file('fleet.yaml', specOf(root.pem))

  const early = await command('apply', '-f', spec, '--yes')
  t.match(early, {
    code: 1,
    err: /fleet\.yaml:7:15: .*no pair named `wildcard`.*tlsfleet provided put wildcard/,
  })

  const put = ['provided', 'put', 'wildcard', '--chain', first.chain, '--key', first.key]
  t.match(
    await command(...put),
    { code: 1, err: /not among|neither in the chain.*\nhint: .*root/ },
    'a CA that nobody knows',
  )
  const uploaded = await command(...put, '--trust', ROOT_FILE)
  t.match(uploaded, {
    code: 0,
    out: /^pair wildcard uploaded: \*\.example\.org, ends .*\n(warning: .*\n)?select it/,
  })

  const applied = await command('apply', '-f', spec, '--yes')
  t.equal(applied.code, 0, applied.out + applied.err)
  t.equal(node.served('prometheus'), first.fingerprint)
  const keys = [...node.tree].filter(([path]) => path.endsWith('/key.pem'))
  t.equal(keys.length, 1)
  const pkcs8 = first.leaf.keyPem
  t.equal(node.files.text(keys[0]?.[0] ?? ''), pkcs8)
  t.match(keys[0]?.[1], { owner: { mode: 0o600 } })
  t.match(await command('plan', '-f', spec), { code: 0 }, 'and nothing is left to do')

  await t.test('who has it is known, and that nobody renews it', async t => {
    t.match(await command('provided', 'ls'), {
      code: 0,
      out: /^PAIR .*\nwildcard +(ok|ends-soon) .* 1 +\*\.example\.org\n$/,
    })
    const shown = await command('provided', 'show', 'wildcard')
    t.match(shown.out, /used by {6}n1 prometheus\n/)
    const forecast = await until(
      async () => {
        const { certificates } = JSON.parse((await command('certs', '--json', '--forecast')).out)
        return certificates.find((one: { kind: string }) => one.kind === 'listener')
      },
      { what: 'a report of what is served' },
    )
    t.match(forecast, {
      node: 'n1',
      source: 'provided',
      fingerprint: first.fingerprint,
      unrenewed: { code: 'issuer-provided', message: 'an operator uploads the next one' },
    })
    t.match(await command('provided', 'rm', 'wildcard', '--yes'), {
      code: 1,
      err: /pair wildcard is used by n1 \(provided-in-use\)\nhint: /,
    })
  })

  const next = [
    'provided',
    'put',
    'wildcard',
    '--chain',
    second.chain,
    '--key',
    second.key,
    '--trust',
    ROOT_FILE,
  ]
  t.match(await command(...next), { code: 1, err: /--yes/ }, 'nobody to ask')
  const replaced = await command(...next, '--yes')
  t.match(
    replaced.out,
    /1 node still has another version \(n1\): tlsfleet plan -f shows the change, tlsfleet apply -f rolls it out\n/,
  )
  t.equal(node.served('prometheus'), first.fingerprint, 'nothing moves by itself')
  const plan = await command('plan', '-f', spec)
  t.match(plan, { code: 2, out: /wildcard/ })
  const again = await command('apply', '-f', spec, '--yes')
  t.equal(again.code, 0, again.out + again.err)
  t.equal(node.served('prometheus'), second.fingerprint)

  const outcomes = [uploaded, applied, replaced, plan, again]
  const said = outcomes.map(({ out, err }) => out + err).join('') + running.log.join('')
  for (const { leaf } of [first, second]) t.notOk(lineOfKey(leaf).some(line => said.includes(line)))
  t.notMatch(said, /PRIVATE KEY/)
})

function lineOfKey({ keyPem, key }: Holder): readonly string[] {
  const sec1 = key.export({ type: 'sec1', format: 'pem' }).toString()
  return [keyPem, sec1].flatMap(pem =>
    pem.split('\n').filter(line => /^[A-Za-z0-9+/]{20,}/.test(line)),
  )
}

await t.test('what is no pair never leaves the machine, and is never shown', async t => {
  const running = await startController(t)
  const command = commandOf(running)
  const put = (chain: string, key: string) =>
    command('provided', 'put', 'x', '--chain', chain, '--key', key)
  const key = readFileSync(first.key, 'utf8')
  const table = [
    [first.key, first.key, /there is no certificate in it/],
    [first.chain, first.chain, /no private key as PEM in it \(file-unreadable\)\nhint: .*openssl/],
    [first.chain, file('two.key', `${key}${key}`), /there are several keys in it/],
    [first.chain, join(directory, 'absent'), /could not read .*absent/],
  ] as const
  for (const [chain, given, message] of table) {
    const outcome = await put(chain, given)
    t.match(outcome, { code: 1, err: message })
    t.notOk(lineOfKey(first.leaf).some(line => (outcome.out + outcome.err).includes(line)))
  }
  t.match(await command('provided', 'ls'), { out: 'no pairs\n' })
  t.match(await command('provided', 'show', 'x'), { code: 1, err: /there is no pair x/ })
  t.match(await command('provided', 'rm', 'x'), { code: 1, err: /--yes/ })
})
