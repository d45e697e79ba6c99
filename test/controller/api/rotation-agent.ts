// A node in memory that really has keys, certificates and trust: it takes what a controller gives it,
// as the real agent does, and everybody can look at whom it trusts and what it serves.

import { X509Certificate } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  parseDesiredAnswer,
  parseLeaseAnswer,
  parseRenewAnswer,
  parseSignAnswer,
} from '../../../shared/contract/agent-api.ts'
import { type DesiredState, parseDesiredState } from '../../../shared/contract/desired-state.ts'
import { AGENT_ROUTES } from '../../../shared/contract/protocol.ts'
import type { ProbeRequest, Sighting } from '../../../shared/contract/probes.ts'
import type { OutcomeKind, Report, Served } from '../../../shared/contract/report.ts'
import { isServer, type ServerTls, type ServiceTls } from '../../../shared/contract/service.ts'
import { sha256 } from '../../../shared/digest.ts'
import { certificateFacts } from '../../../shared/pki/facts.ts'
import { splitPemCertificates } from '../../../shared/pki/pem.ts'
import { signProof } from '../../../shared/pki/proof.ts'
import { report, serviceReport } from './fake-agent.ts'
import {
  type Answer,
  addNode,
  call,
  enroll,
  type Key,
  newKey,
  type Operator,
  type Running,
} from './support.ts'
import { parseEnrollAnswer } from '../../../shared/contract/agent-api.ts'

export interface SimulatedNode {
  readonly name: string
  /** What its processes have loaded. */
  readonly loaded: readonly ServiceTls[]
  /** Chains that its listeners send. */
  readonly served: ReadonlyMap<string, string>
  /** Fingerprint of the CA that issued its identity. */
  identityIssuer(): string
  /** PEM. */
  identityTrust(): readonly string[]
  /** It is cut off, and goes on serving. Resolves when nothing of it is under way any more. */
  leave(): Promise<void>
  comeBack(): void
  stop(): Promise<void>
}

export interface NodeParts {
  readonly running: () => Running
  readonly operator: Operator
  readonly name: string
  readonly labels?: Readonly<Record<string, string>>
  /** Certificates of issuer `files`. */
  readonly foreign?: (node: string, service: string) => Promise<string>
  /** What it sees when it is asked to look at another node; see sightingOf. */
  readonly look: (probe: ProbeRequest) => Sighting
  /** After each change of what it serves or trusts. */
  readonly onChange: () => void
}

export async function startNode(parts: NodeParts): Promise<SimulatedNode> {
  const { running, operator, name, labels = {} } = parts
  const key = await newKey()
  const answer = await enroll(running(), await addNode(operator, name, labels), key)
  const { certificateChain, identityTrust } = parseEnrollAnswer(answer.body)
  const node = createNode(parts, { key, certificateChain, identityTrust })
  const running_ = node.run()
  return {
    ...node.shown,
    // Of the moment, and not of when it was made.
    get loaded() {
      return node.shown.loaded
    },
    async stop() {
      node.stopping.abort()
      await running_
    },
  }
}

interface Identity {
  readonly key: Key
  readonly certificateChain: string
  readonly identityTrust: readonly string[]
}

