// The HTTP API of the Elasticsearch simulator: users, roles, documents.

import t from 'tap'
import { createNode, PASSWORD, type SceneNode, untilHealth } from './elasticsearch-scene.ts'

const BASIC = 'Basic realm="security" charset="UTF-8"'

await t.test('security', async t => {
  const node = await createNode(t, t.testdir())
  node.configure('')
  const daemon = node.start()
  await untilHealth(node, 'green')
  const status = async (path: string, as: string, method = 'GET', body?: unknown) =>
    (await node.ask(path, { as, method, ...(body === undefined ? {} : { body }) })).status

  t.match(await node.ask('/', { as: '' }), {
    status: 401,
    challenges: [BASIC, 'ApiKey'],
    json: { error: { type: 'security_exception' }, status: 401 },
  })
  t.equal(await status('/', 'elastic:wrong'), 401)
  t.match((await node.ask('/_security/_authenticate')).json, {
    username: 'elastic',
    roles: ['superuser'],
  })

  const role = {
    cluster: ['monitor', 'read_ilm'],
    indices: [{ names: ['metricbeat-*'], privileges: ['create_doc', 'auto_configure'] }],
  }
  t.match((await node.ask('/_security/role/writer', { method: 'PUT', body: role })).json, {
    role: { created: true },
  })
  t.match((await node.ask('/_security/role/writer')).json, { writer: role })
  t.equal(await status('/_security/role/nobody', `elastic:${PASSWORD}`), 404)
  t.equal(await status('/_security/role/superuser', `elastic:${PASSWORD}`, 'PUT', role), 400)
  const user = { password: 'secret-of-beat', roles: ['writer', 'remote_monitoring_agent'] }
  t.match((await node.ask('/_security/user/beat', { method: 'PUT', body: user })).json, {
    created: true,
  })
  t.match(
    (await node.ask('/_security/user/beat', { method: 'PUT', body: { roles: ['writer'] } })).json,
    {
      created: false,
    },
  )
  const beat = 'beat:secret-of-beat'
  t.match((await node.ask('/_security/_authenticate', { as: beat })).json, {
    username: 'beat',
    roles: ['writer'],
  })
  t.equal(await status('/_cluster/health', beat), 200)
  t.equal(await status('/_security/user/beat', beat), 403)
  t.equal(await status('/_cluster/settings', beat, 'PUT', {}), 403)
  t.equal(await status('/metricbeat-1/_search', beat), 403)
  const lines = (index: string, op: string) => `{"${op}":{"_index":"${index}"}}\n{"a":1}\n`
  const bulk = { method: 'POST', as: beat, body: '' }
  t.match(
    (
      await node.ask('/_bulk', {
        ...bulk,
        body:
          lines('metricbeat-1', 'create') +
          lines('metricbeat-1', 'index') +
          lines('other', 'create'),
      })
    ).json,
    {
      errors: true,
      items: [{ create: { status: 201 } }, { index: { status: 403 } }, { create: { status: 403 } }],
    },
  )

  t.equal(
    await status('/_security/user/kibana_system/_password', `elastic:${PASSWORD}`, 'POST', {
      password: 'secret-of-kibana',
    }),
    200,
  )
  t.equal(await status('/', 'kibana_system:secret-of-kibana'), 200)
  await daemon.stop()
  await untilHealth({ ...node, ...restarted(node) }, 'yellow')
  t.equal(await status('/', beat), 200, 'users survive a restart')
  t.equal(await status('/_security/user/beat', `elastic:${PASSWORD}`, 'DELETE'), 200)
  t.equal(await status('/', beat), 401)
})

await t.test('documents', async t => {
  const node = await createNode(t, t.testdir())
  node.configure('')
  const daemon = node.start()
  await untilHealth(node, 'green')
  const post = (path: string, body: unknown) => node.ask(path, { method: 'POST', body })

  t.match(await post('/logs/_doc', { n: 1 }), { status: 201, json: { result: 'created' } })
  t.match(await node.ask('/logs/_doc/x', { method: 'PUT', body: { n: 2 } }), { status: 201 })
  t.match(await node.ask('/logs/_doc/x', { method: 'PUT', body: { n: 3 } }), { status: 200 })
  t.match(await node.ask('/logs/_create/x', { method: 'PUT', body: {} }), { status: 409 })
  t.match((await post('/_bulk', '{"index":{"_index":"logs","_id":"y"}}\n{"n":4}\n')).json, {
    errors: false,
  })
  t.match(await post('/_bulk', '{"index":{"_index":"logs"}}\n{"n":4}'), { status: 400 })
  t.match((await node.ask('/logs/_count')).json, { count: 3 })
  t.match((await node.ask('/logs/_doc/x')).json, { found: true, _source: { n: 3 } })
  t.match((await post('/log*/_search', { query: { term: { n: 4 } } })).json, {
    hits: { total: { value: 1 }, hits: [{ _id: 'y' }] },
  })
  t.match(await node.ask('/logs/_doc/y', { method: 'DELETE' }), { status: 200 })
  t.equal((await node.ask('/none/_count')).status, 404)
  t.equal((await node.ask('/_flush', { method: 'POST' })).status, 200)
  t.match((await node.ask('/_cat/indices?h=health,index')).text, /^yellow logs\n$/)

  daemon.signal('SIGKILL')
  await daemon.ended
  await untilHealth({ ...node, ...restarted(node) }, 'yellow')
  t.match((await node.ask('/logs/_count')).json, { count: 2 }, 'they are on disk')
  t.equal((await node.ask('/nonsense/of/this')).status, 400)
  t.equal((await node.ask('/_cluster/health', { method: 'PATCH' })).status, 405)
})

/** Nothing of the node changes but its process. */
function restarted(node: SceneNode): Partial<SceneNode> {
  node.start()
  return {}
}
