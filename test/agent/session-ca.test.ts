// The agent while the CA of its identity is followed by another one: it learns other roots, comes for an
// identity of the new CA in its own time and once, and finds back where it was left out.

import t from 'tap'
import { certificateFacts } from '../../shared/pki/facts.ts'
import { generateKey } from '../../shared/pki/keys.ts'
import { OperationalError } from '../../shared/errors.ts'
import { silentLog } from '../../shared/log.ts'
import { createAuthority, issueLeaf } from '../../controller/ca/authority.ts'
import { loadIdentity, storeIdentity, successorPath } from '../../agent/identity.ts'
import type { Identity, Remote } from '../../agent/remote.ts'
import { createSession } from '../../agent/session.ts'
import { createMemoryFiles, createPower } from '../support/memory-files.ts'
import { seededRandom } from '../shared/pki/support.ts'

const STATE = '/state'
const DAY_MS = 86_400_000
const START_MS = Date.UTC(2026, 10, 1)
const random = seededRandom('session-ca')
const { signal } = new AbortController()

const ca = () => createAuthority({ kind: 'identity', fleet: 'demo', nowMs: START_MS, random })
const [old, next] = [await ca(), await ca()]
const [oldRoot, nextRoot] = [old.root.certificatePem, next.root.certificatePem]
const issuerOf = ({ intermediate }: typeof old) =>
  certificateFacts(intermediate.certificatePem).fingerprint

function chainFor(publicKeyPem: string, by: typeof old, nowMs: number): string {
  const request = {
    profile: 'identity',
    nodeId: 'n1',
    publicKeyPem,
    lifetimeMs: 7 * DAY_MS,
  } as const
  return issueLeaf(by.intermediate, request, { nowMs, random }).chainPem
}

interface Seen {
  /** Roots of each connection. */
  readonly connected: (readonly string[])[]
  renewed: number
  late: number
  refused: number
}

interface Answers {
  signer: typeof old
  trust: string[] | undefined
  whoami: (identity: Identity) => Promise<void>
  desired: () => Promise<void>
}

async function scene({ spread = 0.5 } = {}) {
  let nowMs = START_MS
  const power = createPower(undefined)
  const files = createMemoryFiles(
    new Map(),
    () => 0,
    () => power,
  )
  files.put(`${STATE}/placeholder`, '')
  const { privateKeyPem, publicKeyPem } = await generateKey('ec-p256')
  const identity: Identity = {
    fleet: 'demo',
    node: 'n1',
    agentUrl: 'https://localhost:1',
    enrollUrl: 'https://localhost:2',
    certificateChain: chainFor(publicKeyPem, old, nowMs),
    privateKey: privateKeyPem,
    identityTrust: [oldRoot],
  }
  await storeIdentity(files, STATE, identity)
  const seen: Seen = { connected: [], renewed: 0, late: 0, refused: 0 }
  const answers: Answers = {
    signer: old,
    trust: undefined,
    whoami: async () => {},
    desired: async () => {},
  }
  const renew = async (key: string) => ({
    certificateChain: chainFor(key, answers.signer, nowMs),
    ...(answers.trust === undefined ? {} : { identityTrust: answers.trust }),
  })
  const never = () => Promise.reject(new Error('not asked for'))
  const connect = (one: Identity): Remote => {
    seen.connected.push(one.identityTrust)
    return {
      desired: async () => answers.desired().then(() => ({ nowMs })),
      report: never,
      preview: never,
      probe: never,
      debts: never,
      sign: never,
      provided: never,
      lease: never,
      renew: key => (seen.renewed++, renew(key)),
      renewExpired: key => (seen.late++, renew(key)),
      whoami: () => answers.whoami(one),
      close: () => {},
    }
  }
  const session = await createSession({
    host: { files, clock: { now: () => nowMs, monotonic: () => 0, sleep: async () => {} } },
    stateDirectory: STATE,
    identity,
    connect,
    log: silentLog,
    random: () => spread,
    onRefused: () => seen.refused++,
  })
  const stored = async () => (await loadIdentity(files, STATE))?.identityTrust
  const poll = () =>
    session
      .remote()
      .desired({ generation: undefined, waitMs: 0 }, signal)
      .catch(() => undefined)
  return {
    session,
    files,
    identity,
    seen,
    answers,
    stored,
    poll,
    advance: (ms: number) => {
      nowMs += ms
    },
    now: () => nowMs,
  }
}

