// R16, said apart from the product: whoever connects to whom speaks what the other speaks, and what the
// other serves now is verified by what it has loaded now. Dates are left aside: that nothing ends in use
// is another promise.

import { X509Certificate } from 'node:crypto'
import { splitPemCertificates } from '../../../shared/pki/pem.ts'
import type { Rollout } from '../../../controller/rollout/rollout.ts'
import { Violation } from '../violation.ts'
import type { Machine } from './machine.ts'

export interface EdgeChecks {
  /** A rollout was made: what its plan says that it will interrupt, is allowed from now on. */
  onRollout(rollout: Pick<Rollout, 'plan'>): void
  /** Nobody knows any more what was announced. */
  restored(): void
  /** Somebody else has made this node speak otherwise than it was told to. */
  drifted(node: string): void
  /** After anything that any process may have loaded. */
  check(isSomethingMoving: boolean): void
  /** Looks at connections that were verified, and those that are between two schemes. */
  readonly counts: { verified: number; between: number }
}

// A port speaks plaintext or TLS, and a plan says so with this code.
const WINDOW = 'window-influxdb-telegraf'

export function createEdgeChecks(machines: ReadonlyMap<string, Machine>): EdgeChecks {
  const counts = { verified: 0, between: 0 }
  const drifted = new Set<string>()
  let isAnnounced = false

  function checkEdge(client: Machine, url: string, trust: string): boolean {
    const [, scheme = '', host = ''] = /^(https?):\/\/([^:/]+)/.exec(url) ?? []
    const server = machines.get(host)
    // Who is being started, or is down, serves nobody anything: budgets look after that.
    if (server === undefined || server.isStarting('influxdb.service')) return true
    const serving = server.node.serving('influxdb')
    if (serving.kind === 'dead') return true
    const edge = `telegraf on ${client.name} to influxdb on ${server.name}`
    if (serving.kind === 'tls') drifted.delete(server.name)
    if ((scheme === 'https') !== (serving.kind === 'tls')) {
      if (drifted.has(server.name)) return true
      if (!isAnnounced) throw new Violation(`R16: ${edge}: ${scheme} to ${serving.kind}`)
      counts.between++
      return false
    }
    if (serving.kind === 'plaintext') return true
    const why = whyUntrusted(serving.chainPem, trust, host)
    if (why !== undefined) throw new Violation(`R16: ${edge}: ${why}`)
    counts.verified++
    return true
  }

  return {
    counts,
    onRollout({ plan }) {
      const isSeen = ({ preview }: { readonly preview?: string | undefined }) =>
        preview !== undefined
      // Nobody knows what a node speaks that could not be asked.
      const isWhole = plan.phases.every(({ batches }) =>
        batches.every(({ nodes }) => nodes.every(isSeen)),
      )
      const isSwitch = plan.kind === 'change' && !plan.author.startsWith('rotation:')
      if (plan.windows.some(({ code }) => code === WINDOW)) isAnnounced = true
      if (isSwitch && !isWhole) isAnnounced = true
    },
    restored: () => void (isAnnounced = true),
    drifted: node => void drifted.add(node),
    check(isSomethingMoving) {
      let isAgreed = true
      for (const machine of machines.values()) {
        const client = machine.client()
        for (const url of client?.urls ?? [])
          if (!checkEdge(machine, url, client?.trust ?? '')) isAgreed = false
      }
      if (isAgreed && !isSomethingMoving) isAnnounced = false
    },
  }
}

// The same few chains and bundles are looked at again and again.
const known = new Map<string, string | undefined>()
const KNOWN_MAX = 5_000

/** Undefined: it verifies. */
function whyUntrusted(chainPem: string, trust: string, name: string): string | undefined {
  const key = `${name} ${chainPem} ${trust}`
  if (known.has(key)) return known.get(key)
  const why = judge(chainPem, trust, name)
  if (known.size >= KNOWN_MAX) known.clear()
  known.set(key, why)
  return why
}

function judge(chainPem: string, trust: string, name: string): string | undefined {
  const [leaf, ...above] = splitPemCertificates(chainPem).map(pem => new X509Certificate(pem))
  if (leaf === undefined) return 'it serves no certificate'
  if (leaf.checkHost(name) === undefined) return `its certificate is not for ${name}`
  let top = leaf
  for (const issuer of above) if (isSignedBy(top, issuer)) top = issuer
  const roots = splitPemCertificates(trust).map(pem => new X509Certificate(pem))
  const isKnown = roots.some(root => root.raw.equals(top.raw) || isSignedBy(top, root))
  const names = roots.map(({ subject }) => nameOf(subject)).join(' and ')
  return isKnown ? undefined : `${nameOf(top.issuer)} is not trusted, but ${names}`
}

const nameOf = (name: string) => /CN=(.*)/.exec(name)?.[1] ?? name

function isSignedBy(certificate: X509Certificate, issuer: X509Certificate): boolean {
  return certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey)
}
