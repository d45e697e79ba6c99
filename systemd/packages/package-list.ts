// What the packages are and what is in them. The programs are the same for every machine; the runtime
// is not, is a hundred times as large, and changes rarely: so it is a package of its own.

import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Program } from '../bundle.ts'
import { COMMAND_FLAGS } from '../flags.ts'
import { completionFiles, manualFile } from './documentation.ts'
import type { FileEntry } from './tar.ts'

const SYSTEMD = dirname(import.meta.dirname)
const PROJECT = dirname(SYSTEMD)

export type Architecture = 'amd64' | 'arm64'

export interface Requirement {
  readonly name: string
  readonly from: string
  /** The first version that is too new. */
  readonly below?: string
}

export interface Package {
  readonly name: string
  readonly version: string
  /** The summary first. */
  readonly description: readonly string[]
  readonly requires: readonly Requirement[]
  /** Is it machine code? */
  readonly libc: boolean
  readonly service: Service | undefined
  readonly files: readonly FileEntry[]
  readonly debScripts: Readonly<Record<string, string>>
  readonly rpmScripts: Readonly<Record<string, string>>
}

interface Service {
  readonly state: string
  /** For who is asked whether to remove it. */
  readonly holds: string
}

interface Kind {
  readonly folder: string
  readonly description: readonly string[]
  readonly service?: Service
}

const KINDS: Readonly<Record<Program, Kind>> = {
  'tlsfleet-agent': {
    folder: 'agent',
    description: [
      'keeps TLS right on the services of this node',
      'The agent brings certificates and TLS settings of InfluxDB, Telegraf,',
      'Elasticsearch, Kibana, Metricbeat and Prometheus to the desired state,',
      'proves the result with a handshake, and takes back what does not work.',
    ],
    service: {
      state: '/var/lib/tlsfleet/agent',
      holds: 'the identity of this node and what it needs to take changes back',
    },
  },
  'tlsfleet-controller': {
    folder: 'controller',
    description: [
      'desired TLS state, certificates and rollouts of a fleet',
      'The controller of tlsfleet: holds the fleet spec, issues certificates',
      'from its own CA and moves changes through the fleet.',
    ],
    service: {
      state: '/var/lib/tlsfleet/controller',
      holds: 'the database of the fleet with the keys of its CAs',
    },
  },
  tlsfleet: {
    folder: 'cli',
    description: [
      'command line of the operators of a tlsfleet controller',
      'Plans, applies and follows changes, and shows what is served.',
    ],
  },
}

export interface Bundled {
  readonly program: Program
  readonly directory: string
  /** Third parties' licence texts. */
  readonly notices: string
}

export interface Versions {
  readonly version: string
  readonly node: string
  /** Seconds since 1970: of the sources. */
  readonly epoch: number
}

export function programPackage(bundled: Bundled, versions: Versions): Package {
  const { program, directory, notices } = bundled
  const { folder, description, service } = KINDS[program]
  const { version } = versions
  const scripts = (kind: string) => scriptsOf(kind, program, service)
  const bundle = readdirSync(directory)
    .filter(name => /\.[cm]js$/.test(name))
    .map(name => file(`usr/lib/tlsfleet/${folder}/${name}`, readFileSync(join(directory, name))))
  return {
    name: program,
    version,
    description,
    requires: [
      { name: 'tlsfleet-runtime', from: versions.node, below: nextMajor(versions.node) },
      // `tlsfleet init` makes the controller's data.
      ...(program === 'tlsfleet-controller' ? [{ name: 'tlsfleet', from: version }] : []),
    ],
    libc: false,
    service,
    files: [
      ...bundle,
      file(`usr/bin/${program}`, commandOf(program, folder), 0o755),
      file(`usr/share/doc/${program}/copyright`, notices),
      manualFile(program, versions),
      ...(program === 'tlsfleet' ? completionFiles() : []),
      ...(service === undefined ? [] : serviceFiles(program)),
    ],
    debScripts: scripts('deb'),
    rpmScripts: scripts('rpm'),
  }
}

export function runtimePackage(node: Buffer, licence: string, version: string): Package {
  return {
    name: 'tlsfleet-runtime',
    version,
    description: [
      'Node.js for the programs of tlsfleet',
      'Nothing else on the machine uses it, and it needs no other Node.js.',
    ],
    requires: [],
    libc: true,
    service: undefined,
    files: [
      file('usr/lib/tlsfleet/node', node, 0o755),
      file('usr/share/doc/tlsfleet-runtime/copyright', licence),
    ],
    debScripts: {},
    rpmScripts: {},
  }
}

function commandOf(program: Program, folder: string): string {
  const flags = program === 'tlsfleet-agent' ? COMMAND_FLAGS.join(' ') : ''
  return fill(script('command'), { name: program, folder, flags })
}

function serviceFiles(program: Program): readonly FileEntry[] {
  const read = (path: string) => readFileSync(join(SYSTEMD, path))
  return [
    ...unitsOf(program).map(unit => file(`usr/lib/systemd/system/${unit}`, read(unit))),
    file(`usr/lib/tmpfiles.d/${program}.conf`, tmpfiles(program)),
    ...(program === 'tlsfleet-controller'
      ? [file(`usr/lib/sysusers.d/${program}.conf`, read('tlsfleet.sysusers'))]
      : []),
  ]
}

function tmpfiles(program: Program): string {
  const parts = ['tmpfiles.conf', ...(program === 'tlsfleet-agent' ? ['tmpfiles-agent.conf'] : [])]
  return parts.map(part => readFileSync(join(SYSTEMD, 'packages', part), 'utf8')).join('')
}

function unitsOf(program: Program): readonly string[] {
  return [`${program}.service`, `${program}.path`].filter(unit => existsSync(join(SYSTEMD, unit)))
}

/** By the name that the format has for it: `postinst`, `pre` … */
function scriptsOf(
  kind: string,
  program: Program,
  service: Service | undefined,
): Readonly<Record<string, string>> {
  if (service === undefined) return {}
  const units = unitsOf(program).join(' ')
  const names = readdirSync(join(import.meta.dirname, 'scripts'))
    .filter(name => name.startsWith(`${kind}-`))
    .map(name => name.slice(kind.length + 1, -'.sh'.length))
    .toSorted()
  return Object.fromEntries(
    names.map(name => [
      name,
      fill(script(`${kind}-${name}`), { name: program, units, ...service }),
    ]),
  )
}

function script(name: string): string {
  return readFileSync(join(import.meta.dirname, 'scripts', `${name}.sh`), 'utf8')
}

function fill(text: string, values: Readonly<Record<string, string>>): string {
  return text.replaceAll(/@([a-z]+)@/g, (whole, name: string) => values[name] ?? whole)
}

function file(path: string, content: Buffer | string, mode = 0o644): FileEntry {
  return { path, mode, content: Buffer.from(content) }
}

function nextMajor(version: string): string {
  return String(Number.parseInt(version, 10) + 1)
}

export function licenceOfProject(): string {
  return readFileSync(join(PROJECT, 'LICENSE'), 'utf8')
}
