// What the node has to ask a product with: files that its own configuration names. Read anew for every
// question, so that a changed one counts at once; never kept, never written, never sent elsewhere.

import { Secret } from '../shared/secret.ts'
import type { Host } from './host.ts'
import type { Credential } from './issuers.ts'

/**
 * Value of an Authorization header. Undefined without credentials, or where the file is not there or
 * holds no such thing: the product is asked as everybody asks it then.
 */
export async function authorizationFor(
  host: Pick<Host, 'files'>,
  credential: Credential | undefined,
): Promise<Secret | undefined> {
  if (credential === undefined) return undefined
  if ('apiKeyFile' in credential) {
    const key = await lineIn(host, credential.apiKeyFile)
    return key === undefined || !API_KEY.test(key) ? undefined : new Secret(`ApiKey ${key}`)
  }
  const password = await lineIn(host, credential.passwordFile)
  if (password === undefined) return undefined
  const pair = Buffer.from(`${credential.user}:${password}`).toString('base64')
  return new Secret(`Basic ${pair}`)
}

// As Elasticsearch hands it out, `encoded`.
const API_KEY = /^[\w+/=:-]{8,1024}$/

async function lineIn({ files }: Pick<Host, 'files'>, path: string): Promise<string | undefined> {
  const bytes = await files.read(path).catch(() => undefined)
  const text =
    bytes === undefined
      ? ''
      : Buffer.from(bytes)
          .toString('utf8')
          .replace(/\r?\n$/, '')
  return text === '' || text.includes('\n') ? undefined : text
}
