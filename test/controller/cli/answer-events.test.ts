// A stream that ends with an answer, read as it comes in.

import t from 'tap'
import { answerOfEvents } from '../../../controller/cli/answer-events.ts'

async function* chunksOf(text: string, size: number): AsyncGenerator<Buffer> {
  const bytes = Buffer.from(text)
  for (let start = 0; start < bytes.length; start += size) yield bytes.subarray(start, start + size)
}

const read = async (text: string, size: number) => {
  const told: unknown[] = []
  const answer = await answerOfEvents(chunksOf(text, size), data => told.push(data))
  return { told, answer }
}

const PROGRESS = 'event: progress\ndata: {"answered":1}\n\n'

await t.test('progress is told, and the answer is what it would have been alone', async t => {
  const text = `: still here\n\n${PROGRESS}${PROGRESS}event: answer\ndata: {"name":"Zoë"}\n\n`
  for (const size of [1, 2, 7, 1_000])
    t.strictSame(await read(text, size), {
      told: [{ answered: 1 }, { answered: 1 }],
      answer: { status: 200, text: '{"name":"Zoë"}' },
    })
})

await t.test('a problem is a refusal with its own status', async t => {
  const { answer } = await read('event: problem\ndata: {"status":409,"code":"stale-plan"}\n\n', 16)
  t.match(answer, { status: 409, text: /stale-plan/ })
})

await t.test('a stream that ends before the answer is no answer', async t => {
  await t.rejects(read(PROGRESS, 16), { message: /ended the stream before the answer/ })
  await t.rejects(read('event: problem\ndata: {}\n\n', 16))
})
