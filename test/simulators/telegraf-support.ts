// For the tests of the simulator of Telegraf: configurations, and a server whose answers are chosen.

import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import { closable } from '../support/closable.ts'
import { createGoServer, type GoTlsConfig } from './go/server.ts'
import { bodyOf } from './influxdb/http-api.ts'
import { createOutputs } from './telegraf/agent.ts'
import { type EnvHandling, loadConfig } from './telegraf/config-file.ts'
import { write } from './certificates.ts'

export const TELEGRAF = join(import.meta.dirname, 'telegraf/telegraf-sim.ts')

export interface Answer {
  readonly status: number
  readonly body?: string
}

export interface FakeServer {
  readonly port: number
  /** `POST /write?db=telegraf`, each with its body. */
  readonly requests: { readonly line: string; readonly body: string }[]
  /** Of writes; queries are answered well. */
  respond(answer: Answer): void
  close(): Promise<void>
}

export async function startFakeServer(t: Test, tls?: GoTlsConfig, port = 0): Promise<FakeServer> {
  let next: Answer = { status: 204 }
  const requests: FakeServer['requests'] = []
  const server = createGoServer({
    handler: (request, response) =>
      void bodyOf(request).then(body => {
        requests.push({ line: `${request.method} ${request.url}`, body })
        if (request.url?.startsWith('/query') === true) return response.writeHead(200).end('{}')
        return response.writeHead(next.status, { Connection: 'close' }).end(next.body)
      }),
    tls: tls === undefined ? undefined : () => tls,
    log: () => {},
  })
  const close = closable(server)
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  t.teardown(close)
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    requests,
    respond: answer => {
      next = answer
    },
    close,
  }
}

export interface TextOptions {
  readonly version: string
  readonly env?: EnvHandling
  readonly environment?: Readonly<Record<string, string>>
}

/** Of this test; t.testdir() would empty it each time. */
export function directoryOf(t: Test): string {
  return existsSync(t.testdirName) ? t.testdirName : t.testdir()
}

/** The configuration that a text makes; rejects with what Telegraf says of it. */
export function loadText(t: Test, text: string, options: TextOptions) {
  const { version, env = 'non-strict', environment = {} } = options
  const file = write(directoryOf(t), 'telegraf.conf', text)
  return loadConfig({ files: [file], version, env, environment })
}

/** What an output of a version does with one line, and what it says. */
export async function writeOnce(
  t: Test,
  version: string,
  block: string,
): Promise<{ readonly kind: string; readonly log: string }> {
  const said: string[] = []
  const config = loadText(t, `[[inputs.cpu]]\n${block}`, { version })
  const outputs = createOutputs(config, version, (level, message) =>
    said.push(`${level}! ${message}`),
  )
  const kinds: string[] = []
  for (const output of outputs) {
    await output.connect()
    kinds.push((await output.write(['m n=1i 1'])).kind)
    output.close()
  }
  return { kind: kinds.join(), log: said.join('\n') }
}
