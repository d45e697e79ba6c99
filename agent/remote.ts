// The controller as the agent sees it, and the identity that it talks with. Edges implement it.

import type {
  DesiredAnswer,
  EnrollAnswer,
  LeaseAnswer,
  LeaseRequest,
  SignRequest,
} from '../shared/contract/agent-api.ts'
import type { PreviewAnswer, Report } from '../shared/contract/report.ts'
import type { Secret } from '../shared/secret.ts'

/** What enrolment left on the node. The key never leaves it. */
export interface Identity {
  readonly fleet: string
  readonly node: string
  readonly agentUrl: string
  readonly certificateChain: string
  readonly privateKey: Secret
  readonly identityTrust: readonly string[]
}

/**
 * Every method throws OperationalErrors: `controller-unreachable` (retryable), `identity-refused`
 * (this node's certificate is expired, denied or of another fleet), `request-refused` (with the
 * controller's code in details.code), `malformed-answer`.
 */
export interface Remote {
  /** Long poll. Answers at once when the controller has a generation above `generation` or wants a preview. */
  desired(
    question: { readonly generation: number | undefined; readonly waitMs: number },
    signal: AbortSignal,
  ): Promise<DesiredAnswer>
  report(report: Report, signal: AbortSignal): Promise<void>
  preview(answer: PreviewAnswer, signal: AbortSignal): Promise<void>
  /** Leaf and chain as PEM. */
  sign(request: SignRequest, signal: AbortSignal): Promise<string>
  lease(request: LeaseRequest, signal: AbortSignal): Promise<LeaseAnswer>
  /** A new identity chain for a new key. */
  renew(publicKeyPem: string, proof: string, signal: AbortSignal): Promise<string>
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
