// Environment variables in a configuration: `${NAME}`, `$NAME`, `${NAME:-default}`. What is not set stays
// as it is written. Up to 1.37 in the text, before anybody knows what is a string; from 1.38 on in
// strings only.

const VARIABLE = /\$\{(\w+)(?:(:?-)([^}]*))?\}|\$(\w+)/g

export function substitute(text: string, environment: NodeJS.ProcessEnv): string {
  return text.replace(
    VARIABLE,
    (written: string, braced?: string, operator?: string, fallback?: string, bare?: string) => {
      const value = environment[braced ?? bare ?? '']
      // `:-` takes an empty value for none.
      if (value === undefined || (operator === ':-' && value === ''))
        return fallback ?? value ?? written
      return value
    },
  )
}

export function substituteStrings(value: unknown, environment: NodeJS.ProcessEnv): unknown {
  if (typeof value === 'string') return substitute(value, environment)
  if (Array.isArray(value)) return value.map(item => substituteStrings(item, environment))
  if (typeof value !== 'object' || value === null || value instanceof Date) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [key, substituteStrings(item, environment)]),
  )
}
