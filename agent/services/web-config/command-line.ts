// The command line of a program as its unit gives it: without the drop-in that tlsfleet may have
// added, so that what is to be in the drop-in never depends on what is in it.

import { commandLine, environmentInputs, flagsNamed, type CommandLine } from '../command-line.ts'
import { baseOf, logicalPath } from '../paths.ts'
import { refusal, type Refusal } from '../reasons.ts'
import type { DriverContext, Input, Seen } from '../service.ts'
import { dropInPath, hasDropIn, ownExecStart, unitFiles } from './drop-in.ts'
import { execStartIn } from './exec-start.ts'
import { EXTERNAL_URL_FLAG, type ConfigFlag } from './flags.ts'
import type { WebProduct } from './product.ts'

export function lineOf(seen: Seen, context: DriverContext): CommandLine | Refusal {
  if (!needsUnitFiles(seen, context)) return commandLine(seen, context)
  const exec = ownExecStart(seen, context)
  if (exec.kind === 'exec-start')
    return commandLine(withUnit(seen, { ...seen.unit, execStart: exec.argv }), context)
  if (!isShadowed(seen, context)) return commandLine(seen, context)
  return refusal('command-line-unclear', `unit ${seen.unit.unit}: ${exec.why}`)
}

export function lineInputs(seen: Seen, context: DriverContext): readonly Input[] {
  const file = (path: string): Input => ({ kind: 'file', path })
  const inputs = [...environmentInputs(seen, context), file(dropInPath(seen))]
  if (!needsUnitFiles(seen, context)) return inputs
  return [...inputs, ...unitFiles(seen, context).map(file)]
}

function needsUnitFiles(seen: Seen, context: DriverContext): boolean {
  return isShadowed(seen, context) || !hasRoom(seen, context)
}

/** The value of the flag in the drop-in, as far as it is there. */
export function flagInDropIn(seen: Seen, flag: ConfigFlag): string | undefined {
  const file = seen.file(dropInPath(seen))
  if (file?.kind !== 'text') return undefined
  const exec = execStartIn([file.text])
  if (exec.kind === 'unclear') return undefined
  const words = exec.argv.map(text => ({ text, variable: undefined }))
  return flagsNamed(words, flag)[0]?.value
}

/** Undefined: the unit starts something else, a wrapper for example. */
export function programOf(product: WebProduct, seen: Seen): string | undefined {
  const [program] = seen.unit.execStart
  const isIt = program?.startsWith('/') === true && product.isProgram(baseOf(program))
  return isIt ? program : undefined
}

// As the service user: in some installations that user owns the program.
export function versionInput(program: string): Input & { readonly kind: 'command' } {
  return { kind: 'command', argv: [program, '--version'], asService: true, dependsOn: [program] }
}

function isShadowed(seen: Seen, context: DriverContext): boolean {
  const own = dropInPath(seen)
  return hasDropIn(seen) || seen.unit.dropInPaths.some(path => logicalPath(path, context) === own)
}

// Can every flag of ours be edited in an environment file? What cannot be found out needs no answer.
function hasRoom(seen: Seen, context: DriverContext): boolean {
  const line = commandLine(seen, context)
  if (line.kind === 'refusal') return true
  const flags = ['web.config.file', 'web.config', EXTERNAL_URL_FLAG].flatMap(name =>
    flagsNamed(line.words, name),
  )
  return line.room !== undefined && flags.every(flag => flag.variable !== undefined)
}

function withUnit(seen: Seen, unit: Seen['unit']): Seen {
  return {
    unit,
    file: path => seen.file(path),
    command: argv => seen.command(argv),
    directory: path => seen.directory(path),
    keystore: path => seen.keystore(path),
  }
}
