// Pebble, the ACME server of Let's Encrypt for tests, at its strictest: no sleeping validation, nonces
// refused at random, no authorization used twice, external account binding required.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { request } from 'node:https'
import { join } from 'node:path'
import { LAB_UNAVAILABLE } from '../lab/availability.ts'
import { until } from '../lab/until.ts'
import { freePort } from './free-port.ts'
import { createCa, issue } from '../simulators/certificates.ts'

export interface Pebble {
  readonly directoryUrl: string
  /** PEM file: verifies the TLS of the directory. */
  readonly caFile: string
  /** PEM of the root that issues. */
  readonly issuingRoot: string
  readonly eab: { readonly kid: string; readonly hmacKey: string }
  /** What it has said: one line for each thing that it was asked. */
  log(): string
  /** SIGSTOP and SIGCONT: a directory that does not answer. */
  freeze(): void
  thaw(): void
  stop(): Promise<void>
}

export interface PebbleOptions {
  readonly directory: string
  readonly dnsPort: number
  /** Where it looks for HTTP-01. */
  readonly httpPort?: number
}

/** Begins like the reasons of the lab: in CI, a test that was skipped for it is a failure. */
export const PEBBLE_UNAVAILABLE: string | false =
  spawnSync('pebble', ['--help'], { stdio: 'ignore' }).error === undefined
    ? false
    : `${LAB_UNAVAILABLE}: pebble is not installed (apt-get install pebble)`

const EAB = {
  kid: 'kid-1',
  hmacKey: 'zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W',
}
const STARTS_MAX = 5

export async function startPebble(options: PebbleOptions): Promise<Pebble> {
  const { directory } = options
  const ca = createCa(directory, 'directory-ca')
  const { certFile, keyFile } = issue(ca, 'directory')
  // It cannot choose ports by itself: another process may take one in between.
  for (let start = 1; ; start++) {
    const [port, managementPort] = [await freePort(), await freePort()]
    const config = join(directory, 'pebble.json')
    writeFileSync(
      config,
      JSON.stringify({
        pebble: {
          listenAddress: `127.0.0.1:${port}`,
          managementListenAddress: `127.0.0.1:${managementPort}`,
          certificate: certFile,
          privateKey: keyFile,
          httpPort: options.httpPort ?? 1,
          tlsPort: 1,
          domainBlocklist: ['blocked.test'],
          externalAccountBindingRequired: true,
          externalAccountMACKeys: { [EAB.kid]: EAB.hmacKey },
        },
      }),
    )
    const running = run(config, options.dnsPort)
    try {
      const url = `https://127.0.0.1:${managementPort}/roots/0`
      const issuingRoot = await until(
        () => {
          if (running.child.exitCode !== null) throw new Error(running.log())
          return get(url, ca.certPem)
        },
        { what: 'pebble answers', timeoutMs: 30_000 },
      )
      return {
        ...running,
        directoryUrl: `https://127.0.0.1:${port}/dir`,
        caFile: ca.certFile,
        issuingRoot,
        eab: EAB,
      }
    } catch (error) {
      await running.stop()
      if (start === STARTS_MAX) throw error
    }
  }
}

function run(config: string, dnsPort: number) {
  // It ends with this process, also with one that is killed.
  const child = spawn(
    'setpriv',
    [
      '--pdeathsig',
      'KILL',
      'pebble',
      '-config',
      config,
      '-strict',
      '-dnsserver',
      `127.0.0.1:${dnsPort}`,
    ],
    {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        PATH: process.env['PATH'],
        PEBBLE_VA_NOSLEEP: '1',
        PEBBLE_WFE_NONCEREJECT: '25',
        PEBBLE_AUTHZREUSE: '0',
      },
    },
  )
  let text = ''
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => {
      text += chunk.toString('utf8')
    })
  return {
    child,
    log: () => text,
    freeze: () => void child.kill('SIGSTOP'),
    thaw: () => void child.kill('SIGCONT'),
    stop: () => stop(child),
  }
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, 'exit')
  child.kill('SIGKILL')
  await ended
}

function get(url: string, ca: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const outgoing = request(url, { ca }, response => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => {
        text += chunk
      })
      response.on('end', () => resolve(text))
    })
    outgoing.once('error', reject)
    outgoing.end()
  })
}
