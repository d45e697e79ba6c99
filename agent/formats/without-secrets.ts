// Text of configuration files as it may be shown: in diffs, which travel to the controller and onto
// screens. What a key calls a secret is masked, in the lines that changed and in those around them.

const MASK = '[secret]'

// Names end in one of these; `password_file` and the like hold a path, which is no secret.
const SECRET_KEY =
  /((?:password|passwd|passphrase|pwd|secret|token|authorization|license-key|api[-_]?key|access[-_]?key|secret[-_]?key|credentials|password_hash)["']?[ \t]*)(:[ \t]+|=[ \t]*|:(?=["']))("(?:[^"\\\n]|\\.)*"|'[^'\n]*'|\$\{[^}\n]*\}|[^\s"',}#][^\n,}#"']*)/gi
const USER_IN_URL = /(:\/\/[^\s/:@"']*:)([^\s/@"']+)(@)/g
const PRIVATE_KEY = /-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?-----END [A-Z ]*PRIVATE KEY-----/g
const BCRYPT = /\$2[abxy]?\$\d\d\$[./A-Za-z0-9]{53}/g

/** The same lines, without the values of secrets. References such as `${VAR}` stay. */
export function withoutSecrets(text: string): string {
  return text
    .replaceAll(PRIVATE_KEY, MASK)
    .replaceAll(SECRET_KEY, (_, name: string, sign: string, value: string) => {
      // A word of a command line ends at the next blank, a value of YAML at the end of the line.
      const isWord = sign === '=' && !/^["']/.test(value)
      const end = isWord ? value.search(/\s|$/) : value.length
      return `${name}${sign}${masked(value.slice(0, end))}${value.slice(end)}`
    })
    .replaceAll(USER_IN_URL, `$1${MASK}$3`)
    .replaceAll(BCRYPT, MASK)
}

function masked(value: string): string {
  const [, quote = '', inner = value] = /^(["'])(.*)\1$/s.exec(value) ?? []
  return isPlain(inner.trim()) ? value : `${quote}${MASK}${quote}`
}

function isPlain(value: string): boolean {
  return value === '' || /^(\$\{[^}]*\}|true|false|null|~)$/i.test(value)
}
