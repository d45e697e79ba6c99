import fc from 'fast-check'
import t from 'tap'
import * as z from 'zod/mini'
import { AcmeView } from '../../../shared/contract/acme.ts'
import { pageOfAll } from '../../../controller/api/paging.ts'
import { fits, parseLabelQuery } from '../../../controller/fleet/label-query.ts'
import { sampleNode, T0 } from '../../contract/samples.ts'
import {
  addNode,
  codeOf,
  type Operator,
  operatorOf,
  parsed,
  type Running,
  startController,
} from './support.ts'

const Page = z.looseObject({ next: z.optional(z.string()) })

/** Walks to the end; `between` happens after every page. */
async function walk(
  operator: Operator,
  path: string,
  between: (page: number) => Promise<void> = async () => {},
): Promise<readonly unknown[]> {
  const all: unknown[] = []
  let next: string | undefined
  for (let page = 0; page < 200; page++) {
    const query = next === undefined ? '' : `&after=${next}`
    const answer = parsed(Page, await operator('GET', `${path}${query}`))
    const [items] = Object.entries(answer).flatMap(([key, value]) =>
      key !== 'next' && Array.isArray(value) ? [value] : [],
    )
    all.push(...(items ?? []))
    next = answer.next
    if (next === undefined) return all
    await between(page)
  }
  throw new Error('the list has no end')
}

const namesOf = (items: readonly unknown[]) => items.map(one => String(Object(one).name))

async function fill({ controller }: Running, names: readonly string[]): Promise<void> {
  await controller.context.store.transaction(async tx => {
    for (const name of names) await tx.nodes.insert(sampleNode(name))
  })
}

await t.test('whatever comes and goes between pages, what stays is listed once', async t => {
  const running = await startController(t)
  const operator = operatorOf(running)
  const { store } = running.controller.context
  const name = fc.stringMatching(/^[a-z]{1,4}$/)

  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(name, { minLength: 1, maxLength: 20 }),
      fc.uniqueArray(name, { maxLength: 20 }),
      fc.integer({ min: 1, max: 5 }),
      async (stay, others, limit) => {
        const passing = others.filter(one => !stay.includes(one))
        const [leaving, coming] = [passing.slice(0, 10), passing.slice(10)]
        await fill(running, [...stay, ...leaving])

        const listed = namesOf(
          await walk(operator, `/v1/nodes?limit=${limit}`, page =>
            store.transaction(async tx => {
              const [gone, come] = [leaving[page], coming[page]]
              if (gone !== undefined) await tx.nodes.remove(gone, T0)
              if (come !== undefined) await tx.nodes.insert(sampleNode(come))
            }),
          ),
        )

        await store.transaction(async tx => {
          for (const one of [...stay, ...passing]) await tx.nodes.remove(one, T0)
        })
        t.strictSame(
          listed.filter(one => stay.includes(one)),
          stay.toSorted(),
        )
        t.equal(new Set(listed).size, listed.length)
      },
    ),
    { numRuns: 25 },
  )
})

await t.test('nodes are found by label, name, state and product', async t => {
  const running = await startController(t)
  const operator = operatorOf(running)
  await addNode(operator, 'meta-1', { role: 'meta', env: 'prod' })
  await addNode(operator, 'meta-2', { role: 'meta', env: 'test' })
  await addNode(operator, 'data-1', { role: 'data' })
  const found = async (query: string) => namesOf(await walk(operator, `/v1/nodes?${query}`))

  t.strictSame(await found('selector=role%3Dmeta'), ['meta-1', 'meta-2'])
  t.strictSame(await found('selector=role=meta,env!=prod'), ['meta-2'])
  t.strictSame(await found('selector=env!=prod'), ['data-1', 'meta-2'])
  t.strictSame(await found('selector=!env'), ['data-1'])
  t.strictSame(await found('selector=env&label=role=meta&limit=1'), ['meta-1', 'meta-2'])
  t.strictSame(await found('name=data-1&name=gone&name=meta-1'), ['data-1', 'meta-1'])
  t.strictSame(await found('state=pending&state=failed'), ['data-1', 'meta-1', 'meta-2'])
  t.strictSame(await found('state=failed'), [])
  t.strictSame(await found('product=prometheus'), [])
  for (const bad of ['selector=a%3D%22', 'selector=,', 'selector=a=b=c', 'state=odd', 'limit=501'])
    t.equal((await operator('GET', `/v1/nodes?${bad}`)).status, 400, bad)
})

await t.test('the store finds by label what a record at hand is found by', async t => {
  const { controller } = await startController(t)
  const { store } = controller.context
  const records = [{}, { a: '1' }, { a: '2', b: '1' }, { b: '2' }, { 'x.y/z': '1' }].map(
    (labels, index) => ({ ...sampleNode(`n${index}`), labels }),
  )
  await store.transaction(async tx => {
    for (const record of records) await tx.nodes.insert(record)
  })

  for (const text of ['a', '!a', 'a=1', 'a!=1', 'a!=1,b', 'x.y/z=1', '!x.y/z,!b', 'a==2,b=1']) {
    const labels = parseLabelQuery(text)
    const found = await store.transaction(tx => tx.nodes.list({ limit: 10, labels }))
    t.strictSame(
      found.map(({ name }) => name),
      records.filter(one => fits(one.labels, labels)).map(({ name }) => name),
      text,
    )
  }
})

