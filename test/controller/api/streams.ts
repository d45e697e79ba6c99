// A reader of server-sent events, as a browser reads them.

import { Agent, request } from 'node:https'
import type { Running } from './support.ts'

export interface Told {
  /** `comment` for a line that is none of an event. */
  readonly event: string
  readonly id: string | undefined
  readonly data: unknown
}

export interface Stream {
  readonly status: number
  readonly type: string | undefined
  /** The next event that is no `retry:`; undefined: the stream has ended. */
  next(): Promise<Told | undefined>
  /** All up to the end. */
  rest(): Promise<readonly Told[]>
  close(): void
}

export function openStream(
  { controller }: Running,
  path: string,
  {
    token,
    headers = {},
    body,
  }: {
    readonly token: string
    readonly headers?: Readonly<Record<string, string>>
    /** Posted. */
    readonly body?: object
  },
): Promise<Stream> {
  return new Promise((resolve, reject) => {
    const type = body === undefined ? {} : { 'content-type': 'application/json' }
    const sent = request(
      `${controller.urls.operator}${path}`,
      {
        agent: new Agent({ keepAlive: false }),
        method: body === undefined ? 'GET' : 'POST',
        ca: controller.identityRoot,
        headers: {
          authorization: `Bearer ${token}`,
          accept: 'text/event-stream',
          ...type,
          ...headers,
        },
      },
      response => {
        response.setEncoding('utf8')
        const events = parseEvents(response)
        const next = async () => {
          const { value } = await events.next()
          return value ?? undefined
        }
        resolve({
          status: response.statusCode ?? 0,
          type: response.headers['content-type'],
          next,
          async rest() {
            const all: Told[] = []
            for (let one = await next(); one !== undefined; one = await next()) all.push(one)
            return all
          },
          close: () => sent.destroy(),
        })
      },
    )
    sent.on('error', reject)
    sent.end(body === undefined ? undefined : JSON.stringify(body))
  })
}

async function* parseEvents(chunks: AsyncIterable<string>): AsyncGenerator<Told, undefined> {
  let text = ''
  try {
    for await (const chunk of chunks) {
      text += chunk
      for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
        const told = parseEvent(text.slice(0, end))
        text = text.slice(end + 2)
        if (told !== undefined) yield told
      }
    }
  } catch {
    // A connection that is cut ends the stream as well.
  }
  return undefined
}

function parseEvent(block: string): Told | undefined {
  const fields = new Map(
    block.split('\n').map(line => {
      const at = line.indexOf(':')
      return [line.slice(0, at), line.slice(at + 1).trimStart()] as const
    }),
  )
  if (fields.has('retry')) return undefined
  const data = fields.get('data')
  return {
    event: fields.get('event') ?? 'comment',
    id: fields.get('id'),
    data: data === undefined ? undefined : JSON.parse(data),
  }
}