function createNode({ running, name, foreign, look, onChange }: NodeParts, joined: Identity) {
  const stopping = new AbortController()
  let identity = joined
  let isAway = false
  let polling: Promise<void> = Promise.resolve()
  let latest: DesiredState | undefined
  let sequence = 1
  let loaded: readonly ServiceTls[] = []
  const served = new Map<string, string>()
  /** Prepared beside what is served, by service and issuer. */
  const prepared = new Map<string, string>()

  const ask = async (path: string, body?: unknown): Promise<Answer> => {
    const answer = await call({
      url: `${running().controller.urls.agent}${path}`,
      method: body === undefined ? 'GET' : 'POST',
      body,
      tls: {
        ca: [...identity.identityTrust],
        cert: identity.certificateChain,
        key: identity.key.privateKeyPem,
      },
    })
    if (answer.status >= 300) throw new Error(`${answer.status}: ${answer.text}`)
    return answer
  }

  // Told until it has arrived.
  let untold: OutcomeKind | undefined
  const tell = async (outcome: OutcomeKind) => {
    untold = outcome
    const state = latest
    const known: Report = report({
      sequence: sequence++,
      services: (state?.content.services ?? []).map(({ service }) => ({
        ...serviceReport(service, outcome),
        served: servedOf(service, served.get(service)),
      })),
      ...(state === undefined
        ? {}
        : { generation: state.generation, digest: state.digest, mode: state.mode }),
    })
    const trust = identity.identityTrust.map(pem => sha256(new X509Certificate(pem).raw))
    const fingerprint = fingerprintAt(identity.certificateChain, 0)
    const issuer = fingerprintAt(identity.certificateChain, 1)
    await ask(AGENT_ROUTES.report, { ...known, identity: { fingerprint, issuer, trust } })
    untold = undefined
  }

  const prepare = async (tls: ServerTls, generation: number): Promise<string> => {
    const { issuer, issuedBy } = tls.certificate
    const active = served.get(tls.service)
    if (active !== undefined && issuer === 'internal' && fingerprintAt(active, 1) === issuedBy)
      return active
    const place = `${tls.service} ${issuer} ${issuedBy}`
    const made = prepared.get(place)
    if (made !== undefined) return made
    const chain =
      issuer === 'internal'
        ? await sign(tls.service, generation)
        : await foreign?.(name, tls.service)
    if (chain === undefined) throw new Error(`no certificate for ${tls.service} on ${name}`)
    prepared.set(place, chain)
    return chain
  }

  const sign = async (service: string, generation: number): Promise<string> => {
    const { publicKeyPem, privateKey } = await newKey()
    const proof = signProof({ purpose: 'sign', context: [name, service], key: privateKey })
    const body = { service, publicKey: publicKeyPem, proof, generation }
    const answer = await ask(AGENT_ROUTES.sign, body)
    return parseSignAnswer(answer.body).certificateChain ?? ''
  }

  const take = async (state: DesiredState) => {
    const chains = new Map<string, string>()
    for (const tls of state.content.services)
      if (isServer(tls) && tls.tls === 'on')
        chains.set(tls.service, await prepare(tls, state.generation))
    if (state.mode === 'stage') {
      latest = state
      return tell('staged')
    }
    if (state.permit) {
      const { generation, digest } = state
      const claim = { purpose: 'rollout', generation, digest }
      const lease = parseLeaseAnswer((await ask(AGENT_ROUTES.lease, claim)).body)
      if (!lease.granted) return undefined
    }
    latest = state
    loaded = state.content.services
    served.clear()
    for (const [service, chain] of chains) served.set(service, chain)
    onChange()
    return tell(state.permit ? 'changed' : 'in-sync')
  }

  const renew = async () => {
    const key = await newKey()
    const proof = signProof({ purpose: 'renew', context: [name], key: key.privateKey })
    const answer = await ask(AGENT_ROUTES.renew, { publicKey: key.publicKeyPem, proof })
    const { certificateChain, identityTrust = identity.identityTrust } = parseRenewAnswer(
      answer.body,
    )
    identity = { key, certificateChain, identityTrust }
    await ask(AGENT_ROUTES.whoami)
  }

  const pollOnce = async () => {
    if (untold !== undefined) await tell(untold)
    const path = `${AGENT_ROUTES.desired}?generation=${latest?.generation ?? 0}&wait=300`
    const answer = parseDesiredAnswer((await ask(path)).body)
    const { identityTrust = identity.identityTrust, identityIssuer, preview } = answer
    if (preview !== undefined) {
      const services = preview.content.services.map(({ service }) =>
        serviceReport(service, 'planned'),
      )
      await ask(AGENT_ROUTES.preview, { previewId: preview.previewId, services })
    }
    for (const probe of answer.probes ?? [])
      await ask(AGENT_ROUTES.probe, { probeId: probe.probeId, sighting: look(probe) })
    const isTold = identityTrust.join('') !== identity.identityTrust.join('')
    identity = { ...identity, identityTrust }
    const isOld =
      identityIssuer !== undefined && fingerprintAt(identity.certificateChain, 1) !== identityIssuer
    if (isOld) await renew()
    if (answer.document !== undefined) await take(parseDesiredState(answer.document))
    else if (isTold || isOld) await tell(latest?.mode === 'stage' ? 'staged' : 'in-sync')
  }

  return {
    stopping,
    shown: {
      name,
      get loaded() {
        return loaded
      },
      served,
      identityIssuer: () => fingerprintAt(identity.certificateChain, 1),
      identityTrust: () => identity.identityTrust,
      async leave() {
        isAway = true
        await polling
      },
      comeBack() {
        isAway = false
      },
    },
    async run() {
      await tell('in-sync')
      while (!stopping.signal.aborted) {
        // Whatever it was, a real agent tries again as well.
        if (!isAway) {
          polling = pollOnce().catch(() => undefined)
          await polling
        }
        await sleep(isAway ? 20 : 5)
      }
    },
  }
}

