// Writes archives that every tar reads: plain files in the format ustar, the same bytes for the same
// contents.

import { assert } from '../../shared/assert.ts'

export interface TarFile {
  /** Printable ASCII, no slash at its beginning. */
  readonly name: string
  readonly contents: Buffer
  readonly modifiedAtMs: number
}

const BLOCK = 512
export const TAR_NAME_MAX = 100

export function tarEntry({ name, contents, modifiedAtMs }: TarFile): Buffer {
  assert(/^[!-.0-~][!-~]{0,99}$/.test(name), 'a name in an archive is short and printable')
  const header = Buffer.alloc(BLOCK)
  header.write(name, 0, 'latin1')
  writeOctal(header, MODE, 100, 8)
  // Of nobody in particular: whoever unpacks it owns it.
  writeOctal(header, 0, 108, 8)
  writeOctal(header, 0, 116, 8)
  writeOctal(header, contents.length, 124, 12)
  writeOctal(header, Math.floor(modifiedAtMs / 1000), 136, 12)
  header.write('0', 156, 'latin1')
  header.write('ustar\x0000', 257, 'latin1')
  // The sum is made as if its own field held blanks.
  header.fill(' ', 148, 156)
  const sum = header.reduce((total, byte) => total + byte, 0)
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1')
  const padding = Buffer.alloc((BLOCK - (contents.length % BLOCK)) % BLOCK)
  return Buffer.concat([header, contents, padding])
}

const MODE = 0o644

/** What every archive ends with. */
export const TAR_END = Buffer.alloc(2 * BLOCK)

function writeOctal(header: Buffer, value: number, offset: number, width: number): void {
  header.write(`${value.toString(8).padStart(width - 1, '0')}\0`, offset, 'latin1')
}
