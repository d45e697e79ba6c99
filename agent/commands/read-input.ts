// A file given on the command line; `-` is standard input, whatever kind of thing that is.

import { readFile } from 'node:fs/promises'
import { text } from 'node:stream/consumers'

export function readInput(name: string): Promise<string> {
  return name === '-' ? text(process.stdin) : readFile(name, 'utf8')
}
