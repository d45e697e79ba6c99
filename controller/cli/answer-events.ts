// A stream of server-sent events that ends with an answer: `progress` as often as there is some, then
// `answer` with the body of it, or `problem` with that of a refusal.

import * as z from 'zod/mini'

/** As it came. */
export interface Answer {
  readonly status: number
  readonly text: string
}

const Status = z.object({ status: z.int() })

/** Throws when the stream ends, or is no such one, before the answer. */
export async function answerOfEvents(
  chunks: AsyncIterable<Buffer>,
  onProgress: (data: unknown) => void,
): Promise<Answer> {
  let event = ''
  let answer: Answer | undefined
  for await (const line of linesOf(chunks)) {
    if (line.startsWith('event: ')) event = line.slice('event: '.length)
    if (!line.startsWith('data: ')) continue
    const text = line.slice('data: '.length)
    if (event === 'answer') answer = { status: 200, text }
    if (event !== 'problem' && event !== 'progress') continue
    const data: unknown = JSON.parse(text)
    if (event === 'progress') onProgress(data)
    else answer = { status: Status.parse(data).status, text }
  }
  if (answer !== undefined) return answer
  throw new Error('the controller ended the stream before the answer')
}

// A plan is one line of many megabytes: its pieces are joined once.
async function* linesOf(chunks: AsyncIterable<Buffer>): AsyncGenerator<string> {
  const decoder = new TextDecoder()
  let pieces: string[] = []
  for await (const chunk of chunks) {
    const [first = '', ...rest] = decoder.decode(chunk, { stream: true }).split('\n')
    pieces.push(first)
    for (const line of rest) {
      yield pieces.join('')
      pieces = [line]
    }
  }
  yield pieces.join('')
}
