// A controller as the agent sees it, in memory: an object literal with a document to give, and a
// record of everything it was asked. It can be away, and it can be slow to answer nothing at all.

import { createPrivateKey, createPublicKey, generateKeyPairSync, randomBytes } from 'node:crypto'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type {
  DesiredAnswer,
  LeaseAnswer,
  LeaseRequest,
  PreviewRequest,
  SignRequest,
} from '../../shared/contract/agent-api.ts'
import {
  type DesiredState,
  type Mode,
  sealDesiredState,
} from '../../shared/contract/desired-state.ts'
import type { PreviewAnswer, Report } from '../../shared/contract/report.ts'
import type { ServiceTls } from '../../shared/contract/service.ts'
import { OperationalError } from '../../shared/errors.ts'
import { buildCertificate, buildSelfSigned } from '../../shared/pki/certificate.ts'
import { serialNumber } from '../../shared/pki/random.ts'
import { Secret } from '../../shared/secret.ts'
import type { Identity, Remote } from '../../agent/remote.ts'

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
  /** Every connection breaks, and no new one comes about. */
  leave(): void
  comeBack(): void
  /** Generations that polls named, in order. */
  readonly questions: (number | undefined)[]
  readonly reports: Report[]
  readonly previews: PreviewAnswer[]
  readonly leases: LeaseRequest[]
  readonly signed: SignRequest[]
  /** Public keys that a new identity was asked for. */
  readonly renewed: string[]
  answerLease: (request: LeaseRequest) => Promise<LeaseAnswer>
  answerSign: (request: SignRequest) => Promise<string>
  answerRenew: (publicKeyPem: string) => Promise<string>
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
  let pushed: unknown
  let isAway = false
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
    leave: () => change(() => (isAway = true)),
    comeBack: () => change(() => (isAway = false)),
    questions: [],
    reports: [],
    previews: [],
    leases: [],
    signed: [],
    renewed: [],
    answerLease: async () => ({ granted: true, reason: { code: 'granted', message: 'go' } }),
    answerSign: async request => ca.issue(request.publicKey, nowMs(), 30 * DAY_MS),
    answerRenew: async key => ca.issue(key, nowMs(), 30 * DAY_MS),
    answerReport: async () => undefined,
  }
  const remote: Remote = {
    async desired({ generation }, signal): Promise<DesiredAnswer> {
      controller.questions.push(generation)
      for (;;) {
        await arrive()
        if (signal.aborted) throw unreachable()
        const asked = preview
        preview = undefined
        if (pushed !== undefined) {
          const once = pushed
          pushed = undefined
          return { document: once, nowMs: nowMs() }
        }
        if (isNewer(document, generation) || asked !== undefined) {
          return {
            ...(isNewer(document, generation) ? { document } : {}),
            ...(asked === undefined ? {} : { preview: asked }),
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
    async sign(request) {
      await arrive()
      controller.signed.push(request)
      return controller.answerSign(request)
    },
    async lease(request) {
      controller.leases.push(request)
      await arrive()
      return controller.answerLease(request)
    },
    async renew(publicKeyPem) {
      await arrive()
      controller.renewed.push(publicKeyPem)
      return controller.answerRenew(publicKeyPem)
    },
    close: () => undefined,
  }
  return Object.assign(controller, { remote })
}

// As the real one: by the number alone; a document without one is always news.
function isNewer(document: unknown, generation: number | undefined): boolean {
  if (typeof document !== 'object' || document === null) return document !== undefined
  if (!('generation' in document) || typeof document.generation !== 'number') return true
  return document.generation > (generation ?? 0)
}

export interface DocumentParts {
  readonly generation: number
  readonly services: readonly ServiceTls[]
  readonly mode?: Mode
  readonly permit?: boolean
  readonly node?: string
}

export function documentOf({
  generation,
  services,
  mode = 'enforce',
  permit = false,
  node = 'n1',
}: DocumentParts): DesiredState {
  return sealDesiredState({
    node,
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