function fingerprintAt(chain: string, index: number): string {
  const pem = splitPemCertificates(chain)[index]
  return pem === undefined ? '' : sha256(new X509Certificate(pem).raw)
}

function servedOf(service: string, chain: string | undefined): Served[] {
  if (chain === undefined) return []
  const [leaf = '', ...above] = splitPemCertificates(chain)
  const { fingerprint, issuer, notAfterMs } = certificateFacts(leaf)
  const issuers = above.map(pem => {
    const { fingerprint: print, subject, issuer: by, notAfterMs: end } = certificateFacts(pem)
    return { fingerprint: print, subject, issuer: by, notAfterMs: end }
  })
  const reason = { code: 'served-as-wanted', message: 'serves the certificate in use' }
  const listener = `https ${service}`
  return [{ listener, ok: true, reason, fingerprint, issuer, notAfterMs, chain: issuers }]
}

/** A look at a listener of one of these nodes, which are known by NAME.example.org. */
export function sightingOf(nodes: readonly SimulatedNode[], probe: ProbeRequest): Sighting {
  if (probe.kind === 'cluster')
    return { kind: 'unknown', reason: { code: 'no-cluster', message: 'there is none' } }
  const server = nodes.find(({ name }) => probe.serverName.startsWith(`${name}.`))
  const chain = server?.served.get(probe.service)
  if (server === undefined)
    return { kind: 'unreachable', reason: { code: 'unreachable', message: 'nobody is there' } }
  return chain === undefined
    ? { kind: 'plaintext' }
    : { kind: 'tls', fingerprint: fingerprintAt(chain, 0) }
}

export interface Edge {
  readonly edge: string
  readonly holds: boolean
}

/** Every client against every listener that it is told of, with real signatures. */
export function edgesOf(nodes: readonly SimulatedNode[]): readonly Edge[] {
  return nodes.flatMap(client =>
    client.loaded.flatMap(tls =>
      tls.upstreams.flatMap(({ service, names }) => {
        const server = nodes.find(({ name }) => names.dns.includes(`${name}.example.org`))
        const chain = server?.served.get(service)
        if (server === undefined || chain === undefined || !VERIFYING.has(tls.service)) return []
        const edge = `${tls.service} on ${client.name} to ${service} on ${server.name}`
        return [{ edge, holds: verifies(chain, tls.upstreamTrust) }]
      }),
    ),
  )
}

const VERIFYING: ReadonlySet<string> = new Set(['telegraf', 'kibana'])

function verifies(chain: string, trust: readonly string[]): boolean {
  const top = new X509Certificate(splitPemCertificates(chain).at(-1) ?? '')
  return trust.some(pem => {
    const root = new X509Certificate(pem)
    return top.checkIssued(root) && top.verify(root.publicKey)
  })
}
