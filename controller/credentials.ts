// `tlsfleet-controller token`: another API token, made on the controller's machine while it is
// stopped. What can be done with a token is never enough to make one.

import { existsSync } from 'node:fs'
import { Name } from '../shared/contract/schema.ts'
import { OperationalError } from '../shared/errors.ts'
import type { RandomBytes } from '../shared/pki/random.ts'
import type { Secret } from '../shared/secret.ts'
import type { Role } from './api/caller.ts'
import { createOperatorToken } from './api/operator-token.ts'
import { databasePath, notInitialised } from './init.ts'
import { openSqliteStore } from './store/sqlite.ts'

const BUSY_TIMEOUT_MS = 1_000

/** The token, to be shown once. Throws `not-initialised`, `store-locked`, `invalid-name`. */
export async function addCredential(options: {
  readonly dataDir: string
  readonly name: string
  readonly role: Role
  readonly nowMs: number
  readonly random: RandomBytes
}): Promise<Secret> {
  const { dataDir, name, role, nowMs, random } = options
  if (!Name.safeParse(name).success)
    throw new OperationalError('invalid-name', `could not make a token for ${name}`, {
      hint: 'Use lower-case letters, digits, `-` and `.`.',
    })
  const path = databasePath(dataDir)
  if (!existsSync(path)) throw notInitialised(dataDir)
  const store = await openSqliteStore({ path, busyTimeoutMs: BUSY_TIMEOUT_MS })
  try {
    const { id, secretHash, token } = createOperatorToken(random)
    await store.transaction(async tx => {
      if ((await tx.settings.get('fleet')) === undefined) throw notInitialised(dataDir)
      const credential = { id, name, role, secretHash, createdAtMs: nowMs, expiresAtMs: undefined }
      await tx.credentials.insert(credential)
      const subject = `${name}/${id}`
      await tx.audit.append({
        atMs: nowMs,
        actor: 'local',
        action: `token-create-${role}`,
        subject,
      })
    })
    return token
  } finally {
    await store.close()
  }
}
