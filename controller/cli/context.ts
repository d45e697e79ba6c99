// Login contexts: which controller, with which token, trusted by which CA. Kept in one file that
// only its owner can read.

import { randomUUID } from 'node:crypto'
import {
  accessSync,
  constants,
  mkdirSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import * as z from 'zod/mini'
import { parser } from '../../shared/contract/schema.ts'
import { OperationalError, systemErrorCode } from '../../shared/errors.ts'

export const Context = z.object({
  url: z.string(),
  token: z.optional(z.string()),
  /** Where they are, in place of a token: they are renewed there. */
  certificate: z.optional(z.object({ certFile: z.string(), keyFile: z.string() })),
  /** PEM certificates that the controller is trusted by. */
  ca: z.array(z.string()).check(z.minLength(1)),
})
export type Context = Readonly<z.infer<typeof Context>>

export const Config = z.object({
  version: z.literal(1),
  current: z.optional(z.string()),
  contexts: z.record(z.string(), Context),
})
export type Config = Readonly<z.infer<typeof Config>>

const parseConfig = parser('configuration of tlsfleet', Config, 'config-broken')

type Environment = Readonly<Record<string, string | undefined>>

export function configPath(environment: Environment): string {
  const own = environment['TLSFLEET_CONFIG'] ?? ''
  if (own !== '') return own
  const base = environment['XDG_CONFIG_HOME'] ?? ''
  return join(base === '' ? join(homedir(), '.config') : base, 'tlsfleet', 'config.json')
}

/** An absent file is an empty configuration. */
export function readConfig(path: string): Config {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
    checkPrivate(path)
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return { version: 1, contexts: {} }
    if (error instanceof OperationalError) throw error
    throw new OperationalError('config-unreadable', `could not read ${path}`, { cause: error })
  }
  try {
    const value: unknown = JSON.parse(text)
    return parseConfig(value)
  } catch (cause) {
    throw new OperationalError('config-broken', `could not read ${path}`, {
      cause,
      hint: 'remove the file and log in again: tlsfleet login --help',
    })
  }
}

// The file holds a token: whoever can read it is the operator.
function checkPrivate(path: string): void {
  if ((statSync(path).mode & 0o077) === 0) return
  throw new OperationalError('config-not-private', `${path} can be read by other users`, {
    hint: `it holds a token; close it with: chmod 600 ${path}`,
  })
}

/** The context named, else the current one. Throws `no-context`. */
export function selectContext(config: Config, name: string | undefined): Context {
  const wanted = name ?? config.current
  // Own members only: `constructor` is no context.
  const context =
    wanted !== undefined && Object.hasOwn(config.contexts, wanted)
      ? config.contexts[wanted]
      : undefined
  if (context !== undefined) return context
  const known = Object.keys(config.contexts).toSorted().join(', ')
  const message =
    wanted === undefined ? 'not logged in to any controller' : `no login context named ${wanted}`
  throw new OperationalError('no-context', message, {
    hint:
      known === ''
        ? 'log in first: tlsfleet login --help; on the controller itself: tlsfleet init'
        : `contexts: ${known}; choose one with --context`,
  })
}

/** Makes the directory, and throws now what storing a context would throw later. */
export function prepareConfig(path: string): Config {
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
    accessSync(dirname(path), constants.W_OK)
  } catch (cause) {
    throw new OperationalError('config-unwritable', `could not write ${path}`, { cause })
  }
  return readConfig(path)
}

/** Adds or replaces a context and makes it the current one. */
export function storeContext(path: string, name: string, context: Context): void {
  const config = prepareConfig(path)
  writeConfig(path, {
    ...config,
    current: name,
    contexts: { ...config.contexts, [name]: context },
  })
}

/** Throws `no-context` for one that is not there. */
export function useContext(path: string, name: string): void {
  const config = prepareConfig(path)
  selectContext(config, name)
  writeConfig(path, { ...config, current: name })
}

/** Throws `no-context`, or `context-exists` where the new name is taken. */
export function renameContext(path: string, from: string, to: string): void {
  const config = prepareConfig(path)
  const context = selectContext(config, from)
  if (Object.hasOwn(config.contexts, to))
    throw new OperationalError('context-exists', `could not rename context ${from} to ${to}`, {
      cause: new Error('there is one of that name'),
      hint: `forget it first: tlsfleet context rm ${to}`,
    })
  const { [from]: _moved, ...rest } = config.contexts
  const current = config.current === from ? { current: to } : {}
  writeConfig(path, { ...config, ...current, contexts: { ...rest, [to]: context } })
}

/** Without the current one none is current: the next command asks which. */
export function removeContext(path: string, name: string): void {
  const config = prepareConfig(path)
  selectContext(config, name)
  const { [name]: _gone, ...contexts } = config.contexts
  const { current, ...rest } = config
  const kept = current === undefined || current === name ? {} : { current }
  writeConfig(path, { ...rest, ...kept, contexts })
}

/** Other roots to trust the controller by; of a context that is still what `known` says. */
export function storeRoots(
  path: string,
  known: { readonly name: string; readonly context: Context },
  ca: readonly string[],
): void {
  const config = prepareConfig(path)
  const { name, context } = known
  const stored = Object.hasOwn(config.contexts, name) ? config.contexts[name] : undefined
  if (stored?.url !== context.url || stored.token !== context.token) return
  const contexts = { ...config.contexts, [name]: { ...stored, ca: [...ca] } }
  writeConfig(path, { ...config, contexts })
}

function writeConfig(path: string, config: Config): void {
  const draft = `${path}.${randomUUID()}`
  try {
    writeFileSync(draft, `${JSON.stringify(config, undefined, 2)}\n`, { mode: 0o600, flag: 'wx' })
    renameSync(draft, path)
  } catch (cause) {
    throw new OperationalError('config-unwritable', `could not write ${path}`, { cause })
  }
}
