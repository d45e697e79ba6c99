// Reads what is there of the accounts. Only asks, never writes.

import { OperationalError } from '../../shared/errors.ts'
import type { Account, AccountName } from './accounts.ts'
import type { Connection } from './connection.ts'
import { isAccepted, readRole, readUser } from './elasticsearch.ts'
import { readKibanaRole } from './kibana.ts'
import type { PasswordFile, Passwords } from './passwords.ts'
import type { ObservedAccount, ObservedRole, ObservedUser, PasswordState } from './plan.ts'

export interface Connections {
  readonly elasticsearch: Connection
  readonly kibana: Connection | undefined
}

export async function observeAccount(
  connections: Connections,
  account: Account,
  passwords: Passwords,
): Promise<ObservedAccount> {
  const { elasticsearch } = connections
  const { name } = account
  const role = await observeRole(connections, account)
  if (role === 'unknown') return { role, user: undefined, password: 'unchecked' }
  const user = await readUser(elasticsearch, name)
  const password = await observePassword(elasticsearch, name, user, passwords.atHand(name))
  return { role, user, password }
}

async function observeRole(
  { elasticsearch, kibana }: Connections,
  { name, role }: Account,
): Promise<ObservedRole | 'unknown' | undefined> {
  if (role.api === 'kibana' && kibana === undefined) return 'unknown'
  const stored = await readRole(elasticsearch, name)
  if (role.api === 'elasticsearch' || kibana === undefined)
    return stored === undefined ? undefined : { api: 'elasticsearch', role: stored }
  const shown = await readKibanaRole(kibana, name)
  if ((shown === undefined) !== (stored === undefined)) throw otherClusterError(kibana, name)
  return shown === undefined ? undefined : { api: 'kibana', role: shown }
}

/** Kibana keeps its roles in its own Elasticsearch: both must tell the same of a role. */
export function otherClusterError(kibana: Connection, role: string): OperationalError {
  return new OperationalError(
    'kibana-of-other-cluster',
    `could not use Kibana ${kibana.url} for role ${role}`,
    {
      cause: new Error('the role is there for only one of Kibana and Elasticsearch'),
      hint: 'check that Kibana is one of this cluster',
    },
  )
}

async function observePassword(
  elasticsearch: Connection,
  name: AccountName,
  user: ObservedUser | undefined,
  file: PasswordFile | undefined,
): Promise<PasswordState> {
  if (file === undefined) return 'none'
  // Nobody can log in as a disabled user, whatever the password.
  if (user?.enabled !== true) return 'unchecked'
  return (await isAccepted(elasticsearch, name, file.password)) ? 'accepted' : 'refused'
}
