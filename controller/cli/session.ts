// What commands do at their start and end: connect, ask, read the fleet spec.

import { readFileSync, statSync } from 'node:fs'
import { basename } from 'node:path'
import { OperationalError, systemErrorCode } from '../../shared/errors.ts'
import { type Client, createClient } from './client.ts'
import { configPath, readConfig, selectContext } from './context.ts'
import { followIdentityRoots } from './identity-roots.ts'
import type { Session } from './output.ts'
import { relativeTime } from './views/words.ts'

/** Runs `work` with a client of the chosen context, and closes it whatever happens. */
export async function withClient<T>(
  session: Session,
  work: (client: Client) => Promise<T>,
): Promise<T> {
  const path = configPath(session.environment)
  const config = readConfig(path)
  const context = selectContext(config, session.contextName)
  const client = createClient(context, session.signal)
  try {
    return await work(client)
  } finally {
    const name = session.contextName ?? config.current ?? ''
    warnOfEnd(session, client.credentialEnds())
    await followIdentityRoots(session, client, { path, name, context })
    client.close()
  }
}

// On the error output: programs read the other one.
function warnOfEnd({ terminal, clock }: Session, ends: string | undefined): void {
  const endsAtMs = Date.parse(ends ?? '')
  if (Number.isNaN(endsAtMs)) return
  const when = relativeTime(endsAtMs, clock.now())
  terminal.err(
    `warning: this login ends ${when}; an admin makes a new token (tlsfleet token create), log in with it (tlsfleet login), or renew the certificate\n`,
  )
}

export interface SpecFile {
  readonly text: string
  /** As problems in it name it. */
  readonly name: string
}

// The controller's limit; a larger file is not a fleet spec.
const SPEC_BYTES_MAX = 200 * 1024

/** `-` is standard input. */
export async function readSpec(session: Session, path: string): Promise<SpecFile> {
  if (path === '-') return { text: await session.terminal.readInput(), name: '<stdin>' }
  try {
    if (statSync(path).size > SPEC_BYTES_MAX)
      throw new Error(`it is larger than ${SPEC_BYTES_MAX / 1024} KiB`)
    return { text: readFileSync(path, 'utf8'), name: path }
  } catch (cause) {
    const isMissing = systemErrorCode(cause) === 'ENOENT'
    throw new OperationalError('file-unreadable', `could not read ${basename(path)}`, {
      cause: isMissing ? new Error(`there is no file ${path}`) : cause,
    })
  }
}

/** True: go ahead. Off a terminal there is nobody to ask, and silence is no consent. */
export async function confirm(
  session: Session,
  question: { readonly attempt: string; readonly text: string; readonly isGiven: boolean },
): Promise<boolean> {
  if (question.isGiven) return true
  if (session.json || !session.terminal.canAsk)
    throw new OperationalError('confirmation-needed', `could not ${question.attempt}`, {
      cause: new Error('there is no terminal to ask on'),
      hint: 'give --yes to go ahead without being asked',
    })
  const answer = await session.terminal.ask(`${question.text} [y/N] `, session.signal)
  return /^y(es)?$/i.test(answer.trim())
}
