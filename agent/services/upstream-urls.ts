// Addresses of other servers in a product's configuration: which of them are listeners of the fleet,
// and the scheme that they speak now. Everything else in an address stays as its operator wrote it.

import type { ServiceName, Upstream } from '../../shared/contract/service.ts'
import { normalizeBundle } from '../../shared/pki/trust.ts'
import { inUrl, isCovered, isLoopback } from './addresses.ts'
import { because, refusal, type Refusal } from './reasons.ts'
import type { FileIntent, UpstreamIntent } from './service.ts'

export interface ServerUrl {
  readonly scheme: 'http' | 'https'
  readonly host: string
  readonly port: number
}

// Authority as RFC 3986, section 3.2; what follows it is not looked at.
const URL_FORM =
  /^(https?):\/\/(?:[^/?#@\s]*@)?(\[[0-9a-f:.]+\]|[^\s:/?#@[\]]+)(?::(\d{1,5}))?(?=$|[/?#])/i

/** What a URL without a port means: to some products a port of their own, to others that of its scheme. */
export type DefaultPort = number | 'of-scheme'

/** Undefined: not an absolute http or https URL with a literal host, such as one that holds a variable. */
export function parseServerUrl(text: string, defaultPort: DefaultPort): ServerUrl | undefined {
  const match = URL_FORM.exec(text)
  if (match === null) return undefined
  const [, scheme = '', host = '', port] = match
  if (host.includes('$')) return undefined
  return {
    scheme: scheme.toLowerCase() === 'https' ? 'https' : 'http',
    host: host.replace(/^\[|\]$/g, ''),
    port: port === undefined ? portOf(scheme, defaultPort) : Number(port),
  }
}

function portOf(scheme: string, defaultPort: DefaultPort): number {
  if (defaultPort !== 'of-scheme') return defaultPort
  return scheme.toLowerCase() === 'https' ? 443 : 80
}

/**
 * The listener of the fleet at an address; undefined: it is somebody else's. `localhost` and its
 * addresses mean the one on the same node, whoever else calls himself so.
 */
export function upstreamAt(
  upstreams: readonly Upstream[],
  service: ServiceName,
  { host, port }: Pick<ServerUrl, 'host' | 'port'>,
): Upstream | undefined {
  const candidates = upstreams.filter(one => one.service === service && one.port === port)
  if (!isLoopback(host)) return candidates.find(one => isCovered(host, one.names))
  const local = candidates.find(one => one.isLocal === true)
  if (local !== undefined) return local
  const named = candidates.filter(one => isCovered(host, one.names))
  return named.length === 1 ? named[0] : undefined
}

/** An address that no certificate will carry: verification would fail as soon as TLS is there. */
export function uncoveredHost(
  urls: readonly { readonly url: string; readonly upstream: Upstream | undefined }[],
): Refusal | undefined {
  for (const { url, upstream } of urls) {
    const parsed = parseServerUrl(url, 0)
    if (upstream === undefined || parsed?.scheme !== 'https') continue
    if (isCovered(parsed.host, upstream.names)) continue
    return refusal(
      'upstream-name-not-covered',
      `${url} is on this node, but ${parsed.host} is none of the names recorded for it: record it (tlsfleet node add), or write another address`,
    )
  }
  return undefined
}

/** The same URL with the scheme of its listener; `upstream` is undefined where it is none of the fleet. */
export function withSchemeOf(
  upstreams: readonly Upstream[],
  service: ServiceName,
  text: string,
  defaultPort: DefaultPort,
): { readonly url: string; readonly upstream: Upstream | undefined } {
  const parsed = parseServerUrl(text, defaultPort)
  const upstream = parsed === undefined ? undefined : upstreamAt(upstreams, service, parsed)
  if (parsed === undefined || upstream === undefined) return { url: text, upstream: undefined }
  const scheme = schemeOf(upstream)
  if (parsed.scheme === scheme) return { url: text, upstream }
  const url = text.replace(/^https?/i, scheme)
  // Another scheme would mean another port.
  const isPortLost = parseServerUrl(url, defaultPort)?.port !== parsed.port
  return { url: isPortLost ? withPort(url, parsed.port) : url, upstream }
}

function withPort(url: string, port: number): string {
  return url.replace(/^(https?:\/\/[^/?#]*)/i, `$1:${port}`)
}

export function schemeOf({ tls }: Upstream): 'http' | 'https' {
  return tls === 'on' ? 'https' : 'http'
}

/** What is looked at to tell whether a client would be served; listeners without TLS are not. */
export function upstreamIntents(
  urls: readonly { readonly url: string; readonly upstream: Upstream | undefined }[],
  defaultPort: DefaultPort,
  trust: readonly string[],
): readonly UpstreamIntent[] {
  const intents = new Map<string, UpstreamIntent>()
  for (const { url, upstream } of urls) {
    const parsed = parseServerUrl(url, defaultPort)
    if (upstream === undefined || parsed?.scheme !== 'https') continue
    const { host, port } = parsed
    const name = `${upstream.service} https://${inUrl(host)}:${port}`
    intents.set(name, { name, host, port, serverName: host, trust })
  }
  return [...intents.values()]
}

/** The CA certificates of the upstreams as a file of ours; undefined: the roots of the platform are meant. */
export function upstreamTrustFile(
  path: string,
  upstreamTrust: readonly string[],
): FileIntent | undefined {
  if (upstreamTrust.length === 0) return undefined
  return {
    kind: 'content',
    path,
    text: normalizeBundle(upstreamTrust),
    reason: because('upstream-trust', 'the CA certificates of the servers that it connects to'),
    createMode: 0o644,
  }
}
