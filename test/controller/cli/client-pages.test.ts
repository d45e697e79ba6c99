import t from 'tap'
import * as z from 'zod/mini'
import type { Question } from '../../../controller/cli/exchange.ts'
import { everyPage } from '../../../controller/cli/client-pages.ts'

const List = z.object({ items: z.array(z.int()), next: z.optional(z.string()) })
type List = z.infer<typeof List>
const question = { attempt: 'list items', method: 'GET', path: '/x', answer: List } as const

await t.test('pages are followed to the end with the same query', async t => {
  const asked: string[] = []
  const answers: List[] = [{ items: [1, 2], next: 'a' }, { items: [], next: 'b' }, { items: [3] }]
  const call = async ({ path }: Question<List>): Promise<List> =>
    answers[asked.push(path) - 1] ?? { items: [] }

  const pages = await everyPage(call, question, new URLSearchParams({ q: '1' }))

  t.strictSame(
    pages.flatMap(({ items }) => items),
    [1, 2, 3],
  )
  t.strictSame(asked, ['/x?q=1', '/x?q=1&after=a', '/x?q=1&after=b'])
})

await t.test('a list without an end is given up', async t => {
  const call = async (): Promise<List> => ({ items: [1], next: 'again' })

  await t.rejects(everyPage(call, question), {
    code: 'malformed-answer',
    message: /could not list items: the list has no end/,
  })
})
