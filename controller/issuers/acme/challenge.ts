// Which challenge of an authorization is answered, and how. Pure.

import { OperationalError } from '../../../shared/errors.ts'
import type { AcmeDnsRecord } from '../../store/acme-store.ts'
import { type AccountKey, dnsValue, keyAuthorization } from './jws.ts'
import type { AuthorizationObject, ChallengeObject } from './objects.ts'
import type { AcmeDirectory } from './settings.ts'

export type Solution = {
  readonly challenge: ChallengeObject
  /** What is to be proven, for people. */
  readonly name: string
} & (
  | { readonly kind: 'dns-01'; readonly record: AcmeDnsRecord }
  | { readonly kind: 'http-01'; readonly token: string; readonly keyAuthorization: string }
)

type Ways = Pick<AcmeDirectory, 'name' | 'dns' | 'http01'>

/** DNS-01 where it can be had: it also proves wildcards. Throws `acme-no-challenge`. */
export function solutionOf(
  authorization: AuthorizationObject,
  key: AccountKey,
  directory: Ways,
): Solution {
  const { identifier, challenges, wildcard = false } = authorization
  const name = wildcard ? `*.${identifier.value}` : identifier.value
  for (const kind of waysFor(authorization, directory)) {
    const challenge = challenges.find(one => one.type === kind)
    if (challenge?.token === undefined) continue
    const { token } = challenge
    const answer = keyAuthorization(key, token)
    if (kind === 'http-01') return { kind, challenge, name, token, keyAuthorization: answer }
    const fqdn = `_acme-challenge.${identifier.value}.`
    return { kind, challenge, name, record: { fqdn, value: dnsValue(answer) } }
  }
  const offered = challenges.map(one => one.type).join(', ') || 'none'
  const known = challengesOf(directory).join(', ') || 'none'
  throw new OperationalError(
    'acme-no-challenge',
    `no challenge for ${name} can be solved: offered ${offered}, configured ${known}`,
    { retryable: true },
  )
}

/** Kinds of challenges that a directory is configured for. TLS-ALPN-01 is not supported. */
export function challengesOf({ dns, http01 }: Ways): readonly ('dns-01' | 'http-01')[] {
  return [
    ...(dns === undefined ? [] : (['dns-01'] as const)),
    ...(http01 === undefined ? [] : (['http-01'] as const)),
  ]
}

function waysFor({ identifier, wildcard = false }: AuthorizationObject, directory: Ways) {
  return challengesOf(directory).filter(kind =>
    kind === 'dns-01' ? identifier.type === 'dns' : !wildcard,
  )
}
