// Makes the requests of a plan, one after the other, and proves each that can be proven.

import { unreachable } from '../../shared/assert.ts'
import type { AccountName } from './accounts.ts'
import type { Connection } from './connection.ts'
import { isAccepted, readRole, writePassword, writeRole, writeUser } from './elasticsearch.ts'
import { errorOf } from './errors.ts'
import { writeKibanaRole } from './kibana.ts'
import { type Connections, otherClusterError } from './observe.ts'
import { type PasswordFile, type Passwords, noPlaceError } from './passwords.ts'
import type { Entry, PasswordSource } from './plan.ts'

/** Throws before the first write if a password that is to be made would have no place. */
export function checkPlaces(entries: readonly Entry[], passwords: Passwords): void {
  for (const { name, write } of entries)
    if (write !== undefined && 'password' in write && write.password === 'new')
      if (passwords.placeFor(name) === undefined) throw noPlaceError(name)
}

/** The file of the password that the entry has set, if it has. */
export async function carryOut(
  connections: Connections,
  { name, write }: Entry,
  passwords: Passwords,
): Promise<PasswordFile | undefined> {
  const { elasticsearch } = connections
  switch (write?.kind) {
    case undefined:
      return undefined
    case 'role':
      if (write.api === 'elasticsearch') await writeRole(elasticsearch, name, write.body)
      else await writeRoleOfKibana(connections, name, write.body)
      return undefined
    case 'update-user':
      await writeUser(elasticsearch, name, write.body)
      return undefined
    case 'create-user': {
      const file = takePassword(passwords, name, write.password)
      await writeUser(elasticsearch, name, write.body, file.password)
      await provePassword(elasticsearch, name, file)
      return file
    }
    case 'set-password': {
      const file = takePassword(passwords, name, write.password)
      await writePassword(elasticsearch, name, file.password)
      await provePassword(elasticsearch, name, file)
      return file
    }
    default:
      return unreachable(write)
  }
}

async function writeRoleOfKibana(
  { elasticsearch, kibana }: Connections,
  name: AccountName,
  body: object,
): Promise<void> {
  if (kibana === undefined) return
  await writeKibanaRole(kibana, name, body)
  if ((await readRole(elasticsearch, name)) === undefined) throw otherClusterError(kibana, name)
}

function takePassword(
  passwords: Passwords,
  name: AccountName,
  source: PasswordSource,
): PasswordFile {
  const file = source === 'new' ? passwords.make(name) : passwords.atHand(name)
  if (file === undefined) throw noPlaceError(name)
  return file
}

async function provePassword(
  elasticsearch: Connection,
  name: AccountName,
  { password }: PasswordFile,
): Promise<void> {
  if (await isAccepted(elasticsearch, name, password)) return
  const { product, url } = elasticsearch
  throw errorOf(
    { product, url, attempt: `log in as ${name}` },
    'password-not-accepted',
    'the password was set and is not accepted',
    'the native realm may be switched off or come behind another one: look at xpack.security.authc.realms',
  )
}
