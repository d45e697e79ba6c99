// Agents are known by the certificate of their connection and by nothing else. TLS has verified the
// chain up to the identity root; here the role, the fleet, the denylist and the succession are
// judged, on every request, because a connection outlives the decision to remove a node.

import type { X509Certificate } from 'node:crypto'
import type { Server } from 'node:https'
import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import type { FastifyRequest } from 'fastify'
import { sha256 } from '../../shared/digest.ts'
import { OperationalError } from '../../shared/errors.ts'
import type { Clock } from '../../shared/clock.ts'
import { type Identity, identityOf } from '../../shared/pki/identity.ts'
import { publicKeyDigest } from '../../shared/pki/keys.ts'
import { isSignedBy } from '../../shared/pki/facts.ts'
import { parseCertificate } from '../../shared/pki/pem.ts'
import { cloneReason, deniedSinceMs } from '../ca/succession.ts'
import type { DenialCause, Store, Transaction } from '../store/store.ts'
import { adoptIdentity, type UnknownIdentity } from './adopt-identity.ts'
import type { AgentCaller } from './caller.ts'
import { refusalOf, refusedIdentity } from './identity-refusal.ts'
import { lockNode } from './lock-node.ts'

export interface AgentAuthentication {
  /** Takes note of every connection of this server. */
  watch(server: Server): void
  authenticate(request: FastifyRequest): Promise<AgentCaller>
  /**
   * Reads the denylist from the store and cuts the connections of whoever is on it. The one spared
   * is still to be told so; every further request on it is refused.
   */
  refreshDenied(spared?: Socket): Promise<void>
  /** After the trusted CAs changed: cuts the connections of whoever has a certificate of another one. */
  judgeIssuers(): void
}

interface Peer {
  readonly certificate: X509Certificate
  readonly identity: Identity | undefined
  readonly fingerprint: string
  readonly publicKeyDigest: string
  readonly notAfterMs: number
  /** The CA certificate that issued it, as PEM; undefined: it is none of those that are trusted. */
  issuer: string | undefined
  /** Number among the identities of its node, from the store, asked once per connection. */
  generation: number | undefined
}

interface NewestUse {
  readonly generation: number
  readonly confirmedAtMs: number | undefined
}

export interface AgentAuthenticationOptions {
  readonly store: Store
  readonly clock: Clock
  readonly fleet: string
  /** PEM of the certificates whose identities are good. */
  readonly issuers: () => readonly string[]
  /** A node was locked because two machines share its identity. */
  readonly onCloned: (node: string) => void
}

