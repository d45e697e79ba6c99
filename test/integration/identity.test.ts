// The agent's own renewal against the real controller over TLS, with the power cut after each of its
// writes and each answer lost: whatever happens, it comes back with an identity that works, and the
// controller never takes it for two machines. Two machines it does take for two.

import t, { type Test } from 'tap'
import { createRemote } from '../../agent/edges/remote.ts'
import {
  identityEndsAtMs,
  identityPath,
  loadIdentity,
  storeIdentity,
  successorPath,
} from '../../agent/identity.ts'
import type { Identity, Remote } from '../../agent/remote.ts'
import { createSession, type Session } from '../../agent/session.ts'
import { NodeView, TokenAnswer } from '../../shared/contract/operator-api.ts'
import { parseEnrollAnswer } from '../../shared/contract/agent-api.ts'
import { OperationalError } from '../../shared/errors.ts'
import { silentLog } from '../../shared/log.ts'
import { Secret } from '../../shared/secret.ts'
import {
  addNode,
  enroll,
  newKey,
  type Operator,
  operatorOf,
  parsed,
  type Running,
  startController,
} from '../controller/api/support.ts'
import {
  createMemoryFiles,
  createPower,
  type MemoryFiles,
  type Power,
  PowerCut,
  type Tree,
} from '../support/memory-files.ts'

const STATE = '/state'
const DAY_MS = 86_400_000
const { signal } = new AbortController()

interface Machine {
  readonly files: MemoryFiles
  readonly tree: Tree
  /** From now on so many writes happen; undefined: all. */
  cutAfter(changes: number | undefined): void
  /** The disk takes nothing from now on, or does again. */
  fill(isFull: boolean): void
  writes(): number
}

function newMachine(tree: Tree = new Map()): Machine {
  let isFull = false
  let power: Power = createPower(undefined)
  const files = createMemoryFiles(
    tree,
    () => 0,
    () => power,
    (operation, path) => {
      if (isFull) throw new OperationalError('disk-full', `could not ${operation} ${path}`)
    },
  )
  files.put(`${STATE}/placeholder`, '')
  return {
    files,
    tree,
    fill(full) {
      isFull = full
    },
    writes: () => power.changes(),
    cutAfter(changes) {
      power = createPower(changes)
    },
  }
}

/** A machine that was enrolled so long ago, by the clock of everybody. */
async function enrolled(
  { running, operator }: Scene,
  name: string,
  agoMs: number,
): Promise<Machine> {
  const machine = newMachine()
  running.advance(-agoMs)
  await storeIdentity(
    machine.files,
    STATE,
    await identityBy(running, await addNode(operator, name)),
  )
  running.advance(agoMs)
  return machine
}

async function identityBy(running: Running, token: string): Promise<Identity> {
  const key = await newKey()
  const answer = parseEnrollAnswer((await enroll(running, token, key)).body)
  const { enroll: enrollUrl } = running.controller.urls
  return { ...answer, enrollUrl, privateKey: new Secret(key.privateKeyPem) }
}

interface Scene {
  readonly running: Running
  readonly operator: Operator
}

/** A process of the agent. `meddle` stands between it and the controller. */
async function start(
  t: Test,
  { files }: Machine,
  meddle: (remote: Remote) => Remote = remote => remote,
): Promise<Session & { readonly pass: () => Promise<void> }> {
  const identity = await loadIdentity(files, STATE)
  if (identity === undefined) throw new Error('not enrolled')
  let nowMs = Date.now()
  const session = await createSession({
    host: { files, clock: { now: () => nowMs, monotonic: () => 0, sleep: async () => {} } },
    stateDirectory: STATE,
    identity,
    connect: one => meddle(createRemote({ identity: one })),
    log: silentLog,
    random: () => 0.5,
    onRefused: () => undefined,
  })
  t.teardown(() => session.remote().close())
  const pass = async () => {
    // The pauses between attempts, without the waiting.
    nowMs = Math.max(nowMs, Math.min(session.dueAtMs(), nowMs + 300_000))
    await session.renewIfDue(signal)
  }
  return { ...session, pass }
}

const LOST = new OperationalError('controller-unreachable', 'the answer was lost', {
  retryable: true,
})

/** The controller hears it, the agent does not hear the answer, so many times. */
function losing(method: 'renew' | 'renewExpired' | 'whoami', times: number) {
  let left = times
  const lose = async <T>(answer: Promise<T>): Promise<T> => {
    const result = await answer
    if (left-- > 0) throw LOST
    return result
  }
  return (remote: Remote): Remote => {
    if (method === 'whoami') return { ...remote, whoami: one => lose(remote.whoami(one)) }
    return { ...remote, [method]: (...all: RenewArguments) => lose(remote[method](...all)) }
  }
}
type RenewArguments = Parameters<Remote['renew']>

/** Passes until nothing is left to be done; then it is known by its newest identity, and by no other. */
async function settles(t: Test, scene: Scene, machine: Machine, name: string): Promise<void> {
  const session = await start(t, machine)
  for (let pass = 0; pass < 5; pass++) await session.pass()
  await session.remote().whoami(signal)
  const view = parsed(NodeView, await scene.operator('GET', `/v1/nodes/${name}`))
  const stored = await loadIdentity(machine.files, STATE)
  t.match(
    {
      state: view.state,
      problem: session.problem(),
      isNew: identityEndsAtMs(session.identity()) > Date.now() + 6 * DAY_MS,
      isStored: stored?.certificateChain === session.identity().certificateChain,
      successor: machine.files.text(successorPath(STATE)),
    },
    { state: 'idle', problem: undefined, isNew: true, isStored: true, successor: undefined },
    name,
  )
}

