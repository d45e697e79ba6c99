// JSON read as what it is. YAML holds it too, but its parser takes 20 ms to be loaded and to read a page.

const TOKEN = /"(?:[^"\\]|\\.)*"|\s+/g

/**
 * The value of a JSON text that says every thing once and plainly; undefined for every other text, that of
 * JSON included: an object with a key twice, or an escape where none is needed. Who gets undefined asks
 * the parser that tells where something is wrong.
 */
export function plainJson(text: string): { readonly value: unknown } | undefined {
  if (!/^\s*\{/.test(text)) return undefined
  try {
    const value: unknown = JSON.parse(text)
    const bare = text.replaceAll(TOKEN, token => (token.startsWith('"') ? token : ''))
    return JSON.stringify(value) === bare ? { value } : undefined
  } catch {
    return undefined
  }
}
