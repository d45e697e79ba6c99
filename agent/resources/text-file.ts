// Text files as they are observed: contents, owner and mode, or why they cannot be read.

import { posix } from 'node:path'
import { sha256 } from '../../shared/digest.ts'
import { OperationalError, describeError } from '../../shared/errors.ts'
import type { Reason } from '../../shared/contract/schema.ts'
import type { FileStat, Files } from '../host.ts'

export type TextFile =
  | {
      readonly kind: 'text'
      readonly text: string
      readonly sha256: string
      readonly realPath: string
      readonly stat: FileStat
    }
  | { readonly kind: 'missing' }
  | { readonly kind: 'unreadable'; readonly reason: Reason }

/** Decodes strictly: bytes that are not UTF-8 would be lost by an edit, so such a file is unreadable. */
export async function observeTextFile(files: Files, path: string): Promise<TextFile> {
  try {
    const stat = await files.statFollowed(path)
    if (stat === undefined) return { kind: 'missing' }
    const bytes = await files.read(path)
    if (bytes === undefined) return { kind: 'missing' }
    const realPath = await linkEnd(files, path)
    return { kind: 'text', text: strictUtf8.decode(bytes), sha256: sha256(bytes), realPath, stat }
  } catch (error) {
    return { kind: 'unreadable', reason: unreadable(path, error) }
  }
}

/** Where a chain of symlinks ends. An edit replaces the file there and leaves the operator's links as they are. */
async function linkEnd(files: Files, path: string): Promise<string> {
  let current = path
  for (let hops = 0; hops < LINKS_MAX; hops++) {
    const target = await files.readLink(current)
    if (target === undefined) return current
    current = posix.resolve(posix.dirname(current), target)
  }
  throw new OperationalError('unsafe-path', 'too many symlinks')
}

// As many as Linux follows.
const LINKS_MAX = 40

// ignoreBOM keeps a byte order mark in the text, so that it is written back.
const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

function unreadable(path: string, error: unknown): Reason {
  if (error instanceof OperationalError)
    return { code: error.code, message: `${path}: ${describeError(error)}` }
  if (error instanceof TypeError) {
    return { code: 'file-not-utf8', message: `${path} is not valid UTF-8; it is left alone` }
  }
  return { code: 'file-unreadable', message: `${path} could not be read: ${describeError(error)}` }
}