await t.test('every list is asked for in the same way', async t => {
  const running = await startController(t)
  const operator = operatorOf(running)
  const { store } = running.controller.context
  for (const name of ['a', 'b', 'c']) {
    await addNode(operator, name)
    await operator('PUT', `/v1/freezes/${name}`, { reason: 'r', nodes: [name] })
  }
  await store.transaction(async tx => {
    for (const [group, node] of [
      ['g/x', 'a'],
      ['g/x', 'b'],
      ['h', 'a'],
    ] as const)
      await tx.leases.take({
        group,
        node,
        purpose: 'rollout',
        generation: 1,
        takenAtMs: T0,
        takenTimeMs: 0,
        takenSequence: 0,
      })
    for (const letter of ['a', 'b', 'c'])
      await tx.debts.owe({
        debtId: letter.repeat(16),
        node: letter,
        service: 'elasticsearch',
        groups: ['g/x'],
        sinceMs: T0,
        sinceTimeMs: 0,
      })
    for (let number = 0; number < 3; number++)
      await tx.revisions.insert({ digest: `${number}`, text: '', author: 'a', createdAtMs: T0 })
  })
  const sizes = {
    '/v1/nodes': 3,
    '/v1/freezes': 3,
    '/v1/leases': 3,
    '/v1/debts': 3,
    '/v1/enrollment-tokens': 3,
    '/v1/revisions': 3,
    '/v1/rollouts': 0,
    '/v1/rotations': 0,
    '/v1/certificate-requests': 0,
    '/v1/provided': 0,
    '/v1/groups': undefined,
    '/v1/certificates': undefined,
  }

  for (const [path, size] of Object.entries(sizes)) {
    const whole = await walk(operator, `${path}?limit=500`)
    if (size !== undefined) t.equal(whole.length, size, path)
    // A page of certificates holds whole nodes.
    const single = await walk(operator, `${path}?limit=1`)
    t.strictSame(single, whole, `${path} in pages of one`)
    const foreign = await operator(
      'GET',
      `${path}?after=${Buffer.from('x\nk').toString('base64url')}`,
    )
    t.strictSame([foreign.status, codeOf(foreign)], [400, 'malformed-request'], path)
    for (const bad of ['limit=501', 'limit=0', 'after=', 'after=%00', 'other=1'])
      t.equal((await operator('GET', `${path}?${bad}`)).status, 400, `${path} ${bad}`)
  }
  t.equal((await walk(operator, '/v1/leases?group=g/x')).length, 2)
  t.equal((await walk(operator, '/v1/leases?node=a')).length, 2)
  t.match(await walk(operator, '/v1/enrollment-tokens?node=b'), [{ node: 'b', state: 'open' }])
  t.notMatch((await operator('GET', '/v1/enrollment-tokens')).text, /secret|hash/i)
})

await t.test('CAs: in the order in which they were made, and each by its id', async t => {
  const operator = operatorOf(await startController(t))
  const all = await walk(operator, '/v1/authorities?limit=1')
  t.match(all, [
    { kind: 'identity', state: 'active' },
    { kind: 'service', state: 'active' },
  ])
  t.equal(all.length, 2)
  t.same((await operator('GET', '/v1/authorities/service-1')).body, all[1])
  t.equal(codeOf(await operator('GET', '/v1/authorities/service-9')), 'not-found')
})

await t.test('orders at ACME directories, by request, whatever is tried next', async t => {
  const running = await startController(t)
  const operator = operatorOf(running)
  const order = (request: string, nextAttemptAtMs: number) =>
    running.controller.context.store.transaction(tx =>
      tx.acme.putOrder({
        request,
        directory: 'corp',
        directoryUrl: 'https://ca.test/dir',
        node: 'n1',
        service: 'prometheus',
        names: { dns: ['n1.test'], ip: [] },
        state: 'waiting',
        orderUrl: undefined,
        orderedAtMs: undefined,
        dnsRecords: [],
        attempts: 0,
        nextAttemptAtMs,
        reason: undefined,
        updatedAtMs: T0,
      }),
    )
  for (const [index, request] of ['b', 'c', 'a'].entries()) await order(request, T0 + index)
  const page = async (query: string) => parsed(AcmeView, await operator('GET', `/v1/acme?${query}`))

  const first = await page('limit=2')
  await order('c', T0 - 1)
  const last = await page(`limit=2&after=${first.next}`)

  t.match([first.orders, last.orders], [[{ request: 'a' }, { request: 'b' }], [{ request: 'c' }]])
  t.equal(last.next, undefined)
  t.equal(codeOf(await operator('GET', '/v1/acme?after=eA')), 'malformed-request')
})

await t.test('a list that is made as a whole has pages by its keys', t => {
  const all = ['c', 'a', 'b'].map(name => ({ name }))
  const keyOf = ({ name }: { readonly name: string }) => name
  const first = pageOfAll('x', { limit: 2 }, { all, keyOf })
  const second = pageOfAll('x', { limit: 2, after: first.next.next }, { all, keyOf })

  t.strictSame(first.shown.map(keyOf), ['a', 'b'])
  t.strictSame([second.shown.map(keyOf), second.next], [['c'], {}])
  t.throws(() => pageOfAll('y', { after: first.next.next }, { all, keyOf }), {
    code: 'malformed-request',
  })
  t.end()
})
