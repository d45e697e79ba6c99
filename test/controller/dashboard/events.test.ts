import * as fc from 'fast-check'
import t from 'tap'
import { createEventReader } from '../../../controller/dashboard/page/events.ts'

const STREAM = [
  ': a sign of life\n\n',
  'event: resync\ndata: {"resource":"nodes"}\n\n',
  'event: change\r\ndata: {"resource":"nodes",\r\ndata: "ids":["n1"]}\r\n\r\n',
  'data:plain\n\n',
].join('')
const EVENTS = [
  { event: 'resync', data: '{"resource":"nodes"}' },
  { event: 'change', data: '{"resource":"nodes",\n"ids":["n1"]}' },
  { event: 'message', data: 'plain' },
]

await t.test('events are the same however the stream is cut into pieces', async t => {
  fc.assert(
    fc.property(fc.array(fc.nat(STREAM.length), { maxLength: 12 }), cuts => {
      const read = createEventReader()
      const places = [0, ...cuts.toSorted((a, b) => a - b), STREAM.length]
      const events = places.flatMap((place, index) => [
        ...read(STREAM.slice(place, places[index + 1] ?? STREAM.length)),
      ])
      t.strictSame(events, EVENTS)
    }),
    { numRuns: 60 },
  )
})

await t.test('what is not complete yet is no event', async t => {
  const read = createEventReader()
  t.strictSame(read('event: end\ndata: {}\n'), [])
  t.strictSame(read('\n'), [{ event: 'end', data: '{}' }])
})
