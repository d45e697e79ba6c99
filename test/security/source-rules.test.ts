// What this product never does, read from its sources: no shell, no command that is put together from
// text, no mode that is set after a file is there, no TLS without verification but where that is the
// point. Each exception is named with its reason, and a name that is no exception any more is an error.

import { globSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t from 'tap'

const ROOT = dirname(dirname(import.meta.dirname))

interface Rule {
  readonly name: string
  readonly forbids: RegExp
  /** File and why. */
  readonly but: Readonly<Record<string, string>>
}

const RULES: readonly Rule[] = [
  {
    name: 'no shell is ever started',
    // Of `shell:` the option, not a word of a text; `shell: Shell` and `shell: string` annotate parameters.
    forbids:
      /(?<![.\w])exec(Sync)?\s*\(|\{[^}]*\bexec(Sync)?\b[^}]*\} from 'node:child_process'|(?:^|[{,(])\s*['"]?shell['"]?\s*:(?!\s*(?:[A-Z][a-z]\w*|string)\s*[,)=])|['"`]\/bin\/(ba)?sh\b/m,
    but: {},
  },
  {
    name: 'programs are started in three places only',
    forbids: /'node:child_process'/,
    but: {
      'agent/edges/run-program.ts': 'programs of the node, by absolute path',
      'controller/issuers/acme/dns-program.ts': 'the program for DNS records that is configured',
      'controller/service-manager.ts': 'systemd is told that we are ready',
    },
  },
  {
    name: 'no text becomes a program',
    forbids:
      /\beval\s*\(|\bnew Function\b|'node:vm'|(?<![.\w])require\s*\(\s*['"`]|\bimport\s*\(\s*[^'")]/,
    but: {},
  },
  {
    name: 'a server is always verified',
    forbids:
      /rejectUnauthorized\s*:(?!\s*true\b)|checkServerIdentity\s*:\s*\(\s*\)|NODE_TLS_REJECT_UNAUTHORIZED/,
    but: {
      'agent/edges/enroll.ts': 'the pin of the token is checked instead, before anything is sent',
      'agent/edges/network.ts': 'a probe looks at what is served and judges it itself',
      'controller/api/operator-certificate.ts':
        'certificates of operators are optional, and judged where a caller is needed',
      'controller/cli/pin.ts': 'the pin that a person gave is checked instead',
    },
  },
  {
    name: 'no mode is set once a file is there',
    forbids: /\bchmod(Sync)?\s*\(/,
    but: {
      'agent/commands/control.ts': 'a socket has no mode at birth; its directory is private',
      'controller/backup/restore.ts': 'a directory that was too open is closed',
      'controller/ca/root-directory.ts': 'a directory that was too open is closed',
      'controller/init.ts': 'a directory that was too open is closed',
    },
  },
  {
    name: 'whatever is made has its mode from the first moment on',
    forbids:
      /\b(writeFile|writeFileSync|mkdir|mkdirSync|appendFile|appendFileSync)\((?:(?!\bmode\b|0o\d)[^])*?\)\n/,
    but: {},
  },
]

const sources = globSync('{agent,controller,shared}/**/*.ts', { cwd: ROOT })
  .filter(path => !path.endsWith('.d.ts'))
  .map(path => ({ path, code: withoutComments(readFileSync(join(ROOT, path), 'utf8')) }))

// Comments say what is not done, and how.
function withoutComments(text: string): string {
  return text.replaceAll(/^\s*\/\/.*$|\/\*\*?[^]*?\*\/|\s\/\/ .*$/gm, '')
}

await t.test('the sources are there', async t => {
  t.ok(sources.length > 200)
})

for (const { name, forbids, but } of RULES)
  await t.test(name, async t => {
    const found = sources.filter(({ code }) => forbids.test(code)).map(({ path }) => path)
    t.same(
      found.filter(path => but[path] === undefined),
      [],
    )
    t.same(
      Object.keys(but).filter(path => !found.includes(path)),
      [],
      'the list names exceptions only',
    )
  })

await t.test('each rule finds what it forbids', async t => {
  const wrong = [
    "import { exec } from 'node:child_process'",
    'execFile(file, [], { shell: true })',
    'spawn(file, [], { shell: program })',
    "spawn(file, [], { cwd, 'shell': true })",
    'const options = {\n  shell: true,\n}',
    'spawn(file, [], { shell: SHELL })',
    "spawn(file, [], { shell: 'bash' })",
    'spawn(file, [], { shell: isWanted() })',
    "spawn('/bin/sh', ['-c', text])",
    'eval(text)',
    'await import(path)',
    'connect({ rejectUnauthorized: false })',
    'connect({ rejectUnauthorized: strict })',
    'chmodSync(path, 0o600)',
    'writeFileSync(path, text)\n',
    'mkdirSync(path, { recursive: true })\n',
  ]
  for (const code of wrong)
    t.ok(
      RULES.some(({ forbids }) => forbids.test(code)),
      code,
    )
  for (const code of [
    'function scriptOf(shell: Shell): string {',
    '(shell: string) => print(shell)',
  ])
    t.notOk(
      RULES.some(({ forbids }) => forbids.test(code)),
      code,
    )
})
