// Agents are known by the certificate of their connection and by nothing else. TLS has verified the
// chain up to the identity root; here the role, the fleet and the denylist are judged, on every
// request, because a connection outlives the decision to remove a node.

import type { X509Certificate } from 'node:crypto'
import type { Server } from 'node:https'
import { TLSSocket } from 'node:tls'
import type { FastifyRequest } from 'fastify'
import { sha256 } from '../../shared/digest.ts'
import { OperationalError } from '../../shared/errors.ts'
import type { Clock } from '../../shared/clock.ts'
import { type Identity, identityOf } from '../../shared/pki/identity.ts'
import { publicKeyDigest } from '../../shared/pki/keys.ts'
import type { Store } from '../store/store.ts'
import type { AgentCaller } from './caller.ts'

export interface AgentAuthentication {
  /** Takes note of every connection of this server. */
  watch(server: Server): void
  authenticate(request: FastifyRequest): Promise<AgentCaller>
  /** Reads the denylist from the store and cuts the connections of whoever is on it. */
  refreshDenied(): Promise<void>
}

interface Peer {
  readonly identity: Identity | undefined
  readonly fingerprint: string
  readonly publicKeyDigest: string
  readonly notAfterMs: number
  /** The store knows the certificate as issued to this node: asked once per connection. */
  known: boolean
}

export function createAgentAuthentication(options: {
  readonly store: Store
  readonly clock: Clock
  readonly fleet: string
}): AgentAuthentication {
  const { store, clock, fleet } = options
  const peers = new Map<TLSSocket, Peer>()
  let denied: ReadonlySet<string> = new Set()

  async function authenticate(request: FastifyRequest): Promise<AgentCaller> {
    const { socket } = request.raw
    const peer = socket instanceof TLSSocket ? peers.get(socket) : undefined
    if (peer?.identity?.kind !== 'node') throw refused('identity-missing')
    const refusal = refuse(peer, peer.identity.fleet)
    if (refusal !== undefined) throw refused(refusal)

    const node = peer.identity.nodeId
    if (!peer.known) {
      const record = await store.transaction(tx => tx.identities.get(peer.fingerprint))
      if (record?.node !== node) throw refused('identity-unknown')
      if (record.deniedAtMs !== undefined) throw refused('identity-denied')
      peer.known = true
    }
    return { node, fingerprint: peer.fingerprint, publicKeyDigest: peer.publicKeyDigest }
  }

  function refuse({ fingerprint, notAfterMs }: Peer, ofFleet: string): RefusalCode | undefined {
    if (ofFleet !== fleet) return 'identity-foreign'
    if (denied.has(fingerprint)) return 'identity-denied'
    return notAfterMs <= clock.now() ? 'identity-expired' : undefined
  }

  return {
    authenticate,
    watch(server) {
      server.on('secureConnection', socket => {
        const certificate = socket.getPeerX509Certificate()
        if (certificate === undefined) return
        peers.set(socket, peerOf(certificate))
        socket.once('close', () => peers.delete(socket))
      })
    },
    async refreshDenied() {
      denied = new Set(await store.transaction(tx => tx.identities.denied(clock.now())))
      for (const [socket, peer] of peers) if (denied.has(peer.fingerprint)) socket.destroy()
    },
  }
}

function peerOf(certificate: X509Certificate): Peer {
  return {
    identity: identityOrNone(certificate),
    fingerprint: sha256(certificate.raw),
    publicKeyDigest: publicKeyDigest(certificate.publicKey),
    notAfterMs: certificate.validToDate.getTime(),
    known: false,
  }
}

function identityOrNone(certificate: X509Certificate): Identity | undefined {
  try {
    return identityOf(certificate)
  } catch (error) {
    if (!(error instanceof OperationalError)) throw error
    // OpenSSL accepted what our stricter reader does not: nobody we know.
    return undefined
  }
}

const REFUSALS = {
  'identity-missing': 'the connection has no client certificate of an agent',
  'identity-foreign': 'the client certificate is of another fleet',
  'identity-denied': 'the node was removed or enrolled anew; this identity is denied',
  'identity-expired': 'the client certificate has ended',
  'identity-unknown': 'this controller has not issued the client certificate',
} as const
type RefusalCode = keyof typeof REFUSALS

function refused(code: RefusalCode): OperationalError {
  return new OperationalError(code, REFUSALS[code], {
    hint: 'Enrol the node with a new token: tlsfleet node token NAME',
  })
}
