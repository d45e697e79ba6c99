// Whether a trust bundle accepts the chain of a release. Pure; what was found out is remembered with
// the release until a certificate that had a part in it begins or ends.

import { X509Certificate } from 'node:crypto'
import type { Reason } from '../../shared/contract/schema.ts'
import { describeError } from '../../shared/errors.ts'
import { pathReasons } from '../../shared/pki/path.ts'
import { splitPemCertificates } from '../../shared/pki/pem.ts'

interface Chain {
  readonly chainPem: string
}

interface Verdict {
  readonly trust: string
  /** It depends on the time only by the dates of certificates, so it holds from one to the next. */
  readonly fromMs: number
  readonly untilMs: number
  readonly reason: Reason | undefined
}

const verdicts = new WeakMap<Chain, Verdict>()

/** Undefined: `trust` accepts the chain now. With an empty bundle only self-consistency is asked. */
export function trustProblem(
  release: Chain,
  trust: readonly string[],
  nowMs: number,
): Reason | undefined {
  if (trust.length === 0) return undefined
  const key = trust.join('\n')
  const last = verdicts.get(release)
  if (last?.trust === key && last.fromMs <= nowMs && nowMs < last.untilMs) return last.reason
  const verdict = { trust: key, ...judge(release.chainPem, trust, nowMs) }
  verdicts.set(release, verdict)
  return verdict.reason
}

function judge(chainPem: string, trust: readonly string[], nowMs: number): Omit<Verdict, 'trust'> {
  try {
    const chain = splitPemCertificates(chainPem).map(pem => new X509Certificate(pem))
    const anchors = trust.flatMap(splitPemCertificates).map(pem => new X509Certificate(pem))
    const [leaf, ...intermediates] = chain
    const [reason] =
      leaf === undefined
        ? [{ code: 'untrusted', message: 'there is no certificate in the chain' }]
        : pathReasons({ leaf, intermediates, trust: anchors, purposes: ['server'], nowMs })
    return { ...span([...chain, ...anchors], nowMs), reason }
  } catch (error) {
    const reason = { code: 'untrusted', message: describeError(error) }
    return { fromMs: -Infinity, untilMs: Infinity, reason }
  }
}

/** From the last date of any of the certificates to the next. */
function span(certificates: readonly X509Certificate[], nowMs: number) {
  const dates = certificates.flatMap(({ validFromDate, validToDate }) => [
    validFromDate.getTime(),
    // The last second is part of the validity.
    validToDate.getTime() + 1000,
  ])
  return {
    fromMs: Math.max(-Infinity, ...dates.filter(date => date <= nowMs)),
    untilMs: Math.min(Infinity, ...dates.filter(date => date > nowMs)),
  }
}
