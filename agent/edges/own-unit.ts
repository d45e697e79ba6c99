// A program of the node's operator as a transient unit of its own: as root, and not in the sandbox of
// the agent, which has neither devices nor a place to write to.

import { transientUnitArgv } from './transient-unit.ts'

export interface OwnUnit {
  readonly systemdRun: string
  readonly argv: readonly string[]
  readonly unit: string
  readonly environment: Readonly<Record<string, string>>
  readonly timeoutMs: number
}

export function ownUnitArgv({ environment, ...unit }: OwnUnit): readonly string[] {
  return transientUnitArgv({
    ...unit,
    settings: [],
    environment: Object.entries(environment),
    stopSeconds: 5,
  })
}
