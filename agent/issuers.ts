// Where leaves come from. `internal` asks the controller, the others work on the node alone. What
// they need from the node's own disk is named by the node's policy, never by the wire.

import { OperationalError, describeError } from '../shared/errors.ts'
import type { ServerTls, ServiceName } from '../shared/contract/service.ts'
import type { KeyPair } from '../shared/pki/keys.ts'
import { splitPemCertificates } from '../shared/pki/pem.ts'
import type { Host } from './host.ts'
import type { ProvidedPair } from './remote.ts'
import { type SourcePair, describePair } from './resources/material.ts'
import { placesOf } from './source-places.ts'

/** Local policy: paths on this node. */
export interface LocalIssuers {
  /** Issuer `files`: where the other tool places chain and key, by service. */
  readonly files: Readonly<Partial<Record<ServiceName, PairPaths>>>
  /** Issuer `local-ca`: a CA certificate and its key. */
  readonly localCa: PairPaths | undefined
  /** What the agent asks products with, by service: for proofs that they give to nobody else. */
  readonly credentials?: LocalCredentials
}

export type LocalCredentials = Readonly<{ [S in ServiceName]?: Credential | undefined }>

export type Credential = (
  | { readonly apiKeyFile: string }
  | { readonly user: string; readonly passwordFile: string }
) & {
  /** Shown without TLS as well, over connections that do not leave this machine. */
  readonly overPlaintext?: boolean | undefined
}

export interface PairPaths {
  readonly certificate: string
  readonly privateKey: string
}

export const NO_LOCAL_ISSUERS: LocalIssuers = { files: {}, localCa: undefined }

/** Asks the controller for a leaf: chain as PEM. Undefined without a controller. */
export type SignInternal = (request: {
  readonly service: ServiceName
  readonly keys: KeyPair
  /** PKCS#10 of the key, where others than the controller sign. */
  readonly csr?: string
}) => Promise<string>

/** Asks the controller for the pair that was uploaded for a service. Undefined without a controller. */
export type FetchProvided = (service: ServiceName) => Promise<ProvidedPair>

type Note = (path: string) => Promise<void>

/** CA certificates that come with the issuer rather than with the desired state. */
export async function observeLocalTrust(
  host: Host,
  issuers: LocalIssuers,
  tls: ServerTls,
  note: Note,
): Promise<readonly string[]> {
  if (tls.certificate.issuer !== 'local-ca') return []
  // Without it nobody can say whether the certificate in use is one of it.
  if (issuers.localCa === undefined) throw noLocalCa(tls.service)
  const { certificate } = issuers.localCa
  await notePlaces(host, certificate, note)
  const bytes = await host.files.read(certificate)
  if (bytes === undefined)
    throw new OperationalError('source-missing', `could not find the local CA ${certificate}`)
  return splitPemCertificates(Buffer.from(bytes).toString('utf8'))
}

/** The pair of issuer `files`, judged. Undefined for other issuers. */
export async function observeSource(
  host: Host,
  issuers: LocalIssuers,
  tls: ServerTls,
  note: Note,
): Promise<SourcePair | undefined> {
  if (tls.certificate.issuer !== 'files') return undefined
  const paths = issuers.files[tls.service]
  if (paths === undefined) {
    const message = `issuer "files" needs to be told where the pair of ${tls.service} is, in this node's own configuration`
    return { kind: 'unusable', reason: { code: 'source-not-configured', message } }
  }
  await notePlaces(host, paths.certificate, note)
  await notePlaces(host, paths.privateKey, note)
  try {
    const { chain, key } = await readPair(host, paths)
    const { facts, chainPem, problems } = describePair(chain, key)
    const problem = problems[0]
    if (problem !== undefined) return { kind: 'unusable', reason: problem }
    return { kind: 'pair', chainPem, facts }
  } catch (error) {
    const code = error instanceof OperationalError ? error.code : 'source-unreadable'
    return { kind: 'unusable', reason: { code, message: describeError(error) } }
  }
}

async function notePlaces(host: Host, path: string, note: Note): Promise<void> {
  for (const place of await placesOf(host.files, path)) await note(place)
}

export async function readPair(
  host: Host,
  paths: PairPaths,
): Promise<{ chain: Uint8Array; key: Uint8Array }> {
  const chain = await host.files.read(paths.certificate)
  const key = await host.files.read(paths.privateKey)
  if (chain === undefined || key === undefined) {
    const missing = chain === undefined ? paths.certificate : paths.privateKey
    throw new OperationalError('source-missing', `could not find ${missing}`, {
      hint: 'the tool that places it has not done so yet, or the path in the configuration is wrong',
    })
  }
  return { chain, key }
}

export function noLocalCa(service: ServiceName): OperationalError {
  return new OperationalError(
    'issuer-unavailable',
    `could not issue a certificate for ${service}: no local CA is configured`,
    { hint: 'name its certificate and key under issuers.localCa' },
  )
}
