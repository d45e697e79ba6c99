// Where an Elasticsearch keeps its files, and which version it is: from its unit and from the names
// of its libraries, because every one of its programs starts a JVM.

import { commandLine, settingOf } from '../command-line.ts'
import { baseOf, directoryOf, logicalPath } from '../paths.ts'
import { refusal, type Refusal } from '../reasons.ts'
import type { DriverContext, Seen } from '../service.ts'
import { parseVersion, type Version } from '../version.ts'

export interface ElasticsearchPlace {
  readonly kind: 'place'
  /** Logical paths. */
  readonly libraries: string
  readonly configDirectory: string
  readonly config: string
  readonly keystore: string
  /** As the node names it, like every program that is run. */
  readonly tool: string
  /** The file that the start script feeds the password of the keystore from. */
  readonly passphraseFile: string | undefined
  /** Settings that the command line gives, which go before those of the file. */
  readonly arguments: ReadonlyMap<string, string>
}

const DEFAULT_CONFIG_DIRECTORY = '/etc/elasticsearch'
// The packages start the first, which reads the password of the keystore and starts the second.
const PROGRAMS: readonly string[] = ['systemd-entrypoint', 'elasticsearch']
const SERVER_JAR = /^elasticsearch-(?:server-)?(\d+\.\d+\.\d+(?:-[A-Za-z0-9.]+)*)\.jar$/

export function placeOf(seen: Seen, context: DriverContext): ElasticsearchPlace | Refusal {
  const line = commandLine(seen, context)
  if (line.kind === 'refusal') return line
  if (!PROGRAMS.includes(baseOf(line.program)))
    return refusal('program-unknown', `unit ${seen.unit.unit} does not start elasticsearch itself`)
  const binaries = directoryOf(line.program)
  const home = directoryOf(binaries)
  const directory = absolute(settingOf('ES_PATH_CONF', seen, context)?.value, context)
  const configDirectory = directory ?? DEFAULT_CONFIG_DIRECTORY
  return {
    kind: 'place',
    libraries: logicalPath(`${home}/lib`, context),
    configDirectory,
    config: `${configDirectory}/elasticsearch.yml`,
    keystore: `${configDirectory}/elasticsearch.keystore`,
    tool: `${binaries}/elasticsearch-keystore`,
    passphraseFile: absolute(
      settingOf('ES_KEYSTORE_PASSPHRASE_FILE', seen, context)?.value,
      context,
    ),
    arguments: settingsIn(line.words.map(({ text }) => text)),
  }
}

/** The jar of the server carries the version in its name; with several of them it is not known. */
export function versionOf({ libraries }: ElasticsearchPlace, seen: Seen): Version | Refusal {
  const names = seen.directory(libraries) ?? []
  const texts = new Set(names.flatMap(name => SERVER_JAR.exec(name)?.[1] ?? []))
  const [text, ...more] = texts
  const version = text === undefined || more.length > 0 ? undefined : parseVersion(text)
  if (version !== undefined) return version
  const found = texts.size === 0 ? 'no elasticsearch-<version>.jar' : [...texts].join(' and ')
  return refusal('version-unknown', `${libraries} has ${found}`)
}

function absolute(path: string | undefined, context: DriverContext): string | undefined {
  if (path?.startsWith('/') !== true) return undefined
  return logicalPath(path, context).replace(/(?<=.)\/+$/, '')
}

/** `-E name=value` and `-Ename=value`. */
function settingsIn(words: readonly string[]): ReadonlyMap<string, string> {
  const settings = new Map<string, string>()
  for (const [index, word] of words.entries()) {
    const given = word === '-E' ? words[index + 1] : /^-E(.+)$/.exec(word)?.[1]
    const [, name, value] = /^([^=]+)=(.*)$/s.exec(given ?? '') ?? []
    if (name !== undefined && value !== undefined) settings.set(name, value)
  }
  return settings
}
