// Parses YAML or JSON text into plain values. A file of its own, so that it can be loaded late: the
// agent that serves a controller never needs it.

import { parseDocument } from 'yaml'
import { OperationalError, describeError } from '../shared/errors.ts'

/** Throws `desired-file-invalid` with name, line and column. */
export function parseYamlText(text: string, name: string): unknown {
  const document = parseDocument(text)
  const problem = document.errors[0]
  const place = problem?.linePos?.[0]
  const at = place === undefined ? name : `${name}:${place.line}:${place.col}`
  const failed = (message: string) =>
    new OperationalError('desired-file-invalid', `could not parse ${at}: ${message.split('\n')[0]}`)
  if (problem !== undefined) throw failed(problem.message)
  try {
    return document.toJS()
  } catch (error) {
    // Aliases: of nothing, or so many that they would fill the memory.
    throw failed(describeError(error))
  }
}
