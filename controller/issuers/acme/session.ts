// An account at a directory, ready to order: trust, key and binding are read when it is opened, so
// that a file which was put right needs no restart.

import { readFileSync, statSync } from 'node:fs'
import type { Clock } from '../../../shared/clock.ts'
import { OperationalError } from '../../../shared/errors.ts'
import { splitPemCertificates } from '../../../shared/pki/pem.ts'
import type { RandomBytes } from '../../../shared/pki/random.ts'
import { Secret } from '../../../shared/secret.ts'
import { makeAcmeKey, openAcmeKey } from '../../ca/acme-key.ts'
import type { Sealing } from '../../ca/sealed-key.ts'
import type { AcmeAccountRecord } from '../../store/acme-store.ts'
import type { Store } from '../../store/store.ts'
import { VERSION } from '../../version.ts'
import { type AcmeClient, createAcmeClient } from './client.ts'
import { createAcmeHttp } from './http.ts'
import { type AccountKey, accountKey } from './jws.ts'
import type { AcmeDirectory } from './settings.ts'

export interface AcmeSession {
  readonly client: AcmeClient
  readonly key: AccountKey
  readonly termsOfService: string | undefined
}

export interface SessionContext {
  readonly store: Store
  readonly sealing: Sealing
  readonly clock: Clock
  readonly random: RandomBytes
  readonly signal: AbortSignal
}

/** Registers where that was not done, or is not known to have succeeded: the same key gives the same account. */
export async function openSession(
  context: SessionContext,
  directory: AcmeDirectory,
): Promise<AcmeSession> {
  const { store, clock, signal } = context
  const { name, url, email, caFile } = directory
  const http = createAcmeHttp({
    ca: caFile === undefined ? undefined : readTrust(caFile),
    userAgent: `tlsfleet/${VERSION}`,
    now: () => clock.now(),
  })
  const account = await accountOf(context, directory)
  const key = accountKey(openAcmeKey(context.sealing, account))
  const client = createAcmeClient({ url, key, http, signal })
  const { meta } = await client.directory()

  let { accountUrl } = account
  if (accountUrl === undefined) {
    const eab = directory.eab && {
      kid: directory.eab.kid,
      hmacKey: readHmac(directory.eab.hmacFile),
    }
    const registered = await client.newAccount({ email, eab })
    accountUrl = registered
    await store.transaction(async tx => {
      await tx.acme.setAccountUrl(name, url, registered)
      await tx.audit.append({
        atMs: clock.now(),
        actor: 'local',
        action: 'acme-account-register',
        subject: `${name}: ${registered}`,
      })
    })
  }
  client.useAccount(accountUrl)
  return { client, key, termsOfService: meta?.termsOfService }
}

/** The key is stored before the directory hears of it: a crash in between loses no account. */
async function accountOf(
  { store, sealing, clock, random }: SessionContext,
  { name, url }: AcmeDirectory,
): Promise<AcmeAccountRecord> {
  const known = await store.transaction(tx => tx.acme.account(name, url))
  if (known !== undefined) return known
  const made: AcmeAccountRecord = {
    directory: name,
    directoryUrl: url,
    accountUrl: undefined,
    keySealed: makeAcmeKey(sealing, name, random),
    createdAtMs: clock.now(),
  }
  await store.transaction(tx => tx.acme.insertAccount(made))
  return made
}

function readTrust(path: string): string {
  try {
    const text = readFileSync(path, 'utf8')
    if (splitPemCertificates(text).length > 0) return text
    throw new Error('it holds no certificate')
  } catch (cause) {
    throw new OperationalError('acme-ca-unreadable', `could not read caFile ${path}`, {
      retryable: true,
      cause,
    })
  }
}

const HMAC_BYTES_MIN = 16

/** base64url, as CAs give it out; the other alphabet and padding are taken too. */
function readHmac(path: string): Secret {
  try {
    if ((statSync(path).mode & 0o007) !== 0)
      throw new Error(`it is open to every user; chmod 600 ${path}`)
    const text = readFileSync(path, 'utf8').trim().replaceAll('+', '-').replaceAll('/', '_')
    const key = text.replace(/=+$/, '')
    if (!/^[A-Za-z0-9_-]+$/.test(key) || Buffer.from(key, 'base64url').length < HMAC_BYTES_MIN)
      throw new Error(`it is not base64url of at least ${HMAC_BYTES_MIN} bytes`)
    return new Secret(key)
  } catch (cause) {
    throw new OperationalError('acme-eab-unreadable', `could not read eab.hmacFile ${path}`, {
      retryable: true,
      cause,
    })
  }
}
