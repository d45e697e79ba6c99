// `tlsfleet-controller token`: an API token, made on the controller's machine while it is stopped: the way back
// in for whoever has lost the last one. Its operator is made where there is none of the name.

import { existsSync } from 'node:fs'
import { Name } from '../shared/contract/schema.ts'
import { OperationalError } from '../shared/errors.ts'
import type { RandomBytes } from '../shared/pki/random.ts'
import type { Secret } from '../shared/secret.ts'
import { TOKEN_LIFETIME_MS } from '../shared/contract/operators.ts'
import type { Role } from './api/caller.ts'
import { createOperatorToken, requireTokenLifetime } from './api/operator-token.ts'
import { covers } from './api/policy.ts'
import { databasePath, notInitialised } from './init.ts'
import { openSqliteStore } from './store/sqlite.ts'
import type { Transaction } from './store/store.ts'

const BUSY_TIMEOUT_MS = 1_000

/**
 * The token, to be shown once. Throws `not-initialised`, `store-locked`, `invalid-name`, `invalid-lifetime`,
 * `operator-disabled`, `role-exceeds-operator`.
 */
export async function addCredential(options: {
  readonly dataDir: string
  readonly name: string
  readonly role: Role
  readonly nowMs: number
  readonly random: RandomBytes
  readonly lifetimeMs?: number
}): Promise<Secret> {
  const { dataDir, name, role, nowMs, random, lifetimeMs = TOKEN_LIFETIME_MS } = options
  requireTokenLifetime(name, lifetimeMs)
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
      await requireOperator(tx, { name, role, nowMs })
      await tx.credentials.insert({
        id,
        name,
        role,
        secretHash,
        createdAtMs: nowMs,
        createdBy: ACTOR,
        expiresAtMs: nowMs + lifetimeMs,
      })
      const subject = `${name}/${id}`
      await tx.audit.append({
        atMs: nowMs,
        actor: ACTOR,
        action: `token-create-${role}`,
        subject,
      })
    })
    return token
  } finally {
    await store.close()
  }
}

const ACTOR = 'local'

async function requireOperator(
  tx: Transaction,
  { name, role, nowMs }: { readonly name: string; readonly role: Role; readonly nowMs: number },
): Promise<void> {
  const operator = await tx.operators.get(name)
  const refused = (code: string, why: string) =>
    new OperationalError(code, `could not make a token for ${name}: ${why}`, {
      hint: 'Choose another name; operators are changed with `tlsfleet operator`.',
    })
  if (operator === undefined) {
    const made = { certificateNames: [], isDisabled: false, createdAtMs: nowMs, createdBy: ACTOR }
    await tx.operators.insert({ name, role, ...made })
    await tx.audit.append({ atMs: nowMs, actor: ACTOR, action: 'operator-add', subject: name })
    return
  }
  if (operator.isDisabled) throw refused('operator-disabled', 'this operator is disabled')
  if (!covers(operator.role, role))
    throw refused('role-exceeds-operator', `this operator has the role ${operator.role}`)
}
