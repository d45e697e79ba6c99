import t from 'tap'
import { connect } from 'node:tls'
import { joinFleet, operatorOf, startController } from './support.ts'
await t.test('x', { timeout: 100000 }, async t => {
  const running = await startController(t)
  const operator = operatorOf(running)
  const n1 = await joinFleet(running, operator, 'n1')
  const t0 = Date.now()
  const slow = new Promise<void>(resolve => {
    const { hostname: host, port } = new URL(running.controller.urls.operator)
    const s = connect({ host, port: Number(port), ca: running.controller.identityRoot }, () =>
      s.write('GET /healthz HTTP/1.1\r\nHost: x\r\n'),
    )
    s.on('data', d => console.error('slow got', String(d).split('\r\n')[0], Date.now() - t0))
    s.on('close', () => {
      console.error('slow closed', Date.now() - t0)
      resolve()
    })
    s.on('error', () => {})
  })
  const a = await n1.get('/agent/v1/desired?wait=40000')
  console.error('poll', a.status, Date.now() - t0, a.text)
  await slow
  const idle = n1.get('/agent/v1/desired?wait=100000')
  await new Promise(r => setTimeout(r, 200))
  const t1 = Date.now()
  await running.controller.close()
  console.error('closed in', Date.now() - t1, (await idle).text)
  n1.close()
})
