// Go's crypto/tls and crypto/x509 as other implementations, by way of a real Prometheus: it scrapes
// servers as a client, one job for each, and its own web server judges the certificates of clients.

import { type ChildProcess, spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { Agent, request } from 'node:https'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import * as z from 'zod/mini'
import { until } from '../lab/until.ts'
import { PROMETHEUS } from './prometheus.ts'

export interface GoServer {
  readonly port: number
  /** The name that the client looks for. */
  readonly host: string
  readonly trustPem: string
}

export interface Pair {
  readonly chainPem: string
  readonly keyPem: string
}

export interface GoOracle {
  /** For each server what Go says of it: `accepted` or why not. `asker` is a client that is let in. */
  servers(asker: Pair): Promise<readonly string[]>
  client(pair: Pair): Promise<string>
  close(): Promise<void>
}

/** Starts Prometheus, whose own certificate is `own` and which lets in clients of `clientTrustPem`. */
export async function startGoOracle(options: {
  readonly directory: string
  readonly servers: readonly GoServer[]
  readonly own: Pair & { readonly trustPem: string }
  readonly clientTrustPem: string
}): Promise<GoOracle> {
  const { directory, servers, own, clientTrustPem } = options
  const file = (name: string, contents: string) => {
    const path = join(directory, name)
    writeFileSync(path, contents, { mode: 0o600 })
    return path
  }
  // JSON is YAML.
  const config = file('prometheus.yml', JSON.stringify(scrapeConfig(servers, file)))
  const web = {
    tls_server_config: {
      cert_file: file('own.pem', own.chainPem),
      key_file: file('own.key', own.keyPem),
      client_auth_type: 'RequireAndVerifyClientCert',
      client_ca_file: file('clients.pem', clientTrustPem),
    },
  }
  const child = spawn(
    PROMETHEUS,
    [
      `--config.file=${config}`,
      `--web.config.file=${file('web.yml', JSON.stringify(web))}`,
      `--storage.tsdb.path=${join(directory, 'tsdb')}`,
      '--web.listen-address=127.0.0.1:0',
    ],
    { stdio: ['ignore', 'ignore', 'pipe'], env: { LC_ALL: 'C' } },
  )
  const exited = new Promise(resolve => child.once('exit', resolve))
  const port = await listeningPort(child)
  const url = `https://127.0.0.1:${port}/api/v1/targets?state=active`
  const ask = (pair: Pair) => get(url, pair, own.trustPem)
  return {
    servers: asker => untilAllScraped(() => ask(asker), servers.length),
    client: pair =>
      ask(pair).then(
        () => 'accepted',
        (error: unknown) => String(error),
      ),
    async close() {
      child.kill('SIGKILL')
      await exited
    },
  }
}

function scrapeConfig(
  servers: readonly GoServer[],
  file: (name: string, contents: string) => string,
) {
  return {
    global: { scrape_interval: '2s', scrape_timeout: '2s' },
    scrape_configs: servers.map(({ port, host, trustPem }, index) => ({
      job_name: String(index),
      scheme: 'https',
      static_configs: [{ targets: [`127.0.0.1:${port}`] }],
      tls_config: { ca_file: file(`trust-${index}.pem`, trustPem), server_name: host },
    })),
  }
}

async function listeningPort(child: ChildProcess): Promise<number> {
  const { stderr } = child
  if (stderr === null) throw new Error('prometheus has no output')
  const seen: string[] = []
  const found = await new Promise<number>((resolve, reject) => {
    // Read to the end, or prometheus would wait for us.
    createInterface({ input: stderr })
      .on('line', line => {
        seen.push(line)
        const [, port] = /Listening on.*address=127\.0\.0\.1:(\d+)/.exec(line) ?? []
        if (port !== undefined) resolve(Number(port))
      })
      .on('close', () => reject(new Error(`prometheus ended: ${seen.join('\n')}`)))
  })
  return found
}

const Targets = z.object({
  data: z.object({
    activeTargets: z.array(
      z.object({ scrapePool: z.string(), health: z.string(), lastError: z.string() }),
    ),
  }),
})

async function untilAllScraped(
  ask: () => Promise<string>,
  count: number,
): Promise<readonly string[]> {
  return until(
    async () => {
      // Until it is ready to serve, prometheus answers something else.
      const targets = Targets.safeParse(jsonOrNone(await ask())).data?.data.activeTargets ?? []
      const sorted = targets.toSorted((a, b) => Number(a.scrapePool) - Number(b.scrapePool))
      const answers = sorted.map(({ health, lastError }) =>
        health === 'up' ? 'accepted' : tlsError(lastError),
      )
      if (answers.length === count && answers.every(answer => answer !== '')) return answers
      throw new Error(sorted.map(({ health, lastError }) => `${health} ${lastError}`).join('\n'))
    },
    { what: 'prometheus says of every server what it thinks of it', everyMs: 100 },
  )
}

// Empty for anything that a busy machine could also cause: it will be scraped again.
function tlsError(text: string): string {
  return /(x509|tls): .*/.exec(text)?.[0] ?? ''
}

function jsonOrNone(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function get(url: string, { chainPem, keyPem }: Pair, trustPem: string): Promise<string> {
  const tls = { ca: trustPem, cert: chainPem, key: keyPem }
  return new Promise((resolve, reject) => {
    request(url, { ...tls, agent: new Agent({ keepAlive: false }) }, response => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => (text += chunk))
      response.on('error', reject)
      response.on('end', () => resolve(text))
    })
      .on('error', reject)
      .end()
  })
}