const untrusted = new OperationalError('controller-unreachable', 'it is not trusted', {
  details: { reason: 'controller-not-trusted' },
})
const broken = new OperationalError('controller-unreachable', 'it hung up', {
  details: { errno: 'ECONNRESET', reason: 'broken' },
})

await t.test('other roots are tried, then kept, then used', async t => {
  const { session, seen, answers, stored } = await scene()
  const both = [oldRoot, nextRoot]
  let isAccepted = false
  answers.whoami = async one => {
    t.same(one.identityTrust, both, 'tried with them')
    t.same(await stored(), [oldRoot], 'before they are kept')
    if (!isAccepted) throw untrusted
  }

  await session.learn({ identityTrust: both }, signal)

  t.same(await stored(), [oldRoot], 'what does not work is not kept')
  t.same(session.identity().identityTrust, [oldRoot])
  isAccepted = true
  await session.learn({ identityTrust: both }, signal)
  t.same(await stored(), both)
  t.same(session.identity().identityTrust, both)
  t.same(seen.connected, [[oldRoot], both, both, both], 'two trials and the new connection')
  await session.learn({ identityTrust: [nextRoot, oldRoot] }, signal)
  t.equal(seen.connected.length, 4, 'the same set is no news')
})

await t.test('a list that is no list of roots changes nothing, and nobody is asked', async t => {
  const { session, seen, stored } = await scene()
  for (const bad of [[], [nextRoot, next.intermediate.certificatePem]])
    await session.learn({ identityTrust: bad }, signal)
  t.same(await stored(), [oldRoot])
  t.equal(seen.connected.length, 1)
})

await t.test('an identity of another CA is renewed soon, by its own spread, and once', async t => {
  for (const spread of [0, 0.25, 0.999]) {
    const { session, seen, answers, advance, now } = await scene({ spread })
    await session.learn({ identityIssuer: issuerOf(old) }, signal)
    t.ok(session.dueAtMs() > now() + DAY_MS, 'its own CA is no reason')

    await session.learn({ identityIssuer: issuerOf(next) }, signal)

    const waitMs = session.dueAtMs() - now()
    t.equal(waitMs, spread * 300_000, 'spread over five minutes')
    advance(waitMs - 1)
    if (spread > 0) await session.renewIfDue(signal)
    t.equal(seen.renewed, 0)
    advance(1)
    // The controller answers with the old CA still: to ask again at once would help nobody.
    t.equal(await session.renewIfDue(signal), true)
    t.equal(seen.renewed, 1)
    for (let minute = 0; minute < 30; minute++) {
      advance(60_000)
      await session.learn({ identityIssuer: issuerOf(next) }, signal)
      t.equal(await session.renewIfDue(signal), false)
    }
    t.equal(seen.renewed, 1, 'once')

    answers.signer = next
    await session.learn({ identityIssuer: issuerOf(old) }, signal)
    await session.learn({ identityIssuer: issuerOf(next) }, signal)
    advance(300_000)
    await session.renewIfDue(signal)
    t.equal(seen.renewed, 2, 'news of another one is a reason again')
    t.ok(session.dueAtMs() > now() + DAY_MS)
  }
})

await t.test('a small fleet takes less time for it, and none takes more', async t => {
  for (const [withinMs, waitMs] of [
    [2_000, 1_000],
    [3_600_000, 150_000],
  ] as const) {
    const { session, now } = await scene({ spread: 0.5 })
    await session.learn({ identityIssuer: issuerOf(next), identityWithinMs: withinMs }, signal)
    t.equal(session.dueAtMs() - now(), waitMs)
  }
})

