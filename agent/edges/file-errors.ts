// Errors of the file system as the codes that stages act on.

import { constants } from 'node:os'
import { OperationalError, systemErrorCode } from '../../shared/errors.ts'

interface Meaning {
  readonly code: 'disk-full' | 'read-only' | 'permission-denied' | 'unsafe-path' | 'write-failed'
  readonly retryable: boolean
}

const MEANING_OF: Readonly<Record<string, Meaning>> = {
  ENOSPC: { code: 'disk-full', retryable: true },
  EDQUOT: { code: 'disk-full', retryable: true },
  EROFS: { code: 'read-only', retryable: true },
  EACCES: { code: 'permission-denied', retryable: false },
  EPERM: { code: 'permission-denied', retryable: false },
  // A symlink or something else stands where a directory or a file belongs.
  ELOOP: { code: 'unsafe-path', retryable: false },
  ENOTDIR: { code: 'unsafe-path', retryable: false },
  EISDIR: { code: 'unsafe-path', retryable: false },
  // Out of descriptors or memory: passes without anyone doing anything.
  EMFILE: { code: 'write-failed', retryable: true },
  ENFILE: { code: 'write-failed', retryable: true },
  ENOMEM: { code: 'write-failed', retryable: true },
}

const FAILED: Meaning = { code: 'write-failed', retryable: false }

/** `attempt` says what was tried, without the path: `write file`. */
export function writeError(attempt: string, path: string, cause: unknown): OperationalError {
  if (cause instanceof OperationalError) return cause
  const errno = isOverQuota(cause) ? 'EDQUOT' : systemErrorCode(cause)
  const { code, retryable } = (errno === undefined ? undefined : MEANING_OF[errno]) ?? FAILED
  const details = errno === undefined ? { path } : { path, errno }
  return new OperationalError(code, `could not ${attempt} ${path}`, {
    retryable,
    details,
    cause,
    ...(code === 'read-only' ? { hint: READ_ONLY_HINT } : {}),
  })
}

// The paths that the unit lets the agent write are looked up once, when it starts.
const READ_ONLY_HINT =
  'the file system is read-only, or the sandbox of the agent hides it: for a product installed after the agent was started, restart tlsfleet-agent'

// Node has no name for this one: its code is `Unknown system error -122`.
function isOverQuota(error: unknown): boolean {
  return error instanceof Error && 'errno' in error && error.errno === -constants.errno.EDQUOT
}

export function readError(attempt: string, path: string, cause: unknown): OperationalError {
  if (cause instanceof OperationalError) return cause
  const errno = systemErrorCode(cause)
  const details = errno === undefined ? { path } : { path, errno }
  const retryable = errno === 'EMFILE' || errno === 'ENFILE' || errno === 'ENOMEM'
  return new OperationalError('file-unreadable', `could not ${attempt} ${path}`, {
    retryable,
    details,
    cause,
  })
}

export function unsafePath(path: string, why: string, hint?: string): OperationalError {
  return new OperationalError('unsafe-path', `refused to write ${path}: ${why}`, {
    details: { path },
    ...(hint === undefined ? {} : { hint }),
  })
}

/** Nothing has that name: the file, or a directory on the way to it, does not exist. */
export function isMissing(error: unknown): boolean {
  const errno = systemErrorCode(error)
  return errno === 'ENOENT' || errno === 'ENOTDIR'
}
