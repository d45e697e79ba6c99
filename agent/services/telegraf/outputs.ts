// Every block of outputs.influxdb and outputs.influxdb_v2 of one file, addressed one by one: each
// has its own addresses and its own trust.

import type { Reason } from '../../../shared/contract/schema.ts'
import type { Upstream } from '../../../shared/contract/service.ts'
import { isTable, type ConfigEdit, type ConfigValue } from '../../formats/edit.ts'
import { readTomlWithVariables } from '../../formats/toml-variables.ts'
import { textsIn } from '../elastic/settings.ts'
import { because, refusal, type Refusal } from '../reasons.ts'
import type { SeenFile } from '../service.ts'
import { uncoveredHost, withSchemeOf } from '../upstream-urls.ts'
import { documentIn, listAt, tableAt, valueAt, type Table } from '../values.ts'
import type { OptionNames } from './options.ts'
import { variableOnly } from './variables.ts'

const PLUGINS = ['influxdb', 'influxdb_v2'] as const
const PORT = 8086
// What outputs.influxdb means without addresses.
const DEFAULT_URLS: Readonly<Record<Plugin, readonly string[]>> = {
  influxdb: ['http://127.0.0.1:8086'],
  influxdb_v2: ['http://127.0.0.1:8086'],
}

// The parser takes the name, its title and its upper case (4(a)); `url` is what old files have.
const URL_KEYS = ['urls', 'Urls', 'URLs', 'URLS', 'url'] as const

type Plugin = (typeof PLUGINS)[number]

export interface OutputsInput {
  readonly path: string
  readonly file: SeenFile | undefined
  readonly upstreams: readonly Upstream[]
  readonly names: OptionNames
  /** The trust file as the process sees it; undefined: the roots of the platform. */
  readonly trusted: string | undefined
  readonly isInsecure: boolean
  /** What a variable holds, for addresses that stand in one. */
  readonly variable: (name: string) => string | undefined
}

export interface Outputs {
  readonly kind: 'outputs'
  readonly edits: readonly ConfigEdit[]
  readonly urls: readonly Url[]
  /** Variables that hold an address which has to change, with its new value. */
  readonly variables: ReadonlyMap<string, string>
  readonly isVerifying: boolean
  /** Options that this version refuses were there. */
  readonly hasOldNames: boolean
  readonly hasOtherTrust: boolean
  readonly notices: readonly Reason[]
}

interface Url {
  readonly url: string
  readonly upstream: Upstream | undefined
}

export function outputsIn(input: OutputsInput): Outputs | Refusal {
  const document = documentIn(input.path, input.file, readTomlWithVariables)
  if (document.kind === 'refusal') return document
  const blocks = PLUGINS.flatMap(plugin => blocksOf(document.value, plugin))
  const found: Outputs[] = []
  for (const block of blocks) {
    const output = outputOf(block, input)
    if (output.kind === 'refusal') return output
    found.push(output)
  }
  return {
    kind: 'outputs',
    edits: found.flatMap(one => one.edits),
    urls: found.flatMap(one => one.urls),
    variables: new Map(found.flatMap(one => [...one.variables])),
    isVerifying: found.some(one => one.isVerifying),
    hasOldNames: found.some(one => one.hasOldNames),
    hasOtherTrust: found.some(one => one.hasOtherTrust),
    notices: found.flatMap(one => one.notices),
  }
}

interface Block {
  readonly plugin: Plugin
  /** Undefined: `[outputs.influxdb]`, a table of its own. */
  readonly index: number | undefined
  readonly table: Table
}

function blocksOf(document: Table, plugin: Plugin): readonly Block[] {
  const outputs = tableAt(document, 'outputs')
  const single = tableAt(outputs, plugin)
  if (single !== undefined) return [{ plugin, index: undefined, table: single }]
  return listAt(outputs, plugin).flatMap((item, index) =>
    isTable(item) ? [{ plugin, index, table: item }] : [],
  )
}

