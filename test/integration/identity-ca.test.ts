// The identity CA is followed by another one under a running controller and a running agent, over real
// connections: the agent is there all the while. Others were away, for a while or for too long.

import { Agent } from 'node:https'
import t, { type Test } from 'tap'
import { runAgent } from '../../agent/agent.ts'
import { createEnroll } from '../../agent/edges/enroll.ts'
import { createRemote } from '../../agent/edges/remote.ts'
import { storeIdentity } from '../../agent/identity.ts'
import type { Identity } from '../../agent/remote.ts'
import { prepareState } from '../../agent/standalone.ts'
import { createWake } from '../../agent/wake.ts'
import type { AuthorityRecord, AuthorityState } from '../../controller/store/store.ts'
import { parseEnrollAnswer } from '../../shared/contract/agent-api.ts'
import { AGENT_ROUTES } from '../../shared/contract/protocol.ts'
import { NodeView } from '../../shared/contract/operator-api.ts'
import { systemClock } from '../../shared/clock.ts'
import { OperationalError } from '../../shared/errors.ts'
import { createLogger } from '../../shared/log.ts'
import { certificateFacts } from '../../shared/pki/facts.ts'
import { signProof } from '../../shared/pki/proof.ts'
import { bundleFingerprints } from '../../shared/pki/trust.ts'
import { Secret } from '../../shared/secret.ts'
import {
  addNode,
  call,
  enroll,
  newKey,
  type Operator,
  operatorOf,
  parsed,
  type Running,
  startController,
} from '../controller/api/support.ts'
import { until } from '../lab/until.ts'
import { newNode, STATE } from '../support/memory-fleet.ts'

const { signal } = new AbortController()

async function joined(running: Running, operator: Operator, name: string): Promise<Identity> {
  const key = await newKey()
  const answer = parseEnrollAnswer((await enroll(running, await addNode(operator, name), key)).body)
  const { enroll: enrollUrl } = running.controller.urls
  return { ...answer, enrollUrl, privateKey: new Secret(key.privateKeyPem) }
}

/** A daemon with a node in memory behind it, and the wall clock of everybody. */
async function startDaemon(t: Test, identity: Identity) {
  const node = newNode()
  const host = { ...node.host, clock: systemClock }
  await prepareState(host, STATE)
  await storeIdentity(host.files, STATE, identity)
  const stop = new AbortController()
  const lines: string[] = []
  const ended = runAgent(
    {
      host,
      stateDirectory: STATE,
      issuers: { files: {}, localCa: undefined },
      allow: { services: [], activations: [] },
      intervalMs: 300_000,
      identity,
      connect: one => createRemote({ identity: one }),
      wake: createWake(systemClock),
      heartbeat: () => {},
      heartbeatMs: 20_000,
      onReady: () => {},
      watch: () => {},
      onIdle: () => {},
      facts: {},
      agentVersion: 'test',
      log: createLogger({
        name: 'agent',
        level: 'info',
        destination: { write: line => lines.push(line) },
      }),
      // What is spread over minutes comes at once.
      random: () => 0,
    },
    stop.signal,
    () => {},
  )
  t.teardown(async () => {
    stop.abort()
    await ended
  })
  return { lines }
}

function fingerprintOf(pem: string): string {
  return certificateFacts(pem).fingerprint
}

/** What the controller's CAs are changed by: a transaction, and the word that it is done. */
function handle({ controller: { context } }: Running) {
  const change = async (changes: Readonly<Record<string, AuthorityState>>) => {
    await context.store.transaction(async tx => {
      for (const [id, state] of Object.entries(changes))
        await tx.authorities.setState(id, state, context.clock.now())
    })
    await context.refreshAuthorities()
  }
  return {
    change,
    prepare: async (): Promise<AuthorityRecord> => {
      const record = await context.authorities.make('identity')
      await context.store.transaction(tx => tx.authorities.insert(record))
      return record
    },
    /** The agent says of its own identity what is asked for. */
    knows: (node: string, what: string, check: (said: Said) => boolean) =>
      until(
        async () => {
          const said = await context.store.transaction(tx => tx.reports.identity(node))
          return said !== undefined && check(said) ? said : undefined
        },
        { what: `${node} ${what}` },
      ),
  }
}
type Said = { readonly issuer?: string | undefined; readonly trust: readonly string[] }

