// Connects anew, again and again, as a client that verifies: runs on `ctl` in a lab until
// STOP_FILE exists, then prints what it saw. `node handshakes.ts HOST PORT CA_FILE STOP_FILE`.

import { existsSync, readFileSync } from 'node:fs'
import { connect } from 'node:tls'

const [host = '', port = '', caFile = '', stopFile = ''] = process.argv.slice(2)
const ca = readFileSync(caFile, 'utf8')
const seen = {
  handshakes: 0,
  failures: 0,
  fingerprints: new Set<string>(),
  errors: new Set<string>(),
}

while (!existsSync(stopFile)) {
  const result = await handshake()
  seen.handshakes += 1
  if (result.kind === 'ok') seen.fingerprints.add(result.fingerprint)
  else {
    seen.failures += 1
    seen.errors.add(result.message)
  }
}
process.stdout.write(
  `${JSON.stringify({ ...seen, fingerprints: [...seen.fingerprints], errors: [...seen.errors].slice(0, 5) })}\n`,
)

type Result = { kind: 'ok'; fingerprint: string } | { kind: 'failed'; message: string }

function handshake(): Promise<Result> {
  return new Promise(resolve => {
    const socket = connect({
      host,
      port: Number(port),
      servername: host,
      ca,
      minVersion: 'TLSv1.2',
      timeout: 5000,
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
