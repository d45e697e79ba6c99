// Edits of generated files: whatever the file looks like, an edit does exactly what it says, or is
// refused. `FORMATS_RUNS=20000` looks longer.

import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { parse as parseToml } from 'smol-toml'
import t from 'tap'
import { parse as parseYaml } from 'yaml'
import { assert } from '../../shared/assert.ts'
import type { ConfigEdit, ConfigValue, EditResult, KeyMatch } from '../../agent/formats/edit.ts'
import { isTable } from '../../agent/formats/edit.ts'
import {
  readFlag,
  readVariable,
  setFlag,
  setVariable,
  splitWords,
} from '../../agent/formats/env-file.ts'
import { lookup } from '../../agent/formats/lookup.ts'
import { editToml, readToml } from '../../agent/formats/toml.ts'
import { unifiedDiff } from '../../agent/formats/unified-diff.ts'
import { editYaml, readYaml } from '../../agent/formats/yaml.ts'
import { configEdit, tomlText } from '../agent/formats/arbitrary-toml.ts'
import { yamlEdit, yamlText } from '../agent/formats/arbitrary-yaml.ts'

const numRuns = Number(process.env['FORMATS_RUNS'] ?? 100)

interface Format {
  readonly name: string
  readonly texts: fc.Arbitrary<string>
  readonly edits: fc.Arbitrary<ConfigEdit>
  readonly keys: KeyMatch
  readonly edit: (text: string, edits: readonly ConfigEdit[]) => EditResult
  readonly read: typeof readToml
  /** Another reading of the file than the one that the editor checks itself with. */
  readonly parse: (text: string) => unknown
}

const withoutBom = (text: string) => text.replace(/^\uFEFF/, '')
const failsafe = (text: string): unknown =>
  parseYaml(withoutBom(text), { schema: 'failsafe', logLevel: 'error' })
const toml = {
  texts: tomlText,
  edits: configEdit,
  read: readToml,
  parse: (text: string) => parseToml(withoutBom(text), { integersAsBigInt: true }),
}
const yaml = { texts: yamlText, edits: yamlEdit, read: readYaml, parse: failsafe }

const formats: readonly Format[] = [
  { ...toml, name: 'TOML', keys: 'exact', edit: (text, edits) => editToml(text, edits) },
  {
    ...toml,
    name: 'TOML in any case',
    keys: 'case-insensitive',
    edit: (text, edits) => editToml(text, edits, { keys: 'case-insensitive' }),
  },
  { ...yaml, name: 'YAML', keys: 'exact', edit: (text, edits) => editYaml(text, edits) },
  {
    ...yaml,
    name: 'YAML with flat keys',
    keys: 'flat',
    edit: (text, edits) => editYaml(text, edits, { flatKeys: true }),
  },
]

const isItemRemoval = ({ path, value }: ConfigEdit) =>
  value === undefined && typeof path.at(-1) === 'number'

