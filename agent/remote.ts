// The controller as the agent sees it, and the identity that it talks with. Edges implement it.

import type {
  DesiredAnswer,
  EnrollAnswer,
  LeaseAnswer,
  LeaseRequest,
  RenewAnswer,
  ProvidedRequest,
  SignRequest,
} from '../shared/contract/agent-api.ts'
import type { DebtNews } from '../shared/contract/debts.ts'
import type { ProbeAnswer } from '../shared/contract/probes.ts'
import type { PreviewAnswer, Report } from '../shared/contract/report.ts'
import type { Secret } from '../shared/secret.ts'

/** What enrolment left on the node. The key never leaves it. */
export interface Identity {
  readonly fleet: string
  readonly node: string
  readonly agentUrl: string
  /** Where it was enrolled, and where it comes back when it has ended. */
  readonly enrollUrl?: string | undefined
  readonly certificateChain: string
  readonly privateKey: Secret
  readonly identityTrust: readonly string[]
}

/** Key and chain that an operator has uploaded to the controller. */
export interface ProvidedPair {
  readonly certificateChain: string
  readonly privateKey: Secret
}

/**
 * Every method throws OperationalErrors: `controller-unreachable` (retryable), `identity-refused`
 * (this node's certificate is expired, denied or of another fleet), `request-refused` (with the
 * controller's code in details.code), `malformed-answer`.
 */
export interface Remote {
  /** Long poll. Answers at once when the controller has something newer than this, or wants a preview. */
  desired(
    question: {
      readonly epoch?: number | undefined
      readonly generation: number | undefined
      readonly waitMs: number
    },
    signal: AbortSignal,
  ): Promise<DesiredAnswer>
  report(report: Report, signal: AbortSignal): Promise<void>
  preview(answer: PreviewAnswer, signal: AbortSignal): Promise<void>
  probe(answer: ProbeAnswer, signal: AbortSignal): Promise<void>
  /** What this node owes to its clusters, for others to pay if it cannot. */
  debts(news: DebtNews, signal: AbortSignal): Promise<void>
  /** Leaf and chain as PEM. */
  sign(request: SignRequest, signal: AbortSignal): Promise<string>
  /** Issuer `provided`: the pair for a service of this node. */
  provided(request: ProvidedRequest, signal: AbortSignal): Promise<ProvidedPair>
  lease(request: LeaseRequest, signal: AbortSignal): Promise<LeaseAnswer>
  /** A new identity chain for a new key, and by which roots to know controllers from now on. */
  renew(publicKeyPem: string, proof: string, signal: AbortSignal): Promise<RenewAnswer>
  /** The same for an identity that has ended: without it, by proof of its key. */
  renewExpired(publicKeyPem: string, proof: string, signal: AbortSignal): Promise<RenewAnswer>
  /** Resolves when the controller accepts this identity. */
  whoami(signal: AbortSignal): Promise<void>
  close(): void
}

/** First contact: the server is trusted by the pin in the token alone. */
export type Enroll = (request: {
  readonly token: string
  readonly publicKeyPem: string
  readonly prove: (tokenId: string) => string
  readonly facts: Readonly<Record<string, string>>
  readonly nowMs: number
}) => Promise<EnrollAnswer>
