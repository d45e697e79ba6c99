// `--output`: the same answer for people, for programs, and with more columns.

import t from 'tap'
import { parse, parseAllDocuments } from 'yaml'
import { tlsfleet } from './command.ts'
import { contextFile, refusal, startFakeController } from './fake-controller.ts'
import { NOW_MS, nodeView, rolloutView, step } from './views.ts'

const node = nodeView({ name: 'data-1', labels: { role: 'data' }, generation: 7 })
const ended = rolloutView({ status: 'succeeded', steps: [step({ node: 'data-1', state: 'done' })] })
const controller = await startFakeController({
  'GET /v1/nodes': { body: { nodes: [node] } },
  'GET /v1/rollouts/r7/events': ({ path }) => ({
    body: {
      rollout: ended,
      events: path.includes('after=0')
        ? [
            { version: 1, atMs: NOW_MS, kind: 'started' },
            { version: 2, atMs: NOW_MS, kind: 'node-done', node: 'data-1' },
          ]
        : [],
    },
  }),
  'GET /v1/nodes/data-1': { body: node },
  'GET /v1/nodes/gone': refusal(404, 'not-found', 'there is no node gone'),
})
t.teardown(() => controller.close())
const config = contextFile(controller)

await t.test('yaml and json say the same', async t => {
  const json = await tlsfleet(['node', 'ls', '--output', 'json'], { config })
  const yaml = await tlsfleet(['-o', 'yaml', 'node', 'ls'], { config })
  const old = await tlsfleet(['node', 'ls', '--json'], { config })

  t.equal(json.code, 0, json.err)
  t.same(parse(yaml.out), JSON.parse(json.out))
  t.equal(old.out, json.out)
  t.notMatch(yaml.out, '{')
})

await t.test('a stream of events is a stream of documents', async t => {
  const json = await tlsfleet(['rollout', 'follow', 'r7', '-o', 'json'], { config })
  const yaml = await tlsfleet(['rollout', 'watch', 'r7', '-o', 'yaml'], { config, columns: 80 })

  const lines = json.out.trimEnd().split('\n')
  const documents = parseAllDocuments(yaml.out)
  t.equal(lines.length, 3)
  t.same(
    documents.map((document): unknown => document.toJS()),
    lines.map((line): unknown => JSON.parse(line)),
  )
})

await t.test('wide has more columns and never wraps', async t => {
  const narrow = await tlsfleet(['node', 'ls'], { config, columns: 60 })
  const wide = await tlsfleet(['node', 'ls', '-o', 'wide'], { config, columns: 60 })

  t.notMatch(narrow.out, 'GENERATION')
  t.match(wide.out, /GENERATION +SERVICES +NAMES\n/)
  t.equal(wide.out.split('\n').length, 3, 'a title and a node')
})

await t.test('an error is a document too, whichever way the format was written', async t => {
  for (const format of [['--json'], ['-o', 'json'], ['--output=yaml'], ['-oyaml']]) {
    const { code, out, err } = await tlsfleet(['node', 'show', 'gone', ...format], { config })
    t.equal(code, 1)
    t.equal(out, '')
    const { error } = parse(err)
    t.equal(error.code, 'not-found', format.join(' '))
  }
})

await t.test('a format that there is not is a mistake', async t => {
  const { code, err } = await tlsfleet(['node', 'ls', '-o', 'xml'], { config })
  t.equal(code, 1)
  t.match(err, /table, wide, json, yaml/)
})