const WRITTEN_ON_MANY_LINES = /[|>][+-]?\r?\n|several words|"""|'''/

for (const format of formats) {
  await t.test(
    `${format.name}: an edit does what it says and nothing else, or is refused`,
    async t => {
      let count = 0
      const property = fc.property(format.texts, format.edits, (text, edit) => {
        const result = format.edit(text, [edit])
        if (result.kind === 'refused') return assertHonest(result.problem.code, text)
        count++
        if (isItemRemoval(edit)) return
        assertRead(format, result.text, edit)
        assertForeign(format, text, result.text, edit)
        assertFewLines(format, text, result.text, edit)
        const again = format.edit(result.text, [edit])
        assert(again.kind === 'edited' && again.text === result.text, 'twice is once')
      })
      fc.assert(property, { numRuns })
      t.ok(count > numRuns / 4, 'enough of the files could be edited')
    },
  )
}

/** Refusing in the end what was edited first is safe, but the editor should have known before. */
function assertHonest(code: string, text: string): void {
  assert(code !== 'not-lossless' || isRare(text), 'the editor damaged the text')
}

/** What was set is read, what was removed is gone. */
function assertRead({ read, keys }: Format, text: string, edit: ConfigEdit): void {
  const after = read(text)
  assert(after.kind === 'read', 'the edited text parses')
  const found = lookup(after.value, edit.path, { keys }).map(({ value }) => value)
  if (edit.value === undefined) return assert(found.length === 0, 'the key is gone')
  const wanted = JSON.stringify(sorted(edit.value))
  assert(found.length > 0, 'the key is there')
  assert(
    found.every(value => JSON.stringify(sorted(value)) === wanted),
    'it has the value',
  )
}

function assertForeign(
  { parse, keys }: Format,
  before: string,
  after: string,
  edit: ConfigEdit,
): void {
  const old = foreign(parse(before), edit, keys)
  assert(old.join('\n') === foreign(parse(after), edit, keys).join('\n'), 'other keys stay')
}

/** A set touches one line for each spelling of its key, or adds some. */
function assertFewLines(format: Format, text: string, after: string, edit: ConfigEdit): void {
  const before = format.read(text)
  if (before.kind === 'refused' || edit.value === undefined || isTable(edit.value)) return
  const old = lookup(before.value, edit.path, { keys: format.keys }).map(({ value }) => value)
  const isOnOneLine = old.every(value => typeof value !== 'object' && !String(value).includes('\n'))
  if (!isOnOneLine || WRITTEN_ON_MANY_LINES.test(text)) return
  const diff = unifiedDiff(text, after, { path: '', contextLines: 0 })
  const removed = diff.split('\n').filter(line => line.startsWith('-') && line !== '--- ')
  assert(removed.length <= Math.max(old.length, 1), 'other lines stay')
}

/** A comment would join the block of text above it, or one key has several spellings. */
function isRare(text: string): boolean {
  return /[|>][+-]?\r?\n/.test(text) || /\ba\b[^]*\bA\b|\bA\b[^]*\ba\b/.test(text)
}

function sorted(value: ConfigValue): unknown {
  if (!isTable(value)) return value
  return Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1))
}

/** All leaves that the edit is not about, each as text, without the empty tables around it. */
function foreign(value: unknown, { path }: ConfigEdit, keys: KeyMatch): readonly string[] {
  const fold = (step: string) => (keys === 'case-insensitive' ? step.toLowerCase() : step)
  const split = (step: string) => (keys === 'flat' ? step.split('.') : [step])
  const owned = path.flatMap(step => split(String(step))).map(fold)
  const leaves: string[] = []
  const visit = (node: unknown, steps: readonly string[]): void => {
    const folded = steps.map(fold)
    if (owned.every((step, index) => folded[index] === step)) return
    if (typeof node === 'object' && node !== null && !(node instanceof Date)) {
      const children = Object.entries(node)
      for (const [key, child] of children) visit(child, [...steps, ...split(key)])
      if (children.length > 0) return
    }
    if (folded.length < owned.length && folded.every((step, index) => owned[index] === step)) return
    const leaf = typeof node === 'bigint' ? `${node}` : JSON.stringify(node)
    leaves.push(`${steps.join('\0')} ${typeof node} ${leaf}`)
  }
  visit(value ?? {}, [])
  return leaves.toSorted()
}

const golden = (name: string) =>
  readFileSync(new URL(`../agent/formats/golden/${name}`, import.meta.url), 'utf8')

await t.test('noise is refused or edited without loss, and nothing ever throws', async t => {
  const noise = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 60 }),
    fc.string({ unit: oneOf('ab=:.,[]{}"\'#\\\n\r\t -|>&*!?%@`1'), maxLength: 30 }),
    fc.uint8Array({ maxLength: 40 }).map(bytes => Buffer.from(bytes).toString('utf8')),
    damaged(golden('influxdb-crlf-bom.conf')),
    damaged(golden('telegraf-nasty.conf')),
    damaged(golden('metricbeat-nested.yml')),
  )
  const property = fc.property(noise, configEdit, yamlEdit, (text, tomlEdit, otherEdit) => {
    for (const format of formats) {
      const edit = format.parse === failsafe ? otherEdit : tomlEdit
      const result = format.edit(text, [edit])
      if (result.kind === 'edited') format.read(result.text)
    }
    const result = setFlag(text, 'ARGS', 'flag', 'value')
    if (result.kind === 'refused') return true
    return readFlag(splitWords(readVariable(result.text, 'ARGS') ?? ''), 'flag').value === 'value'
  })
  fc.assert(property, { numRuns })
  t.pass()
})

function oneOf(characters: string): fc.Arbitrary<string> {
  return fc.constantFrom(...characters.split(''))
}

function damaged(text: string): fc.Arbitrary<string> {
  const at = fc.nat(text.length)
  return fc
    .tuple(at, fc.nat(20), fc.string({ unit: oneOf('[]{}="\'#\n: -'), maxLength: 3 }))
    .map(
      ([start, length, inserted]) => text.slice(0, start) + inserted + text.slice(start + length),
    )
}

const envPiece = fc.constantFrom(
  'a',
  '--x=1',
  ' ',
  '\t',
  '"',
  "'",
  '\\',
  '\\\n',
  '\\"',
  '$',
  '`',
  '#',
  ';',
  '=',
  'é',
  '"a b"',
)
const envText = fc
  .array(
    fc.oneof(
      fc
        .tuple(fc.constantFrom('ARGS=', 'B=', ' C = '), fc.array(envPiece, { maxLength: 8 }))
        .map(([name, pieces]) => name + pieces.join('')),
      fc.constantFrom('# c', '; c', '# c \\', '', 'export X=1', 'junk'),
    ),
    { maxLength: 6 },
  )
  .chain(lines => fc.constantFrom('\n', '\r\n').map(eol => lines.join(eol)))

await t.test(
  'an environment file: the variable has its value and the others keep theirs',
  async t => {
    const value = fc.oneof(
      fc.array(envPiece, { maxLength: 8 }).map(pieces => pieces.join('')),
      fc.string(),
    )
    const property = fc.property(envText, fc.option(value, { nil: undefined }), (text, wanted) => {
      const result = setVariable(text, 'ARGS', wanted)
      if (result.kind === 'refused') return result.problem.code !== 'not-lossless'
      const others = (file: string) =>
        ['B', 'C', 'X'].map(name => readVariable(file, name)).join('\0')
      const again = setVariable(result.text, 'ARGS', wanted)
      return (
        readVariable(result.text, 'ARGS') === wanted &&
        others(result.text) === others(text) &&
        again.kind === 'edited' &&
        again.text === result.text
      )
    })
    fc.assert(property, { numRuns: numRuns * 2 })
    t.pass()
  },
)

await t.test('an environment file: the flag is there once and the other words stay', async t => {
  const wanted = fc.option(fc.constantFrom('', '/w', "a b'c", '"', '\\'), { nil: undefined })
  const property = fc.property(envText, wanted, (text, value) => {
    const result = setFlag(text, 'ARGS', 'x', value)
    if (result.kind === 'refused') return result.problem.code !== 'not-lossless'
    const words = (file: string) => splitWords(readVariable(file, 'ARGS') ?? '')
    const flag = readFlag(words(result.text), 'x')
    const isRight = flag.value === value && flag.count === (value === undefined ? 0 : 1)
    const rest = (file: string) => words(file).filter(word => !/^--?x(=|$)/.test(word))
    return isRight && (value === undefined || containsAll(rest(result.text), rest(text)))
  })
  fc.assert(property, { numRuns: numRuns * 2 })
  t.pass()
})

/** The value of a flag written apart from it is a word that may change. */
function containsAll(after: readonly string[], before: readonly string[]): boolean {
  const missing = before.filter(word => !after.includes(word))
  return missing.length <= 1
}

await t.test('a diff applied to the old text gives the new one', async t => {
  const lines = fc.array(fc.constantFrom('a', 'b', 'c', 'd', ''), { maxLength: 25 })
  const file = fc.tuple(lines, fc.boolean()).map(([all, end]) => all.join('\n') + (end ? '\n' : ''))
  const property = fc.property(file, file, fc.nat(3), (before, after, contextLines) => {
    const diff = unifiedDiff(before, after, { path: 'x', contextLines })
    return applyDiff(before, diff) === after
  })
  fc.assert(property, { numRuns: numRuns * 2 })
  t.pass()
})

/** What `patch` does, without its tolerance. */
function applyDiff(before: string, diff: string): string {
  if (diff === '') return before
  const old = before.match(/[^\n]*\n|[^\n]+$/g) ?? []
  const result: string[] = []
  let at = 0
  let lines = diff.split('\n').slice(2, -1)
  while (lines.length > 0) {
    const [header = '', ...rest] = lines
    const [, from = '', count = '1'] = /^@@ -(\d+)(?:,(\d+))? /.exec(header) ?? []
    const start = count === '0' ? Number(from) : Number(from) - 1
    while (at < start) result.push(old[at++] ?? '')
    const end = rest.findIndex(line => line.startsWith('@@'))
    const hunk = end < 0 ? rest : rest.slice(0, end)
    lines = end < 0 ? [] : rest.slice(end)
    for (const [index, line] of hunk.entries()) {
      if (line.startsWith('\\')) continue
      const text = line.slice(1) + (hunk[index + 1]?.startsWith('\\') === true ? '' : '\n')
      if (!line.startsWith('+') && old[at++] !== text) return `mismatch at line ${at}: ${text}`
      if (!line.startsWith('-')) result.push(text)
    }
  }
  return result.join('') + old.slice(at).join('')
}
