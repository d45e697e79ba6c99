// What the two ways of a web configuration, with TLS and without, have in common.

import type { Reason } from '../../../shared/contract/schema.ts'
import { type ServerTls, wantsClientUse } from '../../../shared/contract/service.ts'
import { connectHost } from '../addresses.ts'
import { because } from '../reasons.ts'
import type {
  DriverContext,
  FileIntent,
  ListenerIntent,
  LoadIntent,
  MaterialIntent,
  Seen,
} from '../service.ts'
import type { Version } from '../version.ts'
import type { Unclear } from './exec-start.ts'
import { EXTERNAL_URL_FLAG, routePrefix, type Flags } from './flags.ts'
import { trustFileOf, type WebProduct } from './product.ts'
import type { WebFile } from './web-file.ts'

export interface Web {
  readonly kind: 'web'
  readonly version: Version
  readonly flags: Flags
  /** Logical path of the web configuration; undefined: there is none. */
  readonly path: string | undefined
  readonly material: MaterialIntent
  readonly flagFiles: readonly FileIntent[]
  readonly webFile: FileIntent | undefined
  readonly loads: readonly LoadIntent[]
  readonly listeners: readonly ListenerIntent[]
  readonly notices: readonly Reason[]
}

export interface WebQuestion {
  readonly product: WebProduct
  readonly tls: ServerTls
  /** `none`: the product has no such flag. */
  readonly externalUrl: 'manage' | 'leave' | 'none'
  readonly seen: Seen
  readonly context: DriverContext
}

export function materialFor(product: WebProduct, tls: ServerTls): MaterialIntent {
  return {
    isWanted: true,
    directory: product.directory,
    keyMode: 0o600,
    chainMode: 0o644,
    trustFile: trustFileOf(product),
    clientUse: wantsClientUse(tls),
  }
}

export function listenersFor(
  { product, tls }: WebQuestion,
  flags: Flags,
  url: string | undefined,
  serverName: string | undefined,
  { hasPasswords }: Pick<WebFile, 'hasPasswords'>,
): readonly ListenerIntent[] {
  const scheme = tls.tls === 'on' ? 'https' : 'http'
  return flags.listenAddresses.map(address => ({
    name: `${scheme} ${address.host}:${address.port}`,
    host: connectHost(address.host),
    port: address.port,
    serverName: serverName ?? connectHost(address.host),
    healthPath: `${routePrefix(flags, url)}${product.healthPath}`,
    // With passwords the question itself is refused, by a server that works.
    healthyStatuses: hasPasswords ? [200, 401] : [200],
    scheme,
    clientCertificate: tls.tls === 'on' && tls.clientAuth === 'required',
  }))
}

/** The address is left, and why. */
export function urlNotice(url: string, { why }: Unclear): Reason {
  const message = `set ${EXTERNAL_URL_FLAG}=${url} in the unit, so that links are right (${why})`
  return because('external-url-not-editable', message)
}
