// What is shown follows the stream: a fake API in place of the controller, no clock.

import t from 'tap'
import { type Api, ApiError, createApi } from '../../../controller/dashboard/page/api.ts'
import {
  createHub,
  type Changed,
  type Connection,
  RESOURCES,
} from '../../../controller/dashboard/page/hub.ts'
import { createNodesStore } from '../../../controller/dashboard/page/nodes.ts'
import { until } from '../../lab/until.ts'

const never = () => new Promise<never>(() => {})
const REFUSED = new ApiError({ status: 429, code: 'too-many-streams', message: 'too many' })

function apiWith(parts: Partial<Api>): Api {
  return { get: never, write: never, list: never, stream: never, ...parts }
}

function streamOf(...texts: readonly string[]): Response {
  return new Response(texts.join(''))
}

function event(name: string, data: unknown): string {
  return `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`
}

await t.test(
  'changes reach who shows the resource, and a stream that ends is opened again',
  async t => {
    const told: (readonly [string, Changed])[] = []
    const connections: Connection[] = []
    const pauses: number[] = []
    let streams = 0
    const api = apiWith({
      async stream() {
        streams++
        if (streams > 2) return never()
        return streamOf(
          ': hello\n\n',
          event('resync', { resource: 'nodes' }),
          event('change', { resource: 'nodes', ids: ['n1'] }),
          event('change', { resource: 'audit', ids: ['7'] }),
          event('end', { code: 'closing', message: 'the controller is closing' }),
          event('change', { resource: 'nodes', ids: ['after the end'] }),
        )
      },
    })
    const hub = createHub(api, {
      isHidden: () => false,
      pause: async ms => void pauses.push(ms),
      patience: async () => {},
    })
    t.teardown(() => hub.close())
    hub.onConnection(connection => connections.push(connection))
    hub.subscribe(['nodes'], changed => told.push(['nodes', changed]))
    const leave = hub.subscribe(['audit'], changed => told.push(['audit', changed]))
    await until(async () => streams > 1, { what: 'it connects again' })
    leave()
    await until(async () => streams > 2, { what: 'and once more' })

    const [once, audit] = [
      [
        ['nodes', undefined],
        ['nodes', ['n1']],
      ],
      ['audit', ['7']],
    ]
    t.strictSame(told.slice(0, 3), [...once, audit])
    t.ok(told.every(([, changed]) => changed?.[0] !== 'after the end'))
    t.strictSame(connections.slice(0, 2), ['live', 'lost'])
    t.ok(
      pauses.every(ms => ms < 1_000),
      'what worked is tried again soon',
    )
  },
)

await t.test('where there is no stream for us the page asks, unless nobody looks', async t => {
  let isHidden = false
  let resyncs = 0
  let pauses = 0
  const hub = createHub(
    apiWith({
      async stream() {
        throw REFUSED
      },
    }),
    {
      isHidden: () => isHidden,
      async pause() {
        pauses++
        if (pauses === 3) isHidden = true
        if (pauses === 6) await never()
      },
      patience: never,
    },
  )
  t.teardown(() => hub.close())
  hub.subscribe(['nodes'], () => resyncs++)
  await until(async () => pauses === 6, { what: 'it was refused six times' })

  t.equal(resyncs, 3)
  t.equal(hub.connection(), 'polling')
})

await t.test('what is shown is loaded once, when the stream tells what changes', async t => {
  const { readable: body, writable } = new TextEncoderStream()
  const writer = writable.getWriter()
  const write = (text: string) => writer.write(text)
  const api = apiWith({ stream: async () => new Response(body) })
  const hub = createHub(api, { isHidden: () => false, pause: never, patience: never })
  t.teardown(async () => {
    hub.close()
    await writer.close()
  })
  const told: string[] = []
  let isReady = false
  for (const resource of RESOURCES) hub.subscribe([resource], () => told.push(resource))
  void hub.ready.then(() => {
    isReady = true
  })
  for (const resource of RESOURCES.slice(1)) void write(event('resync', { resource }))
  await until(async () => hub.connection() === 'live', { what: 'the stream is open' })
  t.equal(isReady, false)

  void write(event('resync', { resource: RESOURCES[0] }))
  await hub.ready
  t.strictSame(told, [], 'nothing that was loaded before is loaded again')

  void write(event('resync', { resource: 'nodes' }))
  await until(async () => told.length > 0, { what: 'a later one counts' })
  t.strictSame(told, ['nodes'])
})

