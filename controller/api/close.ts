// Closing listeners so that answers under way still arrive, and nobody can hold us up.

import type { Socket } from 'node:net'
import type { App } from './context.ts'

// A service manager, and a person, wait for this.
const PATIENCE_MS = 1_000

const connections = new WeakMap<App, Set<Socket>>()

/** Takes note of every connection, those in the middle of a handshake included. */
export function trackConnections(app: App): void {
  const open = new Set<Socket>()
  connections.set(app, open)
  app.server.on('connection', (socket: Socket) => {
    open.add(socket)
    socket.once('close', () => open.delete(socket))
  })
}

export async function closeApps(apps: readonly App[]): Promise<void> {
  const impatience = setTimeout(() => {
    for (const app of apps) for (const socket of connections.get(app) ?? []) socket.destroy()
  }, PATIENCE_MS)
  await Promise.all(apps.map(app => app.close()))
  clearTimeout(impatience)
}
