// The other nodes this one can talk to: found from seed hosts, from what it knew before, and from each
// other; connected again whenever a connection is lost.

import { z } from 'zod'
import { NodeInfo } from './cluster-state.ts'
import type { Log } from './log.ts'
import type { SslContext } from './ssl-service.ts'
import { type Connection, openConnection } from './transport.ts'

const Hello = z.object({ cluster: z.string(), node: NodeInfo })
type Hello = z.infer<typeof Hello>
const Found = z.object({ addresses: z.array(z.string()), master: NodeInfo.nullable() })
export type Found = z.infer<typeof Found>

export interface Peer {
  readonly node: NodeInfo
  readonly connection: Connection
}

export interface Peers {
  /** Connected now, this node left out. */
  all(): readonly Peer[]
  get(id: string): Peer | undefined
  connect(address: string): Promise<void>
  /** The masters that the others know of; connects to what it does not know yet. */
  discover(addresses: readonly string[]): Promise<readonly NodeInfo[]>
  hello(body: unknown): Hello
  close(): void
}

export interface PeersOptions {
  readonly cluster: string
  readonly self: NodeInfo
  readonly ssl: SslContext | undefined
  readonly log: Log
  /** A node that was there no longer is. */
  readonly onLost: () => void
}

const REQUEST_TIMEOUT_MS = 10_000

export function createPeers({ cluster, self, ssl, log, onLost }: PeersOptions): Peers {
  const byAddress = new Map<string, Peer>()
  const selves = new Set([self.transportAddress])
  const attempts = new Map<string, Promise<void>>()
  // The same line at every attempt would only fill the log.
  const said = new Map<string, string>()
  let closed = false

  const all = () => {
    const peers = new Map<string, Peer>()
    for (const [address, peer] of byAddress) {
      if (peer.connection.open) peers.set(peer.node.id, peer)
      else byAddress.delete(address)
    }
    return [...peers.values()]
  }

  async function attempt(address: string): Promise<void> {
    try {
      const connection = await openConnection(address, ssl)
      const answer = await connection.request('hello', { cluster, node: self }, REQUEST_TIMEOUT_MS)
      const hello = Hello.parse(answer)
      if (hello.node.id === self.id) {
        selves.add(address)
        connection.close()
      } else if (hello.cluster !== cluster) {
        connection.close()
        throw new Error(
          `remote cluster name [${hello.cluster}] does not match local cluster name [${cluster}]`,
        )
      } else if (closed) {
        connection.close()
      } else {
        byAddress.set(address, { node: hello.node, connection })
        void connection.ended.then(() => {
          if (!closed) onLost()
        })
        said.delete(address)
      }
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error)
      if (said.get(address) === why) return
      said.set(address, why)
      log(
        'WARN',
        'o.e.d.HandshakingTransportAddressConnector',
        `[connectToRemoteMasterNode[${address}]] completed handshake unsuccessfully: ${why}`,
      )
    }
  }

  function connectTo(address: string): Promise<void> {
    const known = byAddress.get(address)
    if (selves.has(address) || known?.connection.open === true) return Promise.resolve()
    const running = attempts.get(address)
    if (running !== undefined) return running
    const started = attempt(address).finally(() => attempts.delete(address))
    attempts.set(address, started)
    return started
  }

  return {
    all,
    get: id => all().find(({ node }) => node.id === id),
    connect: connectTo,
    discover: async addresses => {
      const known = all().map(({ node }) => node.transportAddress)
      // An address that does not answer must not hold up the others.
      await Promise.all(
        [...new Set([...addresses, ...known])].map(address =>
          Promise.race([connectTo(address), pause(REQUEST_TIMEOUT_MS)]),
        ),
      )
      const answers = await Promise.all(
        all().map(async ({ connection }) => {
          try {
            return Found.parse(await connection.request('peers', null, REQUEST_TIMEOUT_MS))
          } catch {
            return undefined
          }
        }),
      )
      for (const address of answers.flatMap(answer => answer?.addresses ?? [])) {
        void connectTo(address)
      }
      return answers.flatMap(answer => answer?.master ?? [])
    },
    hello: body => {
      Hello.parse(body)
      return { cluster, node: self }
    },
    close: () => {
      closed = true
      for (const { connection } of byAddress.values()) connection.close()
    },
  }
}

function pause(ms: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, ms).unref())
}
