// A server that Metricbeat connects to, as one block of its settings: hosts with or without a
// scheme, and the TLS options beside them.

import type { ServiceName, Upstream } from '../../../shared/contract/service.ts'
import type { ConfigEdit, ConfigPath, ConfigValue } from '../../formats/edit.ts'
import { authoritiesWith } from '../elastic/authorities.ts'
import { textsIn } from '../elastic/settings.ts'
import { refusal, type Refusal } from '../reasons.ts'
import { withSchemeOf } from '../upstream-urls.ts'

export interface EndpointShape {
  readonly service: ServiceName
  /** Before each key: `['output.elasticsearch']`, or an index into the list of a module file. */
  readonly prefix: ConfigPath
  readonly hostsKey: 'hosts' | 'host'
  readonly defaultPort: number
  /** What is meant where no hosts are written; none where the block itself is missing. */
  readonly defaultHosts: readonly string[]
}

export interface EndpointInput {
  readonly shape: EndpointShape
  readonly value: (key: string) => ConfigValue | undefined
  readonly upstreams: readonly Upstream[]
  /** As the process sees it; undefined: the roots of the platform. */
  readonly trusted: string | undefined
  /** For messages. */
  readonly file: string
}

export interface Endpoint {
  readonly kind: 'endpoint'
  readonly edits: readonly ConfigEdit[]
  readonly urls: readonly { readonly url: string; readonly upstream: Upstream | undefined }[]
  /** At least one host of the fleet is connected to with TLS. */
  readonly isVerifying: boolean
}

const STRONG: readonly string[] = ['full', 'strict']

export function endpointOf(input: EndpointInput): Endpoint | Refusal {
  const { shape, value, file } = input
  const written = value(shape.hostsKey)
  const before = written === undefined ? shape.defaultHosts : textsIn(written)
  if (before === undefined)
    return refusal(
      'config-unexpected',
      `${nameOf(shape, shape.hostsKey)} in ${file} is no address and no list of them`,
    )
  const protocol = value('protocol') === 'https' ? 'https' : 'http'
  const hosts = before.map(text => hostWithScheme(text, protocol, input))
  const urls = hosts.map(({ url, upstream }) => ({ url, upstream }))
  const isVerifying = urls.some(
    ({ url, upstream }) => upstream !== undefined && url.startsWith('https:'),
  )
  const isOurs = urls.some(({ upstream }) => upstream !== undefined)
  const edits: ConfigEdit[] = []
  const texts = hosts.map(({ text }) => text)
  const isSame = texts.every((text, index) => text === before[index])
  if (isOurs && (written !== undefined || !isSame))
    edits.push(edit(shape, shape.hostsKey, typeof written === 'string' ? (texts[0] ?? '') : texts))
  if (isVerifying) edits.push(...verificationEdits(input))
  return { kind: 'endpoint', edits, urls, isVerifying }
}

interface Host {
  /** As it should be written. */
  readonly text: string
  /** As Metricbeat takes it. */
  readonly url: string
  readonly upstream: Upstream | undefined
}

// A scheme of its own goes before `protocol`, so that hosts can be switched one by one.
function hostWithScheme(
  text: string,
  protocol: 'http' | 'https',
  { shape, upstreams }: EndpointInput,
): Host {
  const hasScheme = /^https?:/i.test(text)
  const before = hasScheme ? text : `${protocol}://${text}`
  const { url, upstream } = withSchemeOf(upstreams, shape.service, before, shape.defaultPort)
  return { text: url === before ? text : url, url, upstream }
}

function verificationEdits({ shape, value, trusted }: EndpointInput): readonly ConfigEdit[] {
  const edits: ConfigEdit[] = []
  if (trusted !== undefined) {
    const settings = { value: (key: string) => value(key) }
    const authorities = authoritiesWith(settings, 'ssl.certificate_authorities', trusted)
    edits.push(edit(shape, 'ssl.certificate_authorities', authorities))
  }
  const mode = value('ssl.verification_mode')
  // Full is the default; weaker ones give up what was just made possible.
  if (mode !== undefined && !(typeof mode === 'string' && STRONG.includes(mode)))
    edits.push(edit(shape, 'ssl.verification_mode', 'full'))
  if (value('ssl.enabled') === false) edits.push(edit(shape, 'ssl.enabled', true))
  return edits
}

function edit({ prefix }: EndpointShape, key: string, value: ConfigValue): ConfigEdit {
  return { path: [...prefix, key], value }
}

function nameOf({ prefix }: EndpointShape, key: string): string {
  return [...prefix, key].join('.')
}
