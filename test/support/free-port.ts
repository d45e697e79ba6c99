// Ports of the loopback address for programs that are started later, and that are stopped and started again
// in a test: nobody else gets one of them meanwhile.

import { randomInt } from 'node:crypto'
import { createServer, type ListenOptions } from 'node:net'

// Below those that the kernel gives to connections and to whoever listens on port 0, from 32768 on
// (net.ipv4.ip_local_port_range).
const FIRST = 10_000
const COUNT = 20_000

/** A port on which nobody listens, and which no other test is given until this process has ended. */
export async function freePort(): Promise<number> {
  const start = randomInt(COUNT)
  for (let tried = 0; tried < COUNT; tried++) {
    const port = FIRST + ((start + tried) % COUNT)
    if ((await isClaimed(port)) && (await isFree(port))) return port
  }
  throw new Error('no port is free')
}

/** By the name of a socket: the kernel gives it to one process only, and takes it back when that ends. */
async function isClaimed(port: number): Promise<boolean> {
  return (await listen({ path: `\0tlsfleet-test-port-${port}` })) !== undefined
}

/** Also where who listens is no test. */
async function isFree(port: number): Promise<boolean> {
  const server = await listen({ host: '127.0.0.1', port })
  if (server === undefined) return false
  await new Promise(resolve => server.close(resolve))
  return true
}

function listen(options: ListenOptions) {
  const server = createServer().unref()
  return new Promise<typeof server | undefined>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) =>
      error.code === 'EADDRINUSE' ? resolve(undefined) : reject(error),
    )
    server.listen(options, () => resolve(server))
  })
}
