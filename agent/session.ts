// The agent's standing with its controller: who it is, and the connection that this makes. Renewed at
// half of the identity's life, with a new key. The new identity is tried before the one before it is
// forgotten; until the controller has said yes or no, both are on disk and the new one is in use,
// because the controller may have accepted it already and would take the old one for a copy.

import { backoffMs } from '../shared/backoff.ts'
import type { Reason } from '../shared/contract/schema.ts'
import type { Logger } from '../shared/log.ts'
import { OperationalError, describeError } from '../shared/errors.ts'
import { acceptedRoots, issuerOf, sameRoots } from './controller-roots.ts'
import type { Host } from './host.ts'
import {
  acceptSuccessor,
  dropSuccessor,
  identityEndsAtMs,
  identityFingerprint,
  identityRenewalAtMs,
  isForKey,
  loadIdentity,
  loadSuccessor,
  newIdentityKey,
  storeRoots,
  storeSuccessor,
} from './identity.ts'
import type { IdentityNews } from './inbox.ts'
import type { Identity, Remote } from './remote.ts'

export interface Session {
  identity(): Identity
  remote(): Remote
  /** When renewIfDue has something to do. */
  dueAtMs(): number
  /** Does nothing before its time; a failure is tried again later. True: another identity is in use. */
  renewIfDue(signal: AbortSignal): Promise<boolean>
  /** What the controller says of its CAs. What cannot be taken over now is told again. */
  learn(news: IdentityNews, signal: AbortSignal): Promise<void>
  /** Somebody says that the node was enrolled anew: looked at with the next `renewIfDue`, which is due now. */
  lookAgain(): void
  /** The controller does not accept this node; gone with the next answer that it gives. */
  problem(): Reason | undefined
}

export interface SessionOptions {
  readonly host: Pick<Host, 'files' | 'clock'>
  readonly stateDirectory: string
  /** In force. Whether another one is to follow it, the disk says. */
  readonly identity: Identity
  readonly connect: (identity: Identity) => Remote
  readonly log: Logger
  readonly random: () => number
  /** The controller began to refuse us: there may be something to do about it. */
  readonly onRefused: () => void
  /** Enrolled anew, with this controller or another one: nobody waits for the one before. */
  readonly onEnrolled?: () => void
}

const RETRY = { baseMs: 5_000, maxMs: 300_000 }
// Whatever dates a controller gives, it is not asked without a pause.
const RENEWALS_APART_MS = 60_000
// All agents learn at once that another CA signs: they come for their new identities over the time
// that the controller names, and this one at most.
const ISSUER_SPREAD_MS = 300_000
// One connection may break for any reason.
const FAILURES_TO_ESTRANGE = 3

