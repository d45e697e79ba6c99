// What an agent does not know yet of the identity CAs: roots to trust controllers by, and where its own
// certificate is to come from. Told until its reports say that it knows; its poll is answered early for
// it only once, so that an agent that cannot take it does not ask in a circle.

import type { DesiredAnswer } from '../../../shared/contract/agent-api.ts'
import type { Report } from '../../../shared/contract/report.ts'
import { sha256 } from '../../../shared/digest.ts'
import { certificateFacts } from '../../../shared/pki/facts.ts'
import { bundleFingerprints } from '../../../shared/pki/trust.ts'
import type { CurrentAuthorities } from '../../authorities.ts'
import type { Transaction } from '../../store/store.ts'

export type IdentityNews = Pick<DesiredAnswer, 'identityTrust' | 'identityIssuer'>

export interface IdentityNewsDesk {
  /** Undefined: the agent knows all of it. */
  newsFor(tx: Transaction, node: string): Promise<Unknown | undefined>
  /** True the first time that these news are told to this node by this process. */
  isFirst(node: string, unknown: Unknown): boolean
}

export interface Unknown {
  readonly news: IdentityNews
  /** It has said what it knows. One that has not, has just enrolled, or is too old to listen. */
  readonly isCertain: boolean
}

export function createIdentityNews(authorities: {
  current(): CurrentAuthorities
}): IdentityNewsDesk {
  const told = new Map<string, string>()
  const standing = remembered(() => authorities.current())
  return {
    async newsFor(tx, node) {
      const { trust, fingerprints, issuer } = standing()
      const known = await tx.reports.identity(node)
      const news = {
        ...(knowsTrust(known, fingerprints) ? {} : { identityTrust: [...trust] }),
        ...(known?.issuer === issuer ? {} : { identityIssuer: issuer }),
      }
      if (Object.keys(news).length > 0) return { news, isCertain: known !== undefined }
      told.delete(node)
      return undefined
    },
    isFirst(node, { news, isCertain }) {
      if (!isCertain) return false
      const mark = sha256(JSON.stringify(news))
      if (told.get(node) === mark) return false
      told.set(node, mark)
      return true
    },
  }
}

function knowsTrust(known: Report['identity'], fingerprints: readonly string[]): boolean {
  return known !== undefined && known.trust.toSorted().join() === fingerprints.join()
}

// Asked with every look of every poll; worked out when the CAs change.
function remembered(current: () => CurrentAuthorities) {
  let of: CurrentAuthorities | undefined
  let standing = { trust: EMPTY, fingerprints: EMPTY, issuer: '' }
  return () => {
    const authorities = current()
    if (authorities === of) return standing
    const { roots, issuer } = authorities.identity
    standing = {
      trust: roots,
      fingerprints: bundleFingerprints(roots),
      issuer: certificateFacts(issuer.certificatePem).fingerprint,
    }
    of = authorities
    return standing
  }
}

const EMPTY: readonly string[] = []
