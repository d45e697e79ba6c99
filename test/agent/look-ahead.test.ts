// Units that are asked for before anybody needs them.

import t from 'tap'
import { lookAhead } from '../../agent/look-ahead.ts'
import { newNode } from '../support/memory-fleet.ts'

await t.test('the first question has the answer of before, the next one its own', async t => {
  const { services } = newNode().host
  const asked: string[] = []
  const show: typeof services.show = async unit => {
    asked.push(unit)
    return services.show(unit)
  }
  const ahead = lookAhead({ ...services, show }, ['influxdb.service'])
  t.same(asked, ['influxdb.service'])

  t.match(await ahead.show('influxdb.service'), { unit: 'influxdb.service' })
  t.same(asked, ['influxdb.service'])
  await ahead.show('influxdb.service')
  await ahead.show('prometheus.service')
  t.same(asked, ['influxdb.service', 'influxdb.service', 'prometheus.service'])
})

await t.test('a manager that is away is told to who asks, and to nobody else', async t => {
  const { services } = newNode().host
  const show = async () => Promise.reject(new Error('away'))
  const ahead = lookAhead({ ...services, show }, ['influxdb.service', 'prometheus.service'])

  await t.rejects(ahead.show('influxdb.service'), /away/)
  await t.rejects(ahead.show('influxdb.service'), /away/)
})