// Half of seven days, and a tenth of them for the spread; and after the end of it.
for (const [what, agoMs] of [
  ['a renewal at half of the life', 5 * DAY_MS],
  ['a renewal after the end', 10 * DAY_MS],
] as const) {
  await t.test(`the power may go at any write of ${what}`, async t => {
    const running = await startController(t)
    const scene = { running, operator: operatorOf(running) }
    const whole = await enrolled(scene, 'whole', agoMs)
    whole.cutAfter(undefined)
    await (await start(t, whole)).pass()
    const total = whole.writes()
    t.ok(total >= 3, `${total} writes: the new one, its rename, the rename over the old one`)

    for (let cut = 0; cut < total; cut++) {
      const name = `cut-${cut}`
      const machine = await enrolled(scene, name, agoMs)
      machine.cutAfter(cut)
      const ended = (await start(t, machine)).pass()
      await t.rejects(ended, PowerCut)
      machine.cutAfter(undefined)
      await settles(t, scene, machine, name)
    }
  })

  await t.test(`any answer of ${what} may be lost, with the process or without`, async t => {
    const running = await startController(t)
    const scene = { running, operator: operatorOf(running) }
    const ask = agoMs > 7 * DAY_MS ? 'renewExpired' : 'renew'
    for (const method of [ask, 'whoami'] as const)
      for (const end of ['goes-on', 'ends'] as const) {
        const name = `${method.toLowerCase()}-${end}`
        const machine = await enrolled(scene, name, agoMs)
        const times = end === 'ends' ? 1 : 3
        const session = await start(t, machine, losing(method, times))
        for (let pass = 0; pass < times; pass++) await session.pass()
        if (end === 'goes-on') {
          await session.pass()
          t.equal(session.problem(), undefined)
        }
        await settles(t, scene, machine, name)
      }
  })
}

await t.test('a full disk makes the controller issue one certificate, not one a try', async t => {
  const running = await startController(t)
  const scene = { running, operator: operatorOf(running) }
  const machine = await enrolled(scene, 'n1', 5 * DAY_MS)
  let asked = 0
  const session = await start(t, machine, remote => ({
    ...remote,
    renew: (...all) => {
      asked++
      return remote.renew(...all)
    },
  }))
  machine.fill(true)
  for (let pass = 0; pass < 4; pass++) await session.pass()
  t.equal(session.problem(), undefined)
  await session.remote().whoami(signal)

  machine.fill(false)
  await session.pass()

  t.equal(asked, 1)
  await settles(t, scene, machine, 'n1')
})

const REPORT = { atMs: 0, agentVersion: 'test', services: [], facts: {} }

await t.test('a new identity that is refused is given up for the one before', async t => {
  const running = await startController(t)
  const scene = { running, operator: operatorOf(running) }
  const machine = await enrolled(scene, 'n1', 5 * DAY_MS)
  const before = machine.files.text(identityPath(STATE))
  let isRefusing = true
  const session = await start(t, machine, remote => ({
    ...remote,
    async whoami() {
      if (!isRefusing) return remote.whoami(signal)
      throw new OperationalError('identity-refused', 'no', {
        details: { code: 'identity-unknown' },
      })
    },
  }))

  await session.pass()

  t.equal(machine.files.text(identityPath(STATE)), before)
  t.equal(machine.files.text(successorPath(STATE)), undefined)
  t.equal(session.problem(), undefined, 'the one before is not refused')
  await session.remote().report({ ...REPORT, sequence: 1 }, signal)
  isRefusing = false
  await session.pass()
  await settles(t, scene, machine, 'n1')
})

await t.test('a copied machine is found out by both renewing; a new token ends it', async t => {
  const running = await startController(t)
  const operator = operatorOf(running)
  const scene = { running, operator }
  const original = await enrolled(scene, 'n1', 5 * DAY_MS)
  const copy = newMachine(new Map(original.tree))
  const sessions = [await start(t, original), await start(t, copy)] as const

  for (let pass = 0; pass < 3; pass++) for (const session of sessions) await session.pass()

  for (const session of sessions) {
    await t.rejects(session.remote().whoami(signal), { code: 'identity-refused' })
    t.match(session.problem(), { code: 'identity-refused', message: /identity-cloned; .*token/ })
  }
  t.match(parsed(NodeView, await operator('GET', '/v1/nodes/n1')), {
    state: 'locked',
    reason: { code: 'identity-cloned' },
  })

  const { token } = parsed(TokenAnswer, await operator('POST', '/v1/nodes/n1/token'))
  await storeIdentity(original.files, STATE, await identityBy(running, token))
  for (let pass = 0; pass < 2; pass++) for (const session of sessions) await session.pass()
  await sessions[0].remote().whoami(signal)
  t.equal(sessions[0].problem(), undefined, 'taken up by the process that runs')
  await t.rejects(sessions[1].remote().whoami(signal), { code: 'identity-refused' })
  t.match(parsed(NodeView, await operator('GET', '/v1/nodes/n1')), { state: 'idle' })
})
