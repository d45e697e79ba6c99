// Units of a root in which nothing runs, an image that is being built: what systemd will make of the
// unit files there when it starts. Nothing can be activated.

import { posix } from 'node:path'
import { OperationalError } from '../../shared/errors.ts'
import type { Files, Services, UnitState } from '../host.ts'
import { checkUnitName } from './systemctl.ts'
import {
  type Assignments,
  assignmentsOf,
  commandOf,
  environmentOf,
  lastOf,
  listOf,
} from './unit-file.ts'

export interface OfflineServicesOptions {
  readonly files: Pick<Files, 'stat' | 'read' | 'readLink' | 'list'>
}

// In systemd's order of precedence. What is below /run is made at boot and is no part of an image.
const UNIT_DIRECTORIES: readonly string[] = [
  '/etc/systemd/system.control',
  '/etc/systemd/system',
  '/usr/local/lib/systemd/system',
  '/usr/lib/systemd/system',
  '/lib/systemd/system',
]
// An alias of an alias is rare; more of them is a ring.
const ALIASES_MAX = 8

export function createOfflineServices({ files }: OfflineServicesOptions): Services {
  return {
    async show(unit) {
      checkUnitName(unit)
      const found = await findUnit(files, unit)
      if (found === undefined) return undefined
      const dropIns = await findDropIns(files, [
        found.unit,
        ...(await aliasesOf(files, found.unit)),
      ])
      return stateOf(found, dropIns)
    },
    peekInvocation: async () => undefined,
    async activate(unit, verb) {
      throw offline(`${verb} ${unit}`)
    },
    async resetFailed(unit) {
      throw offline(`reset-failed ${unit}`)
    },
    async daemonReload() {
      throw offline('daemon-reload')
    },
  }
}

function offline(attempt: string): OperationalError {
  return new OperationalError('offline', `could not ${attempt}: nothing runs below this root`)
}

type UnitFiles = OfflineServicesOptions['files']

interface UnitFile {
  readonly path: string
  readonly text: string
}

interface Fragment extends UnitFile {
  /** The name that the unit itself has, where it was asked for by an alias. */
  readonly unit: string
}

/** Undefined: there is none, or it is masked. */
async function findUnit(files: UnitFiles, unit: string, depth = 0): Promise<Fragment | undefined> {
  for (const directory of UNIT_DIRECTORIES) {
    const path = `${directory}/${unit}`
    const alias = await aliasTarget(files, path)
    if (alias !== undefined)
      return depth < ALIASES_MAX ? findUnit(files, alias, depth + 1) : undefined
    const text = await readUnitFile(files, path)
    if (text !== undefined) return text === '' ? undefined : { unit, path, text }
  }
  return undefined
}

/** Name of the unit that a symlink makes `path` another name of. */
async function aliasTarget(files: UnitFiles, path: string): Promise<string | undefined> {
  const link = await files.readLink(path)
  if (link === undefined) return undefined
  const target = posix.resolve(posix.dirname(path), link)
  const name = posix.basename(target)
  const isAlias = name !== posix.basename(path) && UNIT_DIRECTORIES.includes(posix.dirname(target))
  return isAlias ? name : undefined
}

/** Empty: it hides those of the same name in directories that come later. */
async function readUnitFile(files: UnitFiles, path: string): Promise<string | undefined> {
  // That device need not be there in an image.
  if ((await files.readLink(path)) === '/dev/null') return ''
  const bytes = await files.read(path)
  return bytes === undefined ? undefined : Buffer.from(bytes).toString('utf8')
}

// Names that `Alias=` has made. What is added to one of them is added to the unit.
async function aliasesOf(files: UnitFiles, unit: string): Promise<readonly string[]> {
  const aliases = new Set<string>()
  for (const directory of UNIT_DIRECTORIES)
    for (const name of await files.list(directory))
      if (name.endsWith('.service') && (await aliasTarget(files, `${directory}/${name}`)) === unit)
        aliases.add(name)
  return [...aliases]
}

/** Sorted by name wherever they lie; of two with one name the more specific one counts. */
async function findDropIns(
  files: UnitFiles,
  names: readonly string[],
): Promise<readonly UnitFile[]> {
  const owners = [...names.map(name => [name, ...prefixesOf(name)]), ['service']]
  const directories = owners.flatMap(group =>
    UNIT_DIRECTORIES.flatMap(directory => group.map(owner => `${directory}/${owner}.d`)),
  )
  const found = new Map<string, UnitFile>()
  for (const directory of directories) {
    for (const name of await files.list(directory)) {
      if (!name.endsWith('.conf') || found.has(name)) continue
      const path = `${directory}/${name}`
      const text = await readUnitFile(files, path)
      if (text !== undefined) found.set(name, { path, text })
    }
  }
  return [...found].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, file]) => file)
}

/** `a-b-c.service` takes what is for `a-b-.service` and `a-.service` as well. */
function prefixesOf(unit: string): readonly string[] {
  const dashes = [...unit.slice(0, -'.service'.length).matchAll(/-/g)]
  return dashes.map(({ index }) => `${unit.slice(0, index + 1)}.service`).toReversed()
}

function stateOf({ unit, path, text }: Fragment, dropIns: readonly UnitFile[]): UnitState {
  const service = [text, ...dropIns.map(file => file.text)].flatMap(one =>
    assignmentsOf(one, 'Service'),
  )
  const expand = (value: string) => expandSpecifiers(unit, value)
  const type = lastOf(service, 'Type') || 'simple'
  return {
    unit,
    loaded: true,
    activeState: 'inactive',
    subState: 'dead',
    result: 'success',
    restarts: 0,
    invocationId: undefined,
    mainPid: undefined,
    startedAtMs: undefined,
    busy: false,
    user: expand(lastOf(service, 'User') || 'root'),
    group: expand(lastOf(service, 'Group')),
    type,
    canReload: listOf(service, 'ExecReload').length > 0 || type === 'notify-reload',
    needsDaemonReload: false,
    execStart: commandOf(listOf(service, 'ExecStart')[0] ?? '').map(expand),
    environment: Object.fromEntries(
      listOf(service, 'Environment')
        .flatMap(environmentOf)
        .map(([name, value]) => [name, expand(value)]),
    ),
    environmentFiles: environmentFilesOf(service, expand),
    fragmentPath: path,
    dropInPaths: dropIns.map(file => file.path),
  }
}

function environmentFilesOf(service: Assignments, expand: (value: string) => string) {
  return listOf(service, 'EnvironmentFile')
    .map(value => ({
      path: expand(value.replace(/^-/, '')),
      optional: value.startsWith('-'),
    }))
    .filter(({ path }) => path.startsWith('/'))
}

/** `%n` and the like (systemd.unit). Throws for what is only known where the unit runs. */
function expandSpecifiers(unit: string, value: string): string {
  return value.replaceAll(/%(.)/g, (whole, letter: string) => {
    const name = unit.replace(/\.service$/, '')
    const known = letter === 'n' ? unit : letter === 'N' || letter === 'p' ? name : FIXED[letter]
    if (known !== undefined) return known
    throw new OperationalError(
      'unit-unclear',
      `could not read ${unit}: ${whole} in "${value}" is known only where it runs`,
      { hint: 'give the value itself in the unit or in a drop-in', details: { unit, value } },
    )
  })
}

const FIXED: Readonly<Record<string, string>> = {
  '%': '%',
  t: '/run',
  S: '/var/lib',
  C: '/var/cache',
  L: '/var/log',
  E: '/etc',
  T: '/tmp',
  V: '/var/tmp',
}
