// systemd's command lines: quoting and specifiers when a unit is loaded, variables when it is run.
// See systemd.service(5), "COMMAND LINES".

export interface ExecCommand {
  readonly argv: readonly string[]
  /** `-` before the path: a failure counts as success. */
  readonly ignoreErrors: boolean
}

/** One ExecStart= or ExecReload= value; undefined where it names no absolute path or name. */
export function parseCommand(text: string, unit: string): ExecCommand | undefined {
  const prefix = /^[-@:+!]*/.exec(text)?.[0] ?? ''
  const argv = splitWords(text.slice(prefix.length)).map(word => expandSpecifiers(word, unit))
  if (argv.length === 0) return undefined
  return { argv, ignoreErrors: prefix.includes('-') }
}

/** Splits at white space outside of quotes; quotes and backslash escapes are resolved. */
export function splitWords(text: string): readonly string[] {
  const words: string[] = []
  let word: string | undefined
  let quote = ''
  for (let i = 0; i < text.length; i++) {
    const char = text.charAt(i)
    if (char === '\\' && quote !== "'" && i + 1 < text.length) {
      const next = text.charAt(++i)
      word = (word ?? '') + (ESCAPES[next] ?? `\\${next}`)
    } else if (quote !== '') {
      if (char === quote) quote = ''
      else word = (word ?? '') + char
    } else if (char === '"' || char === "'") {
      quote = char
      word ??= ''
    } else if (/\s/.test(char)) {
      if (word !== undefined) words.push(word)
      word = undefined
    } else {
      word = (word ?? '') + char
    }
  }
  if (word !== undefined) words.push(word)
  return words
}

const ESCAPES: Readonly<Record<string, string>> = {
  n: '\n',
  t: '\t',
  s: ' ',
  '\\': '\\',
  '"': '"',
  "'": "'",
}

function expandSpecifiers(word: string, unit: string): string {
  const name = unit.replace(/\.[a-z]+$/, '')
  return word.replace(/%([%nNpi])/g, (_, letter: string) => {
    if (letter === '%') return '%'
    if (letter === 'n') return unit
    return letter === 'i' ? (name.split('@')[1] ?? '') : name
  })
}

/**
 * `$NAME` as a word of its own becomes the words of its value, none where it is unset; `${NAME}` is
 * replaced anywhere inside a word; `$$` is a dollar; `$NAME` inside a word stays as it is.
 */
export function expandVariables(
  argv: readonly string[],
  environment: Readonly<Record<string, string>>,
): readonly string[] {
  return argv.flatMap(word => {
    const alone = /^\$([A-Za-z_]\w*)$/.exec(word)?.[1]
    if (alone !== undefined) return splitWords(environment[alone] ?? '')
    return [
      word.replace(/\$\$|\$\{([A-Za-z_]\w*)\}/g, (all, name: string | undefined) =>
        name === undefined ? all.slice(1) : (environment[name] ?? ''),
      ),
    ]
  })
}
