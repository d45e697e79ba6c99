// A server that ends when it is told to. closeAllConnections() leaves those whose handshake is under way:
// they are kept alive by their client afterwards, and close() never calls back.

import type { Server } from 'node:net'

/** Call it before the server listens; closes it with every connection it has. */
export function closable(server: Server): () => Promise<void> {
  const open = new Set<{ destroy(): void }>()
  server.on('connection', socket => {
    open.add(socket)
    socket.once('close', () => open.delete(socket))
  })
  return () =>
    new Promise(resolve => {
      server.close(() => resolve())
      for (const socket of open) socket.destroy()
    })
}
