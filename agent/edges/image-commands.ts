// Programs of a root in which nothing runs: the products of an image, run inside of it.

import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { OperationalError } from '../../shared/errors.ts'
import type { Accounts, CommandResult, Commands, Files, UnitState } from '../host.ts'
import { serviceIds } from './commands.ts'
import { PLAIN_ENVIRONMENT, runProgram } from './run-program.ts'
import { firstLine } from './systemctl.ts'

export interface ImageCommandsOptions {
  readonly root: string
  readonly files: Pick<Files, 'statFollowed'>
  readonly accounts: Pick<Accounts, 'user' | 'group'>
}

const CHROOT = '/usr/sbin/chroot'

export function createImageCommands({ root, files, accounts }: ImageCommandsOptions): Commands {
  return {
    async run(argv, { timeoutMs, asServiceOf, stdin, environment: more }) {
      const [file = ''] = argv
      if (process.geteuid?.() !== 0)
        throw notStarted(file, root, 'only root can run programs of another root')
      if ((await files.statFollowed(file))?.kind !== 'file')
        throw new OperationalError('command-missing', `could not run ${file}: ${root} has none`, {
          details: { file, root },
        })
      if (!existsSync(CHROOT)) throw notStarted(file, root, `there is no ${CHROOT} here`)
      const ids = asServiceOf === undefined ? undefined : await serviceIds(asServiceOf, accounts)
      const chroot = [CHROOT, ...identity(ids), resolve(root), ...argv]
      const environment = { ...innocent(asServiceOf), ...more, ...PLAIN_ENVIRONMENT }
      return chrootResult(file, root, await runProgram(chroot, { timeoutMs, environment, stdin }))
    },
  }
}

// By number: a name would be looked up by libraries of the image, as root.
function identity(ids: { readonly uid: number; readonly gid: number } | undefined) {
  return ids === undefined ? [] : [`--userspec=+${ids.uid}:+${ids.gid}`, '--groups=']
}

/** chroot itself is a program of this machine: what an image says to its loader must not reach it. */
function innocent(unit: UnitState | undefined): Readonly<Record<string, string>> {
  const entries = Object.entries(unit?.environment ?? {})
  return Object.fromEntries(entries.filter(([name]) => !/^(LD|GLIBC|GCONV)_/.test(name)))
}

// 125 to 127: chroot failed before the program was reached, for one of another architecture for example.
function chrootResult(file: string, root: string, result: CommandResult): CommandResult {
  const { code, stderr } = result
  const isUnreached = code !== undefined && code >= 125 && code <= 127
  if (!isUnreached || !stderr.startsWith(`${CHROOT}: `)) return result
  throw notStarted(file, root, firstLine(stderr).slice(CHROOT.length + 2))
}

function notStarted(file: string, root: string, why: string): OperationalError {
  return new OperationalError(
    'command-failed-to-start',
    `could not run ${file} of ${root}: ${why}`,
    {
      details: { file, root },
    },
  )
}
