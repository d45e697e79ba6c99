// Kibana as a client: its hosts of Elasticsearch, and the CA certificates that it trusts there. The
// monitoring cluster has the same keys under another name.

import { sha256 } from '../../../shared/digest.ts'
import type { Reason } from '../../../shared/contract/schema.ts'
import type { ServiceTlsOf, Upstream } from '../../../shared/contract/service.ts'
import type { ConfigEdit } from '../../formats/edit.ts'
import { authoritiesWith, isOpenable } from '../elastic/authorities.ts'
import { textsIn, type FlatSettings } from '../elastic/settings.ts'
import { because, refusal, type Refusal } from '../reasons.ts'
import type { DriverContext, FileIntent, LoadIntent, UpstreamIntent } from '../service.ts'
import {
  uncoveredHost,
  upstreamIntents,
  upstreamTrustFile,
  withSchemeOf,
} from '../upstream-urls.ts'

export interface ClientPart {
  readonly kind: 'client'
  readonly edits: readonly ConfigEdit[]
  readonly files: readonly FileIntent[]
  readonly loads: readonly LoadIntent[]
  readonly upstreams: readonly UpstreamIntent[]
  readonly notices: readonly Reason[]
  readonly reason: Reason
}

export interface ClientInput {
  readonly tls: ServiceTlsOf<'kibana'>
  readonly settings: FlatSettings
  /** Logical path of our own directory. */
  readonly directory: string
  readonly context: DriverContext
}

const PREFIXES = ['elasticsearch', 'monitoring.ui.elasticsearch'] as const
const DEFAULT_HOSTS = ['http://localhost:9200']
const PORT_OF_URL = 'of-scheme'

export function elasticsearchClient(input: ClientInput): ClientPart | Refusal {
  const { tls, settings, directory, context } = input
  const trustPath = `${directory}/elasticsearch-ca.pem`
  const trustFile = upstreamTrustFile(trustPath, tls.upstreamTrust)
  const connections: Connection[] = []
  for (const prefix of PREFIXES) {
    if (prefix !== 'elasticsearch' && !settings.has(`${prefix}.hosts`)) continue
    const connection = connectionOf(prefix, input)
    if (connection.kind === 'refusal') return connection
    const uncovered = uncoveredHost(connection.hosts)
    if (uncovered !== undefined) return uncovered
    if (connection.hosts.some(({ upstream }) => upstream !== undefined))
      connections.push(connection)
  }
  const verifying = connections.filter(isVerifying)
  const trust = trustFile === undefined || verifying.length === 0 ? undefined : trustFile
  const trusted = trust === undefined ? undefined : context.servicePath(trustPath)
  const edits = connections.flatMap(one => editsFor(one, settings, trusted))
  const pems = trust === undefined ? [] : tls.upstreamTrust
  return {
    kind: 'client',
    edits,
    files: trust === undefined ? [] : [trust],
    loads: loadsFor(connections, edits, trust),
    upstreams: upstreamIntents(
      connections.flatMap(({ hosts }) => hosts),
      PORT_OF_URL,
      pems,
    ),
    notices: noticesFor(settings, verifying.length > 0),
    reason: reasonFor(connections, settings),
  }
}

interface Host {
  readonly url: string
  readonly upstream: Upstream | undefined
}

interface Connection {
  readonly kind: 'connection'
  readonly prefix: (typeof PREFIXES)[number]
  readonly isWritten: boolean
  readonly isList: boolean
  readonly before: readonly string[]
  readonly hosts: readonly Host[]
}

function connectionOf(
  prefix: Connection['prefix'],
  { tls, settings }: ClientInput,
): Connection | Refusal {
  const value = settings.value(`${prefix}.hosts`)
  const before = value === undefined ? DEFAULT_HOSTS : textsIn(value)
  if (before === undefined)
    return refusal(
      'config-unexpected',
      `${prefix}.hosts in ${settings.path} is no address and no list of them`,
    )
  const hosts = before.map(text => withSchemeOf(tls.upstreams, 'elasticsearch', text, PORT_OF_URL))
  return {
    kind: 'connection',
    prefix,
    isWritten: value !== undefined,
    isList: typeof value !== 'string',
    before,
    hosts,
  }
}

function isVerifying({ hosts }: Connection): boolean {
  return hosts.some(({ url, upstream }) => upstream !== undefined && url.startsWith('https:'))
}

function editsFor(
  connection: Connection,
  settings: FlatSettings,
  trusted: string | undefined,
): readonly ConfigEdit[] {
  const { prefix, hosts, before, isList, isWritten } = connection
  const urls = hosts.map(({ url }) => url)
  const edits: ConfigEdit[] = []
  const isChanged = urls.some((url, index) => url !== before[index])
  if (isWritten || isChanged)
    edits.push({ path: keyPath(`${prefix}.hosts`), value: isList ? urls : (urls[0] ?? '') })
  if (!isVerifying(connection)) return edits
  if (trusted !== undefined) {
    const authorities = authoritiesWith(settings, `${prefix}.ssl.certificateAuthorities`, trusted)
    edits.push({ path: keyPath(`${prefix}.ssl.certificateAuthorities`), value: authorities })
  }
  // Full is the default; what is weaker is not left.
  if (settings.has(`${prefix}.ssl.verificationMode`))
    edits.push({ path: keyPath(`${prefix}.ssl.verificationMode`), value: 'full' })
  return edits
}

function keyPath(key: string): readonly string[] {
  return key.split('.')
}

// All of it is read once, at the start (elastic 1.4).
function loadsFor(
  connections: readonly Connection[],
  edits: readonly ConfigEdit[],
  trust: FileIntent | undefined,
): readonly LoadIntent[] {
  if (connections.length === 0) return []
  const text = trust?.kind === 'content' ? (trust.text ?? '') : ''
  return [
    {
      name: 'elasticsearch',
      value: sha256(JSON.stringify([edits, text])),
      activation: 'restart',
      provenBy: 'ledger',
      reason: because('upstreams-loaded', 'kibana reads hosts and CA files when it starts'),
    },
  ]
}

function reasonFor(connections: readonly Connection[], settings: FlatSettings): Reason {
  const paths = PREFIXES.flatMap(
    prefix => textsIn(settings.value(`${prefix}.ssl.certificateAuthorities`)) ?? [],
  )
  const broken = paths.find(path => !isOpenable(path))
  if (broken?.startsWith('$') === true)
    return because(
      'guide-variable-path',
      `kibana does not put in the variable of ${broken} in ${settings.path}`,
    )
  if (broken !== undefined)
    return because(
      'guide-relative-path',
      `${broken} in ${settings.path} is looked for in the directory of the process`,
    )
  const isOn = connections.some(isVerifying)
  return isOn
    ? because('upstream-tls', 'the nodes of Elasticsearch that it connects to speak TLS')
    : because(
        'upstream-plaintext',
        'the nodes of Elasticsearch that it connects to speak plaintext',
      )
}

function noticesFor(settings: FlatSettings, isVerified: boolean): readonly Reason[] {
  if (!isVerified) return []
  const fingerprints = settings.leaves.some(
    ({ key, value }) =>
      key.startsWith('xpack.fleet.outputs') &&
      JSON.stringify(value).includes('ca_trusted_fingerprint'),
  )
  return fingerprints
    ? [
        because(
          'fleet-fingerprint',
          `xpack.fleet.outputs in ${settings.path} pins a CA by its fingerprint: agents of Fleet refuse certificates of another CA`,
        ),
      ]
    : []
}
