import t from 'tap'
import { tlsfleet } from './command.ts'
import { contextFile, startFakeController } from './fake-controller.ts'

const controller = await startFakeController({})
t.teardown(() => controller.close())
const config = contextFile(controller)
const view = { service: ['service 1\n', 'service 2\n'], digest: 'd' }

await t.test('the roots of the services, or those of the controller itself', async t => {
  controller.answer({ 'GET /v1/trust': { body: { ...view, identity: ['controller\n'] } } })

  t.equal((await tlsfleet(['trust'], { config })).out, 'service 1\nservice 2\n')
  t.equal((await tlsfleet(['trust', '--controller'], { config })).out, 'controller\n')
})

await t.test('a controller that names no roots of its own leaves no empty file', async t => {
  for (const identity of [undefined, []]) {
    controller.answer({ 'GET /v1/trust': { body: { ...view, identity } } })

    const { code, out, err } = await tlsfleet(['trust', '--controller'], { config })

    t.match([code, out, err], [1, '', /names no roots of its own \(malformed-answer\)/])
  }
  t.equal((await tlsfleet(['trust'], { config })).code, 0)
})
