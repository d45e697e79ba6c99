// Elasticsearch 7 to 9: TLS of the HTTP layer, and on demand of the transport layer. Key and chain are
// one PKCS#12 file inside of the configuration directory, which the node reads again by itself when it
// changes; its password is in the node's own keystore. Facts: elastic 1 and 2.

import type { Reason } from '../../shared/contract/schema.ts'
import { type ServiceTlsOf, wantsClientUse } from '../../shared/contract/service.ts'
import { environmentInputs } from './command-line.ts'
import { layoutOf, noticesOn, obstacleTo } from './elasticsearch/cluster.ts'
import { HTTP_SSL, switchedOff, switchedOn, type HttpSsl } from './elasticsearch/http-ssl.ts'
import { listenerOf } from './elasticsearch/listener.ts'
import { loadsFor } from './elasticsearch/loads.ts'
import { nodeSettings, type NodeSettings } from './elasticsearch/node-settings.ts'
import { placeOf, versionOf, type ElasticsearchPlace } from './elasticsearch/place.ts'
import {
  hasSecrets,
  keystoreEntries,
  keystoreIntent,
  STORE_PASSWORD,
  unusableKeystore,
} from './elasticsearch/secrets.ts'
import { MATERIAL, type Layout } from './elasticsearch/ssl-leaves.ts'
import { transportSsl, type TransportSsl } from './elasticsearch/transport-ssl.ts'
import { because, refusal, type Refusal } from './reasons.ts'
import type {
  Compilation,
  Driver,
  DriverContext,
  FileIntent,
  Input,
  ListenerIntent,
  MaterialIntent,
  Seen,
  StoreIntent,
} from './service.ts'
import { isAtLeast, type Version } from './version.ts'
import { UNITS } from './units.ts'

export const elasticsearch: Driver<'elasticsearch'> = {
  service: 'elasticsearch',
  units: UNITS.elasticsearch,
  inputs,
  compile,
}

type Intent = ServiceTlsOf<'elasticsearch'>

function inputs(seen: Seen, context: DriverContext): readonly Input[] {
  const wanted = environmentInputs(seen, context)
  const place = placeOf(seen, context)
  if (place.kind === 'refusal') return wanted
  const { libraries, config, configDirectory, keystore, passphraseFile } = place
  return [
    ...wanted,
    { kind: 'directory', path: libraries },
    { kind: 'directory', path: configDirectory },
    { kind: 'file', path: config },
    {
      kind: 'keystore',
      path: keystore,
      format: 'elasticsearch',
      ...(passphraseFile === undefined ? {} : { passphraseFile }),
    },
  ]
}

function compile(tls: Intent, seen: Seen, context: DriverContext): Compilation {
  const place = placeOf(seen, context)
  if (place.kind === 'refusal')
    return { kind: 'unsupported', reason: place.reason, version: undefined }
  const version = versionOf(place, seen)
  if ('kind' in version) return { kind: 'unsupported', reason: version.reason, version: undefined }
  const parts = partsFor(tls, place, version, seen, context)
  if (parts.kind === 'refusal')
    return { kind: 'unsupported', reason: parts.reason, version: version.text }
  const { settings, layout, http, transport, listener } = parts
  const isOn = tls.tls === 'on'
  const isEdited = http.edits.length + transport.edits.length > 0
  const entries = keystoreEntries({ layout, isHttpOn: isOn, transport })
  return {
    kind: 'compiled',
    compiled: {
      version: version.text,
      material: materialFor(tls, parts, place, version),
      // When TLS is on, a file that is right already counts too: the process must be younger.
      files: isOn || isEdited ? [configIntent(place, parts)] : [],
      keystores: entries.length > 0 ? [keystoreIntent(place, entries, context)] : [],
      tools: [],
      // There is no program that checks a configuration without starting the node.
      validators: [],
      loads: loadsFor(tls, { settings, layout, http, transport }),
      listeners: [listener],
      upstreams: [],
      notices: [
        ...http.notices,
        ...transport.notices,
        ...noticesOn(tls, settings),
        ...(isOn ? leftovers(place, settings, seen) : []),
      ],
      ...(transport.coordinated === undefined ? {} : { coordinated: transport.coordinated }),
    },
  }
}

interface Parts {
  readonly kind: 'parts'
  readonly settings: NodeSettings
  readonly layout: Layout
  readonly http: HttpSsl
  readonly transport: TransportSsl
  readonly listener: ListenerIntent
}