export function createAgentAuthentication(
  options: AgentAuthenticationOptions,
): AgentAuthentication {
  const { store, clock, fleet, issuers } = options
  const peers = new Map<TLSSocket, Peer>()
  let denied: ReadonlyMap<string, DenialCause> = new Map()
  // By node. What is not here was not used since this process started.
  const newestUses = new Map<string, NewestUse>()

  async function authenticate(request: FastifyRequest): Promise<AgentCaller> {
    const { socket } = request.raw
    const peer = socket instanceof TLSSocket ? peers.get(socket) : undefined
    if (peer?.identity?.kind !== 'node') throw refusedIdentity('identity-missing')
    if (peer.identity.fleet !== fleet) throw refusedIdentity('identity-foreign')
    if (peer.issuer === undefined) throw refusedIdentity('identity-ca-retired')
    const cause = denied.get(peer.fingerprint)
    // One that was superseded must not be in use at all: what that means is judged below.
    if (cause !== undefined && cause !== 'superseded') throw refusedIdentity(refusalOf(cause))
    if (peer.notAfterMs <= clock.now()) throw refusedIdentity('identity-expired')

    const node = peer.identity.nodeId
    if (peer.generation === undefined || isOvertaken(node, peer.generation))
      await admit(node, peer, socket)
    return { node, fingerprint: peer.fingerprint, publicKeyDigest: peer.publicKeyDigest }
  }

  function isOvertaken(node: string, generation: number): boolean {
    return (newestUses.get(node)?.generation ?? 0) > generation
  }

  async function admit(node: string, peer: Peer, socket: Socket): Promise<void> {
    const { issuer: issuerPem } = peer
    if (issuerPem === undefined) throw refusedIdentity('identity-ca-retired')
    const outcome = await store.transaction(tx =>
      judge(tx, { ...peer, node }, { issuerPem, nowMs: clock.now() }),
    )
    if (outcome.kind === 'cloned') {
      options.onCloned(node)
      await refreshDenied(socket)
      throw refusedIdentity('identity-cloned')
    }
    if (outcome.kind === 'refused') throw refusedIdentity(outcome.code)
    peer.generation = outcome.generation
    newestUses.set(node, outcome.newest)
  }

  async function refreshDenied(spared?: Socket): Promise<void> {
    const list = await store.transaction(tx => tx.identities.denied(deniedSinceMs(clock.now())))
    denied = new Map(list.map(({ fingerprint, cause }) => [fingerprint, cause]))
    for (const [socket, { fingerprint }] of peers)
      if (denied.has(fingerprint) && socket !== spared) socket.destroy()
  }

  return {
    authenticate,
    refreshDenied,
    judgeIssuers() {
      for (const [socket, peer] of peers) {
        peer.issuer = issuerOf(peer.certificate, issuers())
        if (peer.issuer === undefined) socket.destroy()
      }
    },
    watch(server) {
      server.on('secureConnection', socket => {
        const certificate = socket.getPeerX509Certificate()
        if (certificate === undefined) return
        peers.set(socket, peerOf(certificate, issuers()))
        socket.once('close', () => peers.delete(socket))
      })
    },
  }
}

type Judgement =
  | { readonly kind: 'cloned' }
  | { readonly kind: 'refused'; readonly code: Parameters<typeof refusedIdentity>[0] }
  | { readonly kind: 'good'; readonly generation: number; readonly newest: NewestUse }

/** The store decides: a certificate that it neither knows nor could know is nobody's, whoever has signed it. */
async function judge(
  tx: Transaction,
  presented: UnknownIdentity,
  { issuerPem, nowMs }: { readonly issuerPem: string; readonly nowMs: number },
): Promise<Judgement> {
  const { node, fingerprint } = presented
  const identity =
    (await tx.identities.get(fingerprint)) ??
    (await adoptIdentity(tx, presented, { issuerPem, nowMs }))
  if (identity?.node !== node) return { kind: 'refused', code: 'identity-unknown' }
  const newest = await tx.identities.newestConfirmed(node)
  const reason = cloneReason({ identity, newest, nowMs, isRenewal: false })
  if (reason !== undefined) {
    await lockNode(tx, { node, cause: 'cloned', reason, actor: `node:${node}`, nowMs })
    return { kind: 'cloned' }
  }
  const { generation, deniedFor, confirmedAtMs } = identity
  if (deniedFor !== undefined) return { kind: 'refused', code: refusalOf(deniedFor) }
  if (confirmedAtMs === undefined) await tx.identities.confirm(fingerprint, nowMs)
  const own = { generation, confirmedAtMs: confirmedAtMs ?? nowMs }
  const isNewest = newest === undefined || newest.generation <= generation
  return { kind: 'good', generation, newest: isNewest ? own : newest }
}

// TLS has verified the chain, by what was trusted when the connection was made.
function issuerOf(certificate: X509Certificate, issuers: readonly string[]): string | undefined {
  return issuers.find(pem => isSignedBy(certificate, parseCertificate(pem)))
}

function peerOf(certificate: X509Certificate, issuers: readonly string[]): Peer {
  return {
    certificate,
    issuer: issuerOf(certificate, issuers),
    identity: identityOrNone(certificate),
    fingerprint: sha256(certificate.raw),
    publicKeyDigest: publicKeyDigest(certificate.publicKey),
    notAfterMs: certificate.validToDate.getTime(),
    generation: undefined,
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
