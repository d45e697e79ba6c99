// Connects anew, again and again, as a client that verifies: runs on `ctl` in a lab until STOP_FILE
// exists, and prints a line for each handshake: the fingerprint that it was shown, or `failed: ` and why.
// `node handshakes.ts HOST PORT CA_FILE STOP_FILE`.

import { existsSync, readFileSync } from 'node:fs'
import { connect, createSecureContext } from 'node:tls'

// A machine that is slow for a while is no failure.
const TIMEOUT_MS = 60_000

const [host = '', port = '', caFile = '', stopFile = ''] = process.argv.slice(2)
// Made once: reading the CAs costs as much as a handshake.
const secureContext = createSecureContext({
  ca: readFileSync(caFile, 'utf8'),
  minVersion: 'TLSv1.2',
})

while (!existsSync(stopFile)) process.stdout.write(`${await handshake()}\n`)

function handshake(): Promise<string> {
  return new Promise(resolve => {
    const socket = connect({
      host,
      port: Number(port),
      servername: host,
      secureContext,
      timeout: TIMEOUT_MS,
    })
    const end = (line: string) => {
      socket.destroy()
      resolve(line)
    }
    socket.once('secureConnect', () => {
      const fingerprint = socket.getPeerX509Certificate()?.fingerprint256 ?? ''
      end(fingerprint.replaceAll(':', '').toLowerCase())
    })
    socket.once('error', error => end(`failed: ${error.message}`))
    socket.once('timeout', () => end('failed: timeout'))
  })
}