function outputOf(block: Block, input: OutputsInput): Outputs | Refusal {
  const { plugin, table } = block
  const key = URL_KEYS.find(name => valueAt(table, name) !== undefined) ?? 'urls'
  const written = valueAt(table, key)
  const before = written === undefined ? DEFAULT_URLS[plugin] : textsIn(written)
  if (before === undefined)
    return refusal(
      'config-unexpected',
      `${key} of outputs.${plugin} in ${input.path} is no list of addresses`,
    )
  const urls = before.map(text => urlOf(text, input))
  const isOurs = urls.some(({ upstream }) => upstream !== undefined)
  const isVerifying = urls.some(
    ({ url, upstream }) => upstream !== undefined && url.startsWith('https:'),
  )
  if (isVerifying && hasOthersOverTls(urls)) return mixed(block, input, urls)
  const uncovered = uncoveredHost(urls)
  if (uncovered !== undefined) return uncovered
  const texts = urls.map(({ text }) => text)
  const isSame = texts.every((text, at) => text === before[at])
  const edits: ConfigEdit[] = []
  if (isOurs && (written !== undefined || !isSame))
    edits.push(edit(block, key, typeof written === 'string' ? (texts[0] ?? '') : texts))
  const trust = isVerifying ? trustEdits(block, input) : []
  const renamed = isOurs ? renamedOptions(block, input.names, trust) : []
  return {
    kind: 'outputs',
    edits: [...edits, ...trust, ...renamed],
    urls: urls.map(({ url, upstream }) => ({ url, upstream })),
    variables: new Map(urls.flatMap(({ variable }) => (variable === undefined ? [] : [variable]))),
    isVerifying,
    hasOldNames: input.names.renamed.some(([old]) => valueAt(table, old) !== undefined),
    hasOtherTrust: isVerifying && isOther(valueAt(table, input.names.ca), input.trusted),
    notices: [],
  }
}

function isOther(value: ConfigValue | undefined, trusted: string | undefined): boolean {
  return value !== undefined && trusted !== undefined && value !== trusted
}

// One block has one trust: that of others would be lost.
function hasOthersOverTls(urls: readonly Url[]): boolean {
  return urls.some(({ url, upstream }) => upstream === undefined && /^https:/i.test(url))
}

function mixed(block: Block, { path }: OutputsInput, urls: readonly Url[]): Outputs {
  const foreign = urls.filter(({ upstream }) => upstream === undefined).map(({ url }) => url)
  const message = `a block of outputs.${block.plugin} in ${path} writes to ${foreign.join(', ')} as well, with one trust for all: give them a block of their own`
  return {
    kind: 'outputs',
    edits: [],
    urls: [],
    variables: new Map(),
    isVerifying: false,
    hasOldNames: false,
    hasOtherTrust: false,
    notices: [because('output-mixed', message)],
  }
}

interface BlockUrl extends Url {
  /** As it should be written in the file. */
  readonly text: string
  readonly variable: readonly [name: string, value: string] | undefined
}

// `["${INFLUX_URL}"]`: the scheme lives in the environment file.
function urlOf(text: string, { upstreams, variable }: OutputsInput): BlockUrl {
  const name = variableOnly(text)
  const held = name === undefined ? undefined : variable(name)
  if (name === undefined || held === undefined) {
    const { url, upstream } = withSchemeOf(upstreams, 'influxdb', text, PORT)
    return { text: url, url, upstream, variable: undefined }
  }
  const { url, upstream } = withSchemeOf(upstreams, 'influxdb', held, PORT)
  // Ours for as long as it is there, so that a change of it is seen.
  return { text, url, upstream, variable: upstream === undefined ? undefined : [name, url] }
}

function trustEdits(
  block: Block,
  { names, trusted, isInsecure }: OutputsInput,
): readonly ConfigEdit[] {
  const edits: ConfigEdit[] = []
  if (trusted !== undefined) edits.push(edit(block, names.ca, trusted))
  const insecure = valueAt(block.table, 'insecure_skip_verify')
  if (isInsecure) edits.push(edit(block, 'insecure_skip_verify', true))
  else if (insecure !== undefined && insecure !== false)
    edits.push(edit(block, 'insecure_skip_verify', false))
  if (valueAt(block.table, 'tls_enable') === false) edits.push(edit(block, 'tls_enable', true))
  return edits
}

// The value moves to the name that this version takes, unless it gets another one anyway.
function renamedOptions(
  block: Block,
  { renamed }: OptionNames,
  trust: readonly ConfigEdit[],
): readonly ConfigEdit[] {
  const written = new Set(trust.map(({ path }) => path.at(-1)))
  return renamed.flatMap(([old, name]) => {
    const value = valueAt(block.table, old)
    if (value === undefined) return []
    const isKept = written.has(name) || valueAt(block.table, name) !== undefined
    return [...(isKept ? [] : [edit(block, name, value)]), edit(block, old, undefined)]
  })
}

function edit({ plugin, index }: Block, key: string, value: ConfigValue | undefined): ConfigEdit {
  return { path: ['outputs', plugin, ...(index === undefined ? [] : [index]), key], value }
}