const trusts = (roots: readonly string[]) => (said: Said) =>
  said.trust.join() === bundleFingerprints(roots).join()

async function whoami(identity: Identity): Promise<string> {
  const remote = createRemote({ identity, requestTimeoutMs: 30_000 })
  try {
    await remote.whoami(signal)
    return 'accepted'
  } catch (error) {
    return reasonOf(error)
  } finally {
    remote.close()
  }
}

function reasonOf(error: unknown): string {
  if (!(error instanceof OperationalError)) throw error
  const { reason, code } = error.details
  return `${[reason, code, error.code].find(one => typeof one === 'string')}`
}

async function comeBack(identity: Identity): Promise<Identity> {
  const key = await newKey()
  const remote = createRemote({ identity, requestTimeoutMs: 30_000 })
  const { node } = identity
  const proof = signProof({ purpose: 'renew', context: [node], key: key.privateKey })
  try {
    const answer = await remote.renewExpired(key.publicKeyPem, proof, signal)
    return {
      ...identity,
      certificateChain: answer.certificateChain,
      identityTrust: answer.identityTrust ?? [],
      privateKey: new Secret(key.privateKeyPem),
    }
  } finally {
    remote.close()
  }
}

async function enrolledBy(token: string): Promise<string> {
  const key = await newKey()
  try {
    const answer = await createEnroll()({
      token,
      publicKeyPem: key.publicKeyPem,
      prove: id => signProof({ purpose: 'enroll', context: [id], key: key.privateKey }),
      facts: {},
      nowMs: Date.now(),
    })
    return `${answer.node} trusts ${answer.identityTrust.length}`
  } catch (error) {
    return reasonOf(error)
  }
}

await t.test(
  'a running agent goes from one identity CA to the next, and is never away',
  async t => {
    const running = await startController(t)
    const operator = operatorOf(running)
    const { context } = running.controller
    const { change, prepare, knows } = handle(running)
    const oldRoot = running.controller.identityRoot
    const daemon = await startDaemon(t, await joined(running, operator, 'n1'))
    const away = await joined(running, operator, 'away')
    const gone = await joined(running, operator, 'gone')
    const [early, late] = [await addNode(operator, 'early'), await addNode(operator, 'late')]
    await knows('n1', 'reports', trusts([oldRoot]))
    const isOnline = async (by = operator) =>
      parsed(NodeView, await by('GET', '/v1/nodes/n1')).online

    const next = await prepare()
    t.match(next, { id: 'identity-2', state: 'prepared' })
    const nextRoot = next.rootCertificate
    const both = [oldRoot, nextRoot]
    await context.refreshAuthorities()
    t.same(context.authorities.current().identity.roots, [oldRoot], 'prepared is not trusted')

    await change({ 'identity-2': 'trusted' })
    const told = await knows('n1', 'trusts both', trusts(both))
    t.equal(
      told.issuer,
      fingerprintOf(context.authorities.current().identity.issuer.certificatePem),
    )
    t.equal(await isOnline(), true)

    await change({ 'identity-1': 'outgoing', 'identity-2': 'active' })
    const nextIssuer = fingerprintOf(next.intermediateCertificate)
    await knows('n1', 'has an identity of the new CA', ({ issuer }) => issuer === nextIssuer)
    t.equal(await isOnline(), true)
    t.equal(
      await whoami({ ...away, identityTrust: [nextRoot] }),
      'accepted',
      'by the new root alone',
    )
    t.equal(await whoami(away), 'accepted', 'and by the old one alone, for whoever was away')
    t.equal(await enrolledBy(early), 'early trusts 2', 'a token that names the old root')

    await change({ 'identity-1': 'retired' })
    await knows('n1', 'trusts the new root alone', trusts([nextRoot]))
    t.equal(await isOnline(), true)
    t.equal(await whoami(away), 'broken', 'an identity of the old CA is good no more')
    t.equal(await enrolledBy(late), 'pin-mismatch')
    const back = await comeBack(away)
    t.same(back.identityTrust, [nextRoot])
    t.equal(
      await whoami(back),
      'accepted',
      'by proof of its key it is back, and knows the new root',
    )

    await change({ 'identity-1': 'denied' })
    t.equal(await comeBack(gone).then(() => 'back', reasonOf), 'controller-not-trusted')
    const informed = { ...gone, identityTrust: [nextRoot] }
    t.equal(await comeBack(informed).then(() => 'back', reasonOf), 'identity-ca-denied')
    const { controller } = running
    const informedOperator = operatorOf({
      ...running,
      controller: { ...controller, identityRoot: nextRoot },
    })
    t.equal(await isOnline(informedOperator), true)
    t.same(
      daemon.lines.filter(line => /cannot be asked|could not/.test(line)),
      [],
      'nothing that it has asked was left without an answer',
    )
  },
)

