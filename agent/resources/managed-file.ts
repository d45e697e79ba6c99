// Files that a service needs beside its certificate: foreign configuration of which tlsfleet owns a
// few keys, and files such as trust bundles, which it owns whole. Rendering is pure: text in, text out.

import { unreachable } from '../../shared/assert.ts'
import type { Reason } from '../../shared/contract/schema.ts'
import type { EditResult, ConfigEdit, ConfigValue } from '../formats/edit.ts'
import { setFlag, setVariable } from '../formats/env-file.ts'
import { editToml } from '../formats/toml.ts'
import { editTomlWithVariables } from '../formats/toml-variables.ts'
import { editYaml } from '../formats/yaml.ts'
import { type EnvironmentEdit, type FileIntent, RELEASE_TOKEN } from '../services/service.ts'

export type Rendered =
  | { readonly kind: 'rendered'; readonly text: string }
  /** The file cannot be edited without risk; it is left alone. */
  | { readonly kind: 'refused'; readonly reason: Reason }

/** The text that the file should have. `before` undefined: there is no file yet. */
export function renderFile(
  intent: FileIntent,
  before: string | undefined,
  release: string,
): Rendered {
  if (before === undefined && intent.createMode === undefined) {
    return {
      kind: 'refused',
      reason: { code: 'file-missing', message: `${intent.path} does not exist` },
    }
  }
  const result = editText(intent, before ?? '', release)
  if (result.kind === 'edited') return { kind: 'rendered', text: result.text }
  const { problem } = result
  const place =
    problem.line === undefined
      ? ''
      : `:${problem.line}${problem.column === undefined ? '' : `:${problem.column}`}`
  return {
    kind: 'refused',
    reason: {
      code: problem.code === 'unparsable' ? 'file-unparsable' : problem.code,
      message: `${intent.path}${place}: ${problem.message}; the file is left alone`,
    },
  }
}

function editText(intent: FileIntent, text: string, release: string): EditResult {
  switch (intent.kind) {
    case 'config': {
      const edits = intent.edits.map(edit => withRelease(edit, release))
      switch (intent.format) {
        case 'toml':
          return editToml(text, edits)
        case 'toml-case-insensitive':
          return editToml(text, edits, { keys: 'case-insensitive' })
        case 'toml-variables':
          return editTomlWithVariables(text, edits)
        case 'yaml':
          return editYaml(text, edits)
        case 'yaml-flat':
          return editYaml(text, edits, { flatKeys: true })
        default:
          return unreachable(intent.format)
      }
    }
    case 'environment':
      return editEnvironment(text, intent.edits)
    case 'content':
      return { kind: 'edited', text: (intent.text ?? '').replaceAll(RELEASE_TOKEN, release) }
    default:
      return unreachable(intent)
  }
}

function editEnvironment(text: string, edits: readonly EnvironmentEdit[]): EditResult {
  let current = text
  for (const edit of edits) {
    const result =
      edit.kind === 'flag'
        ? setFlag(current, edit.variable, edit.flag, edit.value)
        : setVariable(current, edit.variable, edit.value)
    if (result.kind === 'refused') return result
    current = result.text
  }
  return { kind: 'edited', text: current }
}

function withRelease(edit: ConfigEdit, release: string): ConfigEdit {
  return edit.value === undefined ? edit : { ...edit, value: releaseIn(edit.value, release) }
}

function releaseIn(value: ConfigValue, release: string): ConfigValue {
  if (typeof value === 'string') return value.replaceAll(RELEASE_TOKEN, release)
  if (value === null || typeof value !== 'object') return value
  if (isList(value)) return value.map(item => releaseIn(item, release))
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [key, releaseIn(item, release)]),
  )
}

function isList(
  value: readonly ConfigValue[] | { readonly [key: string]: ConfigValue },
): value is readonly ConfigValue[] {
  return Array.isArray(value)
}
