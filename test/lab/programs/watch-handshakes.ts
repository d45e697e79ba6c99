// Connects anew to every listener in turn, again and again, as a client that verifies, until STOP_FILE
// exists; runs on `ctl` in a lab. What it has seen is in STATE_FILE, anew after every round. Its trust
// is read again when the file changes, as clients of a fleet do in a rotation of its CA.
// `node watch-handshakes.ts TRUST_FILE STATE_FILE STOP_FILE HOST:PORT…`

import { existsSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect, createSecureContext, type SecureContext } from 'node:tls'
import * as z from 'zod/mini'

const Listener = z.object({
  handshakes: z.number(),
  /** In the order in which they were first seen. */
  fingerprints: z.array(z.string()),
  failures: z.array(z.string()),
})

/** By `host:port`. */
export const Handshakes = z.object({
  rounds: z.number(),
  listeners: z.record(z.string(), Listener),
})
export type Handshakes = z.infer<typeof Handshakes>

const ROUND_EVERY_MS = 200
// A machine that is slow for a while is no failure; who never answers is one.
const TIMEOUT_MS = 60_000
// Enough to see what is wrong.
const FAILURES_MAX = 50

async function main(argv: readonly string[]): Promise<void> {
  const [trustFile = '', stateFile = '', stopFile = '', ...addresses] = argv
  const state: Handshakes = {
    rounds: 0,
    listeners: Object.fromEntries(
      addresses.map(address => [address, { handshakes: 0, fingerprints: [], failures: [] }]),
    ),
  }
  // Made once for all handshakes: reading the CAs costs as much as one of them.
  const trust = { version: '', context: createSecureContext() }
  while (!existsSync(stopFile)) {
    const { mtimeNs, ino } = statSync(trustFile, { bigint: true })
    if (trust.version !== `${ino} ${mtimeNs}`) {
      trust.version = `${ino} ${mtimeNs}`
      const ca = readFileSync(trustFile, 'utf8')
      trust.context = createSecureContext({ ca, minVersion: 'TLSv1.2' })
    }
    for (const [address, seen] of Object.entries(state.listeners)) {
      const result = await handshake(address, trust.context)
      seen.handshakes += 1
      if (result.kind === 'failed') {
        const failure = `${new Date().toISOString()} ${result.message}`
        if (seen.failures.length < FAILURES_MAX) seen.failures.push(failure)
      } else if (!seen.fingerprints.includes(result.fingerprint))
        seen.fingerprints.push(result.fingerprint)
    }
    state.rounds += 1
    writeFileSync(`${stateFile}.new`, JSON.stringify(state))
    renameSync(`${stateFile}.new`, stateFile)
    await sleep(ROUND_EVERY_MS)
  }
}

type Result =
  | { readonly kind: 'ok'; readonly fingerprint: string }
  | { readonly kind: 'failed'; readonly message: string }

function handshake(address: string, secureContext: SecureContext): Promise<Result> {
  const [host = '', port = ''] = address.split(':')
  return new Promise(resolve => {
    const socket = connect({
      host,
      port: Number(port),
      servername: host,
      secureContext,
      timeout: TIMEOUT_MS,
    })
    const end = (result: Result) => {
      socket.destroy()
      resolve(result)
    }
    socket.once('secureConnect', () =>
      end({ kind: 'ok', fingerprint: socket.getPeerX509Certificate()?.fingerprint256 ?? '' }),
    )
    socket.once('error', error => end({ kind: 'failed', message: error.message }))
    socket.once('timeout', () => end({ kind: 'failed', message: 'timeout' }))
  })
}

if (import.meta.main) await main(process.argv.slice(2))
