// A client on `ctl` that verifies every listener again and again, until it is stopped.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ended } from './ended.ts'
import { type Lab, until } from './lab.ts'
import { Handshakes } from './programs/watch-handshakes.ts'

const PROGRAM = join(import.meta.dirname, 'programs/watch-handshakes.ts')

export interface VerifyingClient {
  /** As of at least now: every listener was asked once more. */
  seen(): Promise<Handshakes>
  end(): Promise<void>
}

/** `addresses`: `host:port` each. `trustFile` may be replaced at any time. */
export async function startVerifyingClient(
  lab: Lab,
  trustFile: string,
  addresses: readonly string[],
): Promise<VerifyingClient> {
  const directory = mkdtempSync(join(tmpdir(), 'verifying-'))
  const [stateFile, stopFile] = [join(directory, 'state.json'), join(directory, 'stop')]
  const argv = [process.execPath, PROGRAM, trustFile, stateFile, stopFile, ...addresses]
  const child = lab.spawn('ctl', argv)
  child.stdout?.resume()
  let said = ''
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    said += text
  })
  const read = () => Handshakes.parse(JSON.parse(readFileSync(stateFile, 'utf8')))
  const after = (rounds: number) =>
    until(
      () => {
        if (child.exitCode !== null) throw new Error(`the client ended: ${said}`)
        const now = read()
        return now.rounds > rounds ? now : undefined
      },
      { what: 'every listener was asked', everyMs: 100, timeoutMs: 240_000 },
    )
  await after(0)
  return {
    // The round that is under way may have begun before.
    seen: () => after(read().rounds + 1),
    async end() {
      writeFileSync(stopFile, '')
      await ended(child)
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

// Of a listener that is being started anew: nothing was shown, so nothing was judged.
const ABSENT = /ECONNREFUSED|ECONNRESET|EPIPE|disconnected before secure TLS connection/

/** Failures in which the client saw a certificate, or was refused for one. */
export function distrustIn(handshakes: Handshakes): readonly string[] {
  return failuresIn(handshakes).filter(failure => !ABSENT.test(failure))
}

/** Failures with the listener that they are of; empty: every handshake was good. */
export function failuresIn({ listeners }: Handshakes): readonly string[] {
  return Object.entries(listeners).flatMap(([address, { failures }]) =>
    failures.map(failure => `${address}: ${failure}`),
  )
}
