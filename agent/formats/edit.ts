// What every editor of a foreign configuration file takes and gives: text in, text or a refusal out.

export type ConfigValue =
  | string
  | number
  | boolean
  | null
  | readonly ConfigValue[]
  | { readonly [key: string]: ConfigValue }

export type ConfigPath = readonly (string | number)[]

/** How a key of the path finds its key in the file; `flat` also sees `a.b: 1` in `a: {b: 1}`. */
export type KeyMatch = 'exact' | 'case-insensitive' | 'flat'

export interface ConfigEdit {
  /** Keys from the top; a number picks an item of a list. */
  readonly path: ConfigPath
  /**
   * `undefined` removes the key. Removing an item of a list moves the items behind it up, so such an
   * edit is the only one that may not be repeated.
   */
  readonly value: ConfigValue | undefined
}

/**
 * `unparsable`: the product could not read the file either, or it is not UTF-8 text.
 * `duplicate-key`: two spellings compete, so nobody can say which of them counts.
 * `unsupported-shape`: the file is fine, but this edit of it is not one that we know to be safe.
 * `not-lossless`: the edited text, parsed again, differs in more than the owned key.
 */
export interface FormatProblem {
  readonly code: 'unparsable' | 'duplicate-key' | 'unsupported-shape' | 'not-lossless'
  readonly message: string
  /** From 1. */
  readonly line?: number
  /** From 1, in UTF-16 code units. */
  readonly column?: number
}

export interface Refused {
  readonly kind: 'refused'
  readonly problem: FormatProblem
}

/** `text` is the input itself when there was nothing to do. */
export type EditResult = { readonly kind: 'edited'; readonly text: string } | Refused

export type ReadResult =
  | { readonly kind: 'read'; readonly value: { readonly [key: string]: ConfigValue } }
  | Refused

export function refused(
  code: FormatProblem['code'],
  message: string,
  position: { readonly line?: number; readonly column?: number } = {},
): Refused {
  return { kind: 'refused', problem: { code, message, ...position } }
}

export function describePath(path: ConfigPath): string {
  return path.map(String).join(' › ')
}

export function isList(value: ConfigValue): value is readonly ConfigValue[] {
  return Array.isArray(value)
}

export function isTable(value: ConfigValue): value is { readonly [key: string]: ConfigValue } {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** A text that UTF-8 cannot carry would come back from the disk as another one. */
export function isWritable(value: ConfigValue): boolean {
  if (typeof value === 'string') return value.isWellFormed() && !value.includes('\0')
  if (isList(value)) return value.every(isWritable)
  if (!isTable(value)) return true
  return Object.entries(value).every(([key, child]) => isWritable(key) && isWritable(child))
}
