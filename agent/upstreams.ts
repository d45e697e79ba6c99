// The listeners of others that a product connects to, looked at with the trust that the product was
// given. What is wrong there is told and never acted upon: it is another node's business.

import type { Reason } from '../shared/contract/schema.ts'
import type { Handshake, Host } from './host.ts'
import type { UpstreamIntent } from './services/service.ts'

export interface UpstreamWatch {
  /** `service`: whose connections these are. */
  look(service: string, upstreams: readonly UpstreamIntent[]): Promise<readonly Reason[]>
}

// A product has a handful; of many the same first ones are looked at, so that reports do not change
// by themselves.
const UPSTREAMS_MAX = 16
const AT_ONCE_MAX = 8
// On the other side of a network; with all of them silent a pass is held up for twice this.
const HANDSHAKE_TIMEOUT_MS = 2_000
// A burst of events makes many passes; what others serve is asked once in it.
const KEPT_MS = 60_000

interface Kept {
  readonly key: string
  readonly atMs: number
  readonly reasons: readonly Reason[]
}

export function createUpstreamWatch(host: Host): UpstreamWatch {
  const kept = new Map<string, Kept>()
  return {
    async look(service, upstreams) {
      if (upstreams.length === 0 || host.isOffline) return []
      const asked = upstreams.slice(0, UPSTREAMS_MAX)
      const key = JSON.stringify(asked)
      const last = kept.get(service)
      const nowMs = host.clock.monotonic()
      if (last?.key === key && nowMs - last.atMs < KEPT_MS) return last.reasons
      const reasons = await lookAll(host, asked)
      kept.set(service, { key, atMs: nowMs, reasons })
      return reasons
    },
  }
}

async function lookAll(
  host: Host,
  upstreams: readonly UpstreamIntent[],
): Promise<readonly Reason[]> {
  const reasons: Reason[] = []
  for (let at = 0; at < upstreams.length; at += AT_ONCE_MAX) {
    const found = await Promise.all(
      upstreams.slice(at, at + AT_ONCE_MAX).map(one => lookOnce(host, one)),
    )
    reasons.push(...found.flatMap(reason => (reason === undefined ? [] : [reason])))
  }
  return reasons
}

async function lookOnce(host: Host, upstream: UpstreamIntent): Promise<Reason | undefined> {
  const { name, port, serverName, trust } = upstream
  const handshake = await host.network.handshake({
    host: upstream.host,
    port,
    serverName,
    trust,
    timeoutMs: HANDSHAKE_TIMEOUT_MS,
  })
  return judgeUpstream(name, handshake)
}

/** Undefined: a client with this trust accepts it. */
export function judgeUpstream(name: string, handshake: Handshake): Reason | undefined {
  switch (handshake.kind) {
    case 'tls':
      return handshake.untrusted === undefined
        ? undefined
        : { code: 'upstream-untrusted', message: `${name}: ${handshake.untrusted.message}` }
    case 'plaintext':
      return { code: 'upstream-plaintext', message: `${name} answers without TLS` }
    case 'unreachable':
      return { code: 'upstream-unreachable', message: `${name}: ${handshake.reason.message}` }
  }
}
