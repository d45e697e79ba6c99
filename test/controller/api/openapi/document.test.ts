import t from 'tap'
import * as z from 'zod/mini'
import { describeOperatorApi, operatorSchemas } from '../../../../controller/api/describe.ts'
import { ERRORS_OF } from '../../../../controller/api/openapi/error-codes.ts'
import { statusOfCode } from '../../../../controller/api/errors.ts'
import { call, startController } from '../support.ts'

type Entry = readonly [name: string, operation: Record<string, unknown>]

async function operations(): Promise<readonly Entry[]> {
  const { paths } = Object(await describeOperatorApi('1.2.3'))
  return Object.entries(paths).flatMap(([path, item]) =>
    Object.entries(Object(item)).map(
      ([method, operation]): Entry => [`${method.toUpperCase()} ${path}`, Object(operation)],
    ),
  )
}

await t.test('every operation says what it is for, and shows an example of everything', async t => {
  const all = await operations()
  t.ok(all.length > 50)

  for (const [name, operation] of all) {
    t.match(operation, { summary: /\w{3}/, description: /\w{3}/, operationId: /^[a-zA-Z]+$/ }, name)
    for (const parameter of Object(operation['parameters']))
      t.ok(
        parameter.example !== undefined && parameter.description !== '',
        `${name}: ${parameter.name}`,
      )
    const media = [
      ...Object.values(Object(Object(operation['requestBody']).content)),
      ...Object.entries(Object(operation['responses'])).flatMap(([, response]) =>
        Object.values(Object(Object(response).content)),
      ),
    ]
    for (const one of media)
      t.ok(Object(one).example !== undefined || Object(one).examples !== undefined, name)
    t.ok(Object(operation['responses'])['400'], `${name}: errors are listed`)
  }
  const ids = all.map(([, { operationId }]) => operationId)
  t.equal(new Set(ids).size, ids.length, 'ids of operations are unique')
})

await t.test('examples are what the routes themselves take and give', async t => {
  const found = new Map(await operations())
  let checked = 0

  for (const { name, body, answers } of await operatorSchemas()) {
    const operation = Object(found.get(name))
    const example = (content: unknown) => Object(Object(content)['application/json']).example
    if (body instanceof z.ZodMiniType) {
      const judged = body.safeParse(example(Object(operation.requestBody).content))
      t.ok(judged.success, `${name}: ${judged.error?.message ?? ''}`)
      checked++
    }
    for (const [status, answer] of Object.entries(answers)) {
      if (!(answer instanceof z.ZodMiniType) || status === 'default' || status === '204') continue
      const judged = answer.safeParse(example(Object(operation.responses)[status].content))
      t.ok(judged.success, `${name} ${status}: ${judged.error?.message ?? ''}`)
      checked++
    }
  }

  t.ok(checked > 50)
})

await t.test('errors are of operations that there are, and have a status', async t => {
  const names = new Set((await operations()).map(([name]) => name))

  for (const [name, codes] of Object.entries(ERRORS_OF)) {
    t.ok(names.has(name), name)
    for (const code of codes) t.not(statusOfCode(code), 500, code)
  }
})

await t.test('the reference page is complete, and loads and runs nothing', async t => {
  const { controller } = await startController(t)
  const get = (path: string) =>
    call({ url: `${controller.urls.operator}${path}`, tls: { ca: controller.identityRoot } })

  const page = await get('/v1/reference')
  const description = await get('/v1/openapi.json')

  t.equal(page.status, 200)
  t.match(page.headers, {
    'content-type': 'text/html; charset=utf-8',
    'content-security-policy': /^default-src 'none'; style-src 'sha256-[^']+';/,
  })
  t.notMatch(page.text, /<script|<link|<img|src=|@import|url\(|https?:\/\/(?!ca\.example)/)
  for (const [path, item] of Object.entries(Object(Object(description.body).paths)))
    for (const method of Object.keys(Object(item)))
      t.ok(
        page.text.includes(
          `id="${`${method} ${path}`
            .replaceAll(/[^a-z0-9]+/gi, '-')
            .replace(/-$/, '')
            .toLowerCase()}"`,
        ),
        `${method} ${path}`,
      )
  const ids = [...page.text.matchAll(/ id="([^"]+)"/g)].map(([, id]) => id)
  t.equal(new Set(ids).size, ids.length, 'anchors are unique')
})
