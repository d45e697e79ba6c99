// Client certificates, which influxd and influxd-meta verify from 1.13 on.

import { unreachable } from '../../../shared/assert.ts'
import type { ServerTls } from '../../../shared/contract/service.ts'
import { sha256 } from '../../../shared/digest.ts'
import type { ConfigValue } from '../../formats/edit.ts'
import { refusal, type Refusal } from '../reasons.ts'
import { hasClientTrust } from '../trust.ts'
import { isAtLeast, type Version } from '../version.ts'
import { lacks, part, type Part } from './minimum.ts'
import type { Settings, TableName } from './settings.ts'

export const MTLS_SINCE = '1.13.0'

export function clientAuthKeys(
  tls: ServerTls,
  version: Version,
  settings: Settings,
  table: TableName,
  /** CA certificates of clients, as the process sees the file. */
  trust: string,
): Part | Refusal {
  const type = authType(tls.clientAuth)
  if (type === undefined) {
    // Older versions ignore the keys, so they are no concern there.
    if (!isAtLeast(version, MTLS_SINCE)) return part([], 'client-auth=none')
    const stray = ['https-client-auth-type', 'https-client-ca']
      .filter(key => settings.effective(table, key) !== undefined)
      .map(key => ({ table, key, value: undefined }) as const)
    return part(stray, 'client-auth=none')
  }
  if (!isAtLeast(version, MTLS_SINCE))
    return lacks(settings.dialect.program, 'client certificates', MTLS_SINCE, version)
  if (!hasClientTrust(tls))
    return refusal(
      'client-trust-missing',
      'client certificates are wanted, but no CA to verify them',
    )
  return part(
    [
      { table, key: 'https-client-auth-type', value: type },
      { table, key: 'https-client-ca', value: caList(trust, false) },
    ],
    `client-auth=${type} ${rootsText(tls.trust)}`,
  )
}

function authType(clientAuth: ServerTls['clientAuth']): string | undefined {
  switch (clientAuth) {
    case 'none':
      return undefined
    case 'optional':
      return 'VerifyClientCertIfGiven'
    case 'required':
      return 'RequireAndVerifyClientCert'
    default:
      return unreachable(clientAuth)
  }
}

export function caList(path: string, includeSystem: boolean): ConfigValue {
  return { paths: [path], 'include-system': includeSystem }
}

/** CA files are read when the process starts, so their contents count and not only their path. */
export function rootsText(pems: readonly string[]): string {
  return `roots=${sha256(pems.join('\n'))}`
}
