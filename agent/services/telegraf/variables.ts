// Addresses that stand in environment files.

import { environmentPaths, fileSetting, settingOf } from '../command-line.ts'
import { because, refusal, type Refusal } from '../reasons.ts'
import type { DriverContext, EnvironmentEdit, FileIntent, Seen } from '../service.ts'

/** The name in a text that is one variable and nothing else. */
export function variableOnly(text: string): string | undefined {
  return /^\$(?:([A-Za-z_][A-Za-z0-9_]*)|\{([A-Za-z_][A-Za-z0-9_]*)\})$/
    .exec(text)
    ?.slice(1)
    .find(Boolean)
}

/** The files in which variables get their new values. Those of the unit itself cannot be edited. */
export function variableFiles(
  variables: ReadonlyMap<string, string>,
  seen: Seen,
  context: DriverContext,
): readonly FileIntent[] | Refusal {
  const edits = new Map<string, EnvironmentEdit[]>()
  for (const [variable, value] of variables) {
    const setting = settingOf(variable, seen, context)
    if (setting === undefined) continue
    if (setting.path === undefined) {
      if (setting.value === value) continue
      return refusal(
        'environment-fixed',
        `Environment= of ${seen.unit.unit} sets ${variable}=${setting.value}, which must become ${value}`,
      )
    }
    for (const path of environmentPaths(seen, context)) {
      if (fileSetting(variable, path, seen) === undefined) continue
      const list = edits.get(path) ?? []
      list.push({ kind: 'variable', variable, value })
      edits.set(path, list)
    }
  }
  return [...edits].map(([path, list]) => ({
    kind: 'environment',
    path,
    edits: list,
    reason: because('upstream-variable', `${path} holds addresses of servers that it connects to`),
    createMode: undefined,
  }))
}