export async function createSession(options: SessionOptions): Promise<Session> {
  const { host, log, connect, stateDirectory, random } = options
  const { files, clock } = host
  let proven = options.identity
  let successor = await loadSuccessor(files, stateDirectory, proven)
  // It came, and the disk did not take it.
  let unstored: Identity | undefined
  let refusal: OperationalError | undefined
  // Connections that came to nothing one after the other, although there was somebody.
  let estrangement: Estrangement | undefined
  // Nobody is there. That may last, and no work is made for it; but whoever passes by looks for another enrolment.
  let isSilent = false
  let isLookWanted = false
  let failures = 0
  let notBeforeMs = 0
  // The CA that identities come from now, and when this one is renewed because of it.
  let wantedIssuer: string | undefined
  let issuerDueAtMs = Infinity
  let connection = open(successor ?? proven)

  function open(identity: Identity): { readonly identity: Identity; readonly remote: Remote } {
    refusal = undefined
    estrangement = undefined
    isSilent = false
    const heard = (error: OperationalError | undefined) => {
      if (connection.identity !== identity) return
      const wasSettled = refusal === undefined && !isEstranged()
      isSilent = error?.code === 'controller-unreachable'
      // A connection that came to nothing says nothing about the last answer.
      if (error?.code !== 'controller-unreachable') refusal = error
      estrangement = estrangedBy(error, estrangement)
      const isNews = wasSettled && (refusal !== undefined || isEstranged())
      if (!isNews) return
      notBeforeMs = 0
      options.onRefused()
    }
    return { identity, remote: listening(connect(identity), heard) }
  }

  function isEstranged(): boolean {
    return (estrangement?.count ?? 0) >= FAILURES_TO_ESTRANGE
  }

  // The listener for agents hangs up on whoever has a certificate of a CA that is trusted no more.
  function isShutOut(): boolean {
    return isExpiry(refusal) || (isEstranged() && estrangement?.reason === 'broken')
  }

  function use(identity: Identity): void {
    const old = connection.remote
    connection = open(identity)
    old.close()
  }

  /** A new key and its certificate, on disk beside the one in force, and in use. */
  async function renew(signal: AbortSignal): Promise<Identity> {
    const next = unstored ?? (await ask(signal))
    unstored = next
    await storeSuccessor(files, stateDirectory, { current: proven, successor: next })
    unstored = undefined
    use(next)
    return next
  }

  async function ask(signal: AbortSignal): Promise<Identity> {
    const { keys, proof } = await newIdentityKey(proven.node)
    const hasEnded = clock.now() >= identityEndsAtMs(proven) || isShutOut()
    const { remote } = connection
    const { certificateChain, identityTrust } = hasEnded
      ? await remote.renewExpired(keys.publicKeyPem, proof, signal)
      : await remote.renew(keys.publicKeyPem, proof, signal)
    if (!isForKey(certificateChain, keys))
      throw new OperationalError('malformed-answer', 'renewed identity is for another key')
    const renewed = { ...proven, certificateChain, privateKey: keys.privateKeyPem }
    if (identityTrust === undefined) return renewed
    return { ...renewed, identityTrust: acceptedRoots(identityTrust, clock.now()) }
  }

  async function prove(next: Identity, signal: AbortSignal): Promise<void> {
    try {
      await connection.remote.whoami(signal)
    } catch (error) {
      if (isVerdict(error)) {
        await dropSuccessor(files, stateDirectory)
        successor = undefined
        use(proven)
      }
      throw error
    }
    await acceptSuccessor(files, stateDirectory)
    proven = next
    successor = undefined
    // Wherever it is from: the controller has been asked.
    issuerDueAtMs = Infinity
    log.info('identity renewed')
  }

  /** They are tried before those before them are forgotten, as identities are. */
  async function takeRoots(roots: readonly string[], signal: AbortSignal): Promise<void> {
    const withRoots = (identity: Identity): Identity => ({ ...identity, identityTrust: roots })
    const trial = connect(withRoots(connection.identity))
    await trial.whoami(signal).finally(() => trial.close())
    const next = successor && withRoots(successor)
    await storeRoots(files, stateDirectory, { current: withRoots(proven), successor: next })
    proven = withRoots(proven)
    successor = next
    unstored = unstored && withRoots(unstored)
    use(successor ?? proven)
    log.info({ roots: roots.length }, 'the controller is known by other roots from now on')
  }

  async function learnRoots(pems: readonly string[], signal: AbortSignal): Promise<void> {
    try {
      const roots = acceptedRoots(pems, clock.now())
      if (!sameRoots(roots, connection.identity.identityTrust)) await takeRoots(roots, signal)
    } catch (error) {
      if (!(error instanceof OperationalError)) throw error
      log.warn({ code: error.code, error: describeError(error) }, 'roots could not be taken over')
    }
  }

  function renewalDueAtMs(): number {
    return Math.min(identityRenewalAtMs(proven), issuerDueAtMs)
  }

  // Somebody has run `enroll` beside us.
  async function enrolledAnew(): Promise<Identity | undefined> {
    const stored = await loadIdentity(files, stateDirectory)
    if (stored === undefined || isSame(stored, proven)) return undefined
    return stored.node === proven.node && stored.fleet === proven.fleet ? stored : undefined
  }

  function isEnrolmentLikely(): boolean {
    return refusal !== undefined || isEstranged() || isSilent || isLookWanted
  }

  async function takeEnrolment(): Promise<boolean> {
    const isLikely = isEnrolmentLikely()
    // Before the look: one that fails is tried again in its time, and not at once for ever.
    isLookWanted = false
    const enrolled = isLikely ? await enrolledAnew() : undefined
    if (enrolled === undefined) return false
    proven = enrolled
    successor = undefined
    unstored = undefined
    wantedIssuer = undefined
    issuerDueAtMs = Infinity
    use(enrolled)
    log.info('enrolled anew')
    options.onEnrolled?.()
    return true
  }

  async function advance(signal: AbortSignal): Promise<void> {
    const isDue = clock.now() >= renewalDueAtMs() || isShutOut()
    if (successor === undefined && isDue) successor = await renew(signal)
    if (successor !== undefined) await prove(successor, signal)
  }

  function dueAtMs(): number {
    if (isLookWanted) return 0
    const isUnsettled = successor !== undefined || refusal !== undefined || isEstranged()
    return Math.max(isUnsettled ? 0 : renewalDueAtMs(), notBeforeMs)
  }

  return {
    identity: () => connection.identity,
    remote: () => connection.remote,
    dueAtMs,
    problem() {
      if (refusal !== undefined) return problemOf(refusal)
      return estrangement !== undefined && isEstranged() ? problemOf(estrangement.error) : undefined
    },
    async learn({ identityTrust, identityIssuer, identityWithinMs }, signal) {
      if (identityTrust !== undefined) await learnRoots(identityTrust, signal)
      if (identityIssuer === undefined || identityIssuer === wantedIssuer) return
      wantedIssuer = identityIssuer
      const isOfIt = issuerOf(proven) === identityIssuer
      const spreadMs = Math.min(identityWithinMs ?? ISSUER_SPREAD_MS, ISSUER_SPREAD_MS)
      issuerDueAtMs = isOfIt ? Infinity : clock.now() + random() * spreadMs
    },
    lookAgain() {
      isLookWanted = true
    },
    async renewIfDue(signal) {
      const isDue = clock.now() >= dueAtMs()
      if (!isDue && !isEnrolmentLikely()) return false
      const before = connection.identity
      try {
        if (await takeEnrolment()) return true
        if (!isDue) return false
        await advance(signal)
        failures = refusal === undefined ? 0 : failures + 1
      } catch (error) {
        if (!(error instanceof OperationalError)) throw error
        failures += 1
        log.warn({ code: error.code, error: describeError(error) }, 'identity could not be renewed')
      }
      const pauseMs =
        failures === 0 ? RENEWALS_APART_MS : backoffMs({ attempt: failures - 1, ...RETRY, random })
      notBeforeMs = clock.now() + pauseMs
      return connection.identity !== before
    },
  }
}

