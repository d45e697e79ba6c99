// Another CA passphrase: every key in the store is opened with the one before and sealed with the next, all
// of them or none.

import { OperationalError } from '../shared/errors.ts'
import type { Secret } from '../shared/secret.ts'
import { resealPending } from './ca/ca-settings.ts'
import { createSealing, reseal } from './ca/sealed-key.ts'
import { type OnController, withStore } from './stopped-store.ts'

/**
 * How many keys there are. The controller must be stopped. Throws `usage` where both are the same,
 * `wrong-passphrase`, `store-locked`, `not-initialised`; nothing is changed then.
 */
export async function changePassphrase(
  controller: OnController,
  next: Secret,
): Promise<{ readonly keys: number }> {
  const { passphrase, nowMs, random } = controller
  if (next.reveal().normalize('NFC') === passphrase.reveal().normalize('NFC'))
    throw new OperationalError('usage', 'the new CA passphrase is the one that the keys have now')
  const to = createSealing(next)
  return withStore(controller, async (tx, { sealing }) => {
    const change = (envelope: string) => reseal(envelope, { from: sealing, to, random })
    const keys = (await tx.sealed.replaceAll(change)) + (await resealPending(tx, change))
    await tx.audit.append({ atMs: nowMs, actor: 'local', action: 'ca-passphrase', subject: 'ca' })
    return { keys }
  })
}
