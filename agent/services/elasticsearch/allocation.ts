// Shard allocation around the restart of one node: while it is away, its copies are not built anew
// elsewhere, because they come back with it. The setting is persistent and belongs to the whole
// cluster, so who has made it is written beside it, and only that is taken back. Facts: elastic, 2(h),
// official rolling restart; user-defined cluster metadata: elastic, modules/cluster/misc.

import * as z from 'zod/mini'
import type { HttpAnswer } from '../../host.ts'
import { jsonIn } from '../json-in.ts'
import type { AbsenceIntent, AbsenceStep } from '../service.ts'

const ENABLE = 'cluster.routing.allocation.enable'
const HELD = 'primaries'
// One name per debt, so that the debts of two nodes do not undo each other.
const MARK = 'cluster.metadata.tlsfleet_absence_'

const Flat = z.record(z.string(), z.unknown())
const Settings = z.object({ persistent: Flat, transient: z._default(Flat, {}) })

export const ALLOCATION: AbsenceIntent = {
  path: '/_cluster/settings?flat_settings=true&master_timeout=5s',
  announce,
  withdraw,
}

function announce(answer: HttpAnswer, debtId: string, note: string): AbsenceStep {
  const settings = settingsIn(answer)
  if (settings === undefined) return unable(answer)
  const { persistent, transient } = settings
  const chosen = persistent[ENABLE] ?? 'all'
  // Copies that are not to be allocated anyway need nothing of us, and it is not ours to undo; beside a
  // transient setting a persistent one has no effect.
  const isTheirs = transient[ENABLE] !== undefined || chosen !== 'all'
  if (isTheirs && marksIn(persistent).length === 0) return { kind: 'nothing' }
  return writing({ [ENABLE]: HELD, [`${MARK}${debtId}`]: note })
}

/**
 * The last one that is back takes the setting back; what an operator has set meanwhile stays. Asked once
 * more after each write: of two that go at once each may have seen the mark of the other.
 */
function withdraw(answer: HttpAnswer, debtId: string, wasMarked: boolean): AbsenceStep {
  const settings = settingsIn(answer)
  if (settings === undefined) return unable(answer)
  const { persistent } = settings
  const marks = marksIn(persistent)
  const own = `${MARK}${debtId}`
  const isMarked = marks.includes(own)
  const isLast = marks.every(mark => mark === own)
  const isUndone = isLast && persistent[ENABLE] === HELD && (isMarked || wasMarked)
  if (!isMarked && !isUndone) return { kind: 'nothing' }
  return writing({ ...(isMarked ? { [own]: null } : {}), ...(isUndone ? { [ENABLE]: null } : {}) })
}

function writing(persistent: Readonly<Record<string, string | null>>): AbsenceStep {
  return { kind: 'write', json: JSON.stringify({ persistent }) }
}

function settingsIn({ status, body }: HttpAnswer) {
  const parsed = Settings.safeParse(jsonIn(body))
  return status === 200 && parsed.success ? parsed.data : undefined
}

function marksIn(settings: Readonly<Record<string, unknown>>): readonly string[] {
  return Object.keys(settings).filter(key => key.startsWith(MARK) && settings[key] !== null)
}

function unable({ status }: HttpAnswer): AbsenceStep {
  return { kind: 'unable', why: `GET _cluster/settings answers ${status}` }
}
