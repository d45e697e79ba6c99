// Archives whose bytes depend on nothing but their contents: entries sorted, all of root, one time.

import { posix } from 'node:path'

export interface FileEntry {
  /** As installed, without the leading slash. */
  readonly path: string
  readonly mode: number
  readonly content: Buffer
}

const BLOCK = 512
const NAME_BYTES_MAX = 100

/** `prefix` stands before every path: `./` in packages. Parents are entries of their own. */
export function tar(files: readonly FileEntry[], prefix: string, epoch: number): Buffer {
  const directories = new Set<string>()
  for (const { path } of files)
    for (let at = posix.dirname(path); at !== '.'; at = posix.dirname(at)) directories.add(at)
  const entries = [
    ...[...directories].map(path => ({ name: `${path}/`, mode: 0o755, content: Buffer.alloc(0) })),
    ...files.map(({ path, mode, content }) => ({ name: path, mode, content })),
  ].toSorted((a, b) => (a.name < b.name ? -1 : 1))
  const root = { name: '', mode: 0o755, content: Buffer.alloc(0) }
  return Buffer.concat([
    ...[root, ...entries].flatMap(({ name, mode, content }) => [
      header(`${prefix}${name}`, mode, content.length, epoch),
      content,
      Buffer.alloc(-content.length & (BLOCK - 1)),
    ]),
    Buffer.alloc(2 * BLOCK),
  ])
}

function header(name: string, mode: number, size: number, epoch: number): Buffer {
  if (Buffer.byteLength(name) > NAME_BYTES_MAX)
    throw new Error(`archive ${name}: the path is longer than ${NAME_BYTES_MAX} bytes`)
  const block = Buffer.alloc(BLOCK)
  const octal = (value: number, digits: number) => value.toString(8).padStart(digits, '0')
  block.write(name, 0)
  block.write(octal(mode, 7), 100)
  block.write(octal(0, 7), 108) // user
  block.write(octal(0, 7), 116) // group
  block.write(octal(size, 11), 124)
  block.write(octal(epoch, 11), 136)
  block.write(' '.repeat(8), 148) // the checksum is taken with blanks in its place
  block.write(name.endsWith('/') ? '5' : '0', 156)
  block.write('ustar\x0000', 257, 'latin1')
  block.write('root', 265)
  block.write('root', 297)
  const sum = block.reduce((total, byte) => total + byte, 0)
  block.write(`${octal(sum, 6)}\0 `, 148, 'latin1')
  return block
}
