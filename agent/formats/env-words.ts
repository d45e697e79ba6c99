// Command line arguments inside a variable, split as systemd splits `$ARGS` in ExecStart=
// (extract_first_word with EXTRACT_UNQUOTE and EXTRACT_RELAX): a backslash escapes in quotes too.

export interface Word {
  readonly text: string
  /** The range in the variable's value, quotes included. */
  readonly start: number
  readonly end: number
  /** A quote or a backslash is open at the end of the value, so no word can follow. */
  readonly isOpen: boolean
}

export function scanWords(value: string): readonly Word[] {
  const words: Word[] = []
  let at = 0
  for (;;) {
    while (at < value.length && isSpace(value.charAt(at))) at++
    if (at >= value.length) return words
    const word = scanWord(value, at)
    words.push(word)
    at = word.end
  }
}

function scanWord(value: string, start: number): Word {
  let text = ''
  let quote = ''
  let at = start
  for (; at < value.length; at++) {
    const char = value.charAt(at)
    if (char === '\\') {
      at++
      text += value.charAt(at)
    } else if (quote !== '') {
      if (char === quote) quote = ''
      else text += char
    } else if (char === '"' || char === "'") {
      quote = char
    } else if (isSpace(char)) {
      break
    } else {
      text += char
    }
  }
  const isOpen = quote !== '' || at > value.length
  return { text, start, end: Math.min(at, value.length), isOpen }
}

function isSpace(char: string): boolean {
  return char === ' ' || char === '\t' || char === '\n' || char === '\r'
}

/** The word as it must be written to come out of the splitting as it is. */
export function quoteWord(word: string): string {
  if (word !== '' && !/[\s'"\\]/.test(word)) return word
  return `'${word.replace(/['\\]/g, '\\$&')}'`
}

export interface FlagUse {
  /** The index of the word that names the flag. */
  readonly index: number
  /** How many words the flag takes: 2 in `--flag value`. */
  readonly length: 1 | 2
  /** `--flag=` or `--flag`, as written. */
  readonly prefix: string
  readonly value: string | undefined
}

/** Every use of a flag, in the forms `--name=value`, `--name value`, `-name=value`, `-name value`. */
export function findFlag(words: readonly string[], name: string): readonly FlagUse[] {
  const bare = bareName(name)
  const uses: FlagUse[] = []
  for (let index = 0; index < words.length; index++) {
    const word = words[index] ?? ''
    // What follows a bare -- are no flags.
    if (word === '--') break
    const match = /^(--?)([^=]+)(=?)/.exec(word)
    if (match?.[2] !== bare) continue
    const [prefix] = match
    if (match[3] === '=') {
      uses.push({ index, length: 1, prefix, value: word.slice(prefix.length) })
      continue
    }
    const next = words[index + 1]
    if (next === undefined || next.startsWith('-')) {
      uses.push({ index, length: 1, prefix, value: undefined })
    } else {
      uses.push({ index, length: 2, prefix, value: next })
      index++
    }
  }
  return uses
}

export function bareName(name: string): string {
  return name.replace(/^--?/, '')
}