await t.test('connections of good agents outlive the change, those of others do not', async t => {
  const running = await startController(t)
  const operator = operatorOf(running)
  const { change, prepare } = handle(running)
  const [a, b] = [await joined(running, operator, 'a'), await joined(running, operator, 'b')]
  const { identityRoot } = running.controller
  const [first, second] = [keptConnection(running, a), keptConnection(running, b)]
  t.teardown(() => [first, second].forEach(one => one.agent.destroy()))
  t.equal((await first.ask()).status, 200)
  t.equal((await second.ask()).status, 200)
  const { rootCertificate } = await prepare()
  await change({ 'identity-2': 'trusted' })
  await change({ 'identity-1': 'outgoing', 'identity-2': 'active' })
  t.equal((await first.ask()).status, 200)
  t.equal(first.connections(), 1, 'on the connection that it had')
  const renewed = await renewedOf(a)
  const third = keptConnection(running, { ...renewed, identityTrust: [rootCertificate] })
  t.teardown(() => third.agent.destroy())
  t.equal((await third.ask()).status, 200)

  await change({ 'identity-1': 'retired' })

  t.equal((await third.ask()).status, 200)
  t.equal(third.connections(), 1, 'of the new CA: it stays')
  await t.rejects(second.ask(), { code: 'ECONNRESET' }, 'of the old one: it is cut')
  t.equal(second.connections(), 2, 'and no new one comes about')

  const again = await running.restart()
  const moved = (identity: Identity): Identity => ({
    ...identity,
    agentUrl: again.controller.urls.agent,
    enrollUrl: again.controller.urls.enroll,
  })
  t.equal(again.controller.identityRoot, rootCertificate)
  t.equal(await whoami(moved(b)), 'broken')
  t.same((await comeBack(moved(b))).identityTrust, [rootCertificate], 'after a restart too')
  // What is in the wrong hands vouches for nobody.
  await again.controller.context.store.transaction(tx => tx.authorities.taint('identity-1', 1))
  await again.controller.context.refreshAuthorities()
  const lost = comeBack(moved({ ...b, identityTrust: [identityRoot] }))
  t.equal(await lost.then(() => 'back', reasonOf), 'controller-not-trusted')
})

/** A client that keeps its connection, and counts how many it has made. */
function keptConnection({ controller }: Running, identity: Identity) {
  let made = 0
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  const tls = {
    ca: [...identity.identityTrust],
    cert: identity.certificateChain,
    key: identity.privateKey.reveal(),
  }
  const create = agent.createConnection.bind(agent)
  agent.createConnection = (...all: Parameters<typeof create>) => {
    made++
    return create(...all)
  }
  return {
    agent,
    connections: () => made,
    ask: () => call({ url: `${controller.urls.agent}${AGENT_ROUTES.whoami}`, tls, agent }),
  }
}

async function renewedOf(identity: Identity): Promise<Identity> {
  const key = await newKey()
  const remote = createRemote({ identity })
  const proof = signProof({ purpose: 'renew', context: [identity.node], key: key.privateKey })
  try {
    const { certificateChain } = await remote.renew(key.publicKeyPem, proof, signal)
    return { ...identity, certificateChain, privateKey: new Secret(key.privateKeyPem) }
  } finally {
    remote.close()
  }
}
