// A controller as the agent sees it, in memory: an object literal with a document to give, and a
// record of everything it was asked. It can be away, and it can be slow to answer nothing at all.

import { createPrivateKey, createPublicKey, generateKeyPairSync, randomBytes } from 'node:crypto'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type {
  DesiredAnswer,
  LeaseAnswer,
  LeaseRequest,
  PreviewRequest,
  ProvidedRequest,
  SignRequest,
} from '../../shared/contract/agent-api.ts'
import {
  comparePositions,
  type DesiredState,
  type Mode,
  type Position,
  sealDesiredState,
} from '../../shared/contract/desired-state.ts'
import type { Debt, DebtNews } from '../../shared/contract/debts.ts'
import type { ProbeAnswer, ProbeRequest } from '../../shared/contract/probes.ts'
import type { PreviewAnswer, Report } from '../../shared/contract/report.ts'
import type { ServiceTls } from '../../shared/contract/service.ts'
import { OperationalError } from '../../shared/errors.ts'
import { buildCertificate, buildSelfSigned } from '../../shared/pki/certificate.ts'
import { serialNumber } from '../../shared/pki/random.ts'
import { Secret } from '../../shared/secret.ts'
import type { Identity, ProvidedPair, Remote } from '../../agent/remote.ts'

export const DAY_MS = 86_400_000
const NAMES = { dns: ['n1', 'localhost'], ip: ['127.0.0.1'] }

export interface FakeController {
  readonly remote: Remote
  /** Its CA. */
  readonly ca: MemoryCa
  /** What polls are answered with as long as it is newer than what they know. */
  offer(document: unknown): void
  /** Delivered once, whatever the poll knows: a controller that was restored, or is hostile. */
  push(document: unknown): void
  askPreview(preview: PreviewRequest): void
  /** Something that the agent waits for has happened. */
  nudge(): void
  /** Every connection breaks, and no new one comes about. */
  leave(): void
  comeBack(): void
  /** Generations that polls named, in order. */
  readonly questions: (number | undefined)[]
  readonly reports: Report[]
  readonly previews: PreviewAnswer[]
  readonly probed: ProbeAnswer[]
  askProbes(probes: readonly ProbeRequest[]): void
  readonly debts: DebtNews[]
  askDebts(debts: readonly Debt[]): void
  readonly leases: LeaseRequest[]
  readonly signed: SignRequest[]
  /** Public keys that a new identity was asked for. */
  readonly renewed: string[]
  /** Certificates that the agent has made connections with, in order. */
  readonly connected: string[]
  /** What every request is answered with from now on; undefined: as before. */
  refuse(error: OperationalError | undefined): void
  /** The same, of an identity that had ended. */
  readonly renewedLate: string[]
  /** What every answer to a poll says of the node; undefined: nothing, as an older controller. */
  grouped: boolean | undefined
  answerLease: (request: LeaseRequest) => Promise<LeaseAnswer>
  answerSign: (request: SignRequest) => Promise<string>
  answerProvided: (request: ProvidedRequest) => Promise<ProvidedPair>
  answerRenew: (publicKeyPem: string) => Promise<string>
  answerWhoami: () => Promise<void>
  answerReport: (report: Report) => Promise<void>
}

export function unreachable(): OperationalError {
  return new OperationalError('controller-unreachable', 'could not reach the controller', {
    retryable: true,
  })
}

