// Starts a program that ships: runs its scripts with what the engine compiled of them in an earlier
// run. Node keeps compiled code as well, but only what is compiled while a file is loaded; most functions
// are compiled when they are first called, which was a quarter of the time of a short command.

import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Script } from 'node:vm'
import { crc32 } from 'node:zlib'
import { type CompiledScripts, readCompiled, writeCompiled } from './kept-code.ts'

/** Put here by the bundle: what the program is called, and its first script. */
declare const PROGRAM: string
declare const MAIN: string

interface Loaded {
  readonly source: number
  readonly script: Script
  /** Did the engine take what was kept of it? */
  readonly wasKept: boolean
}

type Exports = Readonly<Record<string, unknown>>
type Module = { exports: Exports }
type Body = (exports: Exports, require: (name: string) => unknown, module: Module) => void

/**
 * Codes of runs that have done what they were asked to; others may have ended half way, and what they
 * compiled would be all that is kept.
 */
const DONE: readonly number[] = [0, 2]

const [, , command = ''] = process.argv
const path = keptAt(process.env)
const kept = path === undefined ? undefined : readCompiled(path, process.getuid?.() ?? 0)

const modules = new Map<string, Module>()
const loaded = new Map<string, Loaded>()

if (path !== undefined)
  process.once('exit', code => {
    const isComplete = [...loaded.values()].every(({ wasKept }) => wasKept)
    if (!isComplete && DONE.includes(code)) writeCompiled(path, compiled())
  })
load(MAIN)

/** Where Node keeps compiled code, if it does: `man node`, NODE_COMPILE_CACHE. */
function keptAt({ NODE_COMPILE_CACHE: directory = '', ...env }: NodeJS.ProcessEnv) {
  if (directory === '' || env['NODE_DISABLE_COMPILE_CACHE'] === '1') return undefined
  // A daemon runs for months, and drops the code that it no longer uses.
  if (!/^[a-z]+$/.test(command) || command === 'run') return undefined
  return join(directory, `${PROGRAM}-${command}.code`)
}

function load(name: string): Exports {
  const known = modules.get(name)
  if (known !== undefined) return known.exports
  const module: Module = { exports: {} }
  modules.set(name, module)
  compile(name)(module.exports, importFrom, module)
  return module.exports
}

function compile(name: string): Body {
  const filename = join(import.meta.dirname, name)
  const text = readFileSync(filename)
  const source = kept === undefined ? 0 : crc32(text)
  const found = kept?.get(name)
  const cachedData = found?.source === source ? found.code : undefined
  // The bundle writes nothing but ASCII.
  const wrapped = `(function(exports,require,module){${text.toString('latin1')}\n})`
  const script = new Script(wrapped, { filename, ...(cachedData && { cachedData }) })
  const wasKept = cachedData !== undefined && script.cachedDataRejected !== true
  loaded.set(name, { source, script, wasKept })
  const body: Body = script.runInThisContext()
  return body
}

function importFrom(name: string): unknown {
  return name.startsWith('./') ? load(name.slice(2)) : process.getBuiltinModule(name)
}

/** Also of scripts that only other runs of this command needed, as long as there are such scripts. */
function compiled(): CompiledScripts {
  const others = [...(kept ?? [])].filter(
    ([name]) => !loaded.has(name) && existsSync(join(import.meta.dirname, name)),
  )
  const own = [...loaded].map(
    ([name, { source, script }]) => [name, { source, code: script.createCachedData() }] as const,
  )
  return new Map([...others, ...own])
}