await t.test('roots of a renewal come and go with the new identity', async t => {
  const { session, files, seen, answers, stored, advance } = await scene()
  answers.signer = next
  answers.trust = [nextRoot]
  answers.whoami = async () => {
    throw new OperationalError('identity-refused', 'no')
  }
  advance(5 * DAY_MS)
  await session.renewIfDue(signal)
  t.same(session.identity().identityTrust, [oldRoot], 'refused: back to what works')
  t.equal(files.text(successorPath(STATE)), undefined)

  answers.whoami = async () => {}
  advance(300_000)
  await session.renewIfDue(signal)
  t.equal(seen.renewed, 2)
  t.same(await stored(), [nextRoot])
  t.same(session.identity().identityTrust, [nextRoot])
})

await t.test('roots that come while a renewal is unsettled are for both identities', async t => {
  const { session, files, answers, advance } = await scene()
  let isThere = false
  answers.whoami = async () => {
    if (!isThere) throw new OperationalError('controller-unreachable', 'nobody there')
  }
  advance(5 * DAY_MS)
  await session.renewIfDue(signal)
  t.ok(files.text(successorPath(STATE)), 'not settled')
  isThere = true

  await session.learn({ identityTrust: [oldRoot, nextRoot] }, signal)

  const pathOf = (name: string) => JSON.parse(files.text(`${STATE}/${name}`) ?? '{}')
  t.same(pathOf('identity.json').identityTrust, [oldRoot, nextRoot])
  t.same(pathOf('identity-next.json').identityTrust, [oldRoot, nextRoot])
  advance(300_000)
  await session.renewIfDue(signal)
  t.equal(files.text(successorPath(STATE)), undefined)
  t.same(session.identity().identityTrust, [oldRoot, nextRoot])
})

await t.test('who is hung up on asks where it was enrolled, by proof of its key', async t => {
  const { session, seen, answers, poll, advance } = await scene()
  answers.desired = async () => {
    throw broken
  }
  await poll()
  await poll()
  await session.renewIfDue(signal)
  t.equal(seen.late, 0, 'any connection may break')
  t.equal(session.problem(), undefined)
  answers.desired = async () => {}
  await poll()
  answers.desired = async () => {
    throw broken
  }
  await poll()
  await poll()
  await session.renewIfDue(signal)
  t.equal(seen.late, 0, 'an answer in between ends it')
  await poll()
  t.equal(seen.refused, 1, 'the loop is woken')
  t.match(session.problem(), { code: 'controller-unreachable' })

  answers.signer = next
  answers.trust = [nextRoot]
  t.equal(await session.renewIfDue(signal), true)

  t.equal(seen.late, 1)
  t.equal(seen.renewed, 0)
  t.equal(session.problem(), undefined)
  t.same(session.identity().identityTrust, [nextRoot])
  advance(DAY_MS)
  t.equal(await session.renewIfDue(signal), false)
})

await t.test('who knows no root of the controller says so, and sees a new enrolment', async t => {
  const { session, files, identity, seen, answers, poll, advance } = await scene()
  answers.desired = async () => {
    throw untrusted
  }
  for (let count = 0; count < 3; count++) await poll()
  t.match(session.problem(), { code: 'controller-unreachable', message: /not trusted/ })
  await session.renewIfDue(signal)
  t.equal(seen.late + seen.renewed, 0, 'to nobody it shows anything')

  const { privateKeyPem, publicKeyPem } = await generateKey('ec-p256')
  const certificateChain = chainFor(publicKeyPem, next, START_MS)
  const anew = {
    ...identity,
    certificateChain,
    privateKey: privateKeyPem,
    identityTrust: [nextRoot],
  }
  await storeIdentity(files, STATE, anew)
  advance(300_000)
  t.equal(await session.renewIfDue(signal), true)
  t.same(session.identity().identityTrust, [nextRoot])
  t.equal(session.problem(), undefined)
})