function partsFor(
  tls: Intent,
  place: ElasticsearchPlace,
  version: Version,
  seen: Seen,
  context: DriverContext,
): Parts | Refusal {
  if (!isAtLeast(version, '7.0.0'))
    return refusal('version-unsupported', `elasticsearch ${version.text} is older than 7.0.0`)
  const settings = nodeSettings(place, seen, context)
  if (settings.kind === 'refusal') return settings
  const obstacle = obstacleTo(tls, settings, version)
  if (obstacle !== undefined) return obstacle
  const listener = listenerOf(tls, settings)
  if ('kind' in listener) return listener
  const layout = layoutOf(tls, settings)
  const http =
    tls.tls === 'on'
      ? switchedOn({ tls, settings, layout })
      : switchedOff(settings, { hasSecrets: hasSecrets(place, seen) })
  if (http.kind === 'refusal') return http
  const transport = transportSsl({ tls, settings, layout, version })
  if (transport.kind === 'refusal') return transport
  const isTouched = tls.tls === 'on' || http.edits.length + transport.edits.length > 0
  const unusable = isTouched ? unusableKeystore(place, seen) : undefined
  return unusable ?? { kind: 'parts', settings, layout, http, transport, listener }
}

function materialFor(
  tls: Intent,
  parts: Parts,
  place: ElasticsearchPlace,
  version: Version,
): MaterialIntent {
  const isWanted = tls.tls === 'on'
  const directory = `${place.configDirectory}/${MATERIAL}`
  const store = storeFor(tls, parts, place, version)
  return {
    isWanted,
    directory,
    keyMode: 0o600,
    chainMode: 0o644,
    trustFile: `${directory}/ca.pem`,
    clientUse: wantsClientUse(tls),
    ...(isWanted && parts.layout === 'pkcs12' ? { store } : {}),
  }
}

const HTTP_CA = 'http_ca'
const AUTOCONFIGURED_STORE = 'certs/http.p12'

/**
 * The store of the first start holds the key of the CA that it made, which some of the product's
 * programs look for in the store that is configured. Beside a leaf that is no CA it is not served
 * (facts 2(g)), from 8.0 on; of what another tool has placed that is not known.
 */
function storeFor(
  tls: Intent,
  { settings, transport }: Parts,
  place: ElasticsearchPlace,
  version: Version,
): StoreIntent {
  const store: StoreIntent = {
    mode: 0o640,
    adopt: { keystore: place.keystore, entry: STORE_PASSWORD },
  }
  const isLeafKnown = ['internal', 'local-ca'].includes(tls.certificate.issuer)
  // Of several keys the transport layer takes any, also that of a CA (facts 2(g)).
  const isShared = transport.state === 'on'
  if (!isAtLeast(version, '8.0.0') || !isLeafKnown || isShared) return store
  const configured = settings.text(`${HTTP_SSL}.keystore.path`) ?? AUTOCONFIGURED_STORE
  const isOurs = configured.startsWith(`${MATERIAL}/`)
  // Only relative paths lead into the configuration directory for certain.
  const path = isOurs || /^\/|\$|\.\./.test(configured) ? AUTOCONFIGURED_STORE : configured
  return { ...store, carry: { path: `${place.configDirectory}/${path}`, alias: HTTP_CA } }
}

function configIntent(place: ElasticsearchPlace, { http, transport }: Parts): FileIntent {
  // That of HTTP tells more, unless there is nothing to tell.
  const isForHttp = transport.edits.length === 0 || http.reason.code !== 'tls-settings'
  return {
    kind: 'config',
    path: place.config,
    format: 'yaml-flat',
    edits: [...http.edits, ...transport.edits],
    reason: isForHttp ? http.reason : transport.reason,
    createMode: undefined,
  }
}

/** The store of the guide, unless another layer uses it; that of the first start stays useful, for its CA. */
function leftovers(
  { configDirectory }: ElasticsearchPlace,
  { file }: NodeSettings,
  seen: Seen,
): readonly Reason[] {
  const path = `${configDirectory}/http.p12`
  const isElsewhere = file.leaves.some(
    ({ key, value }) => !key.startsWith(`${HTTP_SSL}.`) && (value === 'http.p12' || value === path),
  )
  if (isElsewhere || !(seen.directory(configDirectory) ?? []).includes('http.p12')) return []
  return [because('guide-leftover', `${path} is not used any more and can be removed`)]
}
