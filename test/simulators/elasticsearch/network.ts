// Where the node listens and under which address others find it.

import type { Server } from 'node:net'
import { networkInterfaces } from 'node:os'
import { listOf, settingOf, type Settings, StartError } from './yaml-settings.ts'

export interface Bound {
  readonly port: number
  /** `host:port` that others use. */
  readonly publishAddress: string
  readonly loopback: boolean
}

export type Layer = 'http' | 'transport'

const PORTS: Readonly<Record<Layer, string>> = { http: '9200-9300', transport: '9300-9400' }

/** The first port of the range that is free, unless it is only one. */
export async function bind(server: Server, layer: Layer, settings: Settings): Promise<Bound> {
  const hosts = listOf(settings, `${layer}.host`) ?? listOf(settings, 'network.host') ?? ['_local_']
  const configured = listOf(settings, `${layer}.bind_host`) ?? listOf(settings, 'network.bind_host')
  const host = addressOf((configured ?? hosts)[0] ?? '_local_')
  const range = settingOf(settings, `${layer}.port`) ?? PORTS[layer]
  const [first = 0, last = first] = range.split('-').map(Number)
  for (let port = first; port <= last; port++) {
    if (!(await listen(server, host, port))) continue
    const address = server.address()
    const actual = typeof address === 'object' && address !== null ? address.port : port
    const published =
      settingOf(settings, `${layer}.publish_host`) ??
      settingOf(settings, 'network.publish_host') ??
      hosts[0] ??
      host
    const publish = publishable(addressOf(published))
    return {
      port: actual,
      publishAddress: `${publish}:${actual}`,
      loopback: isLoopback(host) && isLoopback(publish),
    }
  }
  throw new StartError(`BindHttpException: Failed to bind to ${host}:[${range}]`)
}

function listen(server: Server, host: string, port: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const failed = (error: Error & { readonly code?: string }) => {
      server.off('listening', listening)
      if (error.code === 'EADDRINUSE') resolve(false)
      else
        reject(
          new StartError(
            `BindTransportException: Failed to bind to ${host}:${port}: ${error.message}`,
          ),
        )
    }
    const listening = () => {
      server.off('error', failed)
      resolve(true)
    }
    server.once('error', failed).once('listening', listening)
    server.listen(port, host)
  })
}

function addressOf(host: string): string {
  switch (host) {
    case '_local_':
      return '127.0.0.1'
    case '_site_':
    case '_global_':
      return external() ?? '127.0.0.1'
    default:
      return host
  }
}

function publishable(host: string): string {
  return host === '0.0.0.0' || host === '::' ? (external() ?? '127.0.0.1') : host
}

function external(): string | undefined {
  const addresses = Object.values(networkInterfaces()).flatMap(found => found ?? [])
  return addresses.find(({ internal, family }) => !internal && family === 'IPv4')?.address
}

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host.startsWith('127.')
}
