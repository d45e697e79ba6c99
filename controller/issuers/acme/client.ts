// The conversation with one directory: nonces, signed requests, and the objects of RFC 8555. It decides
// nothing and remembers nothing but nonces and where things are.

import { describeError, OperationalError } from '../../../shared/errors.ts'
import type { Secret } from '../../../shared/secret.ts'
import type { AcmeAnswer, AcmeHttp } from './http.ts'
import { type AccountKey, externalAccountBinding, signJws } from './jws.ts'
import {
  type AuthorizationObject,
  type DirectoryObject,
  type OrderObject,
  parseAuthorization,
  parseDirectory,
  parseOrder,
  ProblemObject,
} from './objects.ts'
import { AcmeProblemError, type ProblemSubject, toProblem } from './problem.ts'

/** An answer with what the directory says about when to ask again. */
export interface Answered<T> {
  readonly value: T
  readonly retryAfterMs: number | undefined
}

export interface Identifier {
  readonly type: 'dns' | 'ip'
  readonly value: string
}

export interface AcmeClient {
  directory(): Promise<DirectoryObject>
  /** The account of the key, new or not: its URL. */
  newAccount(options: {
    readonly email: string | undefined
    readonly eab: { readonly kid: string; readonly hmacKey: Secret } | undefined
  }): Promise<string>
  /** Every request but the one above is made by this account. */
  useAccount(url: string): void
  newOrder(identifiers: readonly Identifier[]): Promise<{ readonly url: string }>
  order(url: string): Promise<Answered<OrderObject>>
  authorization(url: string): Promise<Answered<AuthorizationObject>>
  /** The challenge can be looked at. */
  respond(challengeUrl: string): Promise<void>
  finalize(url: string, csr: Uint8Array): Promise<Answered<OrderObject>>
  /** PEM, leaf first. */
  certificate(url: string): Promise<string>
}

export interface ClientOptions {
  readonly url: string
  readonly key: AccountKey
  readonly http: AcmeHttp
  readonly signal: AbortSignal
}

// A directory may refuse a good nonce; one that refuses so many in a row is broken.
const NONCE_ATTEMPTS_MAX = 16
const NONCES_KEPT = 8

interface Question {
  /** Completes "could not …". */
  readonly attempt: string
  readonly url: string
  /** Undefined: POST-as-GET. */
  readonly payload?: object
}

export function createAcmeClient({ url, key, http, signal }: ClientOptions): AcmeClient {
  const nonces: string[] = []
  let known: DirectoryObject | undefined
  let accountUrl: string | undefined

  const ask = async (question: Omit<Parameters<AcmeHttp['ask']>[0], 'signal'>) => {
    const answer = await http.ask({ ...question, signal })
    if (answer.nonce !== undefined && nonces.length < NONCES_KEPT) nonces.push(answer.nonce)
    return answer
  }

  const directory = async (): Promise<DirectoryObject> => {
    if (known !== undefined) return known
    const answer = await ask({ method: 'GET', url })
    const attempt = `read the directory ${url}`
    requireSuccess(attempt, answer)
    known = parseDirectory(jsonOf(attempt, answer))
    return known
  }

  const takeNonce = async (): Promise<string> => {
    const kept = nonces.pop()
    if (kept !== undefined) return kept
    const answer = await ask({ method: 'HEAD', url: (await directory()).newNonce })
    requireSuccess('get a nonce', answer)
    const nonce = nonces.pop()
    if (nonce === undefined) throw malformed('get a nonce', 'the answer has none')
    return nonce
  }

  const post = async (
    { attempt, url: target, payload }: Question,
    about: ProblemSubject = 'order',
  ) => {
    for (let round = 1; ; round++) {
      const header = {
        url: target,
        nonce: await takeNonce(),
        accountUrl: about === 'account' ? undefined : accountUrl,
      }
      const body = JSON.stringify(signJws(key, header, payload))
      const answer = await ask({ method: 'POST', url: target, body })
      if (answer.status < 400) return answer
      const error = problemOf(attempt, answer, about)
      if (error.problem.type !== 'badNonce' || round >= NONCE_ATTEMPTS_MAX) throw error
    }
  }

  const read = async <T>(
    question: Question,
    parse: (value: unknown) => T,
  ): Promise<Answered<T>> => {
    const answer = await post(question)
    const value = parse(jsonOf(question.attempt, answer))
    return { value, retryAfterMs: answer.retryAfterMs }
  }

  return {
    directory,
    useAccount(account) {
      accountUrl = account
    },
    async newAccount({ email, eab }) {
      const { newAccount, meta } = await directory()
      const attempt = `register an account at ${url}`
      if (meta?.externalAccountRequired === true && eab === undefined)
        throw new OperationalError(
          'acme-account-refused',
          `could not ${attempt}: the directory wants an external account binding and none is configured`,
          { retryable: true, hint: 'Give `eab` with the key identifier and HMAC key of the CA.' },
        )
      const payload = {
        termsOfServiceAgreed: true,
        ...(email === undefined ? {} : { contact: [`mailto:${email}`] }),
        ...(eab === undefined
          ? {}
          : { externalAccountBinding: externalAccountBinding(key, { url: newAccount, ...eab }) }),
      }
      const answer = await post({ attempt, url: newAccount, payload }, 'account')
      return locationOf(attempt, answer)
    },
    async newOrder(identifiers) {
      const { newOrder } = await directory()
      const attempt = `order a certificate for ${identifiers.map(one => one.value).join(', ')}`
      const answer = await post({ attempt, url: newOrder, payload: { identifiers } })
      return { url: locationOf(attempt, answer) }
    },
    order: target => read({ attempt: `read the order ${target}`, url: target }, parseOrder),
    authorization: target =>
      read({ attempt: `read the authorization ${target}`, url: target }, parseAuthorization),
    async respond(target) {
      await post({ attempt: 'have a challenge validated', url: target, payload: {} })
    },
    finalize(target, csr) {
      const payload = { csr: Buffer.from(csr).toString('base64url') }
      return read({ attempt: 'have the request signed', url: target, payload }, parseOrder)
    },
    async certificate(target) {
      const attempt = `read the certificate ${target}`
      const answer = await post({ attempt, url: target })
      if (!answer.text.includes('-----BEGIN CERTIFICATE-----'))
        throw malformed(attempt, `the answer is ${answer.contentType || 'of no type'}`)
      return answer.text
    },
  }
}

function requireSuccess(attempt: string, answer: AcmeAnswer): void {
  if (answer.status < 200 || answer.status >= 300) throw problemOf(attempt, answer)
}

function problemOf(
  attempt: string,
  answer: AcmeAnswer,
  about: ProblemSubject = 'order',
): AcmeProblemError {
  const isProblem = answer.contentType === 'application/problem+json'
  const parsed = isProblem ? ProblemObject.safeParse(tryJson(answer.text)).data : undefined
  return new AcmeProblemError(attempt, toProblem(parsed, answer), about)
}

function locationOf(attempt: string, { location }: AcmeAnswer): string {
  if (location !== undefined && URL.parse(location)?.protocol === 'https:') return location
  throw malformed(attempt, 'the answer has no Location with an https URL')
}

function jsonOf(attempt: string, { text }: AcmeAnswer): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw malformed(attempt, describeError(cause))
  }
}

function tryJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function malformed(attempt: string, why: string): OperationalError {
  return new OperationalError('acme-answer-malformed', `could not ${attempt}: ${why}`, {
    retryable: true,
  })
}
