// One handshake as a client that verifies: `node handshake.ts HOST PORT TRUST_FILE` prints the
// SHA-256 of the leaf, or ends with 1 and why.

import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { isIP } from 'node:net'
import { connect } from 'node:tls'

const [host = '', port = '', trustFile = ''] = process.argv.slice(2)
const socket = connect({
  host,
  port: Number(port),
  ...(isIP(host) === 0 ? { servername: host } : {}),
  ca: readFileSync(trustFile, 'utf8'),
  minVersion: 'TLSv1.2',
  timeout: 60_000,
})
socket.once('secureConnect', () => {
  const leaf = socket.getPeerX509Certificate()
  process.stdout.write(
    `${createHash('sha256')
      .update(leaf?.raw ?? '')
      .digest('hex')}\n`,
  )
  socket.destroy()
})
socket.once('timeout', () => socket.destroy(new Error('no answer in time')))
socket.once('error', error => {
  process.stderr.write(`${error.message}\n`)
  process.exitCode = 1
})
