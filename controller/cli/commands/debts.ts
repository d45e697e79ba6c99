// What nodes owe to their clusters.

import { EXIT, type ExitCode } from '../exit-codes.ts'
import { type Session, show } from '../output.ts'
import { withClient } from '../session.ts'
import { debtsText } from '../views/debts.ts'

export async function listDebts(session: Session): Promise<ExitCode> {
  const list = await withClient(session, client => client.debts())
  const { width } = session
  const nowMs = session.clock.now()
  show(session, list, shown => debtsText(shown.debts, { width, nowMs }))
  return EXIT.ok
}

export async function forgiveDebt(session: Session, id: string, reason: string): Promise<ExitCode> {
  await withClient(session, client => client.forgiveDebt(id, reason))
  show(session, { forgiven: id }, () => `debt ${id} is forgotten; nothing was changed anywhere\n`)
  return EXIT.ok
}
