// Which keys of influxdb-meta.conf a desired state owns, by version.

import type { Reason } from '../../../shared/contract/schema.ts'
import { type ServiceTlsOf, wantsClientUse } from '../../../shared/contract/service.ts'
import { caList, clientAuthKeys, MTLS_SINCE, rootsText } from '../influxdb/client-auth.ts'
import { switchKey } from '../influxdb/keys.ts'
import { lacks, minimumKeys } from '../influxdb/minimum.ts'
import type { OwnedKey, Settings } from '../influxdb/settings.ts'
import type { Refusal } from '../reasons.ts'
import { isAtLeast, type Version } from '../version.ts'

export interface MetaKeys {
  readonly kind: 'keys'
  readonly owned: readonly OwnedKey[]
  /** What the process must have loaded of them, as text. */
  readonly options: string
  /** Where it learns the CA certificates of other nodes. */
  readonly trust: 'system' | 'file' | 'none'
  readonly notices: readonly Reason[]
}

interface Question {
  readonly tls: ServiceTlsOf<'influxdb-meta'>
  readonly version: Version
  readonly settings: Settings
  readonly paths: {
    readonly certificate: string
    readonly key: string
    readonly trust: string
    readonly upstreamTrust: string
  }
}

// In the documents from 1.7 on; fixed for some operations in 1.8.6 only.
const DATA_TLS_SINCE = '1.7.3'

export function ownedMetaKeys(question: Question): MetaKeys | Refusal {
  const { tls, version, settings, paths } = question
  const data = dataKeys(question)
  if (data.kind === 'refusal') return data
  if (tls.tls === 'off')
    return {
      kind: 'keys',
      owned: [
        ...switchKey(settings, 'meta', 'https-enabled', false),
        ...data.owned,
        ...rootKeys(question).owned,
      ],
      options: `plaintext ${data.text} ${rootKeys(question).text}`,
      trust: rootKeys(question).trust,
      notices: [],
    }
  const minimum = minimumKeys(tls.minVersion, version, settings)
  if (minimum.kind === 'refusal') return minimum
  const client = clientAuthKeys(tls, version, settings, 'meta', paths.trust)
  if (client.kind === 'refusal') return client
  const isInsecure = tls.options.peers === 'insecure'
  const roots = rootKeys(question)
  return {
    kind: 'keys',
    owned: [
      { table: 'meta', key: 'https-enabled', value: true },
      { table: 'meta', key: 'https-certificate', value: paths.certificate },
      { table: 'meta', key: 'https-private-key', value: paths.key },
      ...switchKey(settings, 'meta', 'https-insecure-tls', isInsecure),
      ...roots.owned,
      ...client.owned,
      ...(showsPair(tls, version) ? clientPair(paths) : []),
      ...minimum.owned,
      ...data.owned,
    ],
    options: `${minimum.text} ${client.text} client=${showsPair(tls, version)} insecure=${isInsecure} ${roots.text} ${data.text}`,
    trust: roots.trust,
    notices: minimum.notices,
  }
}

// Verification of peers is given up only where it is asked for: with a CA that can be installed
// there is no need.
function rootKeys({ tls, version, paths }: Question): {
  readonly owned: readonly OwnedKey[]
  readonly text: string
  readonly trust: MetaKeys['trust']
} {
  const verifiesPeers = tls.tls === 'on' && tls.options.peers === 'verify'
  const isVerifying = verifiesPeers || tls.options.data === 'tls'
  if (tls.upstreamTrust.length === 0 || !isVerifying)
    return { owned: [], text: 'roots=system', trust: 'none' }
  const text = rootsText(tls.upstreamTrust)
  if (!isAtLeast(version, MTLS_SINCE)) {
    const isLeft = tls.options.trustStore === 'leave'
    return { owned: [], text: isLeft ? 'roots=system' : text, trust: isLeft ? 'none' : 'system' }
  }
  const value = caList(paths.upstreamTrust, true)
  return { owned: [{ table: 'meta', key: 'https-root-ca', value }], text, trust: 'file' }
}

/** Members that demand client certificates of each other show their own leaf. */
function showsPair(tls: Question['tls'], version: Version): boolean {
  return isAtLeast(version, MTLS_SINCE) && wantsClientUse(tls)
}

function clientPair(paths: Question['paths']): readonly OwnedKey[] {
  return [
    { table: 'meta', key: 'https-client-certificate', value: paths.certificate },
    { table: 'meta', key: 'https-client-private-key', value: paths.key },
  ]
}

function dataKeys({
  tls,
  version,
  settings,
}: Question):
  | { readonly kind: 'data'; readonly owned: readonly OwnedKey[]; readonly text: string }
  | Refusal {
  const option = tls.options.data
  if (option === 'leave') return { kind: 'data', owned: [], text: 'data=leave' }
  if (option === 'off')
    return {
      kind: 'data',
      owned: [
        ...switchKey(settings, 'meta', 'data-use-tls', false),
        ...switchKey(settings, 'meta', 'data-insecure-tls', false),
      ],
      text: 'data=off',
    }
  if (!isAtLeast(version, DATA_TLS_SINCE))
    return lacks('influxd-meta', 'TLS towards data nodes', DATA_TLS_SINCE, version)
  const isInsecure = option === 'tls-insecure'
  return {
    kind: 'data',
    owned: [
      { table: 'meta', key: 'data-use-tls', value: true },
      ...switchKey(settings, 'meta', 'data-insecure-tls', isInsecure),
    ],
    text: `data=${option}`,
  }
}
