// systemctl of a sandbox node: passes its arguments to the node's supervisor and prints the answer.
// It imports next to nothing, because it is started for every look at a unit.

import { connect } from 'node:net'

const root = process.env['TLSFLEET_SANDBOX_ROOT'] ?? ''
const NOT_BOOTED =
  "System has not been booted with systemd as init system (PID 1). Can't operate.\n" +
  'Failed to connect to bus: Host is down\n'

// Relative, because an absolute path may be longer than the address of a socket can be.
process.chdir(root === '' ? '/' : root)
const socket = connect('run/systemd/sandbox.sock')
let text = ''
socket.on('error', () => {
  process.stderr.write(NOT_BOOTED)
  process.exitCode = 1
})
socket.on('connect', () => socket.write(`${JSON.stringify(process.argv.slice(2))}\n`))
socket.setEncoding('utf8').on('data', chunk => {
  text += chunk
})
socket.on('end', () => {
  const answer: unknown = JSON.parse(text === '' ? 'null' : text)
  if (typeof answer !== 'object' || answer === null) process.exit(1)
  if ('stdout' in answer) process.stdout.write(String(answer.stdout))
  if ('stderr' in answer) process.stderr.write(String(answer.stderr))
  process.exitCode = 'code' in answer ? Number(answer.code) : 1
})
