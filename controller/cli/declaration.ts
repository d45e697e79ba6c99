// What declarations of commands share. A declaration reads arguments; the command itself is imported
// when it is called, so that help and mistakes answer at once.

import { Option } from 'commander'
import type { ExitCode } from './exit-codes.ts'
import type { Session } from './output.ts'

/** Runs a command with the session that its global options make. */
export type Act = (command: (session: Session) => Promise<ExitCode>) => Promise<void>

export function labelFilter(): Option {
  return new Option('--label <key=value...>', 'only nodes with these labels')
}
