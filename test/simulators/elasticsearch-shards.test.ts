// Writes in the Elasticsearch simulator while nodes come and go: what is answered for good, and what is
// tried again.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { masterNode } from './elasticsearch-cluster-scene.ts'
import { reroute } from './elasticsearch/allocation.ts'
import {
  ClusterError,
  type ClusterState,
  type Command,
  emptyState,
  execute,
} from './elasticsearch/cluster-state.ts'
import { createShards } from './elasticsearch/shards.ts'

const step = (state: ClusterState, command: Command) =>
  reroute(execute(state, command, 0), 0, undefined)

/** Index `i` with its primary on a and its replica on b, both there. */
function twoCopies(): ClusterState {
  const commands = [
    { kind: 'join', node: masterNode('a') },
    { kind: 'create-index', index: 'i', settings: {} },
    { kind: 'join', node: masterNode('b') },
  ] as const
  let state = commands.reduce(step, emptyState())
  for (const node of ['a', 'b']) {
    const copy = state.indices['i']?.copies.find(one => one.node === node)
    const allocation = copy?.allocation ?? ''
    state = step(state, { kind: 'shard-started', index: 'i', node, allocation })
  }
  return state
}

type Answer = (action: string, body: unknown) => unknown

function shardsOn(t: Test, self: string, state: ClusterState, answer: Answer) {
  const data = mkdtempSync(join(tmpdir(), 'shards-'))
  t.teardown(() => rmSync(data, { recursive: true }))
  const commands: Command[] = []
  const peer = (id: string) => ({
    node: masterNode(id),
    connection: {
      open: true,
      ended: new Promise<void>(() => {}),
      request: async (action: string, body: unknown) => answer(action, body),
      close: () => {},
    },
  })
  const others = ['a', 'b'].filter(id => id !== self).map(peer)
  const shards = createShards({
    self: masterNode(self),
    data,
    peers: {
      all: () => others,
      get: id => others.find(({ node }) => node.id === id),
      connect: async () => {},
      discover: async () => [],
      hello: () => {
        throw new Error('nobody connects')
      },
      close: () => {},
    },
    coordinator: () => ({
      state: () => state,
      master: () => undefined,
      command: async command => void commands.push(command),
      handle: async () => undefined,
      start: () => {},
      wake: () => {},
      stop: () => {},
    }),
    log: () => {},
    beforeRecovery: async () => {},
  })
  return { shards, commands }
}

const WRITE = [{ id: '1', op: 'index', source: { n: 1 } }] as const
const UNKNOWN = () => new ClusterError('index_not_found_exception', 404, 'no such index [i]')

await t.test('a primary that has just started and knows no index yet is asked again', async t => {
  let asked = 0
  const { shards } = shardsOn(t, 'b', twoCopies(), () => {
    asked++
    if (asked < 3) throw UNKNOWN()
    return [{ id: '1', result: 'created', seq: 1 }]
  })

  t.match(await shards.write('i', WRITE, 10_000), [{ id: '1', result: 'created' }])
  t.equal(asked, 3)
})

await t.test('an index that is not in the state of the cluster is not there', async t => {
  const { shards } = shardsOn(t, 'b', twoCopies(), () => [])
  await t.rejects(shards.write('none', WRITE, 10_000), /no such index/)
})

await t.test('what the replica does not take is acknowledged when it is given up', async t => {
  const state = twoCopies()
  const { shards, commands } = shardsOn(t, 'a', state, () => {
    throw new ClusterError('unavailable_shards_exception', 503, 'it is another copy by now')
  })
  const replica = state.indices['i']?.copies.find(({ primary }) => !primary)

  t.match(await shards.write('i', WRITE, 10_000), [{ id: '1', result: 'created' }])
  t.match(commands, [{ kind: 'shard-failed', node: 'b', allocation: replica?.allocation }])
})

await t.test('a replica takes nothing that is meant for an earlier copy on its node', async t => {
  const state = twoCopies()
  const { shards } = shardsOn(t, 'b', state, () => undefined)
  const { term, version } = state
  const body = (allocation: string) => ({
    index: 'i',
    allocation,
    term,
    version,
    primaryTerm: 1,
    operations: [{ id: '1', seq: 1, source: {} }],
  })

  await t.rejects(shards.handle('replicate', body('an earlier one')), /not active/)
  t.strictSame(await shards.read('i'), [])
  const replica = state.indices['i']?.copies.find(({ primary }) => !primary)
  await shards.handle('replicate', body(replica?.allocation ?? ''))
  t.match(await shards.read('i'), [{ id: '1' }])
})