interface Estrangement {
  readonly reason: 'broken' | 'controller-not-trusted'
  readonly error: OperationalError
  readonly count: number
}

/** An answer ends it; that nobody answers says nothing. */
function estrangedBy(
  error: OperationalError | undefined,
  before: Estrangement | undefined,
): Estrangement | undefined {
  if (error === undefined || error.code !== 'controller-unreachable') return undefined
  const { reason } = error.details
  if (reason !== 'broken' && reason !== 'controller-not-trusted') return before
  return { reason, error, count: before?.reason === reason ? before.count + 1 : 1 }
}

const TELLING: readonly string[] = ['identity-refused', 'controller-unreachable']

/** Every answer says whether this identity is accepted; what is no answer, whether it may come to that. */
function listening(remote: Remote, heard: (refusal: OperationalError | undefined) => void): Remote {
  const attend = async <T>(answer: Promise<T>): Promise<T> => {
    try {
      const result = await answer
      heard(undefined)
      return result
    } catch (error) {
      if (error instanceof OperationalError && TELLING.includes(error.code)) heard(error)
      throw error
    }
  }
  return {
    desired: (question, signal) => attend(remote.desired(question, signal)),
    report: (report, signal) => attend(remote.report(report, signal)),
    preview: (answer, signal) => attend(remote.preview(answer, signal)),
    probe: (answer, signal) => attend(remote.probe(answer, signal)),
    debts: (news, signal) => attend(remote.debts(news, signal)),
    sign: (request, signal) => attend(remote.sign(request, signal)),
    provided: (request, signal) => attend(remote.provided(request, signal)),
    lease: (request, signal) => attend(remote.lease(request, signal)),
    renew: (key, proof, signal) => attend(remote.renew(key, proof, signal)),
    // Of the other listener: that it answers does not make an identity good that has ended.
    renewExpired: (key, proof, signal) => remote.renewExpired(key, proof, signal),
    whoami: signal => attend(remote.whoami(signal)),
    close: () => remote.close(),
  }
}

// Said by the controller, or by its handshake. What this node only concludes from its own clock is no
// verdict: a connection that broke may have done so after the controller had accepted us.
function isVerdict(error: unknown): boolean {
  return (
    error instanceof OperationalError &&
    error.code === 'identity-refused' &&
    error.details['reason'] !== 'own-clock'
  )
}

function isExpiry(refusal: OperationalError | undefined): boolean {
  return refusal?.details['code'] === 'identity-expired'
}

function isSame(a: Identity, b: Identity): boolean {
  return identityFingerprint(a) === identityFingerprint(b)
}

function problemOf(refusal: OperationalError): Reason {
  const { hint } = refusal
  const message = describeError(refusal)
  return { code: refusal.code, message: hint === undefined ? message : `${message}; ${hint}` }
}
