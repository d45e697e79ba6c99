/** The value that a text is, or undefined: whatever it is then, it is not the answer that was asked for. */
export function jsonIn(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text)
    return value
  } catch {
    return undefined
  }
}