export function createFakeController(nowMs: () => number): FakeController {
  const ca = createMemoryCa(nowMs())
  let document: unknown
  let preview: PreviewRequest | undefined
  let probes: readonly ProbeRequest[] = []
  let debts: readonly Debt[] = []
  let pushed: unknown
  let isNudged = false
  let isAway = false
  let refusal: OperationalError | undefined
  const parked = new Set<() => void>()
  const stir = () => {
    const woken = [...parked]
    parked.clear()
    for (const wake of woken) wake()
  }
  // A network takes a moment, whatever it carries.
  const arrive = async () => {
    await nextTurn()
    if (isAway) throw unreachable()
    if (refusal !== undefined) throw refusal
  }
  const change = (work: () => void) => {
    work()
    stir()
  }
  const controller: Omit<FakeController, 'remote'> = {
    ca,
    offer: given => change(() => (document = given)),
    push: given => change(() => (pushed = given)),
    askPreview: asked => change(() => (preview = asked)),
    debts: [],
    askDebts: asked => change(() => (debts = asked)),
    askProbes: asked => change(() => (probes = asked)),
    nudge: () => change(() => (isNudged = true)),
    leave: () => change(() => (isAway = true)),
    comeBack: () => change(() => (isAway = false)),
    refuse: error => change(() => (refusal = error)),
    questions: [],
    reports: [],
    previews: [],
    probed: [],
    leases: [],
    signed: [],
    renewed: [],
    renewedLate: [],
    connected: [],
    grouped: false,
    answerLease: async () => ({ granted: true, reason: { code: 'granted', message: 'go' } }),
    answerSign: async request => ca.issue(request.publicKey, nowMs(), 30 * DAY_MS),
    async answerProvided() {
      throw new OperationalError('request-refused', 'nothing was uploaded here')
    },
    answerRenew: async key => ca.issue(key, nowMs(), 30 * DAY_MS),
    answerWhoami: async () => undefined,
    answerReport: async () => undefined,
  }
  const membership = () => (controller.grouped === undefined ? {} : { grouped: controller.grouped })
  const remote: Remote = {
    async desired({ epoch = 0, generation = 0 }, signal): Promise<DesiredAnswer> {
      controller.questions.push(generation === 0 ? undefined : generation)
      for (;;) {
        await arrive()
        if (signal.aborted) throw unreachable()
        const asked = preview
        preview = undefined
        if (pushed !== undefined) {
          const once = pushed
          pushed = undefined
          return { document: once, ...membership(), nowMs: nowMs() }
        }
        if (probes.length > 0) {
          const once = probes
          probes = []
          return { probes: [...once], nowMs: nowMs() }
        }
        if (debts.length > 0) {
          const once = debts
          debts = []
          return { debts: [...once], nowMs: nowMs() }
        }
        if (isNudged) {
          isNudged = false
          return { wake: true, ...membership(), nowMs: nowMs() }
        }
        if (isNewer(document, { epoch, generation }) || asked !== undefined) {
          return {
            ...(isNewer(document, { epoch, generation }) ? { document } : {}),
            ...(asked === undefined ? {} : { preview: asked }),
            ...membership(),
            nowMs: nowMs(),
          }
        }
        await new Promise<void>(resolve => {
          parked.add(resolve)
          signal.addEventListener('abort', () => resolve(), { once: true })
        })
      }
    },
    async report(report) {
      await arrive()
      await controller.answerReport(report)
      controller.reports.push(report)
    },
    async preview(answer) {
      await arrive()
      controller.previews.push(answer)
    },
    async probe(answer) {
      await arrive()
      controller.probed.push(answer)
    },
    async debts(news) {
      await arrive()
      controller.debts.push(news)
    },
    async sign(request) {
      await arrive()
      controller.signed.push(request)
      return controller.answerSign(request)
    },
    async provided(request) {
      await arrive()
      return controller.answerProvided(request)
    },
    async lease(request) {
      controller.leases.push(request)
      await arrive()
      return controller.answerLease(request)
    },
    async renew(publicKeyPem) {
      await arrive()
      controller.renewed.push(publicKeyPem)
      return { certificateChain: await controller.answerRenew(publicKeyPem) }
    },
    async renewExpired(publicKeyPem) {
      await arrive()
      controller.renewedLate.push(publicKeyPem)
      return { certificateChain: await controller.answerRenew(publicKeyPem) }
    },
    async whoami() {
      await arrive()
      await controller.answerWhoami()
    },
    close: () => undefined,
  }
  return Object.assign(controller, { remote })
}

// As the real one: by the numbers alone; a document without one is always news.
function isNewer(document: unknown, known: Position): boolean {
  if (typeof document !== 'object' || document === null) return document !== undefined
  if (!('generation' in document) || typeof document.generation !== 'number') return true
  const epoch = 'epoch' in document && typeof document.epoch === 'number' ? document.epoch : 0
  return comparePositions({ epoch, generation: document.generation }, known) > 0
}

export interface DocumentParts {
  /** Absent: 0, of a controller that was never restored. */
  readonly epoch?: number
  readonly generation: number
  readonly services: readonly ServiceTls[]
  readonly mode?: Mode
  readonly permit?: boolean
  readonly node?: string
}

export function documentOf({
  epoch = 0,
  generation,
  services,
  mode = 'enforce',
  permit = false,
  node = 'n1',
}: DocumentParts): DesiredState {
  return sealDesiredState({
    node,
    ...(epoch === 0 ? {} : { epoch }),
    generation,
    mode,
    permit,
    content: { services: [...services] },
  })
}

/** As enrolment leaves it; `lifetimeMs` from now on. */
export function createIdentity(nowMs: number, lifetimeMs = 30 * DAY_MS): Identity {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const certificateChain = buildSelfSigned({
    subject: { commonName: 'n1' },
    serial: serialNumber(randomBytes),
    notBeforeMs: wholeSeconds(nowMs),
    notAfterMs: wholeSeconds(nowMs + lifetimeMs),
    profile: { kind: 'server', names: NAMES, clientAuth: true },
    key: privateKey,
  })
  return {
    fleet: 'test',
    node: 'n1',
    agentUrl: 'https://controller:8444',
    certificateChain,
    privateKey: new Secret(privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()),
    identityTrust: [certificateChain],
  }
}

export interface MemoryCa {
  readonly certificatePem: string
  readonly keyPem: string
  issue(publicKeyPem: string, nowMs: number, lifetimeMs: number, dns?: readonly string[]): string
}

/** A root that issues leaves for n1, valid from a little before `nowMs` on. */
export function createMemoryCa(nowMs: number): MemoryCa {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const keyPem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
  const certificatePem = buildSelfSigned({
    subject: { commonName: 'memory root' },
    serial: serialNumber(randomBytes),
    notBeforeMs: wholeSeconds(nowMs - DAY_MS),
    notAfterMs: wholeSeconds(nowMs + 3650 * DAY_MS),
    profile: { kind: 'root' },
    key: privateKey,
  })
  return {
    certificatePem,
    keyPem,
    issue: (publicKeyPem, atMs, lifetimeMs, dns = NAMES.dns) =>
      buildCertificate({
        subject: { commonName: 'n1' },
        serial: serialNumber(randomBytes),
        notBeforeMs: wholeSeconds(atMs - 60_000),
        notAfterMs: wholeSeconds(atMs + lifetimeMs),
        profile: { kind: 'server', names: { ...NAMES, dns }, clientAuth: false },
        subjectPublicKey: createPublicKey(publicKeyPem),
        issuer: { certificatePem, key: createPrivateKey(keyPem) },
      }),
  }
}

// As certificates have them.
function wholeSeconds(ms: number): number {
  return Math.floor(ms / 1000) * 1000
}