await t.test('without a stream, what is shown is loaded all the same', async t => {
  const api = apiWith({
    async stream() {
      throw REFUSED
    },
  })
  const hidden = { isHidden: () => true, pause: never }
  const refused = createHub(api, { ...hidden, patience: never })
  const silent = createHub(apiWith({}), { ...hidden, patience: async () => {} })
  t.teardown(() => [refused, silent].map(hub => hub.close()))
  await Promise.all([refused.ready, silent.ready])
  t.equal(silent.connection(), 'connecting', 'a stream that says nothing is not waited for')
})

await t.test('who is signed out asks no more', async t => {
  let asked = 0
  const hub = createHub(
    apiWith({
      async stream() {
        asked++
        throw new ApiError({ status: 401, code: 'unauthenticated', message: 'no' })
      },
    }),
    { isHidden: () => false, pause: async () => {}, patience: never },
  )
  t.teardown(() => hub.close())
  await new Promise(resolve => setImmediate(resolve))
  t.equal(asked, 1)
})

const view = (name: string, state = 'converged') => ({
  name,
  state,
  labels: {},
  names: { dns: [], ip: [] },
  reason: { code: 'in-sync', message: '' },
  services: [],
})

await t.test('nodes are loaded page by page, then only what has changed', async t => {
  const asked: string[] = []
  let listener: (changed: Changed) => void = () => {}
  const api = apiWith({
    async get<T>(path: string): Promise<T> {
      asked.push(path)
      const answer = path.includes('after=')
        ? { nodes: [view('n2')] }
        : { nodes: [view('n1')], next: 'c1' }
      return JSON.parse(JSON.stringify(answer))
    },
    async list<T>(path: string): Promise<readonly T[]> {
      asked.push(path)
      return JSON.parse(JSON.stringify([view('n1', 'failed')]))
    },
  })
  const store = createNodesStore(
    api,
    {
      subscribe(_, given) {
        listener = given
        return () => {}
      },
      ready: Promise.resolve(),
    },
    never,
  )
  t.teardown(() => store.close())
  const names = () => store.state().rows?.map(({ name, state }) => `${name} ${state}`)
  await until(async () => names()?.length === 2, { what: 'both pages are there' })
  t.strictSame(asked, ['/v1/nodes?limit=500', '/v1/nodes?limit=500&after=c1'])

  listener(['n1', 'n2'])
  await until(async () => names()?.[0] === 'n1 failed', { what: 'the change is there' })
  t.strictSame(names(), ['n1 failed'], 'what is not answered was removed')
  t.equal(asked.at(-1), '/v1/nodes?name=n1&name=n2')
})

await t.test(
  'a problem of the controller is told in its words, and a lost connection in ours',
  async t => {
    const refusals: string[] = []
    const answers: (() => Promise<Response>)[] = [
      async () =>
        Response.json(
          { title: 'Conflict', code: 'illegal-transition', detail: 'it has ended', hint: 'Look.' },
          { status: 409 },
        ),
      async () => Response.json({ code: 'unauthenticated', detail: 'no' }, { status: 401 }),
      async () => new Response('<html>', { status: 502 }),
      async () => Promise.reject(new TypeError('Failed to fetch')),
    ]
    const api = createApi({
      token: 'tlsf_x',
      fetch: async () => (answers.shift() ?? never)(),
      onRefused: ({ code }) => refusals.push(code),
    })

    await t.rejects(api.get('/v1/x'), {
      code: 'illegal-transition',
      message: 'it has ended',
      hint: 'Look.',
    })
    await t.rejects(api.get('/v1/x'), { code: 'unauthenticated' })
    await t.rejects(api.get('/v1/x'), { status: 502, code: 'unknown-answer' })
    await t.rejects(api.get('/v1/x'), { code: 'unreachable', status: 0 })
    t.strictSame(refusals, ['unauthenticated'])
  },
)

await t.test('a write carries its token, its version and its key', async t => {
  const sent: Request[] = []
  const api = createApi({
    token: 'tlsf_x',
    async fetch(_, init) {
      sent.push(new Request('https://controller/v1/rollouts/r1/pause', init))
      return Response.json({ id: 'r1' })
    },
    onRefused: () => {},
  })
  await api.write('POST', '/v1/rollouts/r1/pause', {
    body: { reason: 'lunch' },
    ifMatch: 7,
    idempotencyKey: 'k1',
  })

  const { headers } = sent[0] ?? new Request('https://none')
  t.strictSame(
    ['authorization', 'if-match', 'idempotency-key', 'content-type'].map(one => headers.get(one)),
    ['Bearer tlsf_x', '"7"', 'k1', 'application/json'],
  )
  t.strictSame(await sent[0]?.json(), { reason: 'lunch' })
})
