// A file given on the command line; `-` is standard input, whatever kind of thing that is.

import { readFileSync } from 'node:fs'

export async function readInput(name: string): Promise<string> {
  if (name !== '-') return readFileSync(name, 'utf8')
  const { text } = await import('node:stream/consumers')
  return text(process.stdin)
}
