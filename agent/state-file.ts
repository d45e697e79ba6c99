// Small JSON documents that the agent must not misread: checksummed, replaced atomically. One that
// fails its checksum or is of a later version is set aside, never guessed at, and never a reason to
// crash: everything in it can be rebuilt from the node and the controller.

import { digestOf, type Json } from '../shared/digest.ts'
import type { Reason } from '../shared/contract/schema.ts'
import { OperationalError } from '../shared/errors.ts'
import type { Files } from './host.ts'

export interface StateFile<T> {
  /** Undefined: there is none, or it was damaged and is now beside it as `.damaged`. */
  read(): Promise<{ readonly value: T | undefined; readonly damage: Reason | undefined }>
  write(value: T): Promise<void>
  clear(): Promise<void>
}

/** `parse` throws for a document of another version or shape. */
export function stateFile<T extends object>(
  files: Files,
  path: string,
  parse: (value: unknown) => T,
): StateFile<T> {
  const slash = path.lastIndexOf('/')
  const temporary = `${path.slice(0, slash + 1)}.tlsfleet-${path.slice(slash + 1)}`
  return {
    async read() {
      const bytes = await files.read(path).catch(orNoFile)
      if (bytes === undefined) return { value: undefined, damage: undefined }
      try {
        return { value: parse(checked(Buffer.from(bytes).toString('utf8'))), damage: undefined }
      } catch (error) {
        // On a disk that takes no change it stays where it is, and is looked at again another time.
        await files.rename(path, `${path}.damaged`).catch(ignoreRefusal)
        const why = error instanceof Error ? error.message : String(error)
        return {
          value: undefined,
          damage: {
            code: 'state-damaged',
            message: `${path} could not be used (${why}); it was set aside and is rebuilt`,
          },
        }
      }
    },
    async write(value) {
      const body: Json = JSON.parse(JSON.stringify(value))
      const text = `${JSON.stringify({ checksum: digestOf(body), body })}\n`
      await files.create(temporary, {
        contents: Buffer.from(text),
        mode: 0o600,
        ...OWN,
        overwrite: true,
      })
      await files.rename(temporary, path)
    },
    async clear() {
      await files.remove(path)
    },
  }
}

// Something else in its place, a directory say, is damage; a file that cannot be read may be all right.
function orNoFile(error: unknown): Uint8Array {
  if (error instanceof OperationalError && error.code === 'not-a-file') return new Uint8Array()
  throw error
}

function ignoreRefusal(error: unknown): void {
  if (!(error instanceof OperationalError)) throw error
}

/** The agent's own files belong to the user it runs as. */
export const OWN = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 }

function checked(text: string): unknown {
  const document: unknown = JSON.parse(text)
  if (
    typeof document !== 'object' ||
    document === null ||
    !('checksum' in document) ||
    !('body' in document)
  ) {
    throw new Error('not a state document')
  }
  const body: Json = JSON.parse(JSON.stringify(document.body))
  if (digestOf(body) !== document.checksum) throw new Error('checksum does not match')
  return document.body
}
