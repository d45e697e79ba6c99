// What the listeners of a service really serve: a new connection to each.

import type { ServiceTls } from '../shared/contract/service.ts'
import { certifiedTls, clientTrust } from './client-trust.ts'
import { authorizationFor } from './credentials.ts'
import type { AuthorizedQuestion, HandshakeTarget, Host, HttpAnswer } from './host.ts'
import type { LocalCredentials } from './issuers.ts'
import type { NodeFacts, ServedListener } from './observation.ts'
import { CHAIN_FILE, KEY_FILE, releaseDirectory } from './resources/material.ts'
import type { Compiled, ListenerIntent } from './services/service.ts'

/** Everything that the listeners of a service are asked with. */
export interface Asker {
  readonly host: Host
  readonly tls: ServiceTls
  readonly compiled: Compiled
  readonly facts: Pick<NodeFacts, 'material' | 'issuerTrust'>
  readonly credentials?: LocalCredentials | undefined
}

export async function serveListeners(asker: Asker): Promise<readonly ServedListener[]> {
  const { host, compiled } = asker
  if (host.isOffline) return []
  const authorization = await authorizationOf(asker)
  const served: ServedListener[] = []
  for (const listener of compiled.listeners) {
    const target = await targetOf(asker, listener)
    const authorized =
      listener.authorized === undefined || authorization === undefined
        ? undefined
        : { ...authorization, httpGet: listener.authorized.healthPath }
    const handshake = await host.network.handshake({
      ...target,
      ...(authorized === undefined ? {} : { authorized }),
    })
    const isAuthorized = handshake.kind !== 'unreachable' && handshake.isAuthorized === true
    const asked = isAuthorized ? { ...listener, ...listener.authorized } : listener
    const membersPath = isAuthorized ? asked.cluster?.membersPath : undefined
    // The list of a cluster's members is another question than that of its health.
    const members =
      membersPath === undefined
        ? undefined
        : await askListener(asker, listener, { httpGet: membersPath })
    served.push({ listener: asked, handshake, ...(members === undefined ? {} : { members }) })
  }
  return served
}

/** What only those may ask who have credentials. Undefined: it may not be asked, or there is no answer. */
export async function askListener(
  asker: Asker,
  listener: ListenerIntent,
  question: Pick<AuthorizedQuestion, 'httpGet' | 'json'>,
): Promise<HttpAnswer | undefined> {
  const authorization = await authorizationOf(asker)
  if (authorization === undefined) return undefined
  const target = await targetOf(asker, listener)
  const authorized = { ...authorization, ...question }
  const handshake = await asker.host.network.handshake({ ...target, authorized })
  if (handshake.kind === 'unreachable' || handshake.isAuthorized !== true) return undefined
  return handshake.http
}

async function authorizationOf({ host, tls, credentials = {} }: Asker) {
  const credential = credentials[tls.service]
  const authorization = await authorizationFor(host, credential)
  if (authorization === undefined) return undefined
  return { authorization, isPlainAllowed: credential?.overPlaintext === true }
}

async function targetOf(
  { host, tls, compiled, facts }: Asker,
  listener: ListenerIntent,
): Promise<HandshakeTarget> {
  const current = facts.material.releases.find(release => release.id === facts.material.current)
  const certified = certifiedTls(tls, compiled)
  const trust =
    certified === undefined ? '' : clientTrust(certified, facts.issuerTrust, current?.chainPem)
  const clientCertificate = listener.clientCertificate
    ? await clientPair(host, compiled.material.directory, current?.id)
    : undefined
  return {
    host: listener.host,
    port: listener.port,
    serverName: listener.serverName,
    trust: trust === '' ? [] : [trust],
    httpGet: listener.healthPath,
    isPlainExpected: listener.scheme === 'http',
    timeoutMs: HANDSHAKE_TIMEOUT_MS,
    ...(clientCertificate === undefined ? {} : { clientCertificate }),
  }
}

// A listener on the same machine answers in milliseconds; one that takes longer is hung.
const HANDSHAKE_TIMEOUT_MS = 5_000

async function clientPair(host: Host, directory: string, release: string | undefined) {
  if (release === undefined) return undefined
  const path = releaseDirectory(directory, release)
  const [key, chain] = [
    await host.files.read(`${path}/${KEY_FILE}`),
    await host.files.read(`${path}/${CHAIN_FILE}`),
  ]
  if (key === undefined || chain === undefined) return undefined
  return {
    chainPem: Buffer.from(chain).toString('utf8'),
    keyPem: Buffer.from(key).toString('utf8'),
  }
}

/** Does each of them answer in the way that is wanted, with TLS or without? */
export function speaksAsWanted({ listener, handshake }: ServedListener): boolean {
  return handshake.kind === (listener.scheme === 'https' ? 'tls' : 'plaintext')
}
