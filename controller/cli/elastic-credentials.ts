// Who `tlsfleet elastic` is for Elasticsearch and Kibana. Secrets come from a file, from standard
// input or from a person, never from an argument or the environment.

import { OperationalError } from '../../shared/errors.ts'
import { Secret } from '../../shared/secret.ts'
import { basicAuthorization } from '../elastic/elasticsearch.ts'
import { readSecretFile } from '../elastic/passwords.ts'
import type { Session } from './output.ts'

export interface CredentialOptions {
  readonly user: string
  readonly passwordFile?: string
  readonly apiKeyFile?: string
}

/** Value of the Authorization header. */
export async function readAuthorization(
  session: Session,
  { user, passwordFile, apiKeyFile }: CredentialOptions,
): Promise<Secret> {
  if (apiKeyFile !== undefined && passwordFile !== undefined)
    throw new OperationalError('usage', 'could not log in to Elasticsearch', {
      cause: new Error('only one of --password-file and --api-key-file can be used'),
    })
  if (apiKeyFile !== undefined) return apiKeyAuthorization(await readText(session, apiKeyFile))
  if (user === '' || user.includes(':'))
    throw new OperationalError('usage', 'could not read --user', {
      cause: new Error('a user name is not empty and has no colon'),
    })
  const password =
    passwordFile === undefined
      ? await askPassword(session, user)
      : (await readText(session, passwordFile)).replace(/\r?\n$/, '')
  if (password === '') throw new OperationalError('usage', `the password of ${user} is empty`)
  return basicAuthorization(user, new Secret(password))
}

async function readText(session: Session, path: string): Promise<string> {
  return path === '-' ? await session.terminal.readInput() : readSecretFile(path)
}

async function askPassword(session: Session, user: string): Promise<string> {
  const { terminal, json, signal } = session
  if (json || !terminal.canAsk)
    throw new OperationalError('usage', 'could not log in to Elasticsearch', {
      cause: new Error('there is no terminal to ask for the password on'),
      hint: 'keep it in a file (--password-file FILE) or pipe it in (--password-file -)',
    })
  return await terminal.askSecretly(`password of ${user}: `, signal)
}

// As the API hands it out: `id:key`, or both in base64 already.
function apiKeyAuthorization(text: string): Secret {
  const key = text.trim()
  if (!/^[\x21-\x7e]{1,4096}$/.test(key))
    throw new OperationalError('usage', 'could not read the API key', {
      cause: new Error(key === '' ? 'it is empty' : 'it is not one word of plain text'),
    })
  return new Secret(`ApiKey ${key.includes(':') ? Buffer.from(key).toString('base64') : key}`)
}
