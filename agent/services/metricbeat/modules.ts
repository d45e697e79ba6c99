// Files in modules.d: lists of modules, of which those that ask Elasticsearch or Kibana are
// managed, and the one that a cluster is monitored with is switched on.

import type { ServiceName, Upstream } from '../../../shared/contract/service.ts'
import type { Secret } from '../../../shared/secret.ts'
import { isTable, type ConfigEdit, type ConfigValue } from '../../formats/edit.ts'
import { editYaml, readYamlList } from '../../formats/yaml.ts'
import { lookup } from '../../formats/lookup.ts'
import { because, refusal, type Refusal } from '../reasons.ts'
import type { FileIntent, Seen } from '../service.ts'
import { endpointOf, type Endpoint } from './endpoint.ts'
import { clearText, toReference, type ClearPassword } from './passwords.ts'

export interface ModulesInput {
  readonly seen: Seen
  /** Logical path of modules.d. */
  readonly directory: string
  readonly upstreams: readonly Upstream[]
  readonly trusted: string | undefined
  readonly isWanted: boolean
  /** Entry of the keystore for a password; undefined: passwords stay where they are. */
  readonly nameFor: ((name: string, value: Secret) => string) | undefined
}

export interface Modules {
  readonly kind: 'modules'
  readonly files: readonly FileIntent[]
  readonly urls: Endpoint['urls']
  /** All that is kept in them, wherever it stands today. */
  readonly edits: readonly ConfigEdit[]
  readonly clear: readonly ClearPassword[]
  readonly isVerifying: boolean
}

const MONITORING = 'elasticsearch-xpack'
const PORTS: Readonly<Partial<Record<ServiceName, number>>> = { elasticsearch: 9200, kibana: 5601 }

/** Files that must be seen: those that are switched on, and the one to switch on. */
export function moduleFiles(seen: Seen, directory: string): readonly string[] {
  const names = seen.directory(directory) ?? []
  const wanted = names.filter(
    name => name.endsWith('.yml') || name === `${MONITORING}.yml.disabled`,
  )
  return wanted.map(name => `${directory}/${name}`)
}

export function modulesIn(input: ModulesInput): Modules | Refusal {
  const { seen, directory, isWanted } = input
  const files: FileIntent[] = []
  const urls: Endpoint['urls'][number][] = []
  const edits: ConfigEdit[] = []
  const clear: ClearPassword[] = []
  let isVerifying = false
  for (const path of moduleFiles(seen, directory)) {
    if (path.endsWith('.disabled')) continue
    const file = seen.file(path)
    if (file?.kind !== 'text') continue
    const found = endpointsIn(path, file.text, input)
    if (found.kind === 'refusal') return found
    urls.push(...found.urls)
    edits.push(...found.edits)
    clear.push(...found.clear)
    isVerifying ||= found.isVerifying
    const wanted = [...found.edits, ...found.clear.map(toReference)]
    if (wanted.length > 0)
      files.push({
        kind: 'config',
        path,
        format: 'yaml-flat',
        edits: wanted,
        reason: because('module-settings', `${path} follows the listeners that it asks`),
        createMode: undefined,
      })
  }
  if (!isWanted || seen.file(`${directory}/${MONITORING}.yml`)?.kind === 'text')
    return { kind: 'modules', files, urls, edits, clear, isVerifying }
  const enabled = enabledModule(input)
  if (enabled.kind === 'refusal') return enabled
  return {
    kind: 'modules',
    files: [...files, ...enabled.files],
    urls: [...urls, ...enabled.urls],
    edits: [...edits, ...enabled.edits],
    clear,
    isVerifying: isVerifying || enabled.isVerifying,
  }
}

// What `metricbeat modules enable` does is a rename; the file it has then is edited at once.
function enabledModule(input: ModulesInput): Modules | Refusal {
  const { seen, directory } = input
  const disabled = `${directory}/${MONITORING}.yml.disabled`
  const file = seen.file(disabled)
  if (file?.kind !== 'text')
    return refusal('config-missing', `${disabled} does not exist, so the module cannot be enabled`)
  const found = endpointsIn(disabled, file.text, input)
  if (found.kind === 'refusal') return found
  const edited = editYaml(file.text, found.edits, { flatKeys: true })
  if (edited.kind === 'refused')
    return refusal('config-unparsable', `${disabled}: ${edited.problem.message}`)
  const reason = because('module-enabled', `module ${MONITORING} is wanted`)
  const path = `${directory}/${MONITORING}.yml`
  return {
    kind: 'modules',
    files: [
      { kind: 'content', path, text: edited.text, reason, createMode: 0o644 },
      { kind: 'content', path: disabled, text: undefined, reason, createMode: 0o644 },
    ],
    urls: found.urls,
    edits: found.edits,
    clear: [],
    isVerifying: found.isVerifying,
  }
}

interface Found {
  readonly kind: 'found'
  readonly edits: readonly ConfigEdit[]
  readonly urls: Endpoint['urls']
  readonly clear: readonly ClearPassword[]
  readonly isVerifying: boolean
}

function endpointsIn(
  path: string,
  text: string,
  { upstreams, trusted, nameFor }: ModulesInput,
): Found | Refusal {
  const read = readYamlList(text)
  if (read.kind === 'refused')
    return refusal('config-unparsable', `${path}: ${read.problem.message}`)
  const edits: ConfigEdit[] = []
  const urls: Endpoint['urls'][number][] = []
  const clear: ClearPassword[] = []
  let isVerifying = false
  for (const [index, item] of read.value.entries()) {
    const service = serviceOf(item)
    const defaultPort = service === undefined ? undefined : PORTS[service]
    if (service === undefined || defaultPort === undefined) continue
    const endpoint = endpointOf({
      shape: {
        service,
        prefix: [index],
        hostsKey: 'hosts',
        defaultPort,
        defaultHosts: [`http://localhost:${defaultPort}`],
      },
      value: key => lastOf(item, key),
      upstreams,
      trusted,
      file: path,
    })
    if (endpoint.kind === 'refusal') return endpoint
    edits.push(...endpoint.edits)
    urls.push(...endpoint.urls)
    isVerifying ||= endpoint.isVerifying
    const password = clearText(lastOf(item, 'password'))
    if (password !== undefined && nameFor !== undefined)
      clear.push({
        file: path,
        path: [index, 'password'],
        name: nameFor(`${service.toUpperCase()}_PWD`, password),
        value: password,
      })
  }
  return { kind: 'found', edits, urls, clear, isVerifying }
}

function serviceOf(item: ConfigValue): 'elasticsearch' | 'kibana' | undefined {
  const module = isTable(item) ? item['module'] : undefined
  return module === 'elasticsearch' || module === 'kibana' ? module : undefined
}

function lastOf(item: ConfigValue, key: string): ConfigValue | undefined {
  return lookup(item, [key], { keys: 'flat' }).at(-1)?.value ?? undefined
}
