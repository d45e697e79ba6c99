// How a product is put under the root of a sandbox node: files as its package leaves them, programs
// that are the real ones or simulators, and its unit.

import {
  chmodSync,
  existsSync,
  globSync,
  mkdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { userInfo } from 'node:os'
import { delimiter, dirname, join } from 'node:path'

export const SIMULATORS = join(dirname(import.meta.dirname), 'simulators')

/** `mode` is what it is, whatever the umask says. */
export function write(
  root: string,
  path: string,
  contents: string | Uint8Array,
  mode = 0o644,
): void {
  mkdirSync(dirname(join(root, path)), { recursive: true })
  writeFileSync(join(root, path), contents)
  chmodSync(join(root, path), mode)
}

export function makeDirectories(root: string, ...paths: readonly string[]): void {
  for (const path of paths) mkdirSync(join(root, path), { recursive: true })
}

export function readStock(path: string): string {
  return readFileSync(path, 'utf8')
}

/** Each replacement must change something, or a stock file is not what it was taken for. */
export function edited(
  text: string,
  replacements: readonly (readonly [before: string, after: string])[],
): string {
  return replacements.reduce((changed, [before, after]) => {
    if (!changed.includes(before)) throw new Error(`no ${JSON.stringify(before)} in a stock file`)
    return changed.replaceAll(before, () => after)
  }, text)
}

export function writeProgram(path: string, script: string): void {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, `#!/bin/sh\n${script}\n`)
  chmodSync(path, 0o755)
}

// Half of the work of a short process is to compile it. Where it cannot be written, nothing is kept.
const COMPILED = join(dirname(dirname(import.meta.dirname)), 'node_modules/.cache/simulators')

/** A command of the simulator, quoted for a shell. */
export function simulated(file: string, settings: Readonly<Record<string, string>>): string {
  const environment = { NODE_COMPILE_CACHE: COMPILED, ...settings }
  const words = Object.entries(environment).map(([name, value]) => `${name}=${value}`)
  return ['/usr/bin/env', ...words, process.execPath, join(SIMULATORS, file)].map(quote).join(' ')
}

/** Enabled, so that it starts with the node. */
export function writeUnit(root: string, name: string, text: string): void {
  write(root, `lib/systemd/system/${name}.service`, text)
  const wants = join(root, 'etc/systemd/system/multi-user.target.wants')
  mkdirSync(wants, { recursive: true })
  symlinkSync(`/lib/systemd/system/${name}.service`, join(wants, `${name}.service`))
}

export function simpleUnit(description: string, service: readonly string[]): string {
  const lines = [`User=${account()}`, ...service].join('\n')
  return `[Unit]\nDescription=${description}\n\n[Service]\n${lines}\n\n[Install]\nWantedBy=multi-user.target\n`
}

/** Services run as whoever runs the tests. */
export function account(): string {
  return userInfo().username
}

export function quote(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`
}

// What a program of the image needs of this machine, at the path that it was built with.
const NEEDED: Readonly<Record<string, string>> = {
  'prometheus-alertmanager': '/usr/share/prometheus/alertmanager/default.tmpl',
}

/** On PATH, or in the image of the lab's nodes: its programs run here as well. */
export function findProgram(name: string): string | undefined {
  const needed = NEEDED[name]
  if (needed !== undefined && !existsSync(needed)) return undefined
  const cache = process.env['LAB_CACHE'] ?? '/var/cache/lab-image'
  const directories = [
    ...(process.env['PATH'] ?? '').split(delimiter),
    '/usr/sbin',
    '/usr/bin',
    // Not one that is still being made (X.tmp).
    ...globSync('+([0-9a-f])/usr/bin', { cwd: cache }).map(path => join(cache, path)),
  ]
  return directories.map(directory => join(directory, name)).find(path => existsSync(path))
}
